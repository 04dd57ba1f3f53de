//! The document of the API, and a page to read it and try it out: Swagger UI, from the binary alone.

use std::sync::Arc;

use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, guard};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa_swagger_ui::{Config, SwaggerFile};

use super::document::{self, DescribeOperation, OperationDoc, OperationDraft};
use super::response::ApiResponse;
use super::{AppState, Problem};

/// Where the document is.
pub const PATH: &str = "/openapi.json";

/// What the page may do: run and show what is ours, and ask ourselves. Swagger UI sets styles of elements, and has pictures
/// in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's own files; the rest is Swagger UI's.
const PAGE: &str = include_str!("pages/docs.html");
const SCRIPT: &str = include_str!("pages/docs.js");

/// The form of the document.
pub enum DocumentResponse {}

impl DescribeOperation for DocumentResponse {
    fn describe(operation: &mut OperationDraft) {
        let document = ObjectBuilder::new().schema_type(Type::Object);
        operation.answer(200, "The document.", [("application/json", document.into())]);
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "document",
    summary: "This document",
    details: "OpenAPI 3.1; to be read and tried out at `/docs/`. Both are there if `server.docs` says so.",
    problems: &[Problem::NotFound],
    ..OperationDoc::EMPTY
};

pub async fn handler(state: web::Data<AppState>) -> ApiResponse<DocumentResponse> {
    let text =
        state.own_routes.document_text(|own| document::document(super::route_table(), own).to_string());
    ApiResponse::new(HttpResponse::Ok().insert_header(ContentType::json()).body(text.to_owned()))
}

/// Where the page is, and what it loads.
pub const PAGE_PATHS: [&str; 2] = ["/docs", "/docs/{file}"];

/// The page, and what it loads. These are no part of the API.
pub fn pages(config: &mut ServiceConfig) {
    let readable = || guard::Any(guard::Get()).or(guard::Head());
    config
        .route(PAGE_PATHS[0], web::route().guard(readable()).to(page))
        .route(PAGE_PATHS[1], web::route().guard(readable()).to(file));
}

async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header(ContentType::html())
        .body(PAGE)
}

async fn file(name: web::Path<String>) -> Result<HttpResponse, Problem> {
    if *name == "docs.js" {
        return Ok(HttpResponse::Ok().content_type("text/javascript").body(SCRIPT));
    }
    let file = utoipa_swagger_ui::serve(&name, Arc::new(Config::from(PATH)));
    let SwaggerFile { bytes, content_type, .. } =
        file.map_err(|_| Problem::Internal)?.ok_or(Problem::NotFound)?;
    Ok(HttpResponse::Ok().content_type(content_type).body(bytes.into_owned()))
}
