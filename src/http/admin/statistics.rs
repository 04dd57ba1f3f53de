//! How much happened, hour by hour or day by day.

use std::collections::BTreeMap;

use actix_web::web;
use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_projections::statistics::{self, ActivityCounts, StatisticsSpan};
use serde::Serialize;
use utoipa::ToSchema;

use crate::delivery::outcomes::{self, DeliveryOutcomes};
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AdminRole, FromFields, InvalidParameter, QueryParams, RequestFields, StaffCaller,
};
use crate::http::response::{self, ApiResponse, OkJson};

/// The shortest time that is told apart.
const INSTANT: TimeDelta = TimeDelta::microseconds(1);

/// The hours or days that are asked for.
#[derive(Debug)]
pub struct StatisticsFilter {
    by: Option<StatisticsSpan>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl FromFields for StatisticsFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let by = fields.optional("by", span);
        let (since, until) = (fields.time("since"), fields.time("until"));
        Some(Self { by: by?, since: since?, until: until? })
    }
}

fn span(name: &str) -> Result<StatisticsSpan, InvalidParameter> {
    match name {
        "hour" => Ok(StatisticsSpan::Hour),
        "day" => Ok(StatisticsSpan::Day),
        _ => Err(InvalidParameter("span_unknown")),
    }
}

/// What is counted together, from when on, and until when: whole hours or days.
#[derive(Clone, Copy, Debug)]
struct CountedSpan {
    by: StatisticsSpan,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl StatisticsFilter {
    /// The last 24 hours or 30 days, the present one included, where nothing else is said; at most 31 days by the hour and
    /// 400 by the day.
    fn counted_span(self, now: DateTime<Utc>) -> Result<CountedSpan, Problem> {
        let by = self.by.unwrap_or(StatisticsSpan::Hour);
        let (usual, most) = match by {
            StatisticsSpan::Hour => (TimeDelta::hours(23), TimeDelta::days(31)),
            StatisticsSpan::Day => (TimeDelta::days(29), TimeDelta::days(400)),
        };
        let until = self.until.unwrap_or(now + INSTANT);
        let last = by.start(until - INSTANT);
        let since = self.since.unwrap_or(last - usual);
        if since >= until {
            return Err(Problem::invalid_field("since", "since_not_before"));
        }
        if last - by.start(since) > most {
            return Err(Problem::invalid_field("since", "span_too_long"));
        }
        Ok(CountedSpan { by, since: by.start(since), until })
    }
}

/// How much happened, hour by hour or day by day.
#[derive(Serialize, ToSchema)]
pub struct StatisticsResponse {
    /// What is counted together: `hour` or `day`, in UTC.
    by: StatisticsSpan,
    /// Every hour or day that was asked for, the first one first; those that are not over yet as they are so far.
    items: Vec<StatisticsBucket>,
}

/// What happened in an hour or a day.
#[derive(Serialize, ToSchema)]
struct StatisticsBucket {
    /// When the hour or day began.
    since: DateTime<Utc>,
    /// What the log tells of it.
    #[serde(flatten)]
    counts: ActivityCounts,
    /// Messages, by what became of them then.
    messages: DeliveryOutcomes,
}

pub const DOC: OperationDoc = OperationDoc {
    id: "statistics",
    summary: "See how much happened, hour by hour or day by day",
    details: "In UTC: the last 24 hours or 30 days, where nothing else is said; at most 31 days by the hour and 400 by the day.",
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, QueryParams<StatisticsFilter>>,
) -> Result<ApiResponse<OkJson<StatisticsResponse>>, Problem> {
    let QueryParams(filter) = staff.asked;
    let CountedSpan { by, since, until } = filter.counted_span(state.clock.now())?;
    let found = state.query(async |db: &_| {
        let counts = statistics::between(db, by, since, until).await?;
        Ok((counts, outcomes::between(db, by, since, until).await?))
    });
    let (counts, messages) = found.await?;
    Ok(response::json(StatisticsResponse { by, items: buckets(by, since, until, &counts, &messages) }))
}

/// Every hour or day of a time, those in which nothing happened included.
fn buckets(
    by: StatisticsSpan,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    counts: &BTreeMap<DateTime<Utc>, ActivityCounts>,
    messages: &BTreeMap<DateTime<Utc>, DeliveryOutcomes>,
) -> Vec<StatisticsBucket> {
    let next = |since: &DateTime<Utc>| Some(*since + by.length());
    let starts = std::iter::successors(Some(since), next).take_while(|since| *since < until);
    let bucket = |since| StatisticsBucket {
        since,
        counts: counts.get(&since).copied().unwrap_or_default(),
        messages: messages.get(&since).copied().unwrap_or_default(),
    };
    starts.map(bucket).collect()
}
