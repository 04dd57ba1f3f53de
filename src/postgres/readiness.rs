//! Whether a node can answer requests: asked by the pools that requests use, of the server that their commits go to.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use crate::postgres::migrations;
use crate::postgres::{Database, DatabaseError};
use crate::runtime::clock::{Clock as _, SystemClock};

/// For how long an event may wait for its number, in seconds.
const NUMBERED_WITHIN: f64 = 5.0;

/// For how long a read model may be behind the log without coming closer. One that is far behind and moves is no reason to
/// answer no requests: after an upgrade, a new read model starts at the beginning.
const MOVES_WITHIN: Duration = Duration::from_secs(30);

/// How far the clock of the machine may be from the server's before the node warns.
const CLOCK_WARNS_BEYOND: TimeDelta = TimeDelta::seconds(2);

/// How far the clock of the machine may be from the server's before the node is not ready: its codes and tokens would live
/// noticeably longer or shorter than those of other nodes.
const CLOCK_IS_WRONG_BEYOND: TimeDelta = TimeDelta::seconds(10);

/// How often the node warns of its clock.
const CLOCK_WARNS_EVERY: Duration = Duration::from_secs(60);

/// Why a node is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// One of the pools has no connection that answers.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A migration is missing, or one was applied that this version does not know.
    #[error("the schema is not the one that this version needs")]
    OtherSchema,
    /// The server is a standby, or was made read-only.
    #[error("the database takes no writes")]
    ReadOnly,
    /// The clock of this machine or of the server is wrong.
    #[error("the clock of this machine and that of the database differ by {0:.1} s")]
    Clock(f64),
    /// No node gives the log its order.
    #[error("events have been waiting for their number for {0:.0} s")]
    Unnumbered(f64),
    /// A read model that follows the log does not.
    #[error("a read model is behind the log and has not moved for {0:.0} s")]
    StandingStill(f64),
    /// The database was not compared with the erasure register yet. It may be restored, and have accounts that were erased.
    #[error("the database was not compared with the erasure register yet")]
    ErasuresMissing,
}

impl From<tokio_postgres::Error> for NotReady {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What a node has seen of its readiness. Its threads share it.
#[derive(Debug, Default)]
pub struct Readiness {
    /// How far the read model had come that is furthest behind, and since when it is known to be there.
    behind: Mutex<Option<(i64, Instant)>>,
    /// When the node last warned of its clock.
    warned_of_clock_at: Mutex<Option<Instant>>,
}

impl Readiness {
    /// Asks by the pools of a thread.
    ///
    /// # Errors
    /// [`NotReady`], the first reason that was found.
    pub async fn check(&self, database: &Database) -> Result<(), NotReady> {
        let connection = database.connection().await?;
        if !migrations::are_current(&connection).await? {
            return Err(NotReady::OtherSchema);
        }
        let statement = connection.prepare_cached(include_str!("readiness.sql")).await?;
        let asked_at = SystemClock.now();
        let row = connection.query_one(&statement, &[]).await?;
        let answered_at = SystemClock.now();
        drop(connection);
        if row.get("read_only") {
            return Err(NotReady::ReadOnly);
        }
        self.check_clock(clock_offset(asked_at, row.get("server_time"), answered_at))?;
        if let Some(waiting) =
            row.get::<_, Option<f64>>("waiting").filter(|waiting| *waiting > NUMBERED_WITHIN)
        {
            return Err(NotReady::Unnumbered(waiting));
        }
        let (followed, numbered): (Option<i64>, i64) = (row.get("followed"), row.get("numbered"));
        let standing = self.standing_still(followed.filter(|followed| *followed < numbered), Instant::now());
        if standing > MOVES_WITHIN {
            return Err(NotReady::StandingStill(standing.as_secs_f64()));
        }
        Ok(database.ask_reader().await?)
    }

    /// Compares the clock of the machine itself, whichever clock the service goes by, with that of the server.
    fn check_clock(&self, offset: TimeDelta) -> Result<(), NotReady> {
        let seconds = offset.as_seconds_f64();
        metrics::gauge!("counterfoil_clock_offset_seconds").set(seconds);
        if offset.abs() > CLOCK_IS_WRONG_BEYOND {
            return Err(NotReady::Clock(seconds.abs()));
        }
        if offset.abs() > CLOCK_WARNS_BEYOND {
            let mut warned_at = self.warned_of_clock_at.lock().unwrap_or_else(PoisonError::into_inner);
            if warned_at.is_none_or(|warned_at| warned_at.elapsed() > CLOCK_WARNS_EVERY) {
                *warned_at = Some(Instant::now());
                tracing::warn!(
                    seconds,
                    "the clock of this machine is ahead of that of the database, or behind it"
                );
            }
        }
        Ok(())
    }

    /// For how long the read model that is furthest behind has been at that number; no time at all when none is behind.
    fn standing_still(&self, behind: Option<i64>, now: Instant) -> Duration {
        let mut seen = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        let since = seen.filter(|(at, _)| Some(*at) == behind).map_or(now, |(_, since)| since);
        *seen = behind.map(|at| (at, since));
        now.duration_since(since)
    }
}

/// How far a clock is ahead of the server's at least, where the server told its time between two times of that clock; negative
/// where it is behind.
fn clock_offset(
    asked_at: DateTime<Utc>,
    server_time: DateTime<Utc>,
    answered_at: DateTime<Utc>,
) -> TimeDelta {
    if server_time < asked_at { asked_at - server_time } else { answered_at.min(server_time) - server_time }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, TimeDelta};

    use tokio::time::Instant;

    use super::{Readiness, clock_offset};

    #[test]
    fn a_clock_is_wrong_by_what_the_time_between_question_and_answer_does_not_explain() {
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        for (server_time, offset) in [(0, 0_i64), (3, 0), (5, 0), (7, -2), (-4, 4)] {
            let expected = TimeDelta::seconds(offset);
            assert_eq!(clock_offset(at(0), at(server_time), at(5)), expected, "{server_time}");
        }
    }

    #[test]
    fn a_read_model_stands_still_from_when_it_was_first_seen_where_it_is() {
        let (readiness, start) = (Readiness::default(), Instant::now());
        let seen = [
            (None, 0),
            (Some(3), 10),
            (Some(3), 50),
            (Some(4), 60),
            (Some(4), 61),
            (None, 90),
            (Some(4), 99),
        ];
        let expected = [0, 0, 40, 0, 1, 0, 0];
        for ((behind, at), expected) in seen.into_iter().zip(expected) {
            let still = readiness.standing_still(behind, start + Duration::from_secs(at));
            assert_eq!(still, Duration::from_secs(expected), "{behind:?} at {at}");
        }
    }
}
