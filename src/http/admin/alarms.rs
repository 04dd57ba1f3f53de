//! The alarms that the shared limits and parked event listeners raised.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_projections::SearchPage;
use serde::Serialize;
use utoipa::ToSchema;

use super::ListResponse;
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{AdminRole, PageRequest, QueryParams, StaffCaller};
use crate::http::response::{self, ApiResponse, OkJson};
use crate::limits::{ALARM_LASTS, alarms};

/// The name of this list in its cursors.
const LIST_NAME: &str = "alarms";

/// An alarm that was raised.
#[derive(Serialize, ToSchema)]
#[schema(as = Alarm)]
pub struct RaisedAlarm {
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
}

pub const DOC: OperationDoc = OperationDoc {
    id: "alarms",
    summary: "See the alarms of the last 30 days",
    details: "The newest first.",
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, QueryParams<PageRequest>>,
) -> Result<ApiResponse<OkJson<ListResponse<RaisedAlarm>>>, Problem> {
    let QueryParams(PageRequest { limit, cursor }) = staff.asked;
    let after = cursor.map(|cursor| state.cursors.read(LIST_NAME, &cursor)).transpose()?;
    let SearchPage { items, next } = state.query(async |db: &_| alarms(db, after, limit.0).await).await?;
    let now = state.clock.now();
    let told = |alarm: crate::limits::RaisedAlarm| RaisedAlarm {
        current: now < alarm.at + ALARM_LASTS,
        at: alarm.at,
        alarm: alarm.alarm,
        subject: alarm.subject,
    };
    let items = items.into_iter().map(told).collect();
    Ok(response::json(ListResponse::from_page(SearchPage { items, next }, &state.cursors, LIST_NAME)))
}
