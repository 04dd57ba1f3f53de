//! Ask for the pending code once more.

use actix_web::web;
use counterfoil_domain::values::Identifier;

use crate::accounts::RequestContext;
use crate::http::AppState;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    ClientInfo, FromFields, JsonBody, PresentedToken, RequestFields, WantedLanguage, read_identifier,
};
use crate::http::problem::{A_MINUTE, A_RULE};
use crate::http::response::{ApiResponse, CodeSentResponse, OkJson};
use crate::http::{Problem, response};

pub struct ResendRequest {
    identifier: Identifier,
}

impl FromFields for ResendRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { identifier: read_identifier(fields)? })
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "askForCodeAgain",
    summary: "Have the pending code sent again",
    problems: &[
        Problem::NoPendingCode,
        Problem::CodeTooSoon(A_MINUTE),
        Problem::CodeQuotaSpent(A_MINUTE),
        Problem::TooManyTries(A_MINUTE),
        Problem::TooManyRequests(A_MINUTE),
        Problem::RefusedByRule(A_RULE),
        Problem::RuleUnavailable(A_RULE),
        Problem::Unavailable,
    ],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    client: ClientInfo,
    PresentedToken(shown): PresentedToken,
    WantedLanguage(language): WantedLanguage,
    JsonBody(resend): JsonBody<ResendRequest>,
) -> Result<ApiResponse<OkJson<CodeSentResponse>>, Problem> {
    let code = state.accounts.resend_otp(resend.identifier, RequestContext { shown, ..client.into() }).await;
    Ok(response::code_sent(&code.map_err(|error| state.problem(&error))?, language))
}
