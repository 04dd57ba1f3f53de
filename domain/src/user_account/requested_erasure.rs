//! An erasure that waits for its time.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ActingStaff, UserAccount};

/// An erasure that was asked for. The account has no sessions until then, and keeps its identifiers; a sign-in cancels it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedErasure {
    /// When the account is to be erased, unless a legal hold lasts longer.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub due_at: DateTime<Utc>,
    /// The member of staff who asked for it; none where its user did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ActingStaff>,
}

impl UserAccount {
    /// The erasure that the account waits for.
    pub fn requested_erasure(&self) -> Option<&RequestedErasure> {
        self.member()?.requested_erasure.as_deref()
    }

    /// When it is erased, as things stand at `now`: a legal hold postpones that.
    pub fn erasure_time(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let due_at = self.requested_erasure()?.due_at;
        Some(self.legal_hold(now).map_or(due_at, |hold| due_at.max(hold.until)))
    }

    /// Whether it is to be erased by now.
    pub fn is_erasure_due(&self, now: DateTime<Utc>) -> bool {
        self.erasure_time(now).is_some_and(|time| time <= now)
    }
}
