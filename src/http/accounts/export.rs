//! Everything that is held about a user, for the user to keep.

use actix_web::{HttpRequest, web};

use crate::http::account_export::{self, AccountExportResponse};
use crate::http::document::OperationDoc;
use crate::http::extract::{ClientInfo, SignedInCaller, refuse_other_sites};
use crate::http::problem::A_MINUTE;
use crate::http::response::ApiResponse;
use crate::http::{AppState, Problem};

pub const DOC: OperationDoc = OperationDoc {
    id: "exportAccount",
    summary: "Get everything that is held about oneself",
    details: "It takes a sign-in, or the second factor, within ten minutes in this session. The answer is one document: the profile, \
        the devices, the addresses that they were at, the login history, the messages, and every event of the account. It holds no \
        secret. The export is an event, and the owner of the account is told.",
    problems: &[Problem::FreshProofRequired, Problem::CrossSiteRequest, Problem::TooManyRequests(A_MINUTE)],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    request: HttpRequest,
    caller: SignedInCaller,
    client: ClientInfo,
) -> Result<ApiResponse<AccountExportResponse>, Problem> {
    // It only reads by its method, and yet it leaves an event and a message.
    refuse_other_sites(&request)?;
    let recorded = state.accounts.record_export(caller.token, client.into()).await;
    recorded.map_err(|error| state.problem(&error))?;
    account_export::export(&state, caller.token.account).await?.ok_or(Problem::InvalidAccessToken)
}
