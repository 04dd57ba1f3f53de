//! Lift what was held against an account.

use chrono::{DateTime, Utc};

use crate::user_account::{AccountFact, ActingStaff, CodeFact, UserAccount, UserAccountEvent};

/// Let codes be sent and tried again, as if none had been: the operator has looked into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiftLimits {
    pub at: DateTime<Utc>,
    pub by: ActingStaff,
}

impl LiftLimits {
    /// Nothing happens to an account that nothing has happened to.
    pub(super) fn decide(self, state: &UserAccount) -> Vec<UserAccountEvent> {
        if matches!(state, UserAccount::Unknown) {
            return Vec::new();
        }
        let at = state.time_of(self.at);
        vec![UserAccountEvent {
            at,
            fact: AccountFact::Code(CodeFact::LimitsLifted { by: self.by }),
            person: None,
            client: None,
        }]
    }
}
