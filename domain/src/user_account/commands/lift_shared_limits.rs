//! Put on record that an administrator lifts shared limits.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, PersonalDetails, Refusal, RequiredProof, StaffFact, UserAccount, UserAccountEvent,
};
use crate::values::{Client, Reason, Role, SessionId};

/// Note that an administrator lifts what was counted against a subject of the limits that all nodes share, before it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiftSharedLimits {
    pub at: DateTime<Utc>,
    /// The session of the administrator.
    pub session: SessionId,
    /// The subject, as the limits name it.
    pub subject: String,
    /// Why it is lifted.
    pub reason: Reason,
    pub client: Client,
}

impl LiftSharedLimits {
    /// Nothing is lifted for a session that may not when it is put on record.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.may(self.session, Role::Admin, RequiredProof::Lately, at)?;
        let person = Some(PersonalDetails { reason: Some(self.reason), ..PersonalDetails::default() });
        let fact = AccountFact::Staff(StaffFact::SharedLimitsLifted { subject: self.subject });
        Ok(vec![UserAccountEvent { at, fact, person, client: Some(self.client) }])
    }
}
