//! How many messages were sent, and how many were not, hour by hour. The log does not have it and nothing waits for it, so
//! it is counted behind the workers, from the outbox, in which messages stay for a while.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use counterfoil_projections::statistics::StatisticsSpan;
use deadpool_postgres::Client;
use serde::Serialize;
use tokio_postgres::Error;
use utoipa::ToSchema;

/// Messages, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeliveryOutcomes {
    /// A gateway took them.
    pub sent: i64,
    /// No gateway could deliver them.
    pub failed: i64,
    /// No gateway took them before they were of no more use.
    pub expired: i64,
    /// A later code had made them void.
    pub replaced: i64,
}

/// Counts the hours in which messages were settled since it was last done, and the last of those before anew.
///
/// # Errors
/// When the database does not answer.
pub async fn count(db: &Client) -> Result<u64, Error> {
    let statement = db.prepare_cached(include_str!("sql/count_outcomes.sql")).await?;
    db.execute(&statement, &[]).await
}

/// What became of messages in the hours or days that begin since the first time and before the second, as far as it has been
/// counted, by when they began.
///
/// # Errors
/// When the database does not answer.
pub async fn between(
    db: &Client,
    span: StatisticsSpan,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<BTreeMap<DateTime<Utc>, DeliveryOutcomes>, Error> {
    let statement = db.prepare_cached(include_str!("sql/outcomes.sql")).await?;
    let seconds = span.length().as_seconds_f64();
    let rows = db.query(&statement, &[&seconds, &since, &until]).await?;
    let outcomes = rows.iter().map(|row| {
        let outcomes = DeliveryOutcomes {
            sent: row.get("sent"),
            failed: row.get("failed"),
            expired: row.get("expired"),
            replaced: row.get("replaced"),
        };
        (row.get("since"), outcomes)
    });
    Ok(outcomes.collect())
}
