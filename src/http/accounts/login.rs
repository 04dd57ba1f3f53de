//! Ask for a code. Sign-up and sign-in are this one call and answer alike.

use actix_web::web;
use counterfoil_domain::values::{FullName, Identifier};

use crate::accounts::RequestContext;
use crate::http::AppState;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    ClientInfo, FromFields, JsonBody, PresentedToken, RequestFields, WantedLanguage, read_identifier,
};
use crate::http::problem::{A_MINUTE, A_RULE};
use crate::http::response::{ApiResponse, CodeSentResponse, OkJson};
use crate::http::{Problem, response};

pub struct LoginRequest {
    identifier: Identifier,
    fullname: Option<FullName>,
}

impl FromFields for LoginRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let identifier = read_identifier(fields);
        let fullname = fields.optional("fullname", FullName::parse);
        Some(Self { identifier: identifier?, fullname: fullname? })
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "askForCode",
    summary: "Ask for a code",
    details: "Signing up and signing in are this one call, and answer alike. A known device sends the \
        last token it had along, expired or not.",
    problems: &[
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
    JsonBody(login): JsonBody<LoginRequest>,
) -> Result<ApiResponse<OkJson<CodeSentResponse>>, Problem> {
    let code = state
        .accounts
        .request_otp(login.identifier, login.fullname, RequestContext { shown, ..client.into() })
        .await;
    Ok(response::code_sent(&code.map_err(|error| state.problem(&error))?, language))
}
