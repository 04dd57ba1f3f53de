//! Sign a device out: its refresh token, and the access tokens of that sign-in, stop working at once.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::State;
use crate::http::answer::{NoContent, Sent};
use crate::http::document::Told;
use crate::http::extract::{Body, Fields, Form, Peer, Presented, access_token};
use crate::http::{Problem, cookies};
use crate::settings::Cookies;
use crate::tokens::Kind;

pub struct Logout {
    refresh_token: Option<Presented>,
}

impl Form for Logout {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { refresh_token: fields.renamed("refresh_token", "token", Presented::parse)? })
    }
}

pub const POST: Told = Told {
    id: "signOut",
    summary: "Sign this device out",
    details: "Its tokens stop working at once. Done again, it is answered as the first time. Pages whose \
        tokens are in cookies send no token.",
    problems: &[
        Problem::InvalidToken,
        Problem::Unauthenticated,
        Problem::AmbiguousCredentials,
        Problem::InvalidAccessToken,
        Problem::CrossSiteRequest,
        Problem::Unavailable,
    ],
    ..Told::NOTHING
};

/// A page whose tokens are in cookies cannot name its refresh token; its access token tells the session as well.
pub async fn post(
    state: web::Data<State>,
    request: HttpRequest,
    peer: Peer,
    Body(logout): Body<Logout>,
) -> Result<Sent<NoContent>, Problem> {
    let in_cookies = state.http.cookies != Cookies::Off;
    let (kind, token) = match logout.refresh_token {
        Some(Presented(token)) => (Kind::Refresh, token),
        None if in_cookies => (Kind::Access, access_token(&request)?),
        None => return Err(Problem::missing_field("refresh_token")),
    };
    let ended = state.accounts.logout(kind, &token, peer.into()).await;
    ended.map_err(|error| state.problem(&error))?;
    let mut response = HttpResponse::NoContent();
    if in_cookies {
        cookies::take(&mut response);
    }
    Ok(Sent::new(response.finish()))
}
