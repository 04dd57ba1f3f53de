//! What the tests stand on: a PostgreSQL, a database for each test, nodes, and clients that speak to them.

mod app;
mod authenticator;
mod client;
mod clock;
mod contract;
mod database;
mod embedded;
mod node;
mod provider;
mod proxy;
mod redis_server;
mod settings;
mod tls_server;

pub use app::{TestApp, operator};
pub use authenticator::AuthenticatorApp;
pub use client::{ApiAnswer, ApiClient, SignedInDevice};
pub use clock::ManualClock;
pub use contract::OpenApiContract;
pub use database::TestDatabase;
pub use embedded::METRICS;
pub use node::NodeProcess;
pub use provider::{ProviderReply, ProviderRequest, ProviderServer};
pub use proxy::{DatabaseProxy, ProxyMode};
pub use redis_server::RedisServer;
pub use settings::default_settings;
pub use tls_server::{TestAuthorities, TlsServer};
