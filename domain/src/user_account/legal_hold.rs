//! A legal hold, which keeps an account from being erased.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ActingStaff, UserAccount};

/// A legal hold on an account: the account can be used, and is not erased before the hold ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegalHold {
    /// When the hold ends by itself.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub until: DateTime<Utc>,
    /// The member of staff who placed it.
    pub by: ActingStaff,
}

impl UserAccount {
    /// The legal hold that keeps the account at `now`.
    pub fn legal_hold(&self, now: DateTime<Utc>) -> Option<&LegalHold> {
        self.member()?.legal_hold.as_deref().filter(|hold| now < hold.until)
    }
}
