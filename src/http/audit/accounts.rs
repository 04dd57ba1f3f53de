//! An account as it stood at a time, or after one of its events.

use actix_web::web;
use chrono::{DateTime, SecondsFormat, Utc};
use counterfoil_domain::values::{AccountId, Reason};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{on_record, problem, with_reason};
use crate::audit;
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AuditorRole, FromFields, InvalidParameter, QueryParams, RequestFields, StaffCaller,
};
use crate::http::response::{self, ApiResponse, OkJson};

/// The number of an event of an account, from 1 on.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(minimum = 1, example = 1)]
pub struct StepNumber(i64);

impl StepNumber {
    fn parse(text: &str) -> Result<Self, InvalidParameter> {
        let step = text.parse().ok().filter(|step| *step > 0);
        step.map(Self).ok_or(InvalidParameter("position_malformed"))
    }
}

#[derive(Debug)]
pub struct AccountAtFilter {
    at: Option<DateTime<Utc>>,
    step: Option<StepNumber>,
    reason: Option<Reason>,
}

impl FromFields for AccountAtFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let at = fields.time("at");
        let step = fields.optional("step", StepNumber::parse);
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
pub enum AccountAtResponse {
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
    state: web::Data<AppState>,
    staff: StaffCaller<AuditorRole, QueryParams<AccountAtFilter>>,
    account: web::Path<String>,
) -> Result<ApiResponse<OkJson<AccountAtResponse>>, Problem> {
    let account = AccountId(Uuid::try_parse(&account).map_err(|_| Problem::NotFound)?);
    let (asked, who) = with_reason(staff, |QueryParams(asked)| asked.reason.take())?;
    let QueryParams(AccountAtFilter { at, step, reason: _ }) = asked;
    let at = at.unwrap_or(state.clock.now());
    let what = match step {
        Some(StepNumber(step)) => format!("account {account} step={step}"),
        None => format!("account {account} at={}", at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
    };
    on_record(&state, &who, what, None).await?;
    let journal = state.accounts.journal();
    if let Some(StepNumber(step)) = step {
        let mut steps = audit::steps(journal, account).await.map_err(|error| problem(&error))?;
        let found = steps.find(|each| each.step == step).ok_or(Problem::NotFound)?;
        return Ok(response::json(AccountAtResponse::Step(Box::new(found))));
    }
    let standing = audit::standing_at(journal, account, at).await;
    let standing = standing.map_err(|error| problem(&error))?.ok_or(Problem::NotFound)?;
    Ok(response::json(AccountAtResponse::Standing(Box::new(standing))))
}
