//! When sessions were last used with an access token. A token check writes nothing: each node keeps in memory what it has
//! seen, and writes it to the database together, twice a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use counterfoil_domain::values::{AccountId, SessionId};
use counterfoil_projections::user_login;

use crate::postgres::{Database, DatabaseError};

/// How often uses are written: often enough that one is told within a minute.
pub const WRITE_EVERY: Duration = Duration::from_secs(30);

/// How many sessions are kept in memory at most; of others the last refresh is told.
const KEPT: usize = 200_000;

/// How many rows a statement writes.
const AT_ONCE: usize = 5_000;

/// A session, by its account.
type SessionOfAccount = (AccountId, SessionId);

/// The uses that one node has seen and not written yet.
#[derive(Debug, Default)]
pub struct SessionUses {
    seen: Mutex<HashMap<SessionOfAccount, DateTime<Utc>>>,
}

impl SessionUses {
    /// Notes that a session's access token was used at that time.
    pub fn note(&self, account: AccountId, session: SessionId, at: DateTime<Utc>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < KEPT || seen.contains_key(&(account, session)) {
            seen.insert((account, session), at);
        }
    }

    /// Writes what was noted; how many sessions that were. What cannot be written is kept for the next time.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub async fn write(&self, database: &Database) -> Result<usize, DatabaseError> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let mut uses: Vec<(SessionOfAccount, DateTime<Utc>)> = seen.into_iter().collect();
        // All nodes lock rows in the same order.
        uses.sort_unstable_by_key(|(device, _)| *device);
        let mut written = 0;
        for some in uses.chunks(AT_ONCE) {
            if let Err(error) = write(database, some).await {
                self.keep(&uses[written..]);
                return Err(error);
            }
            written += some.len();
        }
        Ok(written)
    }

    /// Takes uses back, unless a later one has been noted.
    fn keep(&self, uses: &[(SessionOfAccount, DateTime<Utc>)]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (device, at) in uses {
            seen.entry(*device).or_insert(*at);
        }
    }
}

async fn write(database: &Database, uses: &[(SessionOfAccount, DateTime<Utc>)]) -> Result<(), DatabaseError> {
    Ok(user_login::note_uses(&database.connection().await?, uses).await?)
}
