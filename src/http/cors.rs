//! Which other sites' pages may call the API (the Fetch standard, section 3.3): a fixed list, nobody by default.

use actix_cors::Cors;
use actix_web::http::{Method, header};

/// The middleware. A page of another origin gets its answer without the headers that would let it read it; what cookies may
/// do for it is decided where they are read.
pub fn cors(allowed_origins: &[String]) -> Cors {
    let headers = [header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT_LANGUAGE];
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allowed_headers(headers)
        .allowed_header("x-request-id")
        .expose_headers(["retry-after", "x-request-id", "content-language"])
        .supports_credentials()
        .block_on_origin_mismatch(false)
        .max_age(600);
    allowed_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
