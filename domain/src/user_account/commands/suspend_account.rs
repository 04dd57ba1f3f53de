//! Suspend an account, for a time or until it is reinstated.

use chrono::{DateTime, Utc};

use super::Intervention;
use crate::user_account::{
    AccountFact, ActingStaff, Refusal, SignOutReason, StaffFact, UserAccount, UserAccountEvent,
};
use crate::values::AccountId;

/// Let an account not be used, until a time or until it is reinstated. All its sessions end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuspendAccount {
    /// The account that is suspended. Administrators cannot suspend their own.
    pub account: AccountId,
    /// When it may be used again.
    pub until: Option<DateTime<Utc>>,
    /// The time, the member of staff and the reason.
    pub intervention: Intervention,
}

impl SuspendAccount {
    /// Suspending it once more sets another time; nothing happens when it is the same.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let Self { account, until, intervention } = self;
        let at = state.time_of(intervention.at);
        state.member().ok_or(Refusal::UnknownAccount)?;
        if intervention.by == ActingStaff::Account(account) {
            return Err(Refusal::OwnAccount);
        }
        if matches!(state, UserAccount::Suspended(suspended) if suspended.until == until) {
            return Ok(Vec::new());
        }
        let suspended = intervention.event(
            at,
            AccountFact::Staff(StaffFact::AccountSuspended { until, by: intervention.by.clone() }),
        );
        let ended = state.live_sessions(at);
        let ended = ended.map(|session| intervention.end(at, session, SignOutReason::Suspended));
        Ok(ended.chain([suspended]).collect())
    }
}
