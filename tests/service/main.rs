//! The service as its users meet it: over HTTP, on a real PostgreSQL, with several nodes and with faults.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod audit;
mod authorization;
mod browser;
mod claims;
mod codes;
mod commands;
mod connections;
mod delivery;
mod ended_sessions;
mod ends;
mod failover;
mod faults;
mod gateways;
mod guard;
mod guesses;
mod http;
mod identifiers;
mod journal;
mod keys;
mod ledger;
mod limits;
mod never_logged;
mod outage;
mod population;
mod processes;
mod projections;
mod races;
mod readme;
mod refreshes;
mod replication;
mod roles;
mod searches;
mod standby;
mod statistics;
mod support;
