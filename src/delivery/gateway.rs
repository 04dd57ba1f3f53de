//! What takes messages to people.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use counterfoil_domain::values::{Identifier, OtpCode};
use uuid::Uuid;

use crate::language::Language;

/// A provider of text messages or of e-mail, or a sender of one's own.
#[async_trait]
pub trait Gateway: fmt::Debug + Send + Sync {
    /// Hands a message over. It may be handed over again, with the same id, when the answer got lost.
    ///
    /// # Errors
    /// [`NotAccepted`], which says what is to be done about it.
    async fn send(&self, message: &Message) -> Result<AcceptedMessage, NotAccepted>;
}

/// A message, down to its words.
#[derive(Clone)]
pub struct Message {
    /// The same at every try, by which a gateway can pass over what it has had.
    pub id: Uuid,
    /// The identifier that the message goes to.
    pub to: Identifier,
    /// What it is about, for gateways that keep texts of their own: `sign_in`, `add_identifier`, `reauthenticate`, `new_device` …
    pub kind: &'static str,
    /// The code that it is about, where there is one.
    pub code: Option<OtpCode>,
    /// The language of its words.
    pub language: Language,
    /// The subject line of an e-mail.
    pub subject: String,
    /// The words, with the code in them.
    pub text: String,
}

/// Says that there is one, not what it says, nor to whom.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A message is the gateway's business from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptedMessage {
    /// Under which name the gateway knows it.
    pub reference: Option<String>,
}

/// Why a message is still ours. The reasons name the provider's error codes and nothing of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// The gateway is away, busy or gave no clear answer: it is to be tried again, here or by another gateway.
    #[error("not available: {reason}")]
    Unavailable {
        /// What the gateway answered, without what is personal.
        reason: String,
        /// When to try again at the earliest, where it said so.
        retry_after: Option<Duration>,
    },
    /// This gateway does not take it, now or later: no credit, wrong credentials, a country it does not serve. Another
    /// may.
    #[error("refused: {reason}")]
    Refused {
        /// What the gateway answered, without what is personal.
        reason: String,
    },
    /// The recipient cannot be reached: the number is not in use, or does not want messages.
    #[error("undeliverable: {reason}")]
    Undeliverable {
        /// What the gateway answered, without what is personal.
        reason: String,
    },
}
