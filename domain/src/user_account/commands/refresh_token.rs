//! Keep a session going.

use chrono::{DateTime, Utc};

use crate::user_account::{Fact, Policy, Refusal, UserAccount, UserAccountEvent};
use crate::values::{Client, Generation, SessionId};

/// Trade a refresh token for the next generation of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// The time.
    pub at: DateTime<Utc>,
    /// The token's session.
    pub session: SessionId,
    /// The token's generation.
    pub generation: Generation,
    /// From where it came.
    pub client: Client,
}

impl RefreshToken {
    pub(super) fn decide(
        self,
        state: &UserAccount,
        policy: &Policy,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        let session = state.live_session(self.session, at).ok_or(Refusal::SpentToken)?;
        // Any generation but the newest is refused, and the session goes on: it may be a response that got lost.
        if session.generation != self.generation {
            return Err(Refusal::SpentToken);
        }
        Ok(vec![UserAccountEvent {
            at,
            fact: Fact::TokenRefreshed {
                session: session.id,
                generation: session.generation.next(),
                expires_at: session.ends_at.min(at + policy.session_idle),
            },
            person: None,
            client: Some(self.client),
        }])
    }
}
