//! The gateways that come with the service: a file each.

mod http;
mod kavenegar;
mod log;
mod smtp;
mod twilio;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use counterfoil_domain::values::Channel;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use self::http::GatewayClient;
use self::kavenegar::{KavenegarGateway, KavenegarSettings};
use self::log::LogGateway;
use self::smtp::{SmtpGateway, SmtpSettings};
use self::twilio::{TwilioGateway, TwilioSettings};
use self::webhook::{WebhookGateway, WebhookSettings};
use super::{Gateway, NamedGateway};
use crate::crypto::secret::SecretValue;
use crate::runtime::clock::Clock;
use crate::runtime::network::is_this_machine;

/// A section below `gateways`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum GatewaySettings {
    Log(Nothing),
    Webhook(WebhookSettings),
    Twilio(TwilioSettings),
    Kavenegar(KavenegarSettings),
    Smtp(SmtpSettings),
    /// A gateway of the program that embeds this library.
    Own(Nothing),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Settings of a gateway of which each fits and which do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GatewaySettingsError {
    #[error("`log` writes codes to the log; it is for the development profile")]
    LogInProduction,
    #[error("needs either `from` or `messaging_service_sid`")]
    TwilioSender,
    #[error("`tls` can be `none` on this machine only")]
    SmtpWithoutTls,
    #[error("`username` and `password` go together")]
    SmtpCredentials,
}

/// Gateways that cannot be set up, by the name of the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewaySetupError {
    /// This machine has no certificates to trust, or a certificate that cannot be read.
    #[error("gateways: {0}")]
    HttpClient(String),
    /// The TLS parameters for the mail server of that gateway cannot be made.
    #[error("gateways.{name}: {problem}")]
    MailServer {
        /// The name of the gateway.
        name: String,
        /// What the mail library says.
        problem: String,
    },
    /// The settings have a section of kind `own`, and the program gave no gateway of that name.
    #[error("gateways.{0}: is to be given by the program, and is not")]
    NotGiven(String),
    /// The program gave a gateway of that name, and the settings have no section of kind `own` for it.
    #[error("gateways.{0}: is missing; give it the kind `own`")]
    WithoutSection(String),
}

impl GatewaySettings {
    /// Checks what does not show in one setting alone.
    ///
    /// # Errors
    /// [`GatewaySettingsError`], the first there is.
    pub fn check(&self, development: bool) -> Result<(), GatewaySettingsError> {
        match self {
            Self::Log(_) if !development => Err(GatewaySettingsError::LogInProduction),
            Self::Twilio(twilio) => twilio.check(),
            Self::Smtp(smtp) => smtp.check(),
            Self::Log(_) | Self::Webhook(_) | Self::Kavenegar(_) | Self::Own(_) => Ok(()),
        }
    }

    /// Whether it takes messages of that channel.
    pub fn takes(&self, channel: Channel) -> bool {
        match self {
            Self::Log(_) | Self::Webhook(_) | Self::Own(_) => true,
            Self::Twilio(_) | Self::Kavenegar(_) => channel == Channel::Phone,
            Self::Smtp(_) => channel == Channel::Email,
        }
    }
}

/// The gateways of the sections, by name. They share a client, which keeps connections open.
///
/// # Errors
/// [`GatewaySetupError`]: one of the program's own is missing or has no section, or the machine has no certificates to trust.
pub(super) fn build<'a>(
    sections: &'a BTreeMap<String, GatewaySettings>,
    mut own: BTreeMap<&str, Arc<dyn Gateway>>,
    clock: &Arc<dyn Clock>,
) -> Result<BTreeMap<&'a str, NamedGateway>, GatewaySetupError> {
    let http = GatewayClient::new(clock.clone())
        .map_err(|error| GatewaySetupError::HttpClient(error.to_string()))?;
    let mut named = BTreeMap::new();
    for (name, section) in sections {
        let gateway: Arc<dyn Gateway> = match section.clone() {
            GatewaySettings::Log(_) => Arc::new(LogGateway),
            GatewaySettings::Webhook(settings) => Arc::new(WebhookGateway::new(settings, http.clone())),
            GatewaySettings::Twilio(settings) => Arc::new(TwilioGateway::new(settings, http.clone())),
            GatewaySettings::Kavenegar(settings) => Arc::new(KavenegarGateway::new(settings, http.clone())),
            GatewaySettings::Smtp(settings) => {
                let smtp = SmtpGateway::new(settings, clock.clone());
                Arc::new(smtp.map_err(|error| GatewaySetupError::MailServer {
                    name: name.clone(),
                    problem: error.to_string(),
                })?)
            }
            GatewaySettings::Own(_) => {
                own.remove(name.as_str()).ok_or_else(|| GatewaySetupError::NotGiven(name.clone()))?
            }
        };
        named.insert(name.as_str(), NamedGateway { name: name.as_str().into(), gateway });
    }
    match own.keys().next() {
        Some(name) => Err(GatewaySetupError::WithoutSection((*name).to_owned())),
        None => Ok(named),
    }
}

/// A URL to send to: `https`, or `http` on this machine. Path and parameters may hold a secret.
#[derive(Clone, Zeroize)]
struct Endpoint(String);

impl SecretValue for Endpoint {
    fn from_text(text: String) -> Result<Self, &'static str> {
        let url: reqwest::Url = text.parse().map_err(|_| "`url` is no URL")?;
        let host = url.host_str().unwrap_or_default();
        match url.scheme() {
            _ if host.is_empty() || !url.username().is_empty() || url.password().is_some() => {
                Err("`url` is https://host/path, without a user or a password")
            }
            "https" => Ok(Self(text)),
            "http" if is_this_machine(host) => Ok(Self(text)),
            _ => Err("`url` must be https; http is for this machine only"),
        }
    }
}

impl Endpoint {
    fn url(&self) -> reqwest::Url {
        self.0.parse().expect("it was parsed when it was read")
    }

    /// The URL of a path below it, whose parts are written as they must be.
    fn join<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> reqwest::Url {
        let mut url = self.url();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}
