//! Disown a session: the owner says that they did not sign in.

use chrono::{DateTime, Utc};

use crate::user_account::{SignOutReason, UserAccount, UserAccountEvent};
use crate::values::{Client, SessionId};

/// End a session that the owner of the account was told of and did not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisownSession {
    pub at: DateTime<Utc>,
    /// The session to end.
    pub session: SessionId,
    /// From where it was asked.
    pub client: Client,
}

impl DisownSession {
    /// Nothing happens when the session has ended already.
    pub(super) fn decide(self, state: &UserAccount) -> Vec<UserAccountEvent> {
        let at = state.time_of(self.at);
        let session = state.live_session(self.session, at);
        session.map(|session| session.ended(at, SignOutReason::Disowned, &self.client)).into_iter().collect()
    }
}
