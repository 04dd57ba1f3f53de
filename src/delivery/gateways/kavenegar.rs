//! Text messages by Kavenegar: its REST API, version 1. The key stands in the path, so no URL may be shown.

use std::borrow::Cow;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Endpoint;
use super::http::{GatewayAnswer, GatewayClient};
use crate::crypto::secret::Secret;
use crate::delivery::{AcceptedMessage, Gateway, Message, NotAccepted};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KavenegarSettings {
    api_key: Secret<String>,
    /// The line that texts are sent from; without one, the account's.
    sender: Option<String>,
    /// The template that codes are sent by, with the code as `%token`; without one, codes go as any text.
    template: Option<String>,
    #[serde(default = "url")]
    url: Secret<Endpoint>,
}

fn url() -> Secret<Endpoint> {
    Secret::new(Endpoint("https://api.kavenegar.com".to_owned()))
}

#[derive(Debug)]
pub(super) struct KavenegarGateway {
    settings: KavenegarSettings,
    http: GatewayClient,
}

/// The frame of every answer.
#[derive(Deserialize)]
struct Envelope {
    r#return: Return,
    #[serde(default)]
    entries: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Return {
    status: u16,
}

/// A message that was made.
#[derive(Deserialize)]
struct Entry {
    messageid: i64,
    status: i64,
}

impl KavenegarGateway {
    pub fn new(settings: KavenegarSettings, http: GatewayClient) -> Self {
        Self { settings, http }
    }
}

#[async_trait]
impl Gateway for KavenegarGateway {
    async fn send(&self, message: &Message) -> Result<AcceptedMessage, NotAccepted> {
        let KavenegarSettings { api_key, sender, template, url } = &self.settings;
        let receptor = receptor(message.to.as_str());
        let mut form = vec![("receptor", receptor.as_ref())];
        let method = if let (Some(template), Some(code)) = (template, &message.code) {
            form.extend([("template", template.as_str()), ("token", code.as_str())]);
            ["verify", "lookup.json"]
        } else {
            form.push(("message", &message.text));
            form.extend(sender.as_deref().map(|sender| ("sender", sender)));
            ["sms", "send.json"]
        };
        let url = url.expose().join(["v1", api_key.expose()].into_iter().chain(method));
        let answer = self.http.send(self.http.post(url).form(&form)).await?;
        let Some(Envelope { r#return: Return { status }, entries }) = answer.json() else {
            return Err(answer.by_status());
        };
        let entry = entries.and_then(|entries| entries.into_iter().next());
        match (status, entry) {
            (200, Some(Entry { status: 14, .. })) => {
                Err(NotAccepted::Undeliverable { reason: "kavenegar 200/14".to_owned() })
            }
            (200, Some(Entry { status: failed @ (6 | 11 | 13), .. })) => {
                Err(NotAccepted::Refused { reason: format!("kavenegar 200/{failed}") })
            }
            (200, Some(entry)) => Ok(AcceptedMessage { reference: Some(entry.messageid.to_string()) }),
            (200, None) => Err(answer.by_status()),
            (status, _) => Err(by_code(&answer, status)),
        }
    }
}

/// The number as Kavenegar reads it: with `0` in Iran, with `00` and the country code elsewhere.
fn receptor(number: &str) -> Cow<'_, str> {
    match (number.strip_prefix("+98"), number.strip_prefix('+')) {
        (Some(national), _) => format!("0{national}").into(),
        (None, Some(international)) => format!("00{international}").into(),
        (None, None) => number.into(),
    }
}

/// What a status of an answer says of the message.
fn by_code(answer: &GatewayAnswer, status: u16) -> NotAccepted {
    let reason = format!("kavenegar {status}");
    match status {
        // No such recipient.
        411 => NotAccepted::Undeliverable { reason },
        // A trial account, which may write to its owner only.
        501 => NotAccepted::Refused { reason },
        // Failed, cannot answer, too many requests.
        402 | 409 | 429 | 451 | 500.. => answer.unavailable(reason),
        // The account, the key, the method, the sender, credit (418), the template, the text.
        _ => NotAccepted::Refused { reason },
    }
}
