//! Lift what was held against an account.

use super::Intervention;
use crate::user_account::{AccountFact, CodeFact, UserAccount, UserAccountEvent};

/// Let codes be sent and tried again, as if none had been: a member of staff has looked into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiftLimits {
    pub intervention: Intervention,
}

impl LiftLimits {
    /// Nothing happens to an account that nothing has happened to.
    pub(super) fn decide(self, state: &UserAccount) -> Vec<UserAccountEvent> {
        if matches!(state, UserAccount::Unknown) {
            return Vec::new();
        }
        let at = state.time_of(self.intervention.at);
        let fact = AccountFact::Code(CodeFact::LimitsLifted { by: self.intervention.by.clone() });
        vec![self.intervention.event(at, fact)]
    }
}
