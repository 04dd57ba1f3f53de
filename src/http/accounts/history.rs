//! What happened to a person's sign-ins, for himself to read.

use actix_web::web;
use counterfoil_projections::login_history::{self, HistoryLine};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Problem;
use crate::http::State;
use crate::http::answer::{self, Json, Sent};
use crate::http::document::OperationDoc;
use crate::http::extract::{Caller, Fields, Form, Limit, Position, Query, USUAL, limit};

/// Which page of it.
#[derive(Debug)]
pub struct Wanted {
    after: Option<Position>,
    limit: Limit,
}

impl Form for Wanted {
    fn read(fields: &mut Fields) -> Option<Self> {
        let after = fields.optional("after", Position::parse);
        let limit = limit(fields);
        Some(Self { after: after?, limit: limit?.unwrap_or(USUAL) })
    }
}

/// A page of the history, the newest first.
#[derive(Serialize, ToSchema)]
pub struct History {
    items: Vec<HistoryLine>,
    /// After which line the next page begins.
    next: Option<i64>,
}

pub const DOC: OperationDoc =
    OperationDoc { id: "history", summary: "Read what happened to one’s sign-ins", ..OperationDoc::EMPTY };

pub async fn handler(
    state: web::Data<State>,
    caller: Caller,
    Query(Wanted { after, limit }): Query<Wanted>,
) -> Result<Sent<Json<History>>, Problem> {
    let account = caller.token.account;
    let after = after.map_or(i64::MAX, |after| after.0);
    let items = state.query(async |db: &_| login_history::page(db, account, after, limit.0).await).await?;
    let is_full = items.len() == usize::from(limit.0);
    let next = items.last().filter(|_| is_full).map(|last| last.sequence);
    Ok(answer::json(History { items, next }))
}
