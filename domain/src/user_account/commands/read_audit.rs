//! Put on record that an auditor reads of the log.

use chrono::{DateTime, Utc};

use crate::user_account::{Fact, Passed, Person, Refusal, UserAccount, UserAccountEvent};
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
        state.may(self.session, Role::Auditor, Passed::InSession, at)?;
        let person = Some(Person { reason: Some(self.reason), ..Person::default() });
        Ok(vec![UserAccountEvent {
            at,
            fact: Fact::AuditRead { what: self.what },
            person,
            client: Some(self.client),
        }])
    }
}
