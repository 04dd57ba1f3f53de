//! Put on record that an administrator has a read model made again.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, PersonalDetails, Refusal, RequiredProof, StaffFact, UserAccount, UserAccountEvent,
};
use crate::values::{Client, Reason, Role, SessionId};

/// Note that an administrator has a read model made again from the log, before that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRebuild {
    pub at: DateTime<Utc>,
    /// The session in which the administrator orders it.
    pub session: SessionId,
    /// The name of the read model.
    pub projection: String,
    /// The reason, where the administrator gives one.
    pub reason: Option<Reason>,
    pub client: Client,
}

impl OrderRebuild {
    /// Nothing is ordered by who may not when it is put on record.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.may(self.session, Role::Admin, RequiredProof::Lately, at)?;
        let person =
            self.reason.map(|reason| PersonalDetails { reason: Some(reason), ..PersonalDetails::default() });
        let fact = AccountFact::Staff(StaffFact::RebuildOrdered { projection: self.projection });
        Ok(vec![UserAccountEvent { at, fact, person, client: Some(self.client) }])
    }
}
