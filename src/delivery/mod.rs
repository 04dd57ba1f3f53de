//! Codes and notices on their way to people.
//!
//! The commit that asks for a message writes it to the outbox. Workers on any node take it from there, put it into words
//! and hand it to a gateway.

mod gateway;

pub use gateway::{Accepted, Gateway, Message, NotAccepted};
