//! The device sessions of everybody: search through them, and end one.

use actix_web::web;
use counterfoil_domain::values::SessionId;
use counterfoil_projections::user_login::search::{self, DeviceSession};

use super::session_search::{DeviceSessionSearchFilter, LIST_NAME};
use super::{ListResponse, ReasonedInterventionRequest, parse_id};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{AdminRole, JsonBody, QueryParams, StaffCaller};
use crate::http::response::{self, ApiResponse, NoContent, OkJson};

pub const LIST_DOC: OperationDoc = OperationDoc {
    id: "deviceSessions",
    summary: "Search through the device sessions of everybody",
    details: "`at` finds who was signed in at that time, each with the address that it had then. `ip_address`, an address \
        or a network, is compared with that address; without `at`, with the address that a session was last used from (by its \
        sign-in or a refresh), and with none that it had before. A page may have fewer items than asked for, or \
        none, and not be the last.",
    ..OperationDoc::EMPTY
};

pub async fn list(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, QueryParams<DeviceSessionSearchFilter>>,
) -> Result<ApiResponse<OkJson<ListResponse<DeviceSession>>>, Problem> {
    let QueryParams(search) = staff.asked;
    let Some(search) = search.resolve(&state).await? else {
        return Ok(response::json(ListResponse::empty()));
    };
    Ok(response::json(ListResponse::from_page(search.find(&state).await?, &state.cursors, LIST_NAME)))
}

pub const END_DOC: OperationDoc =
    OperationDoc { id: "endDeviceSession", summary: "End a device session", ..OperationDoc::EMPTY };

pub async fn end(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<ReasonedInterventionRequest>>,
    session: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let session = SessionId(parse_id(&session)?);
    let account = state.query(async |db: &_| search::account_of(db, session).await).await?;
    let account = account.ok_or(Problem::NotFound)?;
    let ((), who) = staff.into_action(|JsonBody(ReasonedInterventionRequest(grounds))| ((), grounds));
    let ended = state.accounts.end_session(account, session, who).await;
    ended.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}
