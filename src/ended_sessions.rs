//! Sessions that were ended before their tokens expired, held in memory so that checking an access token asks nobody.
//!
//! A node learns of its own at once. Of others' it learns by looking what the read model `revoked_tokens` has become
//! since it last looked, four times a second, and when a commit that ended something announces it. What it knows is
//! taken for whole only while its last look is young: after that, and before the first, the database is asked. So an
//! access token never works for longer than [`TRUSTED_FOR`] after its session's end was acknowledged, whether the
//! announcements arrive or not.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use counterfoil_domain::values::SessionId;
use counterfoil_projections::revoked_token::{self, Revoked};
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::database::{Database, DatabaseError, Listener};
use crate::supervise::restarted;

/// For how long a look is trusted.
pub const TRUSTED_FOR: Duration = Duration::from_millis(900);

/// How often it looks, where nothing is announced.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a look may take.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// How many ends one that watches may be behind by before it has to begin again.
const BEHIND: usize = 4096;

/// A session that has ended, and from when on its tokens have expired anyway.
pub type Ended = (SessionId, DateTime<Utc>);

/// The sessions that have ended, as one node knows them.
#[derive(Debug)]
pub struct EndedSessions {
    known: RwLock<Known>,
    ends: broadcast::Sender<Ended>,
}

impl Default for EndedSessions {
    fn default() -> Self {
        Self { known: RwLock::default(), ends: broadcast::channel(BEHIND).0 }
    }
}

#[derive(Debug, Default)]
struct Known {
    /// Each with the time from which its tokens have expired anyway.
    sessions: HashMap<SessionId, DateTime<Utc>>,
    /// When the last look began that came to an end.
    as_of: Option<Instant>,
}

impl EndedSessions {
    /// The ended sessions of a database, followed for as long as this value lives. Works on the present runtime.
    pub fn follow(database: Database, clock: Arc<dyn Clock>) -> Arc<Self> {
        let ended = Arc::new(Self::default());
        let weak = Arc::downgrade(&ended);
        tokio::spawn(restarted("the feed of ended sessions", move || {
            follow(weak.clone(), database.clone(), clock.clone())
        }));
        ended
    }

    /// Whether a session has ended; `None` when that is not known here and has to be asked of the database.
    pub fn contains(&self, session: SessionId) -> Option<bool> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.sessions.contains_key(&session) {
            return Some(true);
        }
        known.as_of.is_some_and(|as_of| as_of.elapsed() < TRUSTED_FOR).then_some(false)
    }

    /// Takes in a session that has ended.
    pub fn insert(&self, session: SessionId, expires_at: DateTime<Utc>) {
        self.learn([(session, expires_at)], None);
    }

    /// All that are known, and from then on each that becomes known.
    pub fn watch(&self) -> (Vec<Ended>, broadcast::Receiver<Ended>) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let sessions = known.sessions.iter().map(|(session, expires_at)| (*session, *expires_at));
        (sessions.collect(), self.ends.subscribe())
    }

    /// How long ago all that had ended was known; none where that is longer than it is trusted for.
    pub fn age(&self) -> Option<Duration> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_of.map(|as_of| as_of.elapsed()).filter(|age| *age < TRUSTED_FOR)
    }

    /// Takes in sessions that have ended, and, where that is said, that at that time there were no others.
    pub(crate) fn learn(&self, ended: impl IntoIterator<Item = Ended>, as_of: Option<Instant>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (session, expires_at) in ended {
            if known.sessions.insert(session, expires_at).is_none() {
                // Nobody need be watching.
                drop(self.ends.send((session, expires_at)));
            }
        }
        known.as_of = known.as_of.max(as_of);
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).sessions.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets those whose tokens have expired by `now`.
    pub fn prune(&self, now: DateTime<Utc>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.sessions.retain(|_, expires_at| *expires_at > now);
    }
}

async fn follow(ended: Weak<EndedSessions>, database: Database, clock: Arc<dyn Clock>) {
    let mut announced = None;
    let mut seen = None;
    loop {
        let began = Instant::now();
        let looked = tokio::time::timeout(LOOK_WITHIN, look(&database, seen.as_deref(), clock.now())).await;
        let Some(ended) = ended.upgrade() else { return };
        seen = match looked {
            Ok(Ok((found, now_seen))) => {
                let found = found.iter().map(|Revoked { session, expires_at, .. }| (*session, *expires_at));
                ended.learn(found, Some(began));
                Some(now_seen)
            }
            // Whatever answers next may be another server, to which the snapshot means nothing.
            Ok(Err(_)) | Err(_) => None,
        };
        metrics::gauge!("counterfoil_ended_sessions").set(u32::try_from(ended.len()).unwrap_or(u32::MAX));
        drop(ended);
        if announced.is_none() {
            announced = database.listen(revoked_token::CHANNEL).await.ok();
        }
        if !wait(announced.as_mut()).await {
            announced = None;
        }
    }
}

async fn look(
    database: &Database,
    seen: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(Vec<Revoked>, String), DatabaseError> {
    let connection = database.connection().await?;
    Ok(revoked_token::since(&connection, seen, now).await?)
}

/// Waits until it is time to look again; false when the announcements have fallen silent.
async fn wait(announced: Option<&mut Listener>) -> bool {
    let Some(listener) = announced else {
        tokio::time::sleep(LOOK_EVERY).await;
        return true;
    };
    tokio::select! {
        announcement = listener.next() => announcement.is_some(),
        () = tokio::time::sleep(LOOK_EVERY) => true,
    }
}
