//! Lift what wrong codes have set against another person's account.

use super::Intervention;
use crate::user_account::{AccountFact, ActingStaff, CodeFact, Refusal, UserAccount, UserAccountEvent};
use crate::values::AccountId;

/// Let codes be sent to an account and tried again, as if none had been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlockAccount {
    /// The account: administrators do not give themselves more tries.
    pub account: AccountId,
    /// The member of staff who unlocks it, and their reason.
    pub intervention: Intervention,
}

impl UnlockAccount {
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let Self { account, intervention } = self;
        state.member().ok_or(Refusal::UnknownAccount)?;
        if intervention.by == ActingStaff::Account(account) {
            return Err(Refusal::OwnAccount);
        }
        let fact = AccountFact::Code(CodeFact::LimitsLifted { by: intervention.by.clone() });
        Ok(vec![intervention.event(state.time_of(intervention.at), fact)])
    }
}
