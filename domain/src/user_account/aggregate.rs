//! The seam to cqrs-es: commands in, events out, state folded from them.

use std::fmt;
use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use super::commands::UserAccountCommand;
use super::{Policy, Refusal, UserAccount, UserAccountEvent};
use crate::values::{ChallengeNonce, Client, ClientMark, Identifier, OtpCode, SessionId};

/// What a code lets its bearer do. A code for one purpose is no code for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To sign in, and to sign up where there is no account yet.
    SignIn,
}

impl Purpose {
    /// The name as it stands in events and derived keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
        }
    }
}

/// Tells whether a code is the right one, without the domain ever holding the key it is derived with.
pub trait OtpMatcher: Send + Sync {
    /// Whether `code` is the one derived from the challenge for this identifier and purpose. Takes the same time
    /// whatever the answer.
    fn matches(
        &self,
        nonce: &ChallengeNonce,
        identifier: &Identifier,
        purpose: Purpose,
        code: &OtpCode,
    ) -> bool;
}

/// Marks clients, without the domain ever holding the key they are hashed with.
pub trait ClientMarker: Send + Sync {
    /// The mark of a client of that session. That of the same client of another session is another.
    fn mark(&self, session: SessionId, client: &Client) -> ClientMark;
}

/// What the aggregate needs from outside to decide.
#[derive(Clone)]
pub struct Services {
    /// Tells right codes from wrong ones.
    pub codes: Arc<dyn OtpMatcher>,
    /// Tells a session's client from another.
    pub clients: Arc<dyn ClientMarker>,
    /// The numbers the rules go by.
    pub policy: Arc<Policy>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Aggregate for UserAccount {
    const TYPE: &'static str = "UserAccount";
    type Command = UserAccountCommand;
    type Event = UserAccountEvent;
    type Error = Refusal;
    type Services = Services;

    /// Decides, and writes what was decided. A refusal that matters is an event and so no error here.
    async fn handle(
        &mut self,
        command: Self::Command,
        services: &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for event in command.decide(self, services)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        self.fold(&event);
    }
}
