//! Text messages by Twilio: its Messages resource, version 2010-04-01.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::http::{GatewayAnswer, GatewayClient};
use super::{Endpoint, GatewaySettingsError};
use crate::crypto::secret::Secret;
use crate::delivery::{AcceptedMessage, Gateway, Message, NotAccepted};

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TwilioSettings {
    account_sid: String,
    auth_token: Secret<String>,
    from: Option<String>,
    messaging_service_sid: Option<String>,
    /// Another region's, such as `https://api.dublin.ie1.twilio.com`.
    #[serde(default = "url")]
    url: Secret<Endpoint>,
}

fn url() -> Secret<Endpoint> {
    Secret::new(Endpoint("https://api.twilio.com".to_owned()))
}

impl TwilioSettings {
    pub fn check(&self) -> Result<(), GatewaySettingsError> {
        match (&self.from, &self.messaging_service_sid) {
            (Some(_), None) | (None, Some(_)) => Ok(()),
            (None, None) | (Some(_), Some(_)) => Err(GatewaySettingsError::TwilioSender),
        }
    }
}

#[derive(Debug)]
pub(super) struct TwilioGateway {
    settings: TwilioSettings,
    http: GatewayClient,
}

/// A message that was made.
#[derive(Deserialize)]
struct Created {
    sid: String,
    error_code: Option<u32>,
}

/// The form of an error.
#[derive(Deserialize)]
struct Failed {
    code: u32,
}

impl TwilioGateway {
    pub fn new(settings: TwilioSettings, http: GatewayClient) -> Self {
        Self { settings, http }
    }
}

#[async_trait]
impl Gateway for TwilioGateway {
    async fn send(&self, message: &Message) -> Result<AcceptedMessage, NotAccepted> {
        let TwilioSettings { account_sid, auth_token, from, messaging_service_sid, url } = &self.settings;
        let sender = match messaging_service_sid {
            Some(service) => ("MessagingServiceSid", service.as_str()),
            None => ("From", from.as_deref().unwrap_or_default()),
        };
        let url = url.expose().join(["2010-04-01", "Accounts", account_sid, "Messages.json"]);
        let form = [("To", message.to.as_str()), sender, ("Body", &message.text)];
        let request = self.http.post(url).basic_auth(account_sid, Some(auth_token.expose())).form(&form);
        let answer = self.http.send(request).await?;
        if !answer.status.is_success() {
            return Err(match answer.json() {
                Some(Failed { code }) => by_code(&answer, code),
                None => answer.by_status(),
            });
        }
        match answer.json() {
            Some(Created { sid, error_code: None }) => Ok(AcceptedMessage { reference: Some(sid) }),
            Some(Created { error_code: Some(code), .. }) => Err(by_code(&answer, code)),
            None => Err(answer.by_status()),
        }
    }
}

/// What a code of Twilio's error dictionary says of the message.
fn by_code(answer: &GatewayAnswer, code: u32) -> NotAccepted {
    let reason = format!("twilio {code}");
    match code {
        // No such number, a landline, one that cannot be reached, one that wants no messages.
        21211 | 21217 | 21610 | 21614 | 21635 | 30003 | 30005 | 30006 => {
            NotAccepted::Undeliverable { reason }
        }
        // Too many requests, full queues, a fault of theirs.
        14107 | 20429 | 20500 | 20503 | 21611 | 30001 | 30008 => answer.unavailable(reason),
        _ if answer.status.is_server_error() || answer.status.as_u16() == 429 => answer.unavailable(reason),
        // Credentials, permissions, senders, content.
        _ => NotAccepted::Refused { reason },
    }
}
