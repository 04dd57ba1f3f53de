//! The erasure of an account by staff.

use actix_web::web;
use counterfoil_domain::values::AccountId;

use super::{ReasonedInterventionRequest, parse_id};
use crate::http::document::OperationDoc;
use crate::http::extract::{AdminRole, JsonBody, StaffCaller};
use crate::http::response::{self, ApiResponse, ErasedOrPostponed};
use crate::http::{AppState, Problem};

pub const DOC: OperationDoc = OperationDoc {
    id: "eraseAccount",
    summary: "Erase an account",
    details: "All its sessions end. The keys of what is personal in its events are destroyed, and what was known of its user is \
        deleted. Nothing brings it back. Its number and its address are free again. The answer says what was destroyed; \
        a second time it is the same. With `privacy.erasure_delay` the account is closed, and the answer is 202 with the time at which \
        it is erased; its user keeps it by signing in before. An administrator erases their own account by `DELETE /accounts/profile/`.",
    problems: &[Problem::OwnAccount],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<ReasonedInterventionRequest>>,
    account: web::Path<String>,
) -> Result<ApiResponse<ErasedOrPostponed>, Problem> {
    let ((), who) = staff.into_action(|JsonBody(ReasonedInterventionRequest(grounds))| ((), grounds));
    let erased = state.accounts.erase(AccountId(parse_id(&account)?), who).await;
    Ok(response::erasure(&erased.map_err(|error| state.problem(&error))?))
}
