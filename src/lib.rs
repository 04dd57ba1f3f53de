//! Counterfoil signs people in with a one-time code and keeps the other half of the ticket: every decision it took is
//! an event in PostgreSQL, and what is true now is built from the events.

pub mod accounts;
pub mod app;
pub mod audit;
pub mod cli;
pub mod crypto;
pub mod delivery;
pub mod http;
pub mod journal;
pub mod language;
pub mod limits;
pub mod postgres;
pub mod read_models;
pub mod rules;
pub mod runtime;
pub mod settings;
pub mod tokens;
