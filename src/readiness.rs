//! Whether a node can answer requests: asked by the pools that requests use, of the server that their commits go to.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::database::{Database, DatabaseError};
use crate::migrations;

/// For how long an event may wait for its number, in seconds.
const NUMBERED_WITHIN: f64 = 5.0;

/// For how long a read model may be behind the log without coming closer. One that is far behind and moves is no reason to
/// answer no requests: after an upgrade, a new read model starts at the beginning.
const MOVES_WITHIN: Duration = Duration::from_secs(30);

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
    /// No node gives the log its order.
    #[error("events have been waiting for their number for {0:.0} s")]
    Unnumbered(f64),
    /// A read model that follows the log does not.
    #[error("a read model is behind the log and has not moved for {0:.0} s")]
    StandingStill(f64),
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
        let row = connection.query_one(&statement, &[]).await?;
        drop(connection);
        if row.get("read_only") {
            return Err(NotReady::ReadOnly);
        }
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

    /// For how long the read model that is furthest behind has been at that number; no time at all when none is behind.
    fn standing_still(&self, behind: Option<i64>, now: Instant) -> Duration {
        let mut seen = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        let since = seen.filter(|(at, _)| Some(*at) == behind).map_or(now, |(_, since)| since);
        *seen = behind.map(|at| (at, since));
        now.duration_since(since)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Readiness;

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
