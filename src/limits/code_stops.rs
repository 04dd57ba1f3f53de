//! What stopped codes, by identifier, for a day. The person who asked was told to come back later; support has to be able to say why,
//! also for an identifier that no account has.
//!
//! A refusal is noted in memory and written behind the answer, together with all others of that second. A code that is sent costs
//! nothing here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::values::Identifier;
use deadpool_postgres::Client;
use tokio_postgres::Error;

use crate::crypto::keyring::{KeyPurpose, Keyring, MacKey, MacKeys};
use crate::postgres::{Database, DatabaseError};
use crate::runtime::restart::restarted;

/// How often what was noted is written.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// How many rows a statement writes.
const AT_ONCE: usize = 2_000;

/// How many stops a node keeps in memory until they are written; of those beyond, only the number is counted.
const KEPT: usize = 20_000;

/// How long it is known what stopped a code.
const KNOWN_FOR: TimeDelta = TimeDelta::hours(24);

/// What stopped codes to an identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeStop {
    /// The name of the shared limit, `block_` and the kind of the block, `rule_` and the name of the access rule, or
    /// `country_not_served`.
    pub kind: String,
    /// When it first stopped a code within the day.
    pub first_at: DateTime<Utc>,
    /// When it last did.
    pub last_at: DateTime<Utc>,
    /// Until when it stopped codes, as was known at the last time.
    pub until: Option<DateTime<Utc>>,
    /// How many codes it stopped.
    pub times: i64,
}

type StopKey = (Vec<u8>, String);

#[derive(Clone, Copy, Debug)]
struct NotedStop {
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    times: i64,
}

/// The stops that one node has noted and not written yet, and how identifiers are named among them.
#[derive(Debug)]
pub struct CodeStops {
    keys: MacKeys,
    noted: Mutex<HashMap<StopKey, NotedStop>>,
}

impl CodeStops {
    /// Stops that are only kept in memory.
    pub fn new(keyring: &Keyring) -> Arc<Self> {
        let keys = MacKeys::new(keyring, KeyPurpose::Limit, b"code stops");
        Arc::new(Self { keys, noted: Mutex::default() })
    }

    /// Stops that are written to a database, for as long as the returned value lives. Works on the present runtime.
    pub fn writing_to(database: Database, keyring: &Keyring) -> Arc<Self> {
        let stops = Self::new(keyring);
        let weak = Arc::downgrade(&stops);
        tokio::spawn(restarted("the record of stopped codes", move || {
            keep_writing(weak.clone(), database.clone())
        }));
        stops
    }

    /// Goes on with another keyring's keys.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.keys.use_keyring(keyring);
    }

    /// Notes that a code to the identifier was stopped now.
    pub fn note(
        &self,
        identifier: &Identifier,
        kind: String,
        at: DateTime<Utc>,
        until: Option<DateTime<Utc>>,
    ) {
        let key = (hash(self.keys.load().active(), identifier), kind);
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= KEPT && !noted.contains_key(&key) {
            drop(noted);
            metrics::counter!("counterfoil_code_stops_dropped_total").increment(1);
            return;
        }
        let stop = noted.entry(key).or_insert(NotedStop { first_at: at, last_at: at, until, times: 0 });
        (stop.last_at, stop.until, stop.times) = (at, until, stop.times + 1);
    }

    /// What stopped codes to an identifier within the last day, the latest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of_identifier(
        &self,
        db: &Client,
        identifier: &Identifier,
        now: DateTime<Utc>,
    ) -> Result<Vec<CodeStop>, Error> {
        let hashes: Vec<Vec<u8>> = self.keys.load().all().map(|key| hash(key, identifier)).collect();
        let statement = db.prepare_cached(include_str!("sql/code_stops_of.sql")).await?;
        let rows = db.query(&statement, &[&hashes, &(now - KNOWN_FOR)]).await?;
        let stop = |row: &tokio_postgres::Row| CodeStop {
            kind: row.get("kind"),
            first_at: row.get("first_at"),
            last_at: row.get("last_at"),
            until: row.get("until"),
            times: row.get("times"),
        };
        Ok(rows.iter().map(stop).collect())
    }

    /// Takes up to as many of the noted stops as one statement writes, in the order in which all nodes lock rows.
    fn take(&self) -> Vec<(StopKey, NotedStop)> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken: Vec<(StopKey, NotedStop)> = if noted.len() <= AT_ONCE {
            std::mem::take(&mut *noted).into_iter().collect()
        } else {
            let keys: Vec<StopKey> = noted.keys().take(AT_ONCE).cloned().collect();
            keys.into_iter().filter_map(|key| noted.remove_entry(&key)).collect()
        };
        drop(noted);
        taken.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        taken
    }
}

fn hash(key: &MacKey, identifier: &Identifier) -> Vec<u8> {
    let text = format!("{}\0{}", identifier.channel().as_str(), identifier.as_str());
    hmac::sign(key.key(), text.as_bytes()).as_ref()[..16].to_vec()
}

async fn keep_writing(stops: Weak<CodeStops>, database: Database) {
    loop {
        tokio::time::sleep(WRITE_EVERY).await;
        let Some(stops) = stops.upgrade() else { return };
        let taken = stops.take();
        drop(stops);
        if taken.is_empty() {
            continue;
        }
        let written = tokio::time::timeout(WRITE_EVERY * 4, write(&database, &taken)).await;
        if let Err(error) = written.unwrap_or(Err(DatabaseError::Late)) {
            let count = u64::try_from(taken.len()).unwrap_or(u64::MAX);
            metrics::counter!("counterfoil_code_stops_dropped_total").increment(count);
            tracing::warn!(%error, count, "it is not kept what stopped codes");
        }
    }
}

async fn write(database: &Database, stops: &[(StopKey, NotedStop)]) -> Result<(), DatabaseError> {
    let hashes: Vec<&[u8]> = stops.iter().map(|((hash, _), _)| hash.as_slice()).collect();
    let kinds: Vec<&str> = stops.iter().map(|((_, kind), _)| kind.as_str()).collect();
    let first: Vec<DateTime<Utc>> = stops.iter().map(|(_, stop)| stop.first_at).collect();
    let last: Vec<DateTime<Utc>> = stops.iter().map(|(_, stop)| stop.last_at).collect();
    let until: Vec<Option<DateTime<Utc>>> = stops.iter().map(|(_, stop)| stop.until).collect();
    let times: Vec<i64> = stops.iter().map(|(_, stop)| stop.times).collect();
    let connection = database.connection().await?;
    let statement = connection.prepare_cached(include_str!("sql/keep_code_stops.sql")).await?;
    connection.execute(&statement, &[&hashes, &kinds, &first, &last, &until, &times]).await?;
    Ok(())
}

/// Forgets what stopped codes more than a day ago, `limit` rows at most; returns how many.
///
/// # Errors
/// When the database fails.
pub async fn prune(db: &Client, now: DateTime<Utc>, limit: i64) -> Result<u64, Error> {
    let statement = db.prepare_cached(include_str!("sql/prune_code_stops.sql")).await?;
    db.execute(&statement, &[&(now - KNOWN_FOR), &limit]).await
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use counterfoil_domain::values::{EmailAddress, Identifier};

    use super::{AT_ONCE, CodeStops, KEPT};
    use crate::crypto::keyring::Keyring;

    #[test]
    fn a_node_keeps_no_more_stops_than_its_bound_and_gathers_those_of_one_kind() {
        let stops = CodeStops::new(&Keyring::generate());
        let identifier = |n: usize| {
            Identifier::Email(EmailAddress::parse(&format!("a{n}@example.com")).expect("an address"))
        };
        let at = DateTime::UNIX_EPOCH;
        for n in 0..KEPT + 10 {
            stops.note(&identifier(n), "codes".to_owned(), at, None);
        }
        let later = at + TimeDelta::seconds(1);
        stops.note(&identifier(0), "codes".to_owned(), later, Some(later));
        let mut taken = Vec::new();
        loop {
            let some = stops.take();
            assert!(some.len() <= AT_ONCE);
            if some.is_empty() {
                break;
            }
            taken.extend(some);
        }
        assert_eq!(taken.len(), KEPT);
        let twice: Vec<_> = taken.iter().filter(|(_, stop)| stop.times == 2).collect();
        let [(_, stop)] = twice[..] else { panic!("{twice:?}") };
        assert_eq!((stop.first_at, stop.last_at, stop.until), (at, later, Some(later)));
    }
}
