//! Why staff do what they do, where neither a body nor a form field says it: some clients cannot send a body with DELETE.

use actix_web::HttpRequest;
use counterfoil_domain::values::Reason;
use utoipa::PartialSchema as _;

use super::FieldError as _;
use crate::http::Problem;
use crate::http::document::HeaderDoc;

/// In which header the reason stands.
const NAME: &str = "x-audit-reason";

/// That header, as the document tells of it.
pub const AUDIT_REASON: HeaderDoc = HeaderDoc {
    name: "X-Audit-Reason",
    description: "Why it is done, in UTF-8, where `reason` does not say it.",
    schema: Reason::schema,
};

/// The text of the reason in the header.
pub fn in_header(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(NAME)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The reason in the header, where there is one.
///
/// # Errors
/// [`Problem`] where it is no reason.
pub fn given_in_header(request: &HttpRequest) -> Result<Option<Reason>, Problem> {
    let given = in_header(request).map(|text| Reason::parse(&text)).transpose();
    given.map_err(|error| Problem::invalid_field("reason", error.message()))
}

/// The text of the reason in the query, where the body has the other fields; else in the header.
pub fn beside_body(request: &HttpRequest) -> Option<String> {
    let mut pairs = form_urlencoded::parse(request.query_string().as_bytes());
    let named = pairs.find(|(name, _)| name == "reason").map(|(_, value)| value.into_owned());
    named.or_else(|| in_header(request))
}
