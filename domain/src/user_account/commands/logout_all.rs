//! End all sessions of the account, or all but one.

use chrono::{DateTime, Utc};

use crate::user_account::{Refusal, SignOutReason, UserAccount, UserAccountEvent};
use crate::values::{Client, SessionId};

/// End all sessions of an account, or all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutAll {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    /// Whether that session goes on.
    pub keep_current: bool,
    /// From where it was asked.
    pub client: Client,
}

impl LogoutAll {
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.live_session(self.session, at).ok_or(Refusal::SessionEnded)?;
        let kept = self.keep_current.then_some(self.session);
        let ending = state.live_sessions(at).filter(|session| Some(session.id) != kept);
        let ended = ending.map(|it| it.ended(at, SignOutReason::SignedOutEverywhere, &self.client));
        Ok(ended.collect())
    }
}
