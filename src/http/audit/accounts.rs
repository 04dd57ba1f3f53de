//! An account as it stood at a time, or after one of its events.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::values::{AccountId, Reason};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{on_record, problem};
use crate::audit;
use crate::http::Problem;
use crate::http::State;
use crate::http::answer::{self, Json, Sent};
use crate::http::document::OperationDoc;
use crate::http::extract::{Auditor, Fields, Form, Query, Staff, Wrong};

/// Which of an account's events.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(minimum = 1, example = 1)]
pub struct Step(i64);

impl Step {
    fn parse(text: &str) -> Result<Self, Wrong> {
        let step = text.parse().ok().filter(|step| *step > 0);
        step.map(Self).ok_or(Wrong("position_malformed"))
    }
}

#[derive(Debug)]
pub struct When {
    at: Option<DateTime<Utc>>,
    step: Option<Step>,
    reason: Option<Reason>,
}

impl Form for When {
    fn read(fields: &mut Fields) -> Option<Self> {
        let at = fields.time("at");
        let step = fields.optional("step", Step::parse);
        let reason = fields.reason();
        if matches!((at, step), (Some(Some(_)), Some(Some(_)))) {
            fields.complain("step", "field_one_time");
            return None;
        }
        Some(Self { at: at?, step: step?, reason: reason? })
    }
}

/// An account at a time, or one of its events.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Shown {
    /// The event, and what it made of the account.
    Step(Box<audit::HistoryStep>),
    /// The account at the time.
    Standing(Box<audit::AccountStanding>),
}

pub const DOC: OperationDoc = OperationDoc {
    id: "accountAt",
    summary: "See an account as it stood",
    details: "At the time `at`, or after its event number `step`.",
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<State>,
    mut staff: Staff<Auditor, Query<When>>,
    account: web::Path<String>,
) -> Result<Sent<Json<Shown>>, Problem> {
    let account = AccountId(Uuid::try_parse(&account).map_err(|_| Problem::NotFound)?);
    let named = staff.asked.0.reason.take();
    let now = state.clock.now();
    let what = |Query(When { at, step, reason: _ }): &Query<When>| match step {
        Some(Step(step)) => format!("account {account} step={step}"),
        None => {
            let at = at.unwrap_or(now).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
            format!("account {account} at={at}")
        }
    };
    let Query(When { at, step, reason: _ }) = on_record(&state, staff, named, what).await?;
    let journal = state.accounts.journal();
    if let Some(Step(step)) = step {
        let mut steps = audit::steps(journal, account).await.map_err(|error| problem(&error))?;
        let found = steps.find(|each| each.step == step).ok_or(Problem::NotFound)?;
        return Ok(answer::json(Shown::Step(Box::new(found))));
    }
    let standing = audit::standing_at(journal, account, at.unwrap_or(now)).await;
    let standing = standing.map_err(|error| problem(&error))?.ok_or(Problem::NotFound)?;
    Ok(answer::json(Shown::Standing(Box::new(standing))))
}
