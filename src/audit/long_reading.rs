//! Readings of the whole log that take minutes: verifications and rehearsals, which requests follow. There is one at a time,
//! whichever node it is on. It has connections of its own, goes on beside the threads of requests, and ends with the request that
//! follows it.

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::rehearsal::{self, AccountConcerned, Proposal, RehearsalReport};
use super::{VerificationProgress, VerificationReport, verify};
use crate::journal::{Journal, JournalError};
use crate::postgres::DatabaseError;
use crate::transparency::VerificationKeys;

/// "audit": the process that reads the whole log holds it.
const LOCK: i64 = 0x61_7564_6974;

/// How many connections a reading takes: that of the lock, and that of the snapshot.
const CONNECTIONS: usize = 2;

/// How often the lock is tried: a reading that was left a moment ago still lets go of it.
const TRIES: usize = 5;
const TRY_EVERY: Duration = Duration::from_millis(50);

/// How many of the accounts concerned are told. All of them are counted.
const MOST_ACCOUNTS: usize = 10_000;

/// Why the log cannot be read now.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LongReadingError {
    /// Another verification or rehearsal is going on.
    #[error("the whole log is being read already")]
    Running,
    /// The database gave no answer.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<tokio_postgres::Error> for LongReadingError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Starts readings on a runtime that serves no requests.
#[derive(Clone, Debug)]
pub struct LongReadings {
    journal: Journal,
    keys: VerificationKeys,
    runtime: Handle,
}

/// The right to read the whole log, as long as this value lives.
pub struct LongReadingClaim {
    /// It holds the lock, so it goes back to no pool: when it is closed, the lock is free.
    held: ClientWrapper,
    journal: Journal,
    keys: VerificationKeys,
    runtime: Handle,
}

impl std::fmt::Debug for LongReadingClaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LongReadingClaim").finish_non_exhaustive()
    }
}

/// A reading under way. It ends when this value is dropped.
#[derive(Debug)]
pub struct LongReading<T> {
    /// How far the reading has come.
    pub progress: watch::Receiver<VerificationProgress>,
    /// The accounts that a rehearsal concerns, as they are found, up to a number.
    pub accounts: UnboundedReceiver<AccountConcerned>,
    work: JoinHandle<Result<T, JournalError>>,
}

impl<T> LongReading<T> {
    /// Waits for the result. `None` where the reading was stopped.
    pub async fn result(&mut self) -> Option<Result<T, JournalError>> {
        (&mut self.work).await.ok()
    }
}

impl<T> Drop for LongReading<T> {
    fn drop(&mut self) {
        self.work.abort();
    }
}

impl LongReadings {
    /// Of that journal, on the present runtime.
    pub fn new(journal: Journal, keys: VerificationKeys) -> Self {
        Self { journal, keys, runtime: Handle::current() }
    }

    /// Claims the right to read the whole log.
    ///
    /// # Errors
    /// [`LongReadingError`].
    pub async fn claim(&self) -> Result<LongReadingClaim, LongReadingError> {
        let Self { journal, keys, runtime } = self.clone();
        let stopped = |_| DatabaseError::Unavailable("the service is stopping".to_owned());
        let claim = async move {
            let database = journal.database().with_connections(CONNECTIONS);
            let held = Object::take(database.connection().await?);
            for _ in 0..TRIES {
                if held.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await?.get(0) {
                    let (journal, runtime) = (journal.on_this_thread(database), Handle::current());
                    return Ok(LongReadingClaim { held, journal, keys, runtime });
                }
                tokio::time::sleep(TRY_EVERY).await;
            }
            Err(LongReadingError::Running)
        };
        runtime.spawn(claim).await.map_err(stopped)?
    }
}

impl LongReadingClaim {
    /// Verifies the whole log.
    pub fn verify(self) -> LongReading<VerificationReport> {
        let Self { held, journal, keys, runtime } = self;
        let (noted, progress) = watch::channel(VerificationProgress::default());
        let (_, accounts) = unbounded_channel();
        let work = runtime.spawn(async move {
            let found = verify(&journal, &keys.trusted(), &mut noting(noted)).await;
            release(held).await;
            found
        });
        LongReading { progress, accounts, work }
    }

    /// Rehearses a proposal on the whole log.
    pub fn rehearse(self, proposal: Proposal) -> LongReading<RehearsalReport> {
        let Self { held, journal, keys: _, runtime } = self;
        let (noted, progress) = watch::channel(VerificationProgress::default());
        let (tell, accounts) = unbounded_channel();
        let work = runtime.spawn(async move {
            let (mut note, mut tell) = (noting(noted), telling(tell));
            let found = rehearsal::rehearse(&journal, &proposal, &mut note, &mut tell).await;
            release(held).await;
            found
        });
        LongReading { progress, accounts, work }
    }
}

/// Gives the lock back before the result is known, so that the next reading may begin at once.
async fn release(held: ClientWrapper) {
    if let Err(error) = held.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await {
        // It is free when the connection is closed, which is now.
        tracing::debug!(%error, "the lock of a reading went with its connection");
    }
}

/// Keeps how far the work has come, for those who follow it.
fn noting(noted: watch::Sender<VerificationProgress>) -> impl FnMut(VerificationProgress) + Send {
    move |so_far| {
        noted.send_replace(so_far);
    }
}

/// Tells of the first accounts that are concerned.
fn telling(tell: UnboundedSender<AccountConcerned>) -> impl FnMut(AccountConcerned) + Send {
    let mut told = 0;
    move |concerned| {
        if told < MOST_ACCOUNTS {
            told += 1;
            // Without a reader, the work is about to end.
            drop(tell.send(concerned));
        }
    }
}
