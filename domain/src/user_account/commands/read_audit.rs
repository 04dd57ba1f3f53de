//! Put on record that an auditor reads of the log.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, PersonalDetails, Refusal, RequiredProof, StaffFact, UserAccount, UserAccountEvent,
};
use crate::values::{Client, Reason, Role, SessionId};

/// Records what an auditor is about to be shown, before it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAudit {
    pub at: DateTime<Utc>,
    /// The session in which the auditor reads.
    pub session: SessionId,
    /// What the auditor asks for, as the service understood it; never the caller's own words.
    pub what: String,
    pub reason: Reason,
    pub client: Client,
}

impl ReadAudit {
    /// Nothing is shown to who may not read it when it is put on record.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.may(self.session, Role::Auditor, RequiredProof::InSession, at)?;
        let person = Some(PersonalDetails { reason: Some(self.reason), ..PersonalDetails::default() });
        Ok(vec![UserAccountEvent {
            at,
            fact: AccountFact::Staff(StaffFact::AuditRead { what: self.what }),
            person,
            client: Some(self.client),
        }])
    }
}
