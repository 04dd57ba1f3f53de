//! End a session of a user's account, by staff.

use super::Intervention;
use crate::user_account::{SignOutReason, UserAccount, UserAccountEvent};
use crate::values::SessionId;

/// Ends one session of an account, by staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndSession {
    pub session: SessionId,
    /// The time, the member of staff and the reason.
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
