//! The right to make read models again: one at a time has it, whichever node or command that is.

use std::time::Duration;

use counterfoil_projections::ReadModel;
use deadpool_postgres::{ClientWrapper, Object, Transaction};
use tokio::sync::watch;

use super::Projection;
use crate::journal::{Journal, JournalError};
use crate::postgres::{Database, DatabaseError};
use crate::read_models::rebuild::{self, RebuildProgress};

/// "rebuild ": the process that rebuilds read models holds it, or the transaction by which retention takes rows out of them.
const LOCK: i64 = 0x7265_6275_696c_6420;

/// How many connections a rebuild takes, beside that of the claim.
const CONNECTIONS: usize = 4;

/// How often the lock is tried: a process that has just ended, or a page of retention, lets go of it a moment later.
const TRIES: usize = 20;
const TRY_EVERY: Duration = Duration::from_millis(50);

/// How often it is noted how far one has come.
const NOTE_EVERY: Duration = Duration::from_millis(500);

/// Takes the lock until the transaction ends, unless read models are being made again.
pub(super) async fn try_until_end(transaction: &Transaction<'_>) -> Result<bool, tokio_postgres::Error> {
    Ok(transaction.query_one("SELECT pg_try_advisory_xact_lock($1)", &[&LOCK]).await?.get(0))
}

/// The lock as `pg_locks` shows it.
pub(super) fn lock_in_halves() -> (i64, i64) {
    (LOCK >> 32, LOCK & 0xffff_ffff)
}

/// The right to make some read models again, as long as this value lives.
pub struct RebuildClaim {
    /// It holds the lock, so it goes back to no pool: when it is closed, by us or by a fault, the lock is free.
    held: ClientWrapper,
    database: Database,
    projections: Vec<Projection>,
}

impl std::fmt::Debug for RebuildClaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("projections", &self.projections).finish_non_exhaustive()
    }
}

/// Why read models cannot be made again now.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another process is rebuilding already.
    #[error("a rebuild is under way; `counterfoil projections status` tells of it")]
    Running,
    /// The tables belong to another role of the database.
    #[error("the database role of this connection does not own the tables; see database.migration_url")]
    NotOwner,
    /// The database gave no answer.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<tokio_postgres::Error> for ClaimError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl RebuildClaim {
    /// Claims read models of that database. Its connections work on the present runtime.
    ///
    /// # Errors
    /// [`ClaimError`].
    pub async fn take(database: &Database, projections: Vec<Projection>) -> Result<Self, ClaimError> {
        let database = database.with_connections(CONNECTIONS);
        let held = Object::take(database.connection().await?);
        let tables: Vec<&str> = projections.iter().flat_map(Projection::tables).collect();
        if !held.query_one(include_str!("sql/is_owner.sql"), &[&tables]).await?.get::<_, bool>(0) {
            return Err(ClaimError::NotOwner);
        }
        for _ in 0..TRIES {
            if held.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await?.get(0) {
                return Ok(Self { held, database, projections });
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
        Err(ClaimError::Running)
    }

    /// Notes that they are being made again, before that begins.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn begin(&self) -> Result<(), DatabaseError> {
        let names: Vec<&str> = self.projections.iter().map(Projection::name).collect();
        self.held.execute(include_str!("sql/began.sql"), &[&names]).await?;
        Ok(())
    }

    /// Makes them again while the service runs, notes how far that has come, and gives the claim up; how many events were
    /// read.
    ///
    /// # Errors
    /// [`JournalError`]; the old tables are then untouched, but for those of read models that were done before.
    pub async fn rebuild(
        self,
        journal: &Journal,
        progress: &mut (impl FnMut(RebuildProgress) + Send),
    ) -> Result<u64, JournalError> {
        let journal = journal.on_this_thread(self.database.clone());
        let (immediate, following): (Vec<Projection>, Vec<Projection>) =
            self.projections.iter().partition(|projection| projection.immediate().is_some());
        let mut events = 0;
        if !immediate.is_empty() {
            let (noted, so_far) = watch::channel(0.0);
            let mut note = noting(noted, progress);
            let models: Vec<ReadModel> = immediate.iter().filter_map(Projection::immediate).collect();
            let made = rebuild::rebuild(&journal, &models, &mut note);
            events = self.watched(&immediate, so_far, made).await?.events;
        }
        for projection in following {
            let Some(follower) = projection.following() else { continue };
            let (noted, so_far) = watch::channel(0.0);
            let mut note = noting(noted, progress);
            let made = rebuild::follower::rebuild(&journal, follower, &mut note);
            events = events.max(self.watched(&[projection], so_far, made).await?.events);
        }
        self.held.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await?;
        Ok(events)
    }

    /// Does the work, and notes meanwhile how far it has come. Without its claim the work does not go on: another process may
    /// have begun.
    async fn watched(
        &self,
        projections: &[Projection],
        so_far: watch::Receiver<f64>,
        work: impl Future<Output = Result<RebuildProgress, JournalError>>,
    ) -> Result<RebuildProgress, JournalError> {
        let names: Vec<&str> = projections.iter().map(Projection::name).collect();
        let mut work = std::pin::pin!(work);
        let made = loop {
            tokio::select! {
                made = &mut work => break made,
                () = tokio::time::sleep(NOTE_EVERY) => {
                    let progress = *so_far.borrow();
                    self.held.execute(include_str!("sql/noted.sql"), &[&names, &progress]).await?;
                }
            }
        };
        let formats: Vec<i32> = projections.iter().map(Projection::format).collect();
        let error = made.as_ref().err().map(ToString::to_string);
        self.held.execute(include_str!("sql/ended.sql"), &[&names, &formats, &error]).await?;
        made
    }
}

/// Tells of progress, and keeps it to be noted.
fn noting(
    noted: watch::Sender<f64>,
    progress: &mut (impl FnMut(RebuildProgress) + Send),
) -> impl FnMut(RebuildProgress) + Send {
    move |so_far| {
        noted.send_replace(so_far.fraction());
        progress(so_far);
    }
}
