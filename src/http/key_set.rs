//! The public keys, for services that verify access tokens themselves.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};

use crate::app::State;

/// A JSON Web Key Set (RFC 7517). It may be a minute old: a key is pending for longer than that before it signs.
pub async fn get(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "public, max-age=60")).json(state.tokens.public_keys())
}
