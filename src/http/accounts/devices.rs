//! The devices a person is signed in on: look at them, name one, sign one out.

use actix_web::{HttpResponse, web};
use counterfoil_domain::values::{DeviceName, SessionId};
use counterfoil_projections::user_login::{self, Device};
use serde::Serialize;
use uuid::Uuid;

use crate::app::State;
use crate::http::Problem;
use crate::http::extract::{Body, Caller, Fields, Form, Peer};

pub struct DeviceUpdate {
    device_name: DeviceName,
}

impl Form for DeviceUpdate {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { device_name: fields.required("device_name", DeviceName::parse)? })
    }
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    device: Device,
    current: bool,
}

pub async fn get(state: web::Data<State>, caller: Caller) -> Result<HttpResponse, Problem> {
    let devices: Vec<Answer> = active(&state, caller).await?.collect();
    Ok(HttpResponse::Ok().json(devices))
}

pub async fn patch(
    state: web::Data<State>,
    caller: Caller,
    peer: Peer,
    id: web::Path<String>,
    Body(update): Body<DeviceUpdate>,
) -> Result<HttpResponse, Problem> {
    let id = session(&id)?;
    let renamed = state.accounts.rename_device(caller.token, id, update.device_name, peer.into()).await;
    renamed.map_err(|error| state.problem(&error))?;
    let device = active(&state, caller).await?.find(|answer| answer.device.id == id);
    Ok(HttpResponse::Ok().json(device.ok_or(Problem::NotFound)?))
}

pub async fn delete(
    state: web::Data<State>,
    caller: Caller,
    peer: Peer,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let revoked = state.accounts.revoke_device(caller.token, session(&id)?, peer.into()).await;
    revoked.map_err(|error| state.problem(&error))?;
    Ok(HttpResponse::NoContent().finish())
}

/// An id that cannot be one is nobody's.
fn session(id: &str) -> Result<SessionId, Problem> {
    Uuid::try_parse(id).map(SessionId).map_err(|_| Problem::NotFound)
}

async fn active(state: &State, caller: Caller) -> Result<impl Iterator<Item = Answer>, Problem> {
    let now = state.clock.now();
    let devices = state.query(async |db| user_login::active(db, caller.token.account, now).await).await?;
    let answer = move |device: Device| Answer { current: device.id == caller.token.session, device };
    Ok(devices.into_iter().map(answer))
}
