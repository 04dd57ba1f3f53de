//! End the session of a token (RFC 7009), whichever of its tokens that is.

use actix_web::{HttpResponse, web};

use crate::accounts::AccountsError;
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::{DescribeOperation, OperationDoc, OperationDraft};
use crate::http::extract::{ClientInfo, RevokeTokens, ServiceClient, TokenForm};
use crate::http::problem::A_MINUTE;
use crate::http::response::ApiResponse;
use crate::tokens::Tokens;

/// 200 without a body.
pub enum RevokeResponse {}

impl DescribeOperation for RevokeResponse {
    fn describe(operation: &mut OperationDraft) {
        operation.answer(200, "It does not work any more.", []);
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "revoke",
    summary: "End the session of a token (RFC 7009)",
    details: "Answered alike for a token that does not work: what was wanted is so.",
    problems: &[Problem::TooManyRequests(A_MINUTE), Problem::Unavailable],
    ..OperationDoc::EMPTY
};

/// 200 as well for a token that is not valid: what was wanted is so (section 2.2).
pub async fn handler(
    state: web::Data<AppState>,
    _: ServiceClient<RevokeTokens>,
    client: ClientInfo,
    TokenForm(token): TokenForm,
) -> Result<ApiResponse<RevokeResponse>, Problem> {
    if let Some(kind) = Tokens::kind_of(&token) {
        match state.accounts.revoke_token(kind, &token, client.into()).await {
            Ok(()) | Err(AccountsError::InvalidToken) => {}
            Err(error) => return Err(state.problem(&error)),
        }
    }
    Ok(ApiResponse::new(HttpResponse::Ok().finish()))
}
