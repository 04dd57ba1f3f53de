//! Sessions that ended before their tokens expired, held in memory so that checking an access token needs no query.
//!
//! A node learns of its own at once. It learns of those that other nodes end by looks: each asks what the read model
//! `revoked_tokens` has become since the last one. A look begins four times a second, and when a commit that ended a
//! session announces it. The node trusts what it knows for [`TRUSTED_FOR`] after a look began. So an access token never works
//! for longer than that after the end of its session was acknowledged, whether the announcements arrive or not.
//!
//! Where the last look is older, because the database is slow or away, a check waits for the next look, which answers all checks
//! that wait. No check sends a query of its own, because the queries would keep the database busy that the look waits for.
//!
//! A session is kept for as long as an access token can name it, which is the lifetime of access tokens after its end. The first
//! look reads those in pages, and so does one after an error or after more has ended than a look takes in.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::values::SessionId;
use counterfoil_projections::revoked_token::{self, Revoked, RevokedPage};
use deadpool_postgres::Object;
use futures_util::StreamExt as _;
use futures_util::stream::{FuturesUnordered, Stream, unfold};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::postgres::{Database, DatabaseError, Listener};
use crate::runtime::clock::Clock;
use crate::runtime::restart::restarted;

/// For how long what a look found is trusted, from when the look began: a tenth of a second less than is promised, for the
/// request that asks.
pub const TRUSTED_FOR: Duration = Duration::from_millis(1_900);

/// How often a look begins where nothing is announced.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How many looks may be under way at once. They overlap while the database is slow, so that one of them ends four times a second
/// even then.
const LOOKS_AT_ONCE: usize = 8;

/// How long a look, or a page of the first one, may take.
const LOOK_WITHIN: Duration = Duration::from_secs(4);

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
    feed: watch::Sender<FeedState>,
    kept_for: TimeDelta,
}

/// What the feed of a node is doing.
#[derive(Clone, Debug)]
enum FeedState {
    /// It reads all sessions that have ended, which can take longer than a request may.
    ReadingAll,
    /// It knew all of them when its last look began.
    Following,
    /// Its last look failed.
    Failed(DatabaseError),
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
        let feed = watch::channel(FeedState::ReadingAll).0;
        Self { known: RwLock::new(known), ends: broadcast::channel(BEHIND).0, feed, kept_for }
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
    pub async fn after_next_look(&self, session: SessionId) -> Result<bool, DatabaseError> {
        let mut feed = self.feed.subscribe();
        loop {
            if let Some(known) = self.contains(session) {
                return Ok(known);
            }
            feed.changed().await.map_err(|_| DatabaseError::Unavailable("the feed has ended".to_owned()))?;
            if let FeedState::Failed(error) = &*feed.borrow_and_update() {
                return Err(error.clone());
            }
        }
    }

    /// Whether the node still reads the sessions that ended before it began to follow them.
    pub fn is_reading_all(&self) -> bool {
        matches!(*self.feed.borrow(), FeedState::ReadingAll)
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
        if as_of > known.as_of {
            known.as_of = as_of;
            drop(known);
            self.feed.send_replace(FeedState::Following);
        }
    }

    /// Tells the checks that wait for a look that it failed.
    pub(crate) fn fail(&self, error: DatabaseError) {
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
    let mut announcements = pin!(announcements(database.clone()));
    // A snapshot means something to the server alone that gave it, so all looks go by one connection.
    let database = database.with_connections(1);
    while let Some(known) = ended.upgrade() {
        known.feed.send_replace(FeedState::ReadingAll);
        drop(known);
        let followed = async {
            let connection = in_time(database.connection()).await?;
            let followed = follow_by(&connection, &database, &ended, &*clock, announcements.as_mut()).await;
            if followed.is_err() {
                // Its answers may still be on their way.
                drop(Object::take(connection));
            }
            followed
        };
        if let Err(error) = followed.await {
            let Some(known) = ended.upgrade() else { return };
            known.feed.send_replace(FeedState::Failed(error));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Reads the sessions that have ended and then looks for more, by one connection, until more has ended than a look takes in, or
/// the value that is followed for is gone.
async fn follow_by(
    connection: &Object,
    database: &Database,
    ended: &Weak<EndedSessions>,
    clock: &dyn Clock,
    mut announcements: Pin<&mut impl Stream<Item = ()>>,
) -> Result<(), DatabaseError> {
    let Some(known) = ended.upgrade() else { return Ok(()) };
    let mut last = read_all(connection, &known, clock.now()).await?;
    drop(known);
    let mut looks = FuturesUnordered::new();
    // More has ended while the pages were read.
    let (mut due, mut is_announced) = (Instant::now(), false);
    loop {
        let Some(known) = ended.upgrade() else { return Ok(()) };
        known.prune_when_due(clock.now());
        metrics::gauge!("counterfoil_ended_sessions").set(u32::try_from(known.len()).unwrap_or(u32::MAX));
        if Instant::now() >= due && looks.len() < LOOKS_AT_ONCE {
            if database.is_outdated(connection) {
                return Err(DatabaseError::Unavailable("another server is to be looked for".to_owned()));
            }
            looks.push(look(connection, known.clone(), last.clone(), clock.now()));
            due = Instant::now() + LOOK_EVERY;
        }
        drop(known);
        let may_begin = looks.len() < LOOKS_AT_ONCE;
        tokio::select! {
            Some(found) = looks.next() => {
                let Some(look) = found? else { return Ok(()) };
                if look.began > last.began {
                    last = look;
                }
                if std::mem::take(&mut is_announced) {
                    due = Instant::now();
                }
            }
            Some(()) = announcements.next() => {
                // A look that is under way may have passed what is announced.
                is_announced = !looks.is_empty();
                if looks.is_empty() {
                    due = Instant::now();
                }
            }
            () = tokio::time::sleep_until(due), if may_begin => {}
        }
    }
}

/// A look that came to an end.
#[derive(Clone, Debug)]
struct Look {
    began: Instant,
    /// The snapshot from which the next look goes on.
    seen: String,
}

/// Takes in the sessions that ended since the snapshot of another look. Returns none where there are too many for one look.
async fn look(
    connection: &Object,
    ended: Arc<EndedSessions>,
    last: Look,
    now: DateTime<Utc>,
) -> Result<Option<Look>, DatabaseError> {
    let (began, ended_after) = (Instant::now(), now - ended.kept_for);
    let found = revoked_token::since(connection, &last.seen, ended_after, limit(FOUND_AT_MOST));
    let RevokedPage { sessions, seen } = in_time(async { Ok(found.await?) }).await?;
    if sessions.len() >= FOUND_AT_MOST {
        return Ok(None);
    }
    ended.learn(sessions.into_iter().map(|revoked| ended.kept(revoked)), Some(began));
    Ok(Some(Look { began, seen }))
}

/// Takes in all sessions that an access token can name, page by page. Looks go on from the snapshot of the first page, in which
/// all of them are that had ended when this began.
async fn read_all(
    connection: &Object,
    ended: &EndedSessions,
    now: DateTime<Utc>,
) -> Result<Look, DatabaseError> {
    let began = Instant::now();
    let mut place = (now - ended.kept_for, SessionId(Uuid::max()));
    let mut first = None;
    loop {
        let page = revoked_token::page(connection, place, limit(PAGE));
        let RevokedPage { sessions, seen } = in_time(async { Ok(page.await?) }).await?;
        let seen = first.get_or_insert(seen);
        let last = sessions.get(PAGE - 1).map(|last| (last.revoked_at, last.session));
        let is_last = last.is_none().then_some(began);
        ended.learn(sessions.into_iter().map(|revoked| ended.kept(revoked)), is_last);
        match last {
            Some(last) => place = last,
            None => return Ok(Look { began, seen: std::mem::take(seen) }),
        }
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, DatabaseError> {
    tokio::time::timeout(LOOK_WITHIN, asked).await.unwrap_or(Err(DatabaseError::Late))
}

/// A number of rows, as SQL takes it.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// The announcements that a session has ended, from one connection after another. It has no end.
fn announcements(database: Database) -> impl Stream<Item = ()> {
    unfold(None::<Listener>, move |mut listener| {
        let database = database.clone();
        async move {
            loop {
                let Some(open) = &mut listener else {
                    listener = database.listen(revoked_token::CHANNEL).await.ok();
                    if listener.is_none() {
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                    continue;
                };
                match open.next().await {
                    Some(_) => return Some(((), listener)),
                    None => listener = None,
                }
            }
        }
    })
}
