//! An account as it stood at a time, or after one of its events.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use counterfoil_domain::values::{AccountId, Reason};
use uuid::Uuid;

use super::{on_record, problem, reason};
use crate::app::State;
use crate::audit;
use crate::http::Problem;
use crate::http::extract::{Auditor, Fields, Form, Query, Staff, Wrong, time};

#[derive(Debug)]
pub struct When {
    at: Option<DateTime<Utc>>,
    step: Option<i64>,
    reason: Option<Reason>,
}

impl Form for When {
    fn read(fields: &mut Fields) -> Option<Self> {
        let at = fields.optional("at", time);
        let step = fields.optional("step", |text| {
            text.parse().ok().filter(|step| *step > 0).ok_or(Wrong("position_malformed"))
        });
        let reason = reason(fields);
        if matches!((at, step), (Some(Some(_)), Some(Some(_)))) {
            fields.complain("step", "field_one_time");
            return None;
        }
        Some(Self { at: at?, step: step?, reason: reason? })
    }
}

pub async fn get(
    state: web::Data<State>,
    request: HttpRequest,
    mut staff: Staff<Auditor, Query<When>>,
    account: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let account = AccountId(Uuid::try_parse(&account).map_err(|_| Problem::NotFound)?);
    let named = staff.asked.0.reason.take();
    let now = state.clock.now();
    let what = |Query(When { at, step, reason: _ }): &Query<When>| match step {
        Some(step) => format!("account {account} step={step}"),
        None => {
            let at = at.unwrap_or(now).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
            format!("account {account} at={at}")
        }
    };
    let Query(When { at, step, reason: _ }) = on_record(&state, &request, staff, named, what).await?;
    let journal = state.accounts.journal();
    if let Some(step) = step {
        let mut steps = audit::steps(journal, account).await.map_err(|error| problem(&error))?;
        let found = steps.find(|each| each.step == step).ok_or(Problem::NotFound)?;
        return Ok(HttpResponse::Ok().json(found));
    }
    let standing = audit::standing_at(journal, account, at.unwrap_or(now)).await;
    let standing = standing.map_err(|error| problem(&error))?.ok_or(Problem::NotFound)?;
    Ok(HttpResponse::Ok().json(standing))
}
