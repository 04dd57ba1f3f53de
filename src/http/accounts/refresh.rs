//! Trade a refresh token for the next generation.

use actix_web::{HttpResponse, web};

use crate::app::State;
use crate::http::Problem;
use crate::http::answer::TokenAnswer;
use crate::http::extract::{Body, Fields, Form, Peer};

pub struct Refresh {
    refresh_token: String,
}

impl Form for Refresh {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { refresh_token: fields.required("refresh_token", str::parse)? })
    }
}

pub async fn post(
    state: web::Data<State>,
    peer: Peer,
    Body(refresh): Body<Refresh>,
) -> Result<HttpResponse, Problem> {
    let tokens = state.accounts.refresh(&refresh.refresh_token, peer.into()).await;
    let tokens = tokens.map_err(|error| state.problem(&error))?;
    Ok(HttpResponse::Ok().json(TokenAnswer::from(tokens)))
}
