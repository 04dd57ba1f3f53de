//! A service of one's own, asked as the Standard Webhooks specification says (standardwebhooks.com, version 1).
//!
//! It answers 2xx when it has taken the message, 422 when the recipient cannot be reached; 429, 408 and 5xx, with
//! `Retry-After` if it likes, when it is to be asked again; anything else when it does not take the message.

use std::fmt;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::Endpoint;
use super::http::GatewayClient;
use crate::crypto::secret::{Secret, SecretValue};
use crate::delivery::{AcceptedMessage, Gateway, Message, NotAccepted};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookSettings {
    url: Secret<Endpoint>,
    secret: Secret<SigningSecret>,
}

/// The bytes of the key that both sides sign by.
#[derive(Clone, Zeroize)]
struct SigningSecret(Vec<u8>);

impl SecretValue for SigningSecret {
    fn from_text(text: String) -> Result<Self, &'static str> {
        let encoded = text.strip_prefix("whsec_").unwrap_or_default();
        let key = STANDARD.decode(encoded).unwrap_or_default();
        let problem = "`secret` is whsec_ and 24 to 64 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)";
        if (24..=64).contains(&key.len()) { Ok(Self(key)) } else { Err(problem) }
    }
}

pub(super) struct WebhookGateway {
    url: reqwest::Url,
    key: hmac::Key,
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

/// Says that there is one, not where it is: path and parameters may hold a secret.
impl fmt::Debug for WebhookGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookGateway").finish_non_exhaustive()
    }
}

impl WebhookGateway {
    pub fn new(settings: WebhookSettings, http: GatewayClient) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &settings.secret.expose().0);
        Self { url: settings.url.expose().url(), key, http }
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
        let signature = STANDARD.encode(hmac::sign(&self.key, signed.as_bytes()));
        let request = self
            .http
            .post(self.url.clone())
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
