//! Remove the second factor of a user who lost it.

use super::Intervention;
use crate::user_account::{
    AccountFact, ActingStaff, Refusal, SecondFactorFact, UserAccount, UserAccountEvent,
};
use crate::values::AccountId;

/// Let an account have no second factor, and its person enrol another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveSecondFactor {
    /// The account: an administrator does not remove their own, by which they could act without it.
    pub account: AccountId,
    /// Who removes it, and why.
    pub intervention: Intervention,
}

impl RemoveSecondFactor {
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let Self { account, intervention } = self;
        state.member().ok_or(Refusal::UnknownAccount)?;
        if intervention.by == ActingStaff::Account(account) {
            return Err(Refusal::OwnAccount);
        }
        state.authenticator().ok_or(Refusal::NoSecondFactor)?;
        let fact =
            AccountFact::SecondFactor(SecondFactorFact::SecondFactorRemoved { by: intervention.by.clone() });
        Ok(vec![intervention.event(state.time_of(intervention.at), fact)])
    }
}
