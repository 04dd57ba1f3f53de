//! Messages in the log, for development.

use async_trait::async_trait;

use crate::delivery::{Accepted, Gateway, Message, NotAccepted};

/// Writes messages to the log, code and all.
#[derive(Debug)]
pub(super) struct Log;

#[async_trait]
impl Gateway for Log {
    async fn send(&self, message: &Message) -> Result<Accepted, NotAccepted> {
        tracing::info!(kind = message.kind, text = message.text, "a message");
        Ok(Accepted::default())
    }
}
