//! The rules of Counterfoil: one aggregate, [`UserAccount`](user_account::UserAccount), the commands it takes and
//! the events it answers with.
//!
//! Nothing here reads a clock, draws a random number or does I/O. What a decision needs from outside (the time, a
//! new session's id, a challenge's nonce, whether a code matches) arrives in the command or through
//! [`Services`](user_account::Services); the same command on the same state gives the same events, always.

#![expect(
    missing_docs,
    reason = "a field that its name and its type explain has no comment; types and functions with a contract have one"
)]

#[cfg(feature = "openapi")]
mod openapi;
pub mod user_account;
pub mod values;
