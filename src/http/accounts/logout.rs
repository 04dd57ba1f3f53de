//! Sign a device out: its refresh token, and the access tokens of that sign-in, stop working at once.

use actix_web::{HttpRequest, web};

use crate::accounts::AccountsError;
use crate::http::AppState;
use crate::http::CookieMode;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    ClientInfo, FromFields, JsonBody, RequestFields, TokenText, access_token, is_our_page, refresh_cookie,
};
use crate::http::problem::A_MINUTE;
use crate::http::response::{self, ApiResponse, NoContent};
use crate::tokens::TokenKind;

pub struct LogoutRequest {
    refresh_token: Option<TokenText>,
}

impl FromFields for LogoutRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { refresh_token: fields.renamed("refresh_token", "token", TokenText::parse)? })
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "signOut",
    summary: "Sign this device out",
    details: "Its tokens stop working at once. Done again, it is answered as the first time. Pages whose \
        tokens are in cookies send no token, and their cookies are cleared, whether or not they still work.",
    problems: &[
        Problem::InvalidToken,
        Problem::Unauthenticated,
        Problem::AmbiguousCredentials,
        Problem::InvalidAccessToken,
        Problem::CrossSiteRequest,
        Problem::TooManyRequests(A_MINUTE),
        Problem::Unavailable,
    ],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    request: HttpRequest,
    client: ClientInfo,
    JsonBody(logout): JsonBody<LogoutRequest>,
) -> Result<ApiResponse<NoContent>, Problem> {
    match logout.refresh_token {
        Some(TokenText(token)) => {
            let ended = state.accounts.logout(TokenKind::Refresh, &token, client.into()).await;
            ended.map_err(|error| state.problem(&error))?;
        }
        None if state.http.cookies == CookieMode::Off => return Err(Problem::missing_field("refresh_token")),
        None => end_session_of_cookies(&state, &request, client).await?,
    }
    Ok(response::signed_out(&request, &state.http))
}

/// A page whose tokens are in cookies cannot name its refresh token. Either of its cookies tells the session, expired or not;
/// the browser may have dropped the one, and later the other. A page of ours without a readable one is signed out already.
async fn end_session_of_cookies(
    state: &AppState,
    request: &HttpRequest,
    client: ClientInfo,
) -> Result<(), Problem> {
    let access = match access_token(request) {
        Ok(token) => Some((TokenKind::Access, token)),
        Err(Problem::Unauthenticated | Problem::InvalidAccessToken) => None,
        Err(problem) => return Err(problem),
    };
    let refresh = refresh_cookie(request)?.map(|token| (TokenKind::Refresh, token));
    let mut answer = Err(Problem::Unauthenticated);
    for (kind, token) in access.into_iter().chain(refresh) {
        match state.accounts.logout(kind, &token, client.clone().into()).await {
            Ok(()) => return Ok(()),
            Err(AccountsError::InvalidToken) => answer = Err(Problem::InvalidToken),
            Err(error) => return Err(state.problem(&error)),
        }
    }
    if is_our_page(request) { Ok(()) } else { answer }
}
