//! Sign a device out: its refresh token, and the access tokens of that sign-in, stop working at once.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::State;
use crate::http::extract::{Body, Fields, Form, Peer, access_token};
use crate::http::{Problem, cookies};
use crate::settings::Cookies;
use crate::tokens::Kind;

pub struct Logout {
    refresh_token: Option<String>,
}

impl Form for Logout {
    /// Older clients call the field `token`.
    fn read(fields: &mut Fields) -> Option<Self> {
        let name =
            if fields.has("token") && !fields.has("refresh_token") { "token" } else { "refresh_token" };
        Some(Self { refresh_token: fields.optional(name, str::parse)? })
    }
}

/// A page whose tokens are in cookies cannot name its refresh token; its access token tells the session as well.
pub async fn post(
    state: web::Data<State>,
    request: HttpRequest,
    peer: Peer,
    Body(logout): Body<Logout>,
) -> Result<HttpResponse, Problem> {
    let in_cookies = state.http.cookies != Cookies::Off;
    let (kind, token) = match logout.refresh_token {
        Some(token) => (Kind::Refresh, token),
        None if in_cookies => (Kind::Access, access_token(&request)?),
        None => return Err(Problem::missing_field("refresh_token")),
    };
    let ended = state.accounts.logout(kind, &token, peer.into()).await;
    ended.map_err(|error| state.problem(&error))?;
    let mut response = HttpResponse::NoContent();
    if in_cookies {
        cookies::take(&mut response);
    }
    Ok(response.finish())
}
