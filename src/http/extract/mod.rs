//! From headers and bodies to domain values, before a handler starts.

mod body;
mod caller;
mod client;
mod forwarded;
mod proved_caller;
mod query;
mod reason;
mod service_client;
mod staff;

pub use body::{
    Body, Complaint, Fields, Form, Presented, SentOrShownCode, read_any_identifier, read_either_code,
    read_identifier,
};
pub use caller::{Caller, access_token, bearer, is_our_page, refresh_cookie};
pub use client::{Peer, Shown, WantedLanguage, wanted_language};
pub use forwarded::{ForwardedHeader, Proxies};
pub use proved_caller::ProvedCaller;
pub use query::{Limit, Network, Page, Position, Query, USUAL, Wrong, limit};
pub use reason::AUDIT_REASON;
pub use service_client::{IntrospectTokens, ReadSessions, RevokeTokens, ServiceClient, TokenForm};
pub use staff::{Admin, Auditor, Staff, may};
