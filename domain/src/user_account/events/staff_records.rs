//! What members of staff read, and what they do to the service as a whole: in their own stream, or in the operator's.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};
use uuid::Uuid;

use crate::user_account::ActingStaff;
use crate::values::{AccountId, BlockId};

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
    /// An administrator searched or opened a page. Recorded once a window for each page and each search.
    StaffRead {
        /// The operation and the filters that are not personal. The personal part of the event has the others.
        what: String,
        /// Of a search of personal data, a mark by which the same search is known again: 32 bits of a hash under a key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        search: Option<u32>,
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
    /// An administrator blocked a subject from getting and trying codes, or gave a block another end.
    BlockSet {
        /// The id of the block.
        block: BlockId,
        /// The kind of subject that is blocked.
        kind: BlockKind,
        /// The subject, where it is a prefix or a country. The personal part of the event has the others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// When the block ends; it lasts until it is lifted where there is no time.
        until: Option<DateTime<Utc>>,
        /// The administrator, or the operator.
        by: ActingStaff,
    },
    /// An administrator lifted a block before its end.
    BlockLifted {
        /// The id of the block.
        block: BlockId,
        /// The administrator, or the operator.
        by: ActingStaff,
    },
    /// An administrator took note of an alarm.
    AlarmAcknowledged {
        /// The id of the alarm.
        alarm: Uuid,
        /// The name of the alarm: a limit, or what else went wrong.
        name: String,
        /// The country, the service or the event listener that the alarm is about.
        subject: String,
        /// The administrator, or the operator.
        by: ActingStaff,
    },
    /// An administrator is having an account erased. The account's own event is the erasure; this one keeps the reason.
    ErasureOrdered {
        /// The account that is erased.
        account: AccountId,
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

/// What a block is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// The numbers that begin with a prefix.
    Prefix,
    /// A single phone number.
    PhoneNumber,
    /// One mailbox, at whichever of its sub-addresses.
    Email,
    /// An IP address or a network.
    IpAddress,
    /// The addresses of a mail domain and of the domains below it.
    MailDomain,
    /// The numbers of a country.
    Country,
}

impl BlockKind {
    /// Every kind that there is.
    pub const ALL: [Self; 6] =
        [Self::Prefix, Self::PhoneNumber, Self::Email, Self::IpAddress, Self::MailDomain, Self::Country];

    /// The name of the kind, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::PhoneNumber => "phone_number",
            Self::Email => "email",
            Self::IpAddress => "ip_address",
            Self::MailDomain => "mail_domain",
            Self::Country => "country",
        }
    }
}

impl StaffRecordFact {
    /// Returns the member of staff who read or acted.
    pub fn by(&self) -> &ActingStaff {
        match self {
            Self::AuditRead { by, .. }
            | Self::StaffRead { by, .. }
            | Self::SharedLimitsLifted { by, .. }
            | Self::BlockSet { by, .. }
            | Self::BlockLifted { by, .. }
            | Self::AlarmAcknowledged { by, .. }
            | Self::ErasureOrdered { by, .. }
            | Self::RebuildOrdered { by, .. } => by,
        }
    }
}
