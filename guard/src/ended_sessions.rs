//! Sessions that ended before their tokens expired, held in memory so that checking an access token needs no query.
//!
//! A *feed* tells this memory what has ended: the stream of the server in another service, the database in the server itself.
//! What a look of the feed found is trusted for [`TRUSTED_FOR`] after the look began. Where the last look is older, a check waits
//! for the next look, which answers all checks that wait.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use counterfoil_domain::values::SessionId;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

/// For how long what a look found is trusted, from when the look began: a tenth of a second less than is promised, for the
/// request that asks.
pub const TRUSTED_FOR: Duration = Duration::from_millis(1_900);

/// How often sessions are dropped that no token can name any more.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// How many ends a receiver may be behind by before it has to begin again.
const BEHIND: usize = 4096;

/// A session that has ended, and from when on its tokens have expired anyway.
pub type EndedSession = (SessionId, DateTime<Utc>);

/// Why a look for ended sessions failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LookError(pub String);

/// The sessions that have ended, as one process knows them.
#[derive(Debug)]
pub struct EndedSessions {
    known: RwLock<Known>,
    ends: broadcast::Sender<EndedSession>,
    feed: watch::Sender<FeedState>,
}

/// What the feed of a node is doing.
#[derive(Clone, Debug)]
enum FeedState {
    /// It reads all sessions that have ended, which can take longer than a request may.
    ReadingAll,
    /// It knew all of them when its last look began.
    Following,
    /// Its last look failed.
    Failed(LookError),
}

#[derive(Debug)]
struct Known {
    /// Each with the time from which its tokens have expired anyway.
    sessions: HashMap<SessionId, DateTime<Utc>>,
    /// When the last look began that came to an end.
    as_of: Option<Instant>,
    pruned_at: Instant,
}

impl Default for EndedSessions {
    fn default() -> Self {
        Self::new()
    }
}

impl EndedSessions {
    /// Returns a memory without sessions, which tells nothing before the first look.
    pub fn new() -> Self {
        let known = Known { sessions: HashMap::new(), as_of: None, pruned_at: Instant::now() };
        let feed = watch::channel(FeedState::ReadingAll).0;
        Self { known: RwLock::new(known), ends: broadcast::channel(BEHIND).0, feed }
    }

    /// Whether a session has ended; `None` when the last look is too old to tell.
    pub fn contains(&self, session: SessionId) -> Option<bool> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.sessions.contains_key(&session) {
            return Some(true);
        }
        known.as_of.is_some_and(|as_of| as_of.elapsed() < TRUSTED_FOR).then_some(false)
    }

    /// Waits for the next look to tell whether a session has ended.
    ///
    /// # Errors
    /// The error of that look.
    pub async fn after_next_look(&self, session: SessionId) -> Result<bool, LookError> {
        let mut feed = self.feed.subscribe();
        loop {
            if let Some(known) = self.contains(session) {
                return Ok(known);
            }
            feed.changed().await.map_err(|_| LookError("the feed has ended".to_owned()))?;
            if let FeedState::Failed(error) = &*feed.borrow_and_update() {
                return Err(error.clone());
            }
        }
    }

    /// Whether the node still reads the sessions that ended before it began to follow them.
    pub fn is_reading_all(&self) -> bool {
        matches!(*self.feed.borrow(), FeedState::ReadingAll)
    }

    /// All that are known, and from then on each that becomes known.
    pub fn watch(&self) -> (Vec<EndedSession>, broadcast::Receiver<EndedSession>) {
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
    pub fn learn(&self, ended: impl IntoIterator<Item = EndedSession>, as_of: Option<Instant>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (session, expires_at) in ended {
            if known.sessions.insert(session, expires_at).is_none() {
                // There may be no receiver.
                drop(self.ends.send((session, expires_at)));
            }
        }
        if as_of > known.as_of {
            known.as_of = as_of;
            drop(known);
            self.feed.send_replace(FeedState::Following);
        }
    }

    /// Says that all sessions are being read, which can take longer than a request may.
    pub fn begin_reading_all(&self) {
        self.feed.send_replace(FeedState::ReadingAll);
    }

    /// Tells the checks that wait for a look that it failed.
    pub fn fail(&self, error: LookError) {
        self.feed.send_replace(FeedState::Failed(error));
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).sessions.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets those whose tokens have expired by `now`, where that was last done a while ago.
    pub fn prune_when_due(&self, now: DateTime<Utc>) {
        let pruned_at = self.known.read().unwrap_or_else(PoisonError::into_inner).pruned_at;
        if pruned_at.elapsed() >= PRUNE_EVERY {
            self.prune(now);
        }
    }

    /// Forgets those whose tokens have expired by `now`.
    pub fn prune(&self, now: DateTime<Utc>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.sessions.retain(|_, expires_at| *expires_at > now);
        known.sessions.shrink_to_fit();
        known.pruned_at = Instant::now();
    }
}
