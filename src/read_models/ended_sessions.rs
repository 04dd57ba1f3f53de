//! The feed of ended sessions from the database, which tells a node what the other nodes have ended.
//!
//! A node learns of its own at once. It learns of those that other nodes end by looks: each asks what the read model
//! `revoked_tokens` has become since the last one. A look begins four times a second, and when a commit that ended a
//! session announces it. The node trusts what it knows for [`TRUSTED_FOR`](counterfoil_guard::ended_sessions::TRUSTED_FOR) after a
//! look began. So an access token never works for longer than that after the end of its session was acknowledged, whether the
//! announcements arrive or not.
//!
//! Where the last look is older, because the database is slow or away, a check waits for the next look, which answers all checks
//! that wait. No check sends a query of its own, because the queries would keep the database busy that the look waits for.
//!
//! A session is kept for as long as an access token can name it, which is the lifetime of access tokens after its end. The first
//! look reads those in pages, and so does one after an error or after more has ended than a look takes in.

use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::values::SessionId;
use counterfoil_guard::ended_sessions::{EndedSession, EndedSessions, LookError};
use counterfoil_projections::revoked_token::{self, RevokedPage, RevokedSession};
use deadpool_postgres::Object;
use futures_util::StreamExt as _;
use futures_util::stream::{FuturesUnordered, Stream, unfold};
use tokio::time::Instant;
use uuid::Uuid;

use crate::postgres::{ChannelListener, Database, DatabaseError};
use crate::runtime::clock::Clock;
use crate::runtime::restart::restarted;
use crate::tokens::{LEEWAY, TokenPolicy};

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

/// For how long after its end an access token can name a session.
pub fn kept_for(policy: &TokenPolicy) -> TimeDelta {
    policy.access_lifetime + LEEWAY
}

/// Returns a session that has ended, with the time from which its access tokens have expired anyway.
pub fn expiry_of(revoked: &RevokedSession, kept_for: TimeDelta) -> EndedSession {
    (revoked.session, revoked.expires_at.min(revoked.revoked_at + kept_for))
}

/// Follows the ended sessions of a database for as long as the returned value lives. Works on the present runtime.
pub fn follow(database: Database, clock: Arc<dyn Clock>, kept_for: TimeDelta) -> Arc<EndedSessions> {
    let ended = Arc::new(EndedSessions::new());
    let weak = Arc::downgrade(&ended);
    tokio::spawn(restarted("the feed of ended sessions", move || {
        keep_following(weak.clone(), database.clone(), clock.clone(), kept_for)
    }));
    ended
}

async fn keep_following(
    ended: Weak<EndedSessions>,
    database: Database,
    clock: Arc<dyn Clock>,
    kept_for: TimeDelta,
) {
    let mut announcements = pin!(announcements(database.clone()));
    // A snapshot means something to the server alone that gave it, so all looks go by one connection.
    let database = database.with_connections(1);
    while let Some(known) = ended.upgrade() {
        known.begin_reading_all();
        drop(known);
        let followed = async {
            let connection = in_time(database.connection()).await?;
            let followed =
                follow_by(&connection, &database, &ended, (&*clock, kept_for), announcements.as_mut()).await;
            if followed.is_err() {
                // Its answers may still be on their way.
                drop(Object::take(connection));
            }
            followed
        };
        if let Err(error) = followed.await {
            let Some(known) = ended.upgrade() else { return };
            known.fail(LookError(error.to_string()));
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
    (clock, kept_for): (&dyn Clock, TimeDelta),
    mut announcements: Pin<&mut impl Stream<Item = ()>>,
) -> Result<(), DatabaseError> {
    let Some(known) = ended.upgrade() else { return Ok(()) };
    let mut last = read_all(connection, &known, clock.now(), kept_for).await?;
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
            looks.push(look(connection, known.clone(), last.clone(), clock.now(), kept_for));
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
    kept_for: TimeDelta,
) -> Result<Option<Look>, DatabaseError> {
    let (began, ended_after) = (Instant::now(), now - kept_for);
    let found = revoked_token::since(connection, &last.seen, ended_after, limit(FOUND_AT_MOST));
    let RevokedPage { sessions, seen } = in_time(async { Ok(found.await?) }).await?;
    if sessions.len() >= FOUND_AT_MOST {
        return Ok(None);
    }
    ended.learn(sessions.into_iter().map(|revoked| expiry_of(&revoked, kept_for)), Some(began));
    Ok(Some(Look { began, seen }))
}

/// Takes in all sessions that an access token can name, page by page. Looks go on from the snapshot of the first page, in which
/// all of them are that had ended when this began.
async fn read_all(
    connection: &Object,
    ended: &EndedSessions,
    now: DateTime<Utc>,
    kept_for: TimeDelta,
) -> Result<Look, DatabaseError> {
    let began = Instant::now();
    let mut place = (now - kept_for, SessionId(Uuid::max()));
    let mut first = None;
    loop {
        let page = revoked_token::page(connection, place, limit(PAGE));
        let RevokedPage { sessions, seen } = in_time(async { Ok(page.await?) }).await?;
        let seen = first.get_or_insert(seen);
        let last = sessions.get(PAGE - 1).map(|last| (last.revoked_at, last.session));
        let is_last = last.is_none().then_some(began);
        ended.learn(sessions.into_iter().map(|revoked| expiry_of(&revoked, kept_for)), is_last);
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
    unfold(None::<ChannelListener>, move |mut listener| {
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
