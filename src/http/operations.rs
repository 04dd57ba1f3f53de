//! Whether the service runs and can answer, and its metrics: for operators, and for tools.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::Problem;
use super::document::{DescribeOperation, OperationDoc, OperationDraft};
use super::response::{self, ApiResponse, OkJson};
use crate::http::AppState;

/// Where the service tells operators how it is.
pub const HEALTHZ_PATH: &str = "/healthz";
pub const READYZ_PATH: &str = "/readyz";
pub const METRICS_PATH: &str = "/metrics";

/// The paths of the listener for operators.
pub const PATHS: [&str; 3] = [HEALTHZ_PATH, READYZ_PATH, METRICS_PATH];

/// Whether the service runs, or is ready.
#[derive(Serialize, ToSchema)]
pub struct HealthResponse {
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
}

pub const HEALTHZ_DOC: OperationDoc =
    OperationDoc { id: "healthz", summary: "Whether the process is there", ..OperationDoc::EMPTY };

pub async fn healthz() -> ApiResponse<OkJson<HealthResponse>> {
    response::json(HealthResponse { status: "ok" })
}

pub const READYZ_DOC: OperationDoc = OperationDoc {
    id: "readyz",
    summary: "Whether requests can be answered",
    details: "The database answers by every way that requests take, takes writes, and has the schema that this version needs; \
              the log is numbered, and its read models follow.",
    problems: &[Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn readyz(state: web::Data<AppState>) -> Result<ApiResponse<OkJson<HealthResponse>>, Problem> {
    state.check_readiness().await?;
    Ok(response::json(HealthResponse { status: "ready" }))
}

/// The form of metrics.
pub enum MetricsResponse {}

impl DescribeOperation for MetricsResponse {
    fn describe(operation: &mut OperationDraft) {
        operation.text("The metrics.", "text/plain; version=0.0.4");
    }
}

pub const METRICS_DOC: OperationDoc = OperationDoc {
    id: "metrics",
    summary: "The metrics, as Prometheus reads them",
    details: "On the listener of `server.metrics_listen`, together with `/healthz` and `/readyz`. Without that setting, on the \
        public listener in the development profile and nowhere in production.",
    problems: &[Problem::NotFound],
    ..OperationDoc::EMPTY
};

pub async fn metrics(state: web::Data<AppState>) -> ApiResponse<MetricsResponse> {
    ApiResponse::new(
        HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(state.metrics.render()),
    )
}
