//! Look at the profile, and change the one thing of it that a person may change.

use actix_web::{HttpResponse, web};
use counterfoil_domain::values::{AccountId, FullName};

use crate::app::State;
use crate::http::Problem;
use crate::http::extract::{Body, Caller, Fields, Form, Peer};

pub struct ProfileUpdate {
    fullname: FullName,
}

impl Form for ProfileUpdate {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { fullname: fields.required("fullname", FullName::parse)? })
    }
}

pub async fn get(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Problem> {
    answer(&state, caller.token.account).await
}

pub async fn patch(
    state: web::Data<State>,
    caller: Caller,
    peer: Peer,
    Body(update): Body<ProfileUpdate>,
) -> Result<HttpResponse, Problem> {
    let updated = state.accounts.update_profile(caller.token, update.fullname, peer.into()).await;
    match updated.map_err(|error| state.problem(&error))? {
        Some(profile) => Ok(HttpResponse::Ok().json(profile)),
        None => answer(&state, caller.token.account).await,
    }
}

async fn answer(state: &State, account: AccountId) -> Result<HttpResponse, Problem> {
    let profile = state.profile(account).await?;
    Ok(HttpResponse::Ok().json(profile.ok_or(Problem::InvalidAccessToken)?))
}
