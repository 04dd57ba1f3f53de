//! Around every request: its id, its log line, its metrics, the headers of every answer, the language of problems.

use std::time::Instant;

use actix_cors::CorsError;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, web};
use tracing::Instrument as _;
use uuid::Uuid;

use super::extract::wanted_language;
use super::{Problem, cookies};
use crate::app::State;
use crate::entropy;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every answer says to browsers and caches, unless it says otherwise itself.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

#[derive(Clone)]
struct RequestId(String);

/// The request's id: the client's own where it is a sane one, else a fresh one.
pub fn request_id(request: &HttpRequest) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// The middleware. A log line names the route and never the path, the query, the address or a header: those are the
/// client's words.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let id = sane_request_id(&request).unwrap_or_else(|| fresh_request_id(&request));
    request.extensions_mut().insert(RequestId(id.clone()));
    let route = request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
    let method = known(request.method());
    let span = tracing::info_span!("request", request_id = %id, %method, %route);

    let language = wanted_language(request.request());
    let mut response = next.call(request).instrument(span.clone()).await?.map_into_boxed_body();
    if let Some(problem) = problem_of(&response) {
        let mut rendered = problem.render(language);
        if problem.refuses_token() {
            for cookie in cookies::refused(response.request()) {
                if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                    rendered.headers_mut().append(header::SET_COOKIE, cookie);
                }
            }
        }
        // What was put around the handler (CORS) has spoken already.
        for (name, value) in response.headers() {
            if !rendered.headers().contains_key(name) {
                rendered.headers_mut().append(name.clone(), value.clone());
            }
        }
        response = response.into_response(rendered);
    }

    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    let labels = [("method", method.to_owned()), ("route", route), ("status", status.to_string())];
    metrics::counter!("counterfoil_http_requests_total", &labels).increment(1);
    metrics::histogram!("counterfoil_http_request_seconds", &labels[..2]).record(elapsed.as_secs_f64());
    let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(status, elapsed_us, "answered"));
    Ok(response)
}

/// The problem that an answer is made from; what stands between this middleware and the handlers has errors of its own.
fn problem_of(response: &ServiceResponse<BoxBody>) -> Option<Problem> {
    let ours = response.response().extensions().get::<Problem>().cloned();
    let refused = || response.response().error()?.as_error::<CorsError>().map(|_| Problem::PreflightRefused);
    ours.or_else(refused)
}

/// The method, where it is one that there is. Any other word is the client's own, and there is no end of them.
fn known(method: &Method) -> &'static str {
    let all = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    all.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// A client's id that a machine made: a UUID, or hexadecimal as trace ids are. What people write, and digits alone, may be a
/// name or a number.
fn sane_request_id(request: &ServiceRequest) -> Option<String> {
    let text = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let is_uuid = text.len() == uuid::fmt::Hyphenated::LENGTH && Uuid::try_parse(text).is_ok();
    let is_hexadecimal = (16..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_hexdigit())
        && text.bytes().any(|b| !b.is_ascii_digit());
    (is_uuid || is_hexadecimal).then(|| text.to_owned())
}

fn fresh_request_id(request: &ServiceRequest) -> String {
    let now = request.app_data::<web::Data<State>>().map(|state| state.clock.now());
    entropy::uuid_v7(now.unwrap_or_default()).to_string()
}
