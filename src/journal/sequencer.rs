//! Giving the log its order, behind the commits.
//!
//! A number taken inside the commit would make all commits wait for each other; a number taken by the database's
//! sequence shows gaps and inversions to a reader who follows it. So one node at a time, the holder of a lease, looks for
//! the events that have become visible since it last looked, by the difference of two snapshots, and numbers them
//! without a gap (PgQ's method: it loses none, inverts none, and does not wait for strangers' transactions). The node that
//! follows the whole log follows these numbers, and only the sequencer announces them.

use std::time::Duration;

use deadpool_postgres::{Client, Transaction};
use tokio_postgres::IsolationLevel;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::crypto::entropy;
use crate::postgres::{Database, DatabaseError};

/// For how long the lease is good; it is renewed with each look.
const LEASE: Duration = Duration::from_secs(3);

/// On which channel the last number is announced.
pub const CHANNEL: &str = "counterfoil_ledger";

/// One node's claim to be the sequencer.
#[derive(Clone, Debug)]
pub struct Sequencer {
    database: Database,
    node: Uuid,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequencerOutcome {
    /// So many events were numbered.
    Numbered(i64),
    /// Another node has the lease.
    NotOurs,
    /// This server is a standby, where a snapshot does not say which transactions are under way.
    Standby,
}

/// Why the order of the log could not be told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SequencerError {
    /// The database gave no answer.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// An event would be numbered before the one before it in its stream. Nothing was numbered.
    #[error("account {account}: event {sequence} is in the log without the one before it")]
    Gap {
        /// The account of the event.
        account: Uuid,
        /// The number of the event in its stream.
        sequence: i64,
    },
}

impl From<tokio_postgres::Error> for SequencerError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Sequencer {
    /// A claim of this process.
    pub fn new(database: Database) -> Self {
        Self { database, node: Uuid::from_bytes(entropy::bytes()) }
    }

    /// Looks once, and numbers what has become visible.
    ///
    /// # Errors
    /// [`SequencerError`]; what was not numbered will be by the next look.
    pub async fn look(&self) -> Result<SequencerOutcome, SequencerError> {
        let mut connection = self.database.connection().await?;
        if let Some(found) = self.settle(&mut connection).await? {
            return Ok(found);
        }
        self.number(&mut connection, false).await
    }

    /// Numbers what has become visible, in the time that a statement has unless it may take long.
    async fn number(
        &self,
        connection: &mut Client,
        may_take_long: bool,
    ) -> Result<SequencerOutcome, SequencerError> {
        // READ COMMITTED: each statement sees what is committed when it begins.
        let look =
            connection.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start().await?;
        if may_take_long {
            look.batch_execute("SET LOCAL statement_timeout = 0").await?;
        }
        let statement = look.prepare_cached(include_str!("sql/sequence.sql")).await?;
        let lease = LEASE.as_secs_f64();
        let row = match look.query_opt(&statement, &[&self.node, &lease]).await {
            // An event that has its number already looks new: the snapshot on record is from before a restore.
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                drop(look);
                return self.take_over(connection, None).await;
            }
            // So much is new that there was not time enough. It would be no less the next time.
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) && !may_take_long => {
                drop(look);
                return Box::pin(self.number(connection, true)).await;
            }
            found => found?,
        };
        let Some(row) = row else { return Ok(SequencerOutcome::NotOurs) };
        if let (Some(account), Some(sequence)) = (row.get("gap_account"), row.get("gap_sequence")) {
            return Err(SequencerError::Gap { account, sequence });
        }
        let (numbered, seq, seen): (i64, i64, String) =
            (row.get("numbered"), row.get("seq"), row.get("seen"));
        metrics::gauge!("counterfoil_ledger_lag_seconds").set(row.get::<_, f64>("lag"));
        if numbered > 0 {
            announce(&look, seq).await?;
        }
        let mark = look.prepare_cached("UPDATE sequencer SET seq = $1, seen = $2::text::pg_snapshot").await?;
        look.execute(&mark, &[&seq, &seen]).await?;
        look.commit().await?;
        Ok(SequencerOutcome::Numbered(numbered))
    }

    /// Whether there is nothing to do for now. Where the snapshot on record was taken in another cluster, numbers all
    /// that has no number.
    async fn settle(&self, connection: &mut Client) -> Result<Option<SequencerOutcome>, SequencerError> {
        let statement = connection.prepare_cached(include_str!("sql/cluster.sql")).await?;
        let row = connection.query_one(&statement, &[&self.node]).await?;
        if row.get("standby") {
            return Ok(Some(SequencerOutcome::Standby));
        }
        let (cluster, known): (i64, Option<i64>) = (row.get("cluster"), row.get("known"));
        if known == Some(cluster) {
            let ours = row.get::<_, Option<bool>>("ours") == Some(true);
            let work = row.get("lease_due") || (ours && row.get("fresh"));
            let idle = if ours { SequencerOutcome::Numbered(0) } else { SequencerOutcome::NotOurs };
            // Nothing is written while nothing happens, so an idle service leaves the disk alone.
            return Ok((!work).then_some(idle));
        }
        self.take_over(connection, Some(cluster)).await.map(Some)
    }

    /// Numbers all that has no number, and notes the present snapshot. With a cluster, unless another node has done that
    /// in this cluster meanwhile.
    async fn take_over(
        &self,
        connection: &mut Client,
        cluster: Option<i64>,
    ) -> Result<SequencerOutcome, SequencerError> {
        let first = connection.transaction().await?;
        // The lease is not asked about: the node that comes first does it, and others wait here and then find it done.
        let row = first.query_one("SELECT seq, cluster FROM sequencer FOR UPDATE", &[]).await?;
        let known: Option<i64> = row.get("cluster");
        if cluster.is_some() && known == cluster {
            return Ok(SequencerOutcome::NotOurs);
        }
        // Taken before the events are looked through: what commits meanwhile is found by the next look.
        let seen: String = first.query_one("SELECT pg_current_snapshot()::text", &[]).await?.get(0);
        first.batch_execute("SET LOCAL statement_timeout = 0").await?;
        let seq: i64 = row.get("seq");
        let numbered: i64 = first.query_one(include_str!("sql/sequence_all.sql"), &[&seq]).await?.get(0);
        let take_over = include_str!("sql/take_over.sql");
        let parameters: [&(dyn ToSql + Sync); 5] =
            [&(seq + numbered), &seen, &cluster.or(known), &self.node, &LEASE.as_secs_f64()];
        first.execute(take_over, &parameters).await?;
        announce(&first, seq + numbered).await?;
        first.commit().await?;
        tracing::info!(numbered, "took over the order of the log in this cluster");
        Ok(SequencerOutcome::Numbered(numbered))
    }
}

async fn announce(transaction: &Transaction<'_>, seq: i64) -> Result<(), SequencerError> {
    let statement = transaction.prepare_cached("SELECT pg_notify($1, $2)").await?;
    transaction.execute(&statement, &[&CHANNEL, &seq.to_string()]).await?;
    Ok(())
}
