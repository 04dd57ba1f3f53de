//! The alarms that the shared limits raised.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_projections::SearchPage;
use serde::Serialize;
use utoipa::ToSchema;

use super::List;
use crate::http::Problem;
use crate::http::State;
use crate::http::answer::{self, Json, Sent};
use crate::http::document::OperationDoc;
use crate::http::extract::{Admin, Page, Query, Staff};
use crate::limits::{ALARM_LASTS, alarms};

/// As which list cursors name it.
const LIST: &str = "alarms";

/// An alarm that was raised.
#[derive(Serialize, ToSchema)]
#[schema(as = Alarm)]
pub struct RaisedAlarm {
    /// When it was raised.
    at: DateTime<Utc>,
    /// The limit that was reached, or `conversion`: a prefix was stopped, because too few of its codes were redeemed.
    #[schema(example = "wrong_codes")]
    alarm: String,
    /// A country (ISO 3166-1 alpha-2), or `service`.
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
    state: web::Data<State>,
    staff: Staff<Admin, Query<Page>>,
) -> Result<Sent<Json<List<RaisedAlarm>>>, Problem> {
    let Query(Page { limit, cursor }) = staff.asked;
    let after = cursor.map(|cursor| state.cursors.read(LIST, &cursor)).transpose()?;
    let SearchPage { items, next } = state.query(async |db: &_| alarms(db, after, limit.0).await).await?;
    let now = state.clock.now();
    let told = |alarm: crate::limits::RaisedAlarm| RaisedAlarm {
        current: now < alarm.at + ALARM_LASTS,
        at: alarm.at,
        alarm: alarm.alarm,
        subject: alarm.subject,
    };
    let items = items.into_iter().map(told).collect();
    Ok(answer::json(List::of(SearchPage { items, next }, &state.cursors, LIST)))
}
