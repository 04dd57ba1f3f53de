//! The devices a person is signed in on: look at them, name one, sign one out.

use actix_web::{HttpRequest, web};
use counterfoil_domain::values::{DeviceName, SessionId};
use counterfoil_projections::user_login::{self, Device};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::Problem;
use crate::http::State;
use crate::http::answer::{self, Json, NoContent, Sent};
use crate::http::document::OperationDoc;
use crate::http::extract::{Body, Caller, Fields, Form, Peer};

pub struct DeviceUpdate {
    device_name: DeviceName,
}

impl Form for DeviceUpdate {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { device_name: fields.required("device_name", DeviceName::parse)? })
    }
}

/// A device of one's own.
#[derive(Serialize, ToSchema)]
pub struct OwnDevice {
    #[serde(flatten)]
    device: Device,
    /// Whether it is the one that asks.
    current: bool,
}

/// The devices that the account is signed in on, the last used first.
#[derive(Serialize, ToSchema)]
pub struct OwnDevices(Vec<OwnDevice>);

pub const LIST_DOC: OperationDoc =
    OperationDoc { id: "devices", summary: "See where one is signed in", ..OperationDoc::EMPTY };

pub async fn list(state: web::Data<State>, caller: Caller) -> Result<Sent<Json<OwnDevices>>, Problem> {
    Ok(answer::json(OwnDevices(active(&state, caller).await?.collect())))
}

pub const RENAME_DOC: OperationDoc =
    OperationDoc { id: "renameDevice", summary: "Name a device", ..OperationDoc::EMPTY };

pub async fn rename(
    state: web::Data<State>,
    caller: Caller,
    peer: Peer,
    id: web::Path<String>,
    Body(update): Body<DeviceUpdate>,
) -> Result<Sent<Json<OwnDevice>>, Problem> {
    let id = session(&id)?;
    let renamed = state.accounts.rename_device(caller.token, id, update.device_name, peer.into()).await;
    renamed.map_err(|error| state.problem(&error))?;
    let device = active(&state, caller).await?.find(|answer| answer.device.id == id);
    Ok(answer::json(device.ok_or(Problem::NotFound)?))
}

pub const SIGN_OUT_DOC: OperationDoc =
    OperationDoc { id: "signOutDevice", summary: "Sign a device out", ..OperationDoc::EMPTY };

pub async fn sign_out(
    state: web::Data<State>,
    caller: Caller,
    request: HttpRequest,
    peer: Peer,
    id: web::Path<String>,
) -> Result<Sent<NoContent>, Problem> {
    let device = session(&id)?;
    let revoked = state.accounts.revoke_device(caller.token, device, peer.into()).await;
    revoked.map_err(|error| state.problem(&error))?;
    let is_current = device == caller.token.session;
    Ok(if is_current { answer::signed_out(&request, &state.http) } else { answer::no_content() })
}

/// An id that cannot be one is nobody's.
fn session(id: &str) -> Result<SessionId, Problem> {
    Uuid::try_parse(id).map(SessionId).map_err(|_| Problem::NotFound)
}

async fn active(state: &State, caller: Caller) -> Result<impl Iterator<Item = OwnDevice>, Problem> {
    let now = state.clock.now();
    let devices = state.query(async |db| user_login::active(db, caller.token.account, now).await).await?;
    let own = move |device: Device| OwnDevice { current: device.id == caller.token.session, device };
    Ok(devices.into_iter().map(own))
}
