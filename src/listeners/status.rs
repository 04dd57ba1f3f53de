//! How listeners stand, and what an operator does about one that is parked.

use std::fmt;

use chrono::{DateTime, Utc};
use deadpool_postgres::Client;
use serde::Serialize;
use tokio_postgres::{Error, Row};
use utoipa::ToSchema;

/// How an event listener stands. Every listener is listed that a node has ever had.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = EventListener)]
pub struct ListenerStatus {
    /// The name of the listener.
    #[schema(example = "billing")]
    pub name: String,
    /// Whether events are handed over to it.
    pub state: ListenerState,
    /// The number of the ledger that it is done with.
    pub position: i64,
    /// How many events are after its position, whether or not it wants them, those included that have no number yet.
    pub behind: i64,
    /// For how long the first of these has been waiting.
    pub seconds_behind: f64,
    /// How often in a row it has failed to take its next event.
    pub failures: i32,
    /// The number of the event that it failed to take.
    pub stands_at: Option<i64>,
    /// Why it failed, in the words of the program.
    pub error: Option<String>,
    /// When it tries again by itself.
    pub retry_at: Option<DateTime<Utc>>,
    /// Since when it has been parked.
    pub parked_at: Option<DateTime<Utc>>,
    /// How many events were passed over by order of an operator.
    pub skipped: i64,
}

/// Whether events are handed over to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EventListenerState)]
pub enum ListenerState {
    /// It takes events, or has none to take.
    Current,
    /// It failed to take an event, and will be tried again within seconds.
    WaitingToRetry,
    /// It failed many times in a row. It is tried again every few minutes, and an alarm is raised.
    Parked,
}

impl ListenerStatus {
    fn from_row(row: &Row) -> Self {
        let (failures, parked_at): (i32, Option<DateTime<Utc>>) = (row.get("failures"), row.get("parked_at"));
        let state = match (failures, parked_at) {
            (_, Some(_)) => ListenerState::Parked,
            (0, None) => ListenerState::Current,
            (_, None) => ListenerState::WaitingToRetry,
        };
        Self {
            name: row.get("name"),
            state,
            position: row.get("position"),
            behind: row.get("behind"),
            seconds_behind: row.get("seconds_behind"),
            failures,
            stands_at: row.get("stands_at"),
            error: row.get("error"),
            retry_at: row.get("retry_at"),
            parked_at,
            skipped: row.get("skipped"),
        }
    }
}

/// In a few words.
impl fmt::Display for ListenerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            ListenerState::Current => return f.write_str("current"),
            ListenerState::WaitingToRetry => "waiting to retry",
            ListenerState::Parked => "parked",
        };
        let (at, error) = (self.stands_at.unwrap_or_default(), self.error.as_deref().unwrap_or_default());
        write!(f, "{state} at event {at} after {} failures: {error}", self.failures)
    }
}

/// What an order to pass over an event has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipOutcome {
    /// The listener goes on after the event.
    Skipped,
    /// The listener does not stand at that event.
    NotThere,
    /// A node is handing the event over.
    Busy,
}

/// Returns how every listener stands.
///
/// # Errors
/// When the database does not answer.
pub async fn overview(db: &Client) -> Result<Vec<ListenerStatus>, Error> {
    let statement = db.prepare_cached(include_str!("sql/status.sql")).await?;
    Ok(db.query(&statement, &[]).await?.iter().map(ListenerStatus::from_row).collect())
}

/// Has a listener tried again at once. Returns whether there is one of that name.
///
/// # Errors
/// When the database does not answer.
pub async fn resume(db: &Client, name: &str) -> Result<bool, Error> {
    Ok(db.execute(include_str!("sql/resume.sql"), &[&name]).await? > 0)
}

/// Passes over the event that a listener stands at, and keeps a record of it with the reason.
///
/// # Errors
/// When the database does not answer.
pub async fn skip_event(db: &Client, name: &str, seq: i64, reason: &str) -> Result<SkipOutcome, Error> {
    if db.execute(include_str!("sql/skip.sql"), &[&name, &seq, &reason]).await? > 0 {
        return Ok(SkipOutcome::Skipped);
    }
    let sql = "SELECT FROM listeners WHERE name = $1 AND stands_at = $2";
    let stands_there = db.query_opt(sql, &[&name, &seq]).await?.is_some();
    Ok(if stands_there { SkipOutcome::Busy } else { SkipOutcome::NotThere })
}
