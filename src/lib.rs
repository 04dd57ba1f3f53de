//! Counterfoil signs people in with a one-time code and keeps the other half of the ticket: every decision it took is
//! an event in PostgreSQL, and what is true now is built from the events.

pub mod accounts;
pub mod app;
pub mod audit;
pub mod cli;
pub mod client_marks;
pub mod clock;
pub mod database;
pub mod delivery;
pub mod ended_sessions;
pub mod entropy;
pub mod extra_claims;
mod group;
pub mod guard;
mod held_back;
pub mod http;
pub mod journal;
pub mod keyring;
mod lanes;
pub mod language;
pub mod limits;
pub mod migrations;
mod network;
mod notices;
pub mod oauth_clients;
pub mod otp;
pub mod personal_data;
pub mod private_postgres;
mod reads;
pub mod rebuild;
pub mod second_factors;
pub mod session_links;
pub mod settings;
mod supervise;
pub mod telemetry;
pub mod test_identifiers;
pub mod tokens;
