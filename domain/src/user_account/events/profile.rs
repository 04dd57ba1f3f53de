//! The account itself and its profile.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::user_account::ActingStaff;
use crate::values::{Channel, SessionId};

/// What happened to the account itself and its profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ProfileFact {
    /// The first proof of the identifier: the account exists from here on.
    UserRegistered {
        /// By which kind of identifier.
        channel: Channel,
    },
    /// The user changed their full name.
    ProfileUpdated {},
    /// The user asked for everything that is held about them. Recorded once in the time that a proof lasts, for each session.
    DataExported {
        /// The device session in whose name it was asked.
        session: SessionId,
    },
    /// The account is to be erased at a time, unless its user signs in before. All its sessions ended.
    ErasureRequested {
        /// When it is to be erased, unless a legal hold lasts longer.
        due_at: DateTime<Utc>,
        /// The member of staff who asked for it; none where its user did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ActingStaff>,
    },
    /// The user signed in to an account that was to be erased, and keeps it.
    ErasureCancelled {},
    /// The account was erased, and all its sessions ended. The commit destroyed the keys of what is personal in its events, and deleted
    /// what was known of its user. No event follows.
    AccountErased {
        /// The member of staff who had it erased; none where its user did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ActingStaff>,
    },
}
