//! Reinstate a suspended account.

use super::Intervention;
use crate::user_account::{AccountFact, Refusal, StaffFact, UserAccount, UserAccountEvent};

/// Let a suspended account be used again. Its sessions have ended; it can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReinstateAccount {
    /// The time, the member of staff and the reason.
    pub intervention: Intervention,
}

impl ReinstateAccount {
    /// Nothing happens when it is not suspended, or its time is over.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let intervention = self.intervention;
        let at = state.time_of(intervention.at);
        state.member().ok_or(Refusal::UnknownAccount)?;
        if !state.is_suspended(at) {
            return Ok(Vec::new());
        }
        Ok(vec![
            intervention
                .event(at, AccountFact::Staff(StaffFact::AccountReinstated { by: intervention.by.clone() })),
        ])
    }
}
