//! Pages for people, behind the links in messages.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::http::{StatusCode, header::ContentType};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::Problem;
use super::document::{DescribeOperation, OperationDraft};
use super::response::ApiResponse;
use crate::crypto::entropy;

/// A page, as the document describes it.
pub enum HtmlPage {}

impl DescribeOperation for HtmlPage {
    fn describe(operation: &mut OperationDraft) {
        let page = || ("text/html; charset=utf-8", ObjectBuilder::new().schema_type(Type::String).into());
        operation.answer(200, "A page.", [page()]);
        operation.answer(404, "A page: the link does not work.", [page()]);
    }
}

/// Answers with a page, which is written with the nonce that its style needs (Content Security Policy, level 3).
pub fn html_page<T: Template>(
    status: StatusCode,
    page: impl FnOnce(String) -> T,
) -> Result<ApiResponse<HtmlPage>, Problem> {
    let nonce = STANDARD.encode(entropy::bytes::<16>());
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let page = page(nonce).render().map_err(|_| Problem::Internal)?;
    let mut response = HttpResponse::build(status);
    response.insert_header((CONTENT_SECURITY_POLICY, policy)).insert_header(ContentType::html());
    Ok(ApiResponse::new(response.body(page)))
}
