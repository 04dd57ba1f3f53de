//! Place a legal hold on an account, by staff.

use chrono::{DateTime, Utc};

use super::Intervention;
use crate::user_account::{AccountFact, ActingStaff, Refusal, StaffFact, UserAccount, UserAccountEvent};
use crate::values::AccountId;

/// Keep an account from being erased, until a time or until the hold is released. Its user can use it as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceLegalHold {
    /// The account. Administrators place no hold on their own.
    pub account: AccountId,
    /// When the hold ends by itself.
    pub until: DateTime<Utc>,
    /// The time, the member of staff and the reason.
    pub intervention: Intervention,
}

impl PlaceLegalHold {
    /// A hold takes the place of another; nothing happens when it has the same end.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let Self { account, until, intervention } = self;
        let at = state.time_of(intervention.at);
        state.member().ok_or(Refusal::UnknownAccount)?;
        if intervention.by == ActingStaff::Account(account) {
            return Err(Refusal::OwnAccount);
        }
        if state.legal_hold(at).is_some_and(|hold| hold.until == until) {
            return Ok(Vec::new());
        }
        let placed = StaffFact::LegalHoldPlaced { until, by: intervention.by.clone() };
        Ok(vec![intervention.event(at, AccountFact::Staff(placed))])
    }
}
