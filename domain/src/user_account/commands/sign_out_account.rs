//! Sign an account out everywhere, by staff.

use super::Intervention;
use crate::user_account::{Refusal, SignOutReason, UserAccount, UserAccountEvent};

/// Ends all sessions of an account, by staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOutAccount {
    /// The time, the member of staff and the reason.
    pub intervention: Intervention,
}

impl SignOutAccount {
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.intervention.at);
        state.member().ok_or(Refusal::UnknownAccount)?;
        let ending = state.live_sessions(at);
        Ok(ending.map(|session| self.intervention.end(at, session, SignOutReason::EndedByAdmin)).collect())
    }
}
