//! For whoever runs the service.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::Problem;
use crate::app::State;
use crate::migrations;

/// The process is there.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// The database answers and its schema is the one this version needs.
pub async fn readyz(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let current = migrations::are_current(state.database.reader()).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "not ready");
        false
    });
    current.then(|| HttpResponse::Ok().json(json!({"status": "ready"}))).ok_or(Problem::Unavailable)
}

/// The metrics, as Prometheus reads them.
pub async fn metrics(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(state.metrics.render())
}
