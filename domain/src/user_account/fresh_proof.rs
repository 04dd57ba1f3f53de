//! Fresh proof: what takes a user who was there a moment ago, and not only an access token, which may have been copied.

use chrono::{DateTime, Utc};

use super::{Policy, Refusal, UserAccount};
use crate::values::SessionId;

impl UserAccount {
    /// Whether the user of a session was proved to be there within [`Policy::proof_lasts`].
    ///
    /// # Errors
    /// [`Refusal::SessionEnded`], [`Refusal::ProofNotFresh`].
    pub fn require_fresh_proof(
        &self,
        session: SessionId,
        now: DateTime<Utc>,
        policy: &Policy,
    ) -> Result<(), Refusal> {
        let at = self.time_of(now);
        let session = self.live_session(session, at).ok_or(Refusal::SessionEnded)?;
        (at - session.proved_at <= policy.proof_lasts).then_some(()).ok_or(Refusal::ProofNotFresh)
    }
}
