//! What follows the ledger and signs it: the tree grows by the leaves of the events, and once a second in which something happened it is
//! signed.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::Transaction;
use tokio::sync::Notify;

use super::keys::CheckpointKeys;
use super::note::Checkpoint;
use super::tree::{TreeEdge, TreeHash};
use crate::journal::JournalError;
use crate::postgres::Database;

/// How many leaves the tree takes in one transaction.
const PAGE: u32 = 50_000;

/// How often the log is signed at most.
const SIGN_EVERY: Duration = Duration::from_secs(1);

/// Keeps the tree over the ledger, and signs checkpoints of it. Of several nodes one writes at a time.
#[derive(Clone, Debug)]
pub struct CheckpointWriter {
    database: Database,
    keys: CheckpointKeys,
}

/// What a turn of the writer came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointOutcome {
    /// It signed this checkpoint.
    Signed(Checkpoint),
    /// The tree grew, and the ledger goes on.
    Grown,
    /// Nothing was to do, or another node does it.
    Idle,
}

/// Why there is no checkpoint.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The database gave no answer.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What is kept of the tree is that of no tree.
    #[error("the edge of the tree is not that of {0} events; `counterfoil audit verify` tells more")]
    Edge(i64),
    /// A number of the ledger is missing, or its leaf is none.
    #[error("the event with the number {0} has no leaf in the ledger; `counterfoil audit verify` tells more")]
    Leaf(u64),
}

impl From<tokio_postgres::Error> for CheckpointError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Journal(error.into())
    }
}

impl CheckpointWriter {
    /// A writer of that database, which signs by these keys.
    pub fn new(database: Database, keys: CheckpointKeys) -> Self {
        Self { database, keys }
    }

    /// Signs what was numbered, each time that it is told of more, until the future is dropped.
    pub async fn keep(&self, numbered: &Notify) {
        loop {
            match self.write().await {
                Ok(CheckpointOutcome::Grown) => continue,
                Ok(CheckpointOutcome::Signed(_) | CheckpointOutcome::Idle) => {}
                Err(error) => tracing::error!(%error, "the log cannot be signed"),
            }
            tokio::time::sleep(SIGN_EVERY).await;
            numbered.notified().await;
        }
    }

    /// Takes the leaves that the tree lacks, and signs the tree where it then has all.
    ///
    /// # Errors
    /// [`CheckpointError`]; nothing is written then.
    pub async fn write(&self) -> Result<CheckpointOutcome, CheckpointError> {
        let mut connection = self.database.connection().await.map_err(JournalError::from)?;
        let transaction = connection.transaction().await?;
        let sql = "SELECT size, edge FROM tree FOR UPDATE SKIP LOCKED";
        let statement = transaction.prepare_cached(sql).await?;
        let Some(row) = transaction.query_opt(&statement, &[]).await? else {
            return Ok(CheckpointOutcome::Idle);
        };
        let size: i64 = row.get("size");
        let edge = u64::try_from(size).ok().and_then(|size| TreeEdge::from_bytes(size, row.get("edge")));
        let mut edge = edge.ok_or(CheckpointError::Edge(size))?;
        let grown = grow(&transaction, &mut edge, size).await?;
        if grown == 0 {
            return Ok(CheckpointOutcome::Idle);
        }
        let size = size + i64::try_from(grown).expect("a page is small");
        let next = transaction.prepare_cached("SELECT FROM ledger WHERE seq = $1").await?;
        let is_whole =
            grown < u64::from(PAGE) || transaction.query_opt(&next, &[&(size + 1)]).await?.is_none();
        let sql = "UPDATE tree SET size = $1, edge = $2, signed_at = CASE WHEN $3 THEN clock_timestamp() ELSE signed_at END";
        let statement = transaction.prepare_cached(sql).await?;
        transaction.execute(&statement, &[&size, &edge.to_bytes(), &is_whole]).await?;
        let outcome = if is_whole {
            let checkpoint = Checkpoint { origin: self.keys.origin().clone(), head: edge.head() };
            let note = self.keys.sign(checkpoint.to_string());
            let sql = "INSERT INTO checkpoints (size, at, note) VALUES ($1, clock_timestamp(), $2)";
            let statement = transaction.prepare_cached(sql).await?;
            transaction.execute(&statement, &[&size, &note.to_string()]).await?;
            CheckpointOutcome::Signed(checkpoint)
        } else {
            CheckpointOutcome::Grown
        };
        transaction.commit().await?;
        Ok(outcome)
    }
}

/// Adds a page of leaves to the tree, and keeps the hashes of tiles that are complete. Returns how many leaves.
async fn grow(transaction: &Transaction<'_>, edge: &mut TreeEdge, size: i64) -> Result<u64, CheckpointError> {
    let statement = transaction.prepare_cached(include_str!("sql/grow.sql")).await?;
    let rows = transaction.query(&statement, &[&size, &i64::from(PAGE)]).await?;
    let mut added: BTreeMap<(i16, i64), Vec<u8>> = BTreeMap::new();
    for row in &rows {
        let leaf = row.get::<_, &[u8]>("leaf").try_into().map(TreeHash);
        let leaf = leaf.map_err(|_| CheckpointError::Leaf(edge.size() + 1))?;
        edge.push(leaf, |node, hash| {
            if node.level > 0 && node.level.is_multiple_of(8) {
                let level = i16::try_from(node.level / 8).expect("a tree has 64 levels");
                let tile = i64::try_from(node.index >> 8).expect("numbers of events are below 2⁶³");
                added.entry((level, tile)).or_default().extend_from_slice(&hash.0);
            }
        });
    }
    if !added.is_empty() {
        let (levels, tiles): (Vec<i16>, Vec<i64>) = added.keys().copied().unzip();
        let hashes: Vec<Vec<u8>> = added.into_values().collect();
        let statement = transaction.prepare_cached(include_str!("sql/add_hashes.sql")).await?;
        transaction.execute(&statement, &[&levels, &tiles, &hashes]).await?;
    }
    Ok(rows.len() as u64)
}
