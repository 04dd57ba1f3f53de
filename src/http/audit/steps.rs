//! An account event by event: each with what it made of the account.

use actix_web::web;
use counterfoil_domain::values::{AccountId, Reason};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{on_record, problem, with_reason};
use crate::audit::{self, AccountEvent, StateChange};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AuditorRole, DEFAULT_LIMIT, FromFields, LogPosition, PageLimit, QueryParams, RequestFields, StaffCaller,
    read_limit,
};
use crate::http::response::{self, ApiResponse, OkJson};

/// Which steps of an account are asked for.
#[derive(Debug)]
pub struct AccountStepFilter {
    after: Option<LogPosition>,
    limit: PageLimit,
    reason: Option<Reason>,
}

impl FromFields for AccountStepFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let after = fields.optional("after", LogPosition::parse);
        let limit = read_limit(fields);
        let reason = fields.reason();
        Some(Self { after: after?, limit: limit?.unwrap_or(DEFAULT_LIMIT), reason: reason? })
    }
}

/// An event of an account, and what was different after it.
#[derive(Serialize, ToSchema)]
pub struct AccountStep {
    /// Its number in the account's stream, from 1.
    step: i64,
    /// How many events the account has.
    of: i64,
    /// The event, with what can be opened of it.
    event: AccountEvent,
    /// What was different after it.
    changes: Vec<StateChange>,
}

/// A page of the steps of an account.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountSteps)]
pub struct AccountStepsResponse {
    items: Vec<AccountStep>,
    /// After which step the next page begins.
    next: Option<i64>,
}

pub const DOC: OperationDoc = OperationDoc {
    id: "accountSteps",
    summary: "Replay an account event by event",
    details: "In the order of its events, each with what it changed. Give `next` back as `after`. The account as it was after one of \
        them, `GET /audit/accounts/{id}/?step=` answers.",
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    staff: StaffCaller<AuditorRole, QueryParams<AccountStepFilter>>,
    account: web::Path<String>,
) -> Result<ApiResponse<OkJson<AccountStepsResponse>>, Problem> {
    let account = AccountId(Uuid::try_parse(&account).map_err(|_| Problem::NotFound)?);
    let (asked, who) = with_reason(staff, |QueryParams(asked)| asked.reason.take())?;
    let QueryParams(AccountStepFilter { after, limit, reason: _ }) = asked;
    let after = after.map_or(0, |after| after.0);
    let what = match after {
        0 => format!("account {account} steps"),
        after => format!("account {account} steps after={after}"),
    };
    on_record(&state, &who, what, None).await?;
    let steps = audit::steps(state.accounts.journal(), account).await.map_err(|error| problem(&error))?;
    let steps = steps.map(|step| {
        let audit::HistoryStep { step, of, event, state: _, changes } = step;
        AccountStep { step, of, event, changes }
    });
    let mut steps = steps.peekable();
    if steps.peek().is_none() {
        return Err(Problem::NotFound);
    }
    let mut steps = steps.skip_while(|step| step.step <= after);
    let items: Vec<AccountStep> = steps.by_ref().take(limit.0.into()).collect();
    let next = steps.next().and_then(|_| items.last().map(|last| last.step));
    Ok(response::json(AccountStepsResponse { items, next }))
}
