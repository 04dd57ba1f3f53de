//! Give a user everything that is held about them.

use chrono::{DateTime, Utc};

use crate::user_account::{AccountFact, Policy, ProfileFact, Refusal, UserAccount, UserAccountEvent};
use crate::values::{Client, SessionId};

/// Puts on record that a user is about to be given everything that is held about them. Their owner is told, since a thief may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportData {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    /// From where it was asked.
    pub client: Client,
}

impl ExportData {
    /// An export that is repeated while the same proof may last, such as after a connection that broke off, leaves no second event.
    pub(super) fn decide(
        self,
        state: &UserAccount,
        policy: &Policy,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.require_fresh_proof(self.session, at, policy)?;
        let session = state.live_session(self.session, at).ok_or(Refusal::SessionEnded)?;
        if session.exported_at.is_some_and(|last| at - last <= policy.proof_lasts) {
            return Ok(Vec::new());
        }
        let fact = AccountFact::Profile(ProfileFact::DataExported { session: session.id });
        Ok(vec![UserAccountEvent { at, fact, person: None, client: Some(self.client) }])
    }
}
