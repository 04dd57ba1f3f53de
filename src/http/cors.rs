//! Which other sites' pages may call the API (the Fetch standard, section 3.3): a fixed list, empty by default.

use actix_cors::Cors;
use actix_web::http::{Method, header};

use crate::http::HttpPolicy;

/// Headers that pages may send besides those that the API reads: trace context, which tracing libraries add to every request
/// of a page (W3C Trace Context, W3C Baggage, Sentry).
const TRACE_HEADERS: [&str; 4] = ["traceparent", "tracestate", "baggage", "sentry-trace"];

/// The middleware. A page of another origin gets its answer without the headers that would let it read it; what cookies may
/// do for it is decided where they are read.
pub fn cors(policy: &HttpPolicy) -> Cors {
    let headers = [header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT_LANGUAGE];
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allowed_headers(headers)
        .allowed_headers(["x-request-id", "x-audit-reason"])
        .allowed_headers(TRACE_HEADERS)
        .allowed_headers(&policy.allowed_headers)
        .expose_headers(["retry-after", "x-request-id", "content-language"])
        .supports_credentials()
        .block_on_origin_mismatch(false)
        .max_age(600);
    policy.allowed_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
