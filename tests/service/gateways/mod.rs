//! Gateways, each against a server on this machine that behaves as the real one does.

mod http;
mod kavenegar;
mod log;
mod routes;
mod smtp;
mod twilio;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use counterfoil::delivery::{
    AcceptedMessage, DeliveryRoute, Gateways, Message, MessageContent, NotAccepted, Notice,
};
use counterfoil::settings::{Settings, Sources};
use counterfoil_domain::user_account::Purpose;
use counterfoil_domain::values::{EmailAddress, Identifier, OtpCode, PhoneNumber};

use crate::support::{ManualClock, ProviderReply, ProviderRequest, ProviderServer};

const NUMBER: &str = "+989121234567";
const ADDRESS: &str = "ada@example.com";
const CODE: u64 = 42;

/// The secret of every gateway here, so that it can be looked for.
const SECRET: &str = "hush-hush-hush-hush";

fn settings(toml: &str) -> Settings {
    let name = format!("gateways-{}.toml", uuid::Uuid::from_bytes(counterfoil::crypto::entropy::bytes()));
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, toml).unwrap();
    let sources = Sources::read(Some(&file), std::iter::empty(), std::iter::empty()).unwrap();
    std::fs::remove_file(&file).unwrap();
    sources.check().unwrap()
}

fn phone(number: &str) -> Identifier {
    Identifier::Phone(PhoneNumber::parse(number, None).unwrap())
}

fn email() -> Identifier {
    Identifier::Email(EmailAddress::parse(ADDRESS).unwrap())
}

fn code() -> MessageContent {
    let expires_in = Duration::from_secs(300);
    MessageContent::Code { purpose: Purpose::SignIn, code: OtpCode::from_number(CODE), expires_in }
}

fn notice() -> MessageContent {
    MessageContent::Notice(Notice::AccountLocked { at: chrono::DateTime::UNIX_EPOCH })
}

/// What the settings set up, and a way to send by it.
struct GatewaySender {
    settings: Settings,
    gateways: Gateways,
    clock: Arc<ManualClock>,
}

impl GatewaySender {
    fn new(toml: &str) -> Self {
        let (settings, clock) = (settings(toml), Arc::new(ManualClock::new()));
        let gateways = Gateways::new(&settings.delivery, [], clock.clone()).unwrap();
        assert!(!format!("{settings:?} {gateways:?}").contains(SECRET));
        Self { settings, gateways, clock }
    }

    /// A gateway named `g` for text messages.
    fn of_phone(section: &str) -> Self {
        Self::new(&format!("[delivery]\nphone = \"g\"\n[gateways.g]\n{section}"))
    }

    fn message(&self, to: &Identifier, content: &MessageContent, language: &str) -> Message {
        let texts = &self.settings.delivery.texts;
        let id = uuid::Uuid::from_bytes(counterfoil::crypto::entropy::bytes());
        texts.message(id, to.clone(), content, texts.language(language))
    }

    /// Sends by the first gateway of the route. Whatever goes wrong tells nothing of the message.
    async fn hand_over(&self, message: &Message) -> Result<AcceptedMessage, NotAccepted> {
        let DeliveryRoute::Through(route) = self.gateways.route(&message.to) else {
            panic!("there is no route")
        };
        let answer = route[0].gateway.send(message).await;
        assert!(!format!("{:?}", route[0].gateway).contains(SECRET));
        if let Err(error) = &answer {
            let told = format!("{error} {error:?}");
            for secret in ["9121234567", "ada@", "000042", SECRET, "://", "127.0.0.1"] {
                assert!(!told.contains(secret), "{told}");
            }
        }
        answer
    }

    async fn send(&self, to: &Identifier, content: &MessageContent) -> Result<AcceptedMessage, NotAccepted> {
        self.hand_over(&self.message(to, content, "en")).await
    }
}

/// The first word of an outcome, its reason, and the seconds to wait.
fn told(answer: Result<AcceptedMessage, NotAccepted>) -> (&'static str, String, Option<u64>) {
    match answer {
        Ok(accepted) => ("accepted", accepted.reference.unwrap_or_default(), None),
        Err(NotAccepted::Unavailable { reason, retry_after }) => {
            ("unavailable", reason, retry_after.map(|wait| wait.as_secs()))
        }
        Err(NotAccepted::Refused { reason }) => ("refused", reason, None),
        Err(NotAccepted::Undeliverable { reason }) => ("undeliverable", reason, None),
    }
}
