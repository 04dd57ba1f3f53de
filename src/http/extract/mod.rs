//! From headers and bodies to domain values, before a handler starts.

mod body;
mod caller;
mod client;
mod field_error;
mod forwarded;
mod proved_caller;
mod query;
mod reason;
mod service_client;
mod settings_field;
mod staff;
mod staff_read;

pub use body::{
    FromFields, JsonBody, RequestFields, SentOrShownCode, TokenText, named_identifier, read_any_identifier,
    read_either_code, read_identifier,
};
pub use caller::{SignedInCaller, access_token, bearer, is_our_page, refresh_cookie, refuse_other_sites};
pub use client::{ClientAddress, ClientInfo, PresentedToken, WantedLanguage, wanted_language};
pub use field_error::FieldError;
pub use forwarded::{ForwardedHeader, TrustedProxies};
pub use proved_caller::ProvedCaller;
pub use query::{
    AddressRange, AskedSpan, CountryCode, DEFAULT_LIMIT, InvalidParameter, LogPosition, OneAddress,
    PageLimit, PageRequest, QueryParams, read_limit,
};
pub use reason::AUDIT_REASON;
pub use service_client::{IntrospectTokens, ReadSessions, RevokeTokens, ServiceClient, TokenForm};
pub use settings_field::NamedSettings;
pub use staff::{AdminRole, AuditorRole, LocalOperator, StaffCaller, check_role};
pub use staff_read::put_on_record as record_staff_read;
