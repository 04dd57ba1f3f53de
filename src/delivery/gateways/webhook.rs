//! A service of one's own, asked as the Standard Webhooks specification says (standardwebhooks.com, version 1).
//!
//! It answers 2xx when it has taken the message, 422 when the recipient cannot be reached; 429, 408 and 5xx, with
//! `Retry-After` if it likes, when it is to be asked again; anything else when it does not take the message.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

use super::http::GatewayClient;
use super::{Endpoint, Secret};
use crate::delivery::{AcceptedMessage, Gateway, Message, NotAccepted};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookSettings {
    url: Endpoint,
    secret: SigningKey,
}

/// The key that both sides sign by.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Secret")]
struct SigningKey(Arc<hmac::Key>);

impl TryFrom<Secret> for SigningKey {
    type Error = &'static str;

    fn try_from(secret: Secret) -> Result<Self, Self::Error> {
        let encoded = secret.0.strip_prefix("whsec_").unwrap_or_default();
        let key = STANDARD.decode(encoded).unwrap_or_default();
        let fits = (24..=64).contains(&key.len());
        let problem = "`secret` is whsec_ and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)";
        fits.then(|| Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key)))).ok_or(problem)
    }
}

#[derive(Debug)]
pub(super) struct WebhookGateway {
    settings: WebhookSettings,
    http: GatewayClient,
}

/// The body of a request.
#[derive(Serialize)]
struct WebhookBody<'a> {
    id: uuid::Uuid,
    kind: &'a str,
    to: &'a str,
    channel: &'a str,
    language: &'a str,
    subject: &'a str,
    text: &'a str,
    code: Option<&'a str>,
}

impl WebhookGateway {
    pub fn new(settings: WebhookSettings, http: GatewayClient) -> Self {
        Self { settings, http }
    }
}

#[async_trait]
impl Gateway for WebhookGateway {
    async fn send(&self, message: &Message) -> Result<AcceptedMessage, NotAccepted> {
        let body = serde_json::to_string(&WebhookBody {
            id: message.id,
            kind: message.kind,
            to: message.to.as_str(),
            channel: message.to.channel().as_str(),
            language: message.language.tag(),
            subject: &message.subject,
            text: &message.text,
            code: message.code.as_ref().map(|code| code.as_str()),
        })
        .expect("texts are JSON");
        let timestamp = self.http.clock.now().timestamp();
        let signed = format!("{}.{timestamp}.{body}", message.id);
        let signature = STANDARD.encode(hmac::sign(&self.settings.secret.0, signed.as_bytes()));
        let request = self
            .http
            .post(self.settings.url.0.clone())
            .header("webhook-id", message.id.to_string())
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", format!("v1,{signature}"))
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let answer = self.http.send(request).await?;
        match answer.status {
            status if status.is_success() => Ok(AcceptedMessage::default()),
            StatusCode::UNPROCESSABLE_ENTITY => {
                Err(NotAccepted::Undeliverable { reason: "status 422".to_owned() })
            }
            _ => Err(answer.by_status()),
        }
    }
}
