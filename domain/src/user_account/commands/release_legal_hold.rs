//! Release the legal hold on an account, by staff.

use super::Intervention;
use crate::user_account::{AccountFact, ActingStaff, Refusal, StaffFact, UserAccount, UserAccountEvent};
use crate::values::AccountId;

/// End the legal hold on an account before its time. An erasure that waited for it takes place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseLegalHold {
    /// The account. Administrators release no hold on their own.
    pub account: AccountId,
    /// The time, the member of staff and the reason.
    pub intervention: Intervention,
}

impl ReleaseLegalHold {
    /// Nothing happens when there is no hold, or its time is over.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let Self { account, intervention } = self;
        let at = state.time_of(intervention.at);
        state.member().ok_or(Refusal::UnknownAccount)?;
        if intervention.by == ActingStaff::Account(account) {
            return Err(Refusal::OwnAccount);
        }
        if state.legal_hold(at).is_none() {
            return Ok(Vec::new());
        }
        let released = StaffFact::LegalHoldReleased { by: intervention.by.clone() };
        Ok(vec![intervention.event(at, AccountFact::Staff(released))])
    }
}
