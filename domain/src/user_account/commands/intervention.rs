//! What all interventions of staff in an account have in common.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, ActingStaff, PersonalDetails, Session, SessionFact, SignOutReason, UserAccountEvent,
};
use crate::values::{Client, Reason};

/// Who intervenes in an account, why, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervention {
    pub at: DateTime<Utc>,
    pub by: ActingStaff,
    pub reason: Option<Reason>,
    /// From where; nowhere for who is at the server.
    pub client: Option<Client>,
}

impl Intervention {
    /// The event of it, with what it says of who and why.
    pub(super) fn event(&self, at: DateTime<Utc>, fact: AccountFact) -> UserAccountEvent {
        let person = self
            .reason
            .clone()
            .map(|reason| PersonalDetails { reason: Some(reason), ..PersonalDetails::default() });
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
