//! Look at the profile, and change the one thing of it that a person may change.

use actix_web::web;
use counterfoil_domain::values::{AccountId, FullName};
use counterfoil_projections::profile::Profile;

use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{ClientInfo, FromFields, JsonBody, RequestFields, SignedInCaller};
use crate::http::response::{self, ApiResponse, ErasedOrPostponed, OkJson};

pub struct UpdateProfileRequest {
    fullname: FullName,
}

impl FromFields for UpdateProfileRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { fullname: fields.required("fullname", FullName::parse)? })
    }
}

pub const SHOW_DOC: OperationDoc =
    OperationDoc { id: "profile", summary: "Look at one’s profile", ..OperationDoc::EMPTY };

pub async fn show(
    state: web::Data<AppState>,
    caller: SignedInCaller,
) -> Result<ApiResponse<OkJson<Profile>>, Problem> {
    profile_response(&state, caller.token.account).await
}

pub const UPDATE_DOC: OperationDoc =
    OperationDoc { id: "renameProfile", summary: "Change one’s name", ..OperationDoc::EMPTY };

pub const LEGACY_UPDATE_DOC: OperationDoc = OperationDoc {
    id: "updateProfile",
    summary: "Change one’s name, by the path of older clients",
    ..OperationDoc::EMPTY
};

pub async fn update(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    client: ClientInfo,
    JsonBody(update): JsonBody<UpdateProfileRequest>,
) -> Result<ApiResponse<OkJson<Profile>>, Problem> {
    let updated = state.accounts.update_profile(caller.token, update.fullname, client.into()).await;
    match updated.map_err(|error| state.problem(&error))? {
        Some(profile) => Ok(response::json(profile)),
        None => profile_response(&state, caller.token.account).await,
    }
}

pub const ERASE_DOC: OperationDoc = OperationDoc {
    id: "eraseProfile",
    summary: "Erase one’s account",
    details: "It takes a sign-in, or the second factor, within ten minutes in this session. All sessions end, the keys of what is \
        personal in the account’s events are destroyed, and what was known of the user is deleted. The number and the address are \
        free again. The answer says what was destroyed. With `privacy.erasure_delay` the account is closed, and the answer is 202 with \
        the time at which it is erased; a sign-in before that keeps it.",
    problems: &[Problem::FreshProofRequired],
    ..OperationDoc::EMPTY
};

pub async fn erase(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    client: ClientInfo,
) -> Result<ApiResponse<ErasedOrPostponed>, Problem> {
    let erased = state.accounts.erase_own(caller.token, client.into()).await;
    Ok(response::erasure(&erased.map_err(|error| state.problem(&error))?))
}

async fn profile_response(
    state: &AppState,
    account: AccountId,
) -> Result<ApiResponse<OkJson<Profile>>, Problem> {
    let profile = state.profile(account).await?;
    Ok(response::json(profile.ok_or(Problem::InvalidAccessToken)?))
}
