//! Around every request: its id, its log line, its metrics, the headers of every answer, the language of problems.

use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::time::Instant;

use actix_cors::CorsError;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::FutureExt as _;
use tracing::Instrument as _;
use uuid::Uuid;

use super::extract::wanted_language;
use super::held_body::{RequestBody, response_body};
use super::{Problem, cookies};
use crate::crypto::entropy;
use crate::http::AppState;
use crate::language::Language;
use crate::runtime::log_throttle::LogThrottle;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every answer says to browsers and caches, unless it says otherwise itself.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Lines of answers that were no success, by route and status: one client could fill the disk with them.
static REFUSALS: LazyLock<LogThrottle<(String, u16)>> = LazyLock::new(|| LogThrottle::new(10));

/// Logs how many such lines were left out.
pub fn log_left_out() {
    for ((route, status), left_out) in REFUSALS.take_left_out(Instant::now()) {
        tracing::info!(route, status, left_out, "answers were not logged one by one");
    }
}

#[derive(Clone)]
struct RequestId(String);

/// The request's id: the client's own where it is a sane one, else a fresh one.
pub fn request_id(request: &HttpRequest) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// The middleware. A log line names the route and never the path, the query, the address or a header: those are the
/// client's words.
pub async fn observe(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let id = sane_request_id(&request).unwrap_or_else(|| fresh_request_id(&request));
    request.extensions_mut().insert(RequestId(id.clone()));
    let route = request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
    let method = known(request.method());
    let span = tracing::info_span!("request", request_id = %id, %method, %route);

    let language = wanted_language(request.request());
    let request_body = RequestBody::hold(&mut request);
    let answering = async move { next.call(request).await }.instrument(span.clone());
    let answered = match AssertUnwindSafe(answering).catch_unwind().await {
        Ok(answered) => {
            let mut response = answered?.map_into_boxed_body();
            if let Some(problem) = problem_of(&response) {
                let rendered = rendered(&problem, language, &response);
                response = response.into_response(rendered);
            }
            complete(response.headers_mut(), &id);
            Ok(response.map_body(|_, body| response_body(body, request_body)))
        }
        Err(_) => Err(LastResort { id, language }),
    };
    let status =
        answered.as_ref().map_or(StatusCode::INTERNAL_SERVER_ERROR, ServiceResponse::status).as_u16();
    let elapsed = started.elapsed();
    let labels = [("method", method.to_owned()), ("route", route), ("status", status.to_string())];
    metrics::counter!("counterfoil_http_requests_total", &labels).increment(1);
    metrics::histogram!("counterfoil_http_request_seconds", &labels[..2]).record(elapsed.as_secs_f64());
    let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    if status < 400 || REFUSALS.admit((labels[1].1.clone(), status), Instant::now()) {
        span.in_scope(|| tracing::info!(status, elapsed_us, "answered"));
    }
    Ok(answered?)
}

/// The answer to a request whose handler panicked, which took the request along with it.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
struct LastResort {
    id: String,
    language: Language,
}

impl ResponseError for LastResort {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = Problem::Internal.render(self.language);
        complete(response.headers_mut(), &self.id);
        response
    }
}

/// A problem in the language of the request, with what was put around the handler (CORS) and the cookies that it ends.
fn rendered(problem: &Problem, language: Language, response: &ServiceResponse<BoxBody>) -> HttpResponse {
    let mut rendered = problem.render(language);
    if problem.refuses_token() {
        for cookie in cookies::refused(response.request()) {
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                rendered.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
    }
    for (name, value) in response.headers() {
        if !rendered.headers().contains_key(name) {
            rendered.headers_mut().append(name.clone(), value.clone());
        }
    }
    rendered
}

/// Adds what every answer says.
fn complete(headers: &mut HeaderMap, id: &str) {
    for (name, value) in HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}

/// The problem that an answer is made from; what stands between this middleware and the handlers has errors of its own.
fn problem_of(response: &ServiceResponse<BoxBody>) -> Option<Problem> {
    let ours = response.response().extensions().get::<Problem>().cloned();
    let refused = || response.response().error()?.as_error::<CorsError>().map(|_| Problem::PreflightRefused);
    // A fault of what stands around a handler, such as a value that a program takes and has not shared.
    let failed = || {
        let error = response.response().error()?;
        let is_fault = response.status().is_server_error();
        is_fault.then(|| {
            tracing::error!(%error, "an extractor or a handler failed");
            Problem::Internal
        })
    };
    ours.or_else(refused).or_else(failed)
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
    let now = request.app_data::<web::Data<AppState>>().map(|state| state.clock.now());
    entropy::uuid_v7(now.unwrap_or_default()).to_string()
}

#[cfg(test)]
mod tests {
    use super::observe;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use actix_web::{App, HttpResponse, web};

    #[actix_web::test]
    async fn a_handler_that_panics_is_answered_by_a_problem_and_the_next_request_as_ever() {
        async fn panics() -> HttpResponse {
            panic!("a value that is told to no client")
        }
        let app = App::new()
            .wrap(from_fn(observe))
            .route("/panics", web::to(panics))
            .route("/works", web::to(HttpResponse::NoContent));
        let service = init_service(app).await;
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let request = TestRequest::get().uri("/panics").insert_header(("x-request-id", id));
        let request = request.insert_header(("accept-language", "fa")).to_request();
        let error = try_call_service(&service, request).await.expect_err("an error that answers");
        let response = error.error_response();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(response.status(), 500);
        for (name, value) in [
            ("content-type", "application/problem+json"),
            ("content-language", "fa"),
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("x-request-id", id),
        ] {
            assert_eq!(header(name), Some(value), "{name}");
        }
        let body = actix_web::body::to_bytes(response.into_body()).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((&body["code"], body["status"].as_u64()), (&"internal_error".into(), Some(500)));
        assert!(!body.to_string().contains("a value"), "{body}");

        let request = TestRequest::get().uri("/works").to_request();
        let response = try_call_service(&service, request).await.expect("an answer");
        assert_eq!(response.status(), 204);
    }
}
