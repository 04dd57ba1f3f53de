//! Keep a session going.

use chrono::{DateTime, Utc};

use crate::user_account::{Fact, Policy, Refusal, SignOutReason, UserAccount, UserAccountEvent};
use crate::values::{Client, Generation, SessionId};

/// Trade a refresh token for the next generation of its session. A spent one gives the same generation again for a
/// moment, and after that ends the session: either its owner or a thief has a copy (RFC 9700, section 4.14.2).
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
        let event = |fact| UserAccountEvent { at, fact, person: None, client: Some(self.client.clone()) };
        if self.generation == session.generation {
            return Ok(vec![event(Fact::TokenRefreshed {
                session: session.id,
                generation: session.generation.next(),
                expires_at: session.ends_at.min(at + policy.session_idle),
            })]);
        }
        // A child that has been used has a child of its own, and this generation is then no longer the newest's parent.
        let is_parent = self.generation.next() == session.generation;
        if is_parent && at - session.last_used_at < policy.refresh_grace {
            return Ok(vec![event(Fact::TokenRefreshRetried {
                session: session.id,
                generation: session.generation,
                issued_at: session.last_used_at,
                expires_at: session.expires_at,
            })]);
        }
        Ok(vec![
            event(Fact::TokenReuseDetected {
                session: session.id,
                presented: self.generation,
                newest: session.generation,
            }),
            event(Fact::LoggedOut {
                session: session.id,
                reason: SignOutReason::TokenReuse,
                expires_at: session.expires_at,
            }),
        ])
    }
}
