//! What all interventions of staff in an account have in common.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, ActingStaff, PersonalDetails, Session, SessionFact, SignOutReason, UserAccountEvent,
};
use crate::values::{CaseNumber, Client, Reason};

/// Who intervenes in an account, why, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervention {
    pub at: DateTime<Utc>,
    pub by: ActingStaff,
    pub reason: Option<Reason>,
    /// The number of the case that they work on.
    pub case: Option<CaseNumber>,
    /// From where; nowhere for who is at the server.
    pub client: Option<Client>,
}

impl Intervention {
    /// The event of it, with what it says of who and why.
    pub(super) fn event(&self, at: DateTime<Utc>, fact: AccountFact) -> UserAccountEvent {
        self.event_about(at, fact, PersonalDetails::default())
    }

    /// The same, of an event that has more that is personal.
    pub(super) fn event_about(
        &self,
        at: DateTime<Utc>,
        fact: AccountFact,
        person: PersonalDetails,
    ) -> UserAccountEvent {
        let person = PersonalDetails { reason: self.reason.clone(), case: self.case.clone(), ..person };
        let person = Some(person).filter(|person| *person != PersonalDetails::default());
        UserAccountEvent { at, fact, person, client: self.client.clone() }
    }

    /// The end of a session by it.
    pub(super) fn end(
        &self,
        at: DateTime<Utc>,
        session: &Session,
        reason: SignOutReason,
    ) -> UserAccountEvent {
        let (session, expires_at) = (session.id, session.expires_at);
        self.event(
            at,
            AccountFact::Session(SessionFact::LoggedOut {
                session,
                reason,
                expires_at,
                by: Some(self.by.clone()),
            }),
        )
    }
}
