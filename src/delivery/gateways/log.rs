//! Messages in the log, for development.

use async_trait::async_trait;

use crate::delivery::{AcceptedMessage, Gateway, Message, NotAccepted};

/// Writes messages to the log, code and all.
#[derive(Debug)]
pub(super) struct LogGateway;

#[async_trait]
impl Gateway for LogGateway {
    async fn send(&self, message: &Message) -> Result<AcceptedMessage, NotAccepted> {
        tracing::info!(kind = message.kind, text = message.text, "a message");
        Ok(AcceptedMessage::default())
    }
}
