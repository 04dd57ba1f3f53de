//! What a node does for the log as a whole, behind the commits: numbers, and the read models that follow them.

use std::time::Duration;

use tokio::sync::Notify;

use super::sequencer::{Sequencer, SequencerOutcome};
use super::{Journal, LedgerFollower};

/// How far the ledger may be behind the commits.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Journal {
    /// Numbers events and applies them to followers, until the future is dropped; tells of each look that numbers may have come. A
    /// follower that is far behind does not hold up the numbers, which auditors wait for. Any number of nodes do this: one at a time
    /// gives the numbers.
    pub async fn keep_log(&self, followers: &[&dyn LedgerFollower], numbered: &Notify) {
        let (sequencer, looked) = (Sequencer::new(self.database.clone()), Notify::new());
        tokio::join!(number(&sequencer, [&looked, numbered]), apply_numbered(self, followers, &looked),);
    }
}

async fn number(sequencer: &Sequencer, told: [&Notify; 2]) {
    loop {
        match sequencer.look().await {
            Ok(SequencerOutcome::Numbered(_)) => told.iter().for_each(|told| told.notify_one()),
            Ok(SequencerOutcome::NotOurs | SequencerOutcome::Standby) => {}
            Err(error) => tracing::error!(%error, "the order of the log cannot be told"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn apply_numbered(journal: &Journal, followers: &[&dyn LedgerFollower], looked: &Notify) {
    loop {
        looked.notified().await;
        if let Err(error) = journal.follow(followers).await {
            tracing::error!(%error, "a read model cannot follow the ledger");
        }
    }
}
