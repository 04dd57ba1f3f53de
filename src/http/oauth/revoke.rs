//! End the session of a token (RFC 7009), whichever of its tokens that is.

use actix_web::{HttpResponse, web};

use crate::accounts::AccountsError;
use crate::http::Problem;
use crate::http::State;
use crate::http::answer::Sent;
use crate::http::document::{DescribeOperation, OperationDoc, OperationDraft};
use crate::http::extract::{Peer, RevokeTokens, ServiceClient, TokenForm};
use crate::http::problem::A_MINUTE;
use crate::tokens::Tokens;

/// 200 without a body.
pub enum Revoked {}

impl DescribeOperation for Revoked {
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
    state: web::Data<State>,
    _: ServiceClient<RevokeTokens>,
    peer: Peer,
    TokenForm(token): TokenForm,
) -> Result<Sent<Revoked>, Problem> {
    if let Some(kind) = Tokens::kind_of(&token) {
        match state.accounts.revoke_token(kind, &token, peer.into()).await {
            Ok(()) | Err(AccountsError::InvalidToken) => {}
            Err(error) => return Err(state.problem(&error)),
        }
    }
    Ok(Sent::new(HttpResponse::Ok().finish()))
}
