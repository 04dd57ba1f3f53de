//! Look at the profile, and change the one thing of it that a person may change.

use actix_web::web;
use counterfoil_domain::values::{AccountId, FullName};
use counterfoil_projections::profile::Profile;

use crate::http::Problem;
use crate::http::State;
use crate::http::answer::{self, Json, Sent};
use crate::http::document::OperationDoc;
use crate::http::extract::{Body, Caller, Fields, Form, Peer};

pub struct ProfileUpdate {
    fullname: FullName,
}

impl Form for ProfileUpdate {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { fullname: fields.required("fullname", FullName::parse)? })
    }
}

pub const SHOW_DOC: OperationDoc =
    OperationDoc { id: "profile", summary: "Look at one’s profile", ..OperationDoc::EMPTY };

pub async fn show(state: web::Data<State>, caller: Caller) -> Result<Sent<Json<Profile>>, Problem> {
    shown(&state, caller.token.account).await
}

pub const UPDATE_DOC: OperationDoc =
    OperationDoc { id: "renameProfile", summary: "Change one’s name", ..OperationDoc::EMPTY };

pub const LEGACY_UPDATE_DOC: OperationDoc = OperationDoc {
    id: "updateProfile",
    summary: "Change one’s name, by the path of older clients",
    ..OperationDoc::EMPTY
};

pub async fn update(
    state: web::Data<State>,
    caller: Caller,
    peer: Peer,
    Body(update): Body<ProfileUpdate>,
) -> Result<Sent<Json<Profile>>, Problem> {
    let updated = state.accounts.update_profile(caller.token, update.fullname, peer.into()).await;
    match updated.map_err(|error| state.problem(&error))? {
        Some(profile) => Ok(answer::json(profile)),
        None => shown(&state, caller.token.account).await,
    }
}

async fn shown(state: &State, account: AccountId) -> Result<Sent<Json<Profile>>, Problem> {
    let profile = state.profile(account).await?;
    Ok(answer::json(profile.ok_or(Problem::InvalidAccessToken)?))
}
