//! Sign somebody's account out.

use super::Intervention;
use crate::user_account::{SignOutReason, UserAccount, UserAccountEvent};

/// End all sessions of somebody's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOutAccount {
    /// Who ends them.
    pub intervention: Intervention,
}

impl SignOutAccount {
    pub(super) fn decide(self, state: &UserAccount) -> Vec<UserAccountEvent> {
        let at = state.time_of(self.intervention.at);
        let ending = state.live_sessions(at);
        ending.map(|session| self.intervention.end(at, session, SignOutReason::EndedByAdmin)).collect()
    }
}
