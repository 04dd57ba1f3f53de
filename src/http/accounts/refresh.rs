//! Trade a refresh token for the next generation.

use actix_web::{HttpRequest, web};

use crate::http::State;
use crate::http::answer::{Json, Sent, TokenAnswer};
use crate::http::document::OperationDoc;
use crate::http::extract::{Body, Fields, Form, Peer, Presented, refresh_cookie};
use crate::http::problem::A_MINUTE;
use crate::http::{Problem, answer};

pub struct Refresh {
    refresh_token: Option<Presented>,
}

impl Form for Refresh {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { refresh_token: fields.optional("refresh_token", Presented::parse)? })
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "refresh",
    summary: "Trade the refresh token for the next pair",
    details: "Pages whose tokens are in cookies send no token. The token that was traded gives the same \
        generation again for a few seconds; later it ends the session, since somebody has a copy.",
    problems: &[
        Problem::InvalidToken,
        Problem::AmbiguousCredentials,
        Problem::CrossSiteRequest,
        Problem::TooManyRequests(A_MINUTE),
        Problem::Unavailable,
    ],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<State>,
    request: HttpRequest,
    peer: Peer,
    Body(refresh): Body<Refresh>,
) -> Result<Sent<Json<TokenAnswer>>, Problem> {
    let token = match (refresh.refresh_token, refresh_cookie(&request)?) {
        (Some(Presented(token)), Some(cookie)) if token != cookie => {
            return Err(Problem::AmbiguousCredentials);
        }
        (Some(Presented(token)), _) | (None, Some(token)) => token,
        (None, None) => return Err(Problem::missing_field("refresh_token")),
    };
    let tokens = state.accounts.refresh(&token, peer.into()).await;
    let tokens = tokens.map_err(|error| state.problem(&error))?;
    let (mut response, token) = answer::with_tokens(&request, &state.http, tokens);
    Ok(answer::with_json(&mut response, token))
}
