//! What staff do to accounts, and what they do in the name of their own.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::user_account::ActingStaff;
use crate::values::Role;

/// What staff did, or were not allowed to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum StaffFact {
    /// The account was given other roles, in the place of those it had.
    RolesChanged {
        /// All its roles from here on.
        roles: BTreeSet<Role>,
        /// The member of staff who gave the roles.
        by: ActingStaff,
    },
    /// The account may not be used. All its sessions end with this.
    AccountSuspended {
        /// When it may be used again; until it is reinstated where there is no time.
        until: Option<DateTime<Utc>>,
        /// The member of staff who suspended the account.
        by: ActingStaff,
    },
    /// The account may be used again, before its time where there was one.
    AccountReinstated {
        /// The member of staff who reinstated the account.
        by: ActingStaff,
    },
    /// Staff keep the account from being erased until a time. The hold takes the place of the one before.
    LegalHoldPlaced {
        /// When the hold ends by itself.
        until: DateTime<Utc>,
        /// The member of staff who placed the hold.
        by: ActingStaff,
    },
    /// The hold ended before its time.
    LegalHoldReleased {
        /// The member of staff who released the hold.
        by: ActingStaff,
    },
    /// The account asked for what it may not do. Recorded once a window for each action.
    AccessDenied {
        /// The method and the route that it asked for.
        action: String,
        /// The role that may.
        needs: Role,
        /// What the account lacked for the action.
        #[serde(default, skip_serializing_if = "MissingRequirement::is_role")]
        lacks: MissingRequirement,
        /// When the next such denial is put on record.
        until: DateTime<Utc>,
    },
}

/// What was missing where access was denied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MissingRequirement {
    /// The role that the action needs.
    #[default]
    Role,
    /// The second factor, in this session and lately enough.
    SecondFactor,
}

impl MissingRequirement {
    /// Whether it is what was missing before there was anything else, which events leave unsaid.
    fn is_role(&self) -> bool {
        *self == Self::Role
    }
}
