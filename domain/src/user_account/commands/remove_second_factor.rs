//! Remove the second factor of a user who lost it.

use super::Intervention;
use crate::user_account::{AccountFact, Refusal, SecondFactorFact, UserAccount, UserAccountEvent};

/// Let an account have no second factor, and its person enrol another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveSecondFactor {
    /// Who removes it, and why.
    pub intervention: Intervention,
}

impl RemoveSecondFactor {
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        state.member().ok_or(Refusal::UnknownAccount)?;
        state.authenticator().ok_or(Refusal::NoSecondFactor)?;
        let fact = AccountFact::SecondFactor(SecondFactorFact::SecondFactorRemoved {
            by: self.intervention.by.clone(),
        });
        Ok(vec![self.intervention.event(state.time_of(self.intervention.at), fact)])
    }
}
