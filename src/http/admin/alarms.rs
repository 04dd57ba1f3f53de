//! The alarms that the shared limits and parked event listeners raised, and who has taken note of them.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::ActingStaff;
use counterfoil_projections::SearchPage;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ListResponse, ReasonRequest, parse_id};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AdminRole, FromFields, JsonBody, PageRequest, QueryParams, RequestFields, StaffCaller,
};
use crate::http::response::{self, ApiResponse, NoContent, OkJson};
use crate::limits::ALARM_LASTS;
use crate::limits::alarms::{self, StoredAlarm};

/// The name of this list in its cursors.
const LIST_NAME: &str = "alarms";

/// An alarm that was raised.
#[derive(Serialize, ToSchema)]
#[schema(as = Alarm)]
pub struct RaisedAlarm {
    /// The id of the alarm, by which it is acknowledged.
    id: Uuid,
    /// When it was raised.
    at: DateTime<Utc>,
    /// The limit that was reached; `conversion`: a prefix was stopped, because too few of its codes were redeemed; or
    /// `listener_parked`: an event listener failed to take an event many times in a row.
    #[schema(example = "wrong_codes")]
    alarm: String,
    /// A country (ISO 3166-1 alpha-2), `service`, or the name of an event listener.
    #[schema(example = "service")]
    subject: String,
    /// Whether it is less than an hour old. An alarm whose cause goes on is raised again every hour.
    current: bool,
    /// When a member of staff first took note of it; `null` until then.
    acknowledged_at: Option<DateTime<Utc>>,
    /// The member of staff who did.
    acknowledged_by: Option<ActingStaff>,
    /// The reason that they gave.
    acknowledged_reason: Option<String>,
}

/// Which alarms are listed.
#[derive(Debug)]
pub struct AlarmFilter {
    page: PageRequest,
    acknowledged: Option<bool>,
}

impl FromFields for AlarmFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let page = PageRequest::from_fields(fields);
        let acknowledged = fields.optional("acknowledged", str::parse);
        Some(Self { page: page?, acknowledged: acknowledged? })
    }
}

pub const LIST_DOC: OperationDoc = OperationDoc {
    id: "alarms",
    summary: "See the alarms of the last 30 days",
    details: "The newest first; with `acknowledged=false` those that no member of staff has taken note of.",
    ..OperationDoc::EMPTY
};

pub async fn list(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, QueryParams<AlarmFilter>>,
) -> Result<ApiResponse<OkJson<ListResponse<RaisedAlarm>>>, Problem> {
    let QueryParams(AlarmFilter { page: PageRequest { limit, cursor }, acknowledged }) = staff.asked;
    let after = cursor.map(|cursor| state.cursors.read(LIST_NAME, &cursor)).transpose()?;
    let personal_data = state.accounts.journal().personal_data().clone();
    let found =
        state.query(async |db: &_| alarms::alarms(db, &personal_data, acknowledged, after, limit.0).await);
    let SearchPage { items, next } = found.await?;
    let now = state.clock.now();
    let told = |StoredAlarm { id, at, alarm, subject, acknowledgement }: StoredAlarm| RaisedAlarm {
        id,
        current: now < at + ALARM_LASTS,
        at,
        alarm,
        subject,
        acknowledged_at: acknowledgement.as_ref().map(|noted| noted.at),
        acknowledged_by: acknowledgement.as_ref().and_then(|noted| noted.by.clone()),
        acknowledged_reason: acknowledgement.and_then(|noted| noted.reason),
    };
    let items = items.into_iter().map(told).collect();
    Ok(response::json(ListResponse::from_page(SearchPage { items, next }, &state.cursors, LIST_NAME)))
}

pub const ACKNOWLEDGE_DOC: OperationDoc = OperationDoc {
    id: "acknowledgeAlarm",
    summary: "Take note of an alarm",
    details: "The list shows who did so first, when and why. A second time, nothing happens. An alarm whose cause goes on is raised \
        again as another one.",
    problems: &[Problem::NotFound],
    ..OperationDoc::EMPTY
};

pub async fn acknowledge(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<ReasonRequest>>,
    alarm: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let alarm = parse_id(&alarm)?;
    let ((), who) = staff.into_action(|JsonBody(ReasonRequest { reason })| ((), reason));
    let noted = state.accounts.acknowledge_alarm(alarm, &who).await.map_err(|error| state.problem(&error))?;
    if noted { Ok(response::no_content()) } else { Err(Problem::NotFound) }
}
