//! The log as it grows. Each node looks once for all followers; what is new each of them reads alone, with a filter of
//! its own and at its own pace.

use std::time::Duration;

use tokio::sync::watch;

use crate::postgres::{Database, DatabaseError};
use crate::runtime::restart::restarted;

/// How often the ledger is looked at, while it has a follower.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Tells how far the log has come.
#[derive(Clone, Debug)]
pub struct LedgerFeed {
    end: watch::Sender<Option<i64>>,
}

impl LedgerFeed {
    /// Looks at the ledger of that database, whenever it has a follower, for as long as the present runtime lives.
    pub fn start(database: Database) -> Self {
        let feed = Self { end: watch::Sender::new(Some(0)) };
        let end = feed.end.clone();
        tokio::spawn(restarted("the audit feed", move || look(database.clone(), end.clone())));
        feed
    }

    /// How far the log has come; changes when it has come further, and to nothing when the service stops.
    pub fn follow(&self) -> watch::Receiver<Option<i64>> {
        self.end.subscribe()
    }

    /// Tells those who follow that the service stops.
    pub fn stop(&self) {
        self.end.send_replace(None);
    }

    /// Whether the service stops, for a stream that follows something else: as a follower it would have the ledger looked at.
    pub fn has_stopped(&self) -> bool {
        self.end.borrow().is_none()
    }
}

async fn look(database: Database, end: watch::Sender<Option<i64>>) {
    while end.borrow().is_some() {
        if end.receiver_count() > 0
            && let Ok(seq) = last(&database).await
        {
            end.send_if_modified(|known| {
                let further = known.is_some_and(|known| known < seq);
                if further {
                    *known = Some(seq);
                }
                further
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn last(database: &Database) -> Result<i64, DatabaseError> {
    let connection = database.connection().await?;
    let statement = connection.prepare_cached("SELECT seq FROM sequencer").await?;
    Ok(connection.query_one(&statement, &[]).await?.get(0))
}
