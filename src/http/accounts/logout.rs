//! Sign a device out: its refresh token, and the access tokens of that sign-in, stop working at once.

use actix_web::{HttpResponse, web};

use crate::app::State;
use crate::http::Problem;
use crate::http::extract::{Body, Fields, Form, Peer};

pub struct Logout {
    refresh_token: String,
}

impl Form for Logout {
    /// Older clients call the field `token`.
    fn read(fields: &mut Fields) -> Option<Self> {
        let name =
            if fields.has("token") && !fields.has("refresh_token") { "token" } else { "refresh_token" };
        Some(Self { refresh_token: fields.required(name, str::parse)? })
    }
}

pub async fn post(
    state: web::Data<State>,
    peer: Peer,
    Body(logout): Body<Logout>,
) -> Result<HttpResponse, Problem> {
    let ended = state.accounts.logout(&logout.refresh_token, peer.into()).await;
    ended.map_err(|error| state.problem(&error))?;
    Ok(HttpResponse::NoContent().finish())
}
