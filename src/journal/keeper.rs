//! What a node does for the log as a whole, behind the commits: numbers, and the read models that follow them.

use std::time::Duration;

use tokio::sync::Notify;

use super::Journal;
use super::sequencer::{Sequenced, Sequencer};

/// How far the ledger may be behind the commits.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Journal {
    /// Numbers events and brings read models up, until the future is dropped. A read model that is far behind does not hold up
    /// the numbers, which auditors wait for. Any number of nodes do this: one at a time gives the numbers.
    pub async fn keep_log(&self) {
        let (sequencer, looked) = (Sequencer::new(self.database.clone()), Notify::new());
        tokio::join!(number(&sequencer, &looked), bring_along(self, &looked));
    }
}

async fn number(sequencer: &Sequencer, looked: &Notify) {
    loop {
        match sequencer.look().await {
            Ok(Sequenced::Numbered(_)) => looked.notify_one(),
            Ok(Sequenced::NotOurs | Sequenced::Standby) => {}
            Err(error) => tracing::error!(%error, "the order of the log cannot be told"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn bring_along(journal: &Journal, looked: &Notify) {
    loop {
        looked.notified().await;
        if let Err(error) = journal.follow().await {
            tracing::error!(%error, "a read model cannot follow the ledger");
        }
    }
}
