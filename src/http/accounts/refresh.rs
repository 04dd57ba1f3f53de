//! Trade a refresh token for the next generation.

use actix_web::{HttpRequest, web};

use crate::http::AppState;
use crate::http::document::OperationDoc;
use crate::http::extract::{ClientInfo, FromFields, JsonBody, RequestFields, TokenText, refresh_cookie};
use crate::http::problem::{A_MINUTE, A_RULE};
use crate::http::response::{ApiResponse, OkJson, TokenResponse};
use crate::http::{Problem, response};

pub struct RefreshRequest {
    refresh_token: Option<TokenText>,
}

impl FromFields for RefreshRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { refresh_token: fields.optional("refresh_token", TokenText::parse)? })
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "refresh",
    summary: "Trade the refresh token for the next pair",
    details: "Pages whose tokens are in cookies send no token. The token that was traded gives the same \
        generation again for a few seconds; later it ends the session, since another party has a copy.",
    problems: &[
        Problem::InvalidToken,
        Problem::AmbiguousCredentials,
        Problem::CrossSiteRequest,
        Problem::TooManyRequests(A_MINUTE),
        Problem::RefusedByRule(A_RULE),
        Problem::RuleUnavailable(A_RULE),
        Problem::Unavailable,
    ],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    request: HttpRequest,
    client: ClientInfo,
    JsonBody(refresh): JsonBody<RefreshRequest>,
) -> Result<ApiResponse<OkJson<TokenResponse>>, Problem> {
    let token = match (refresh.refresh_token, refresh_cookie(&request)?) {
        (Some(TokenText(token)), Some(cookie)) if token != cookie => {
            return Err(Problem::AmbiguousCredentials);
        }
        (Some(TokenText(token)), _) | (None, Some(token)) => token,
        (None, None) => return Err(Problem::missing_field("refresh_token")),
    };
    let tokens = state.accounts.refresh(&token, client.into()).await;
    let tokens = tokens.map_err(|error| state.problem(&error))?;
    let (mut response, token) = response::with_tokens(&request, &state.http, tokens);
    Ok(response::with_json(&mut response, token))
}
