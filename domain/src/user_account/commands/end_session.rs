//! End a session of somebody's account.

use super::Intervention;
use crate::user_account::{SignOutReason, UserAccount, UserAccountEvent};
use crate::values::SessionId;

/// End a session of somebody's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndSession {
    /// The session.
    pub session: SessionId,
    /// Who ends it.
    pub intervention: Intervention,
}

impl EndSession {
    /// Nothing happens when the session has ended already.
    pub(super) fn decide(self, state: &UserAccount) -> Vec<UserAccountEvent> {
        let at = state.time_of(self.intervention.at);
        let ending = state.live_session(self.session, at);
        ending
            .map(|session| self.intervention.end(at, session, SignOutReason::EndedByAdmin))
            .into_iter()
            .collect()
    }
}
