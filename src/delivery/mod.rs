//! Codes and notices on their way to people.
//!
//! The commit that asks for a message writes it to the outbox. Workers on any node take it from there, put it into words
//! and hand it to a gateway.

mod gateway;
mod gateway_health;
mod gateways;
pub mod ledger;
pub mod messages;
pub(crate) mod notices;
pub mod outbox;
mod outbox_worker;
pub mod outcomes;
mod prices;
mod routes;
mod settings;
mod texts;

pub use gateway::{AcceptedMessage, Gateway, Message, NotAccepted};
pub(crate) use gateways::GatewaySettings;
pub use gateways::GatewaySetupError;
pub use outbox_worker::OutboxWorker;
pub use prices::{Price, PriceList};
pub use routes::{DeliveryRoute, Gateways, NamedGateway};
pub use settings::DeliverySettings;
pub(crate) use settings::RouteSettings;
pub(crate) use texts::TextsError;
pub use texts::{MessageContent, MessageTexts, Notice};
