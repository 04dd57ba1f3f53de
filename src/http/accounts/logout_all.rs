//! Sign out everywhere, or everywhere else.

use actix_web::{HttpRequest, web};

use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{ClientInfo, FromFields, JsonBody, RequestFields, SignedInCaller};
use crate::http::response::{self, ApiResponse, NoContent};

pub struct LogoutAllRequest {
    keep_current: bool,
}

impl FromFields for LogoutAllRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { keep_current: fields.flag("keep_current")? })
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "signOutEverywhere",
    summary: "Sign out on all devices, or on all others",
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    request: HttpRequest,
    client: ClientInfo,
    JsonBody(logout): JsonBody<LogoutAllRequest>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let ended = state.accounts.logout_all(caller.token, logout.keep_current, client.into()).await;
    ended.map_err(|error| state.problem(&error))?;
    Ok(if logout.keep_current { response::no_content() } else { response::signed_out(&request, &state.http) })
}
