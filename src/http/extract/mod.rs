//! From headers and bodies to domain values, before a handler starts.

mod body;
mod caller;
mod client;
mod forwarded;
mod service_client;

pub use body::{Body, Fields, Form, read_identifier};
pub use caller::{Caller, access_token, bearer, is_our_page, refresh_cookie};
pub use client::{Peer, Shown, WantedLanguage, wanted_language};
pub use forwarded::{ForwardedHeader, Proxies};
pub use service_client::{ServiceClient, TokenForm};
