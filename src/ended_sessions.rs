//! Sessions that ended before their tokens expired, held in memory so that checking an access token needs no query.
//!
//! A node learns of its own at once. Of others' it learns by looking what the read model `revoked_tokens` has become
//! since it last looked, four times a second, and when a commit that ended something announces it. What it knows is
//! taken for whole only while its last look is young: after that, and before the first, the database is asked. So an
//! access token never works for longer than [`TRUSTED_FOR`] after its session's end was acknowledged, whether the
//! announcements arrive or not.
//!
//! A session is kept for as long as an access token can name it, which is the lifetime of access tokens after its end. The first
//! look reads those in pages, and so does one after an error or after more has ended than a look takes in.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::values::SessionId;
use counterfoil_projections::revoked_token::{self, Revoked, RevokedPage};
use tokio::sync::broadcast;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::Clock;
use crate::database::{Database, DatabaseError, Listener};
use crate::supervise::restarted;

/// For how long a look is trusted.
pub const TRUSTED_FOR: Duration = Duration::from_millis(900);

/// How often it looks, where nothing is announced.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a look, or a page of the first one, may take.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// How many sessions a look may find before it is done in pages instead.
const FOUND_AT_MOST: usize = 20_000;

/// How many sessions a page has.
const PAGE: usize = 10_000;

/// How often those are forgotten that no token can name any more.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// How many ends one that watches may be behind by before it has to begin again.
const BEHIND: usize = 4096;

/// A session that has ended, and from when on its tokens have expired anyway.
pub type Ended = (SessionId, DateTime<Utc>);

/// The sessions that have ended, as one node knows them.
#[derive(Debug)]
pub struct EndedSessions {
    known: RwLock<Known>,
    ends: broadcast::Sender<Ended>,
    kept_for: TimeDelta,
}

#[derive(Debug)]
struct Known {
    /// Each with the time from which its tokens have expired anyway.
    sessions: HashMap<SessionId, DateTime<Utc>>,
    /// When the last look began that came to an end.
    as_of: Option<Instant>,
    pruned_at: Instant,
}

impl EndedSessions {
    /// No sessions yet, each to be kept for so long after its end: the lifetime of access tokens.
    pub fn new(kept_for: TimeDelta) -> Self {
        let known = Known { sessions: HashMap::new(), as_of: None, pruned_at: Instant::now() };
        Self { known: RwLock::new(known), ends: broadcast::channel(BEHIND).0, kept_for }
    }

    /// The ended sessions of a database, followed for as long as this value lives. Works on the present runtime.
    pub fn follow(database: Database, clock: Arc<dyn Clock>, kept_for: TimeDelta) -> Arc<Self> {
        let ended = Arc::new(Self::new(kept_for));
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
    pub fn insert(&self, revoked: Revoked) {
        self.learn([self.kept(revoked)], None);
    }

    fn kept(&self, Revoked { session, revoked_at, expires_at }: Revoked) -> Ended {
        (session, expires_at.min(revoked_at + self.kept_for))
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

    /// Forgets those whose tokens have expired by `now`, where that was last done a while ago.
    pub(crate) fn prune_when_due(&self, now: DateTime<Utc>) {
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

async fn follow(ended: Weak<EndedSessions>, database: Database, clock: Arc<dyn Clock>) {
    let mut announced = None;
    let mut seen = None;
    loop {
        let Some(known) = ended.upgrade() else { return };
        let was_new = seen.is_none();
        // Whatever answers after an error may be another server, to which the snapshot means nothing.
        seen = look(&database, &known, seen, clock.now()).await.unwrap_or_default();
        known.prune_when_due(clock.now());
        metrics::gauge!("counterfoil_ended_sessions").set(u32::try_from(known.len()).unwrap_or(u32::MAX));
        drop(known);
        if announced.is_none() {
            announced = database.listen(revoked_token::CHANNEL).await.ok();
        }
        if was_new && seen.is_some() {
            // More has ended while the pages were read.
            continue;
        }
        if !wait(announced.as_mut()).await {
            announced = None;
        }
    }
}

/// Takes in the sessions that ended since a snapshot, or all of them where there is none. Returns the snapshot to go on from;
/// none where all of them are to be read.
async fn look(
    database: &Database,
    ended: &EndedSessions,
    seen: Option<String>,
    now: DateTime<Utc>,
) -> Result<Option<String>, DatabaseError> {
    let (began, ended_after) = (Instant::now(), now - ended.kept_for);
    let Some(seen) = seen else {
        let seen = read_all(database, ended, ended_after).await?;
        ended.learn([], Some(began));
        return Ok(Some(seen));
    };
    let found = in_time(async {
        let connection = database.connection().await?;
        Ok(revoked_token::since(&connection, &seen, ended_after, limit(FOUND_AT_MOST)).await?)
    });
    let RevokedPage { sessions, seen } = found.await?;
    if sessions.len() >= FOUND_AT_MOST {
        return Ok(None);
    }
    ended.learn(sessions.into_iter().map(|revoked| ended.kept(revoked)), Some(began));
    Ok(Some(seen))
}

/// Takes in all sessions that ended after a time, page by page; the snapshot of the first page, in which all of them are that
/// had ended when this began.
async fn read_all(
    database: &Database,
    ended: &EndedSessions,
    ended_after: DateTime<Utc>,
) -> Result<String, DatabaseError> {
    let mut place = (ended_after, SessionId(Uuid::max()));
    let mut first = None;
    loop {
        let page = in_time(async {
            let connection = database.connection().await?;
            Ok(revoked_token::page(&connection, place, limit(PAGE)).await?)
        });
        let RevokedPage { sessions, seen } = page.await?;
        let seen = first.get_or_insert(seen);
        let last = sessions.get(PAGE - 1).map(|last| (last.revoked_at, last.session));
        ended.learn(sessions.into_iter().map(|revoked| ended.kept(revoked)), None);
        match last {
            Some(last) => place = last,
            None => return Ok(std::mem::take(seen)),
        }
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, DatabaseError> {
    let late = || DatabaseError::Unavailable("no answer in time".to_owned());
    tokio::time::timeout(LOOK_WITHIN, asked).await.map_err(|_| late())?
}

/// A number of rows, as SQL takes it.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
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
