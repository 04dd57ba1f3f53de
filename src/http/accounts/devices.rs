//! The devices a person is signed in on: look at them, name one, sign one out.

use actix_web::{HttpRequest, web};
use counterfoil_domain::values::{DeviceName, SessionId};
use counterfoil_projections::user_login::{self, Device};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{ClientInfo, FromFields, JsonBody, RequestFields, SignedInCaller};
use crate::http::response::{self, ApiResponse, NoContent, OkJson};

pub struct RenameDeviceRequest {
    device_name: DeviceName,
}

impl FromFields for RenameDeviceRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
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
pub struct OwnDevicesResponse(Vec<OwnDevice>);

pub const LIST_DOC: OperationDoc =
    OperationDoc { id: "devices", summary: "See where one is signed in", ..OperationDoc::EMPTY };

pub async fn list(
    state: web::Data<AppState>,
    caller: SignedInCaller,
) -> Result<ApiResponse<OkJson<OwnDevicesResponse>>, Problem> {
    Ok(response::json(OwnDevicesResponse(active(&state, caller).await?.collect())))
}

pub const RENAME_DOC: OperationDoc =
    OperationDoc { id: "renameDevice", summary: "Name a device", ..OperationDoc::EMPTY };

pub async fn rename(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    client: ClientInfo,
    id: web::Path<String>,
    JsonBody(update): JsonBody<RenameDeviceRequest>,
) -> Result<ApiResponse<OkJson<OwnDevice>>, Problem> {
    let id = parse_session_id(&id)?;
    let renamed = state.accounts.rename_device(caller.token, id, update.device_name, client.into()).await;
    renamed.map_err(|error| state.problem(&error))?;
    let device = active(&state, caller).await?.find(|answer| answer.device.id == id);
    Ok(response::json(device.ok_or(Problem::NotFound)?))
}

pub const SIGN_OUT_DOC: OperationDoc =
    OperationDoc { id: "signOutDevice", summary: "Sign a device out", ..OperationDoc::EMPTY };

pub async fn sign_out(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    request: HttpRequest,
    client: ClientInfo,
    id: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let device = parse_session_id(&id)?;
    let revoked = state.accounts.revoke_device(caller.token, device, client.into()).await;
    revoked.map_err(|error| state.problem(&error))?;
    let is_current = device == caller.token.session;
    Ok(if is_current { response::signed_out(&request, &state.http) } else { response::no_content() })
}

/// Parses the id of a session. A text that is no id belongs to no session.
fn parse_session_id(id: &str) -> Result<SessionId, Problem> {
    Uuid::try_parse(id).map(SessionId).map_err(|_| Problem::NotFound)
}

async fn active(
    state: &AppState,
    caller: SignedInCaller,
) -> Result<impl Iterator<Item = OwnDevice>, Problem> {
    let now = state.clock.now();
    let devices = state.query(async |db| user_login::active(db, caller.token.account, now).await).await?;
    let own = move |device: Device| OwnDevice { current: device.id == caller.token.session, device };
    Ok(devices.into_iter().map(own))
}
