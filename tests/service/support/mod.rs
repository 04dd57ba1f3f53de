//! What the tests stand on: a PostgreSQL, a database for each test, nodes, and clients that speak to them.

mod app;
mod authenticator;
mod client;
mod clock;
mod contract;
mod database;
mod node;
mod provider;
mod proxy;
mod redis_server;
mod settings;
mod tls_server;

pub use app::TestApp;
pub use authenticator::Authenticator;
pub use client::{Answer, Api, SignedIn};
pub use clock::ManualClock;
pub use contract::Contract;
pub use database::TestDatabase;
pub use node::Node;
pub use provider::{Asked, Provider, Reply};
pub use proxy::{Mood, Proxy};
pub use redis_server::RedisServer;
pub use settings::default_settings;
pub use tls_server::{Certificates, TlsServer};
