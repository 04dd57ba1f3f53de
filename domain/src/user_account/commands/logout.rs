//! Sign a device out.

use chrono::{DateTime, Utc};

use crate::user_account::{SignOutReason, UserAccount, UserAccountEvent};
use crate::values::{Client, SessionId};

/// Ends the session of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logout {
    pub at: DateTime<Utc>,
    /// The session to end.
    pub session: SessionId,
    /// From where it was asked.
    pub client: Client,
}

impl Logout {
    /// Nothing happens when the session has ended already: signing out twice is signing out.
    pub(super) fn decide(self, state: &UserAccount) -> Vec<UserAccountEvent> {
        let at = state.time_of(self.at);
        let Some(session) = state.live_session(self.session, at) else {
            return Vec::new();
        };
        vec![session.ended(at, SignOutReason::SignedOut, &self.client)]
    }
}
