//! E-mail, handed to a mail server (RFC 5321, RFC 6409).
//!
//! The dialogue is held here, step by step, because what an answer means depends on the step it answers: 550 after the
//! recipient says that they cannot be reached, after the sender that the server does not know us.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use serde::{Deserialize, Serialize};

use super::GatewaySettingsError;
use crate::crypto::secret::Secret;
use crate::delivery::{AcceptedMessage, Gateway, Message, NotAccepted};
use crate::runtime::clock::Clock;
use crate::runtime::network::is_this_machine;

const CONNECTED_WITHIN: Duration = Duration::from_secs(3);
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// How much of a server's answer is told, in characters.
const LONGEST_ANSWER: usize = 200;

/// How many connections wait for the next message.
const IDLE_AT_MOST: usize = 4;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SmtpSettings {
    server: Server,
    #[serde(default)]
    tls: SmtpEncryption,
    from: Sender,
    /// The name that the service gives for itself (RFC 5321, section 4.1.1.1); without one, the sender's domain. A host's own
    /// name is often short, and many servers refuse what is no full domain name.
    ehlo_name: Option<HostName>,
    username: Option<Secret<String>>,
    password: Option<Secret<String>>,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum SmtpEncryption {
    /// From the first byte (RFC 8314).
    #[default]
    Implicit,
    /// By `STARTTLS` (RFC 3207), and not at all without it.
    Starttls,
    /// Not at all: on this machine only.
    None,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String")]
struct Server {
    host: String,
    port: u16,
}

impl TryFrom<String> for Server {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = parts.filter(|(host, _)| !host.is_empty()).ok_or("`server` is host:port")?;
        Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port })
    }
}

/// A full domain name.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
struct HostName(String);

impl TryFrom<String> for HostName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_label = |label: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
            !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(fits)
        };
        let is_full = text.contains('.') && text.len() <= 253 && text.split('.').all(is_label);
        if is_full { Ok(Self(text)) } else { Err("`ehlo_name` is not a full name such as auth.example") }
    }
}

/// Whom messages are from: `no-reply@app.example` or `Name <no-reply@app.example>`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
struct Sender(Mailbox);

impl TryFrom<String> for Sender {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Mailbox::from_str(&text).map(Self).map_err(|_| "`from` is no e-mail address")
    }
}

impl From<HostName> for String {
    fn from(HostName(name): HostName) -> Self {
        name
    }
}

impl From<Sender> for String {
    fn from(Sender(mailbox): Sender) -> Self {
        mailbox.to_string()
    }
}

impl SmtpSettings {
    pub fn check(&self) -> Result<(), GatewaySettingsError> {
        if self.tls == SmtpEncryption::None && !is_this_machine(&self.server.host) {
            return Err(GatewaySettingsError::SmtpWithoutTls);
        }
        match (&self.username, &self.password) {
            (Some(_), Some(_)) | (None, None) => Ok(()),
            (Some(_), None) | (None, Some(_)) => Err(GatewaySettingsError::SmtpCredentials),
        }
    }
}

pub(super) struct SmtpGateway {
    settings: SmtpSettings,
    credentials: Option<Credentials>,
    encryption: Option<TlsParameters>,
    hello: ClientId,
    clock: Arc<dyn Clock>,
    /// Connections that have carried a message to its end. One on which anything went wrong, or that was given up while
    /// an answer was due, never comes here: its next answer would be taken for another message's.
    idle: Mutex<Vec<AsyncSmtpConnection>>,
}

impl fmt::Debug for SmtpGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl SmtpGateway {
    pub fn new(settings: SmtpSettings, clock: Arc<dyn Clock>) -> Result<Self, SmtpError> {
        let login = settings.username.as_ref().zip(settings.password.as_ref());
        let credentials =
            login.map(|(name, password)| Credentials::new(name.expose().clone(), password.expose().clone()));
        let host = settings.server.host.clone();
        let name = settings.ehlo_name.clone().map(|HostName(name)| name);
        let name = name.unwrap_or_else(|| settings.from.0.email.domain().to_owned());
        let encryption =
            (settings.tls != SmtpEncryption::None).then(|| TlsParameters::new(host)).transpose()?;
        Ok(Self {
            encryption,
            credentials,
            hello: ClientId::Domain(name),
            idle: Mutex::default(),
            settings,
            clock,
        })
    }

    /// A connection that is ready for a message.
    async fn connection(&self) -> Result<AsyncSmtpConnection, NotAccepted> {
        while let Some(mut waiting) = self.take() {
            if waiting.test_connected().await {
                return Ok(waiting);
            }
        }
        let Server { host, port } = &self.settings.server;
        let (implicit, starttls) = match self.settings.tls {
            SmtpEncryption::Implicit => (self.encryption.clone(), None),
            SmtpEncryption::Starttls => (None, self.encryption.clone()),
            SmtpEncryption::None => (None, None),
        };
        let address = (host.as_str(), *port);
        let connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECTED_WITHIN), &self.hello, implicit, None);
        let mut connection = connection.await.map_err(|error| refused("connect", &error))?;
        if let Some(encryption) = starttls {
            if !connection.can_starttls() {
                return Err(NotAccepted::Refused { reason: "smtp starttls is not offered".to_owned() });
            }
            let encrypted = connection.starttls(encryption, &self.hello);
            encrypted.await.map_err(|error| refused("starttls", &error))?;
        }
        if let Some(credentials) = &self.credentials {
            let login = connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials);
            login.await.map_err(|error| match error.is_client() {
                true => NotAccepted::Refused { reason: "smtp auth is not offered".to_owned() },
                false => refused("auth", &error),
            })?;
        }
        Ok(connection)
    }

    fn take(&self) -> Option<AsyncSmtpConnection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_AT_MOST {
            idle.push(connection);
        }
    }

    fn letter(&self, message: &Message) -> Option<lettre::Message> {
        let from = &self.settings.from.0;
        let generated = HeaderName::new_from_ascii_str("Auto-Submitted");
        MessageBuilder::new()
            .date(SystemTime::from(self.clock.now()))
            .message_id(Some(format!("<{}@{}>", message.id, from.email.domain())))
            .from(from.clone())
            .to(message.to.as_str().parse().ok()?)
            .subject(&message.subject)
            // RFC 3834: so that no vacation notice answers.
            .raw_header(HeaderValue::new(generated, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(message.text.clone())
            .ok()
    }

    async fn hand_over(&self, letter: &lettre::Message) -> Result<(), NotAccepted> {
        let mut connection = self.connection().await?;
        let envelope = letter.envelope();
        let sender = connection.command(Mail::new(envelope.from().cloned(), Vec::new())).await;
        sender.map_err(|error| refused("mail", &error))?;
        for to in envelope.to() {
            let recipient = connection.command(Rcpt::new(to.clone(), Vec::new())).await;
            recipient.map_err(|error| recipient_refused(&error))?;
        }
        connection.command(Data).await.map_err(|error| refused("data", &error))?;
        connection.message(&letter.formatted()).await.map_err(|error| refused("message", &error))?;
        self.keep(connection);
        Ok(())
    }
}

#[async_trait]
impl Gateway for SmtpGateway {
    async fn send(&self, message: &Message) -> Result<AcceptedMessage, NotAccepted> {
        let Some(letter) = self.letter(message) else {
            return Err(NotAccepted::Undeliverable { reason: "smtp has no form for the address".to_owned() });
        };
        let late = || NotAccepted::Unavailable { reason: "no answer in time".to_owned(), retry_after: None };
        let handed = tokio::time::timeout(ANSWERED_WITHIN, self.hand_over(&letter)).await;
        handed.unwrap_or_else(|_| Err(late()))?;
        Ok(AcceptedMessage { reference: Some(message.id.to_string()) })
    }
}

/// What an answer to a step says of the message, unless the step named the recipient: 4xx, or none, that the server is
/// to be asked again; 5xx that it does not take messages from us.
fn refused(step: &str, error: &SmtpError) -> NotAccepted {
    let answer = answer_without_personal_data(step, error);
    match error.status() {
        Some(code) if error.is_permanent() => {
            NotAccepted::Refused { reason: format!("smtp {step} {code}{answer}") }
        }
        Some(code) => {
            NotAccepted::Unavailable { reason: format!("smtp {step} {code}{answer}"), retry_after: None }
        }
        None => NotAccepted::Unavailable { reason: format!("smtp {step} broke off"), retry_after: None },
    }
}

/// The text of a server's answer, after its code.
fn text_of(error: &SmtpError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

/// What can be told of a server's answer, with a space before it. A new connection has carried no name of a person, so that
/// all of the text is told; later, the enhanced status code (RFC 3463) alone, since the rest may quote the recipient or the message.
fn answer_without_personal_data(step: &str, error: &SmtpError) -> String {
    let text = text_of(error);
    let told: String = if matches!(step, "connect" | "starttls") {
        text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(LONGEST_ANSWER).collect()
    } else {
        let first = text.split(' ').next().unwrap_or_default();
        let numbers: Vec<&str> = first.split('.').collect();
        let is_number =
            |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if numbers.len() == 3 && numbers.iter().all(is_number) { first.to_owned() } else { String::new() }
    };
    if told.is_empty() { told } else { format!(" {}", told.trim()) }
}

/// What an answer to the recipient says. Where it has an enhanced code (RFC 3463) that speaks of policy, `x.7.x`, it is
/// we who are not welcome.
fn recipient_refused(error: &SmtpError) -> NotAccepted {
    let policy = text_of(error).starts_with("5.7.");
    match error.status().map(u16::from) {
        Some(code @ (550..=553)) if !policy => {
            let answer = answer_without_personal_data("rcpt", error);
            NotAccepted::Undeliverable { reason: format!("smtp rcpt {code}{answer}") }
        }
        _ => refused("rcpt", error),
    }
}
