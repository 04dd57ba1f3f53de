//! Trade a refresh token for the next generation.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::State;
use crate::http::extract::{Body, Fields, Form, Peer, refresh_cookie};
use crate::http::{Problem, answer};

pub struct Refresh {
    refresh_token: Option<String>,
}

impl Form for Refresh {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { refresh_token: fields.optional("refresh_token", str::parse)? })
    }
}

pub async fn post(
    state: web::Data<State>,
    request: HttpRequest,
    peer: Peer,
    Body(refresh): Body<Refresh>,
) -> Result<HttpResponse, Problem> {
    let token = match (refresh.refresh_token, refresh_cookie(&request)?) {
        (Some(token), Some(cookie)) if token != cookie => return Err(Problem::AmbiguousCredentials),
        (Some(token), _) | (None, Some(token)) => token,
        (None, None) => return Err(Problem::missing_field("refresh_token")),
    };
    let tokens = state.accounts.refresh(&token, peer.into()).await;
    let tokens = tokens.map_err(|error| state.problem(&error))?;
    let (mut response, token) = answer::with_tokens(&request, &state.http, tokens);
    Ok(response.json(token))
}
