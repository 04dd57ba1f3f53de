//! Ask whether a token works now. The answer gives no reason and no claims.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{FromFields, JsonBody, RequestFields, TokenText};
use crate::http::response::{self, ApiResponse, OkJson};

pub struct VerifyTokenRequest {
    token: TokenText,
}

impl FromFields for VerifyTokenRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { token: fields.required("token", TokenText::parse)? })
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "verifyToken",
    summary: "Ask whether a token works",
    problems: &[Problem::InvalidToken, Problem::Unavailable],
    ..OperationDoc::EMPTY
};

/// The response for a token that works; it says nothing more.
#[derive(Serialize, ToSchema)]
pub struct VerifyTokenResponse {}

pub async fn handler(
    state: web::Data<AppState>,
    JsonBody(body): JsonBody<VerifyTokenRequest>,
) -> Result<ApiResponse<OkJson<VerifyTokenResponse>>, Problem> {
    state.working_token(&body.token.0).await?;
    Ok(response::json(VerifyTokenResponse {}))
}
