//! What members of staff read, and what they do to the service as a whole: in their own stream, or in the operator's.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::user_account::ActingStaff;

/// What a member of staff read, or did to no account in particular. The personal part of the event says why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum StaffRecordFact {
    /// An auditor read of the log.
    AuditRead {
        /// What the auditor asked for, as the service understood it.
        what: String,
        /// The auditor, or the operator.
        by: ActingStaff,
    },
    /// An administrator searched or opened a page. Recorded once a window for each page that is not a search of personal data.
    StaffRead {
        /// The operation and the filters that are not personal. The personal part of the event has the others.
        what: String,
        /// Whether it was a search of personal data, which is recorded each time.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        searched: bool,
        /// The administrator, or the operator.
        by: ActingStaff,
    },
    /// An administrator lifted what was counted against a subject of the limits that all nodes share.
    SharedLimitsLifted {
        /// The subject, as the limits name it: a country, the whole service, a prefix of numbers, or the keyed hash of anything
        /// narrower.
        subject: String,
        /// The administrator, or the operator.
        by: ActingStaff,
    },
    /// An administrator had a read model rebuilt from the log.
    RebuildOrdered {
        /// The name of the read model.
        projection: String,
        /// The administrator, or the operator.
        by: ActingStaff,
    },
}

impl StaffRecordFact {
    /// Returns the member of staff who read or acted.
    pub fn by(&self) -> &ActingStaff {
        match self {
            Self::AuditRead { by, .. }
            | Self::StaffRead { by, .. }
            | Self::SharedLimitsLifted { by, .. }
            | Self::RebuildOrdered { by, .. } => by,
        }
    }
}
