//! Legal holds, which keep accounts from being erased.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{ActingStaff, LegalHold};
use counterfoil_domain::values::AccountId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ReasonedInterventionRequest, parse_id};
use crate::accounts::ActionGrounds;
use crate::http::document::OperationDoc;
use crate::http::extract::{AdminRole, FromFields, JsonBody, RequestFields, StaffCaller};
use crate::http::response::{self, ApiResponse, NoContent};
use crate::http::{AppState, Problem};

/// A legal hold on an account.
#[derive(Serialize, ToSchema)]
pub struct LegalHoldResponse {
    /// When the hold ends by itself.
    until: DateTime<Utc>,
    /// The member of staff who placed it. The event has the reason.
    placed_by: ActingStaff,
}

impl From<&LegalHold> for LegalHoldResponse {
    fn from(hold: &LegalHold) -> Self {
        Self { until: hold.until, placed_by: hold.by.clone() }
    }
}

#[derive(Debug)]
pub struct PlaceLegalHoldRequest {
    grounds: ActionGrounds,
    until: DateTime<Utc>,
}

impl FromFields for PlaceLegalHoldRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let grounds = fields.required_grounds();
        let until = fields.required_time("until");
        Some(Self { grounds: grounds?, until: until? })
    }
}

pub const PLACE_DOC: OperationDoc = OperationDoc {
    id: "placeLegalHold",
    summary: "Keep an account from being erased",
    details: "Until then, or until the hold is released. Its user can use it as before. An order to erase it meanwhile \
        closes it, and is answered 202 with the time at which the hold ends. Another hold takes the place of the one before.",
    problems: &[Problem::OwnAccount],
    ..OperationDoc::EMPTY
};

pub async fn place(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<PlaceLegalHoldRequest>>,
    account: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let (until, who) = staff.into_action(|JsonBody(asked)| (asked.until, asked.grounds));
    if until <= state.clock.now() {
        return Err(Problem::invalid_field("until", "time_past"));
    }
    let placed = state.accounts.place_legal_hold(AccountId(parse_id(&account)?), until, who).await;
    placed.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}

pub const RELEASE_DOC: OperationDoc = OperationDoc {
    id: "releaseLegalHold",
    summary: "Release a legal hold",
    details: "An erasure that waited for it takes place within a minute.",
    problems: &[Problem::OwnAccount],
    ..OperationDoc::EMPTY
};

pub async fn release(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<ReasonedInterventionRequest>>,
    account: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let ((), who) = staff.into_action(|JsonBody(ReasonedInterventionRequest(grounds))| ((), grounds));
    let released = state.accounts.release_legal_hold(AccountId(parse_id(&account)?), who).await;
    released.map_err(|error| state.problem(&error))?;
    Ok(response::no_content())
}
