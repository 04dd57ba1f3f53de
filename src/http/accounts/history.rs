//! What happened to a person's sign-ins, for himself to read.

use std::num::NonZeroU8;

use actix_web::{HttpResponse, web};
use counterfoil_projections::login_history::{self, Line};
use serde::Serialize;

use crate::app::State;
use crate::http::Problem;
use crate::http::extract::{Caller, Fields, Form, Query, USUAL, Wrong, limit};

/// Which page of it.
#[derive(Debug)]
pub struct Wanted {
    after: Option<i64>,
    limit: NonZeroU8,
}

impl Form for Wanted {
    fn read(fields: &mut Fields) -> Option<Self> {
        let after = fields.optional("after", |text| {
            text.parse().ok().filter(|after| *after >= 0).ok_or(Wrong("position_malformed"))
        });
        let limit = limit(fields);
        Some(Self { after: after?, limit: limit?.unwrap_or(USUAL) })
    }
}

#[derive(Serialize)]
struct List {
    items: Vec<Line>,
    /// After which line the next page begins.
    next: Option<i64>,
}

pub async fn get(
    state: web::Data<State>,
    caller: Caller,
    Query(Wanted { after, limit }): Query<Wanted>,
) -> Result<HttpResponse, Problem> {
    let account = caller.token.account;
    let after = after.unwrap_or(i64::MAX);
    let items =
        state.query(async |db: &_| login_history::page(db, account, after, limit.get()).await).await?;
    let is_full = items.len() == usize::from(limit.get());
    let next = items.last().filter(|_| is_full).map(|last| last.sequence);
    Ok(HttpResponse::Ok().json(List { items, next }))
}
