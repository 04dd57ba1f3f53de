//! From headers and bodies to domain values, before a handler starts.

mod body;
mod caller;
mod client;

pub use body::{Body, Fields, Form, read_identifier};
pub use caller::Caller;
pub use client::{Peer, WantedLanguage, wanted_language};
