//! Lift the lock of an identifier by the link that was sent there.

use chrono::{DateTime, Utc};

use crate::user_account::{AccountFact, CodeFact, Refusal, UserAccount, UserAccountEvent};
use crate::values::{ChallengeNonce, Client};

/// Let codes be sent to a locked identifier and tried again, as if none had been: its owner confirmed it by the link that was
/// sent there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiftLock {
    pub at: DateTime<Utc>,
    /// The nonce of the link.
    pub link: ChallengeNonce,
    /// From where the link was opened.
    pub client: Client,
}

impl LiftLock {
    /// A link that is spent, void or expired lifts nothing.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        let channel = state.unlocked_by(self.link, at).ok_or(Refusal::InvalidCode)?;
        let fact = AccountFact::Code(CodeFact::LockLifted { channel });
        Ok(vec![UserAccountEvent { at, fact, person: None, client: Some(self.client) }])
    }
}
