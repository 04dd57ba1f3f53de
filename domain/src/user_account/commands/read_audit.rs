//! Put on record that an auditor reads of the log.

use chrono::{DateTime, Utc};

use crate::user_account::{Fact, Passed, Person, Refusal, UserAccount, UserAccountEvent};
use crate::values::{Client, Reason, Role, SessionId};

/// Note what an auditor is about to be shown, before he is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAudit {
    /// The time.
    pub at: DateTime<Utc>,
    /// The session in whose name he reads.
    pub session: SessionId,
    /// What he asks for, as the service understood it; never words of his own.
    pub what: String,
    /// Why.
    pub reason: Reason,
    /// From where.
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
