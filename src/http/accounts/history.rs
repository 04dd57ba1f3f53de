//! What happened to the sign-ins of a user, for the user to read.

use actix_web::web;
use counterfoil_projections::login_history::{self, HistoryLine};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    DEFAULT_LIMIT, FromFields, LogPosition, PageLimit, QueryParams, RequestFields, SignedInCaller, read_limit,
};
use crate::http::response::{self, ApiResponse, OkJson};

/// The page of the history that is asked for.
#[derive(Debug)]
pub struct HistoryFilter {
    after: Option<LogPosition>,
    limit: PageLimit,
}

impl FromFields for HistoryFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let after = fields.optional("after", LogPosition::parse);
        let limit = read_limit(fields);
        Some(Self { after: after?, limit: limit?.unwrap_or(DEFAULT_LIMIT) })
    }
}

/// A page of the history, the newest first.
#[derive(Serialize, ToSchema)]
pub struct HistoryResponse {
    items: Vec<HistoryLine>,
    /// After which line the next page begins.
    next: Option<i64>,
}

pub const DOC: OperationDoc =
    OperationDoc { id: "history", summary: "Read what happened to one’s sign-ins", ..OperationDoc::EMPTY };

pub async fn handler(
    state: web::Data<AppState>,
    caller: SignedInCaller,
    QueryParams(HistoryFilter { after, limit }): QueryParams<HistoryFilter>,
) -> Result<ApiResponse<OkJson<HistoryResponse>>, Problem> {
    let account = caller.token.account;
    let after = after.map_or(i64::MAX, |after| after.0);
    let items = state.query(async |db: &_| login_history::page(db, account, after, limit.0).await).await?;
    let is_full = items.len() == usize::from(limit.0);
    let next = items.last().filter(|_| is_full).map(|last| last.sequence);
    Ok(response::json(HistoryResponse { items, next }))
}
