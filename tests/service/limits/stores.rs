//! The stores themselves: both decide alike, and as a model that remembers everything does.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil::limits::{CountOutcome, LimitStore, MeterEntry, MeterRule, MeterStore};
use counterfoil::postgres::Database;
use counterfoil::runtime::clock::{Clock as _, SystemClock};

use super::RedisServer;
use crate::support::TestDatabase;

const SECOND: i64 = 1_000_000;

fn redis(server: &RedisServer) -> LimitStore {
    LimitStore::Redis(Box::new(redis::Client::open(server.url()).unwrap()))
}

fn store(place: &LimitStore, database: &TestDatabase) -> Box<dyn MeterStore> {
    place.open(&Database::new(&database.url.0, 4).unwrap())
}

/// Remembers each thing that was counted, and when it was.
#[derive(Default)]
struct CounterModel {
    rates: BTreeMap<String, i64>,
    windows: BTreeMap<String, (i64, BTreeMap<i64, i64>)>,
}

impl CounterModel {
    fn count(&mut self, present: i64, entries: &[MeterEntry]) -> CountOutcome {
        for (entry, MeterEntry { meter, rule, most, cost }) in entries.iter().enumerate() {
            let wait = if rule.slots == 0 {
                let until = self.rates.get(meter).copied().unwrap_or(0).max(present);
                until + (cost - most) * rule.every - present
            } else {
                let (newest, counts) = self.window(present, meter, rule);
                let frees = counts.keys().next().copied().unwrap_or(newest) + i64::from(rule.slots);
                let full = counts.values().sum::<i64>() + cost > *most;
                if full { frees * rule.every - present } else { 0 }
            };
            if wait > 0 {
                return CountOutcome::Refused {
                    entry,
                    wait: TimeDelta::microseconds(wait).to_std().unwrap(),
                };
            }
        }
        let totals = entries.iter().map(|MeterEntry { meter, rule, cost, .. }| {
            if rule.slots == 0 {
                // An entry without cost changes nothing.
                if *cost != 0 {
                    let until = self.rates.entry(meter.clone()).or_default();
                    *until = present.max(*until) + cost * rule.every;
                }
                return 0;
            }
            let (newest, mut counts) = self.window(present, meter, rule);
            let total = (counts.values().sum::<i64>() + cost).max(0);
            let present_slot = counts.entry(newest).or_default();
            *present_slot = (*present_slot + cost).max(0);
            counts.retain(|_, count| *count > 0 && total > 0);
            if *cost != 0 {
                self.windows.insert(meter.clone(), (newest, counts));
            }
            total
        });
        CountOutcome::All(totals.last().unwrap_or(0))
    }

    /// The slots that are still in a window, by their numbers.
    fn window(&self, present: i64, meter: &str, rule: &MeterRule) -> (i64, BTreeMap<i64, i64>) {
        let (newest, counts) = self.windows.get(meter).cloned().unwrap_or_default();
        let newest = newest.max(present / rule.every);
        let counts = counts.into_iter().filter(|(slot, _)| *slot > newest - i64::from(rule.slots));
        (newest, counts.collect())
    }
}

#[tokio::test]
async fn both_stores_decide_as_a_model_that_remembers_everything() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let (database, server) = (TestDatabase::new(), RedisServer::start());
    let postgres = store(&LimitStore::Postgres, &database);
    let redis = store(&redis(&server), &database);
    let mut model = CounterModel::default();

    let meters = [
        ("1/a/x", MeterRule::rate(7 * SECOND), 3),
        ("1/a/y", MeterRule::rate(SECOND / 3), 1),
        ("2/b/x", MeterRule { every: 5 * SECOND, slots: 13 }, 6),
        ("2/b/y", MeterRule { every: 11 * SECOND, slots: 2 }, 2),
        ("4/c/service", MeterRule { every: 90 * SECOND, slots: 1 }, 9),
    ];
    let mut present = SystemClock.now();
    let (mut refused, mut granted) = (0, 0);
    for step in 0..3_000 {
        // A clock can also be behind that of the node that counted last.
        let microseconds = random.i64(-2 * SECOND..6 * SECOND);
        present +=
            TimeDelta::microseconds(if random.u8(..) == 0 { 100 * microseconds.abs() } else { microseconds });
        let mut entries = Vec::new();
        for (meter, rule, most) in meters {
            if random.bool() {
                let cost = *random.choice(&[-1, 0, 1, 1, 1, 1, 1, 2]).unwrap();
                let most = if cost < 0 { i64::MAX / SECOND / 100 } else { most };
                entries.push(MeterEntry { meter: meter.to_owned(), rule, most, cost });
            }
        }
        let expected = model.count(present.timestamp_micros(), &entries);
        match &expected {
            CountOutcome::All(_) => granted += 1,
            CountOutcome::Refused { .. } => refused += 1,
        }
        for (name, store) in [("PostgreSQL", &postgres), ("Redis", &redis)] {
            let counted = store.count(present, entries.clone()).await.unwrap();
            assert_eq!(counted, expected, "{name}, step {step}, seed {seed}: {entries:?}");
        }
    }
    assert!(refused > 300 && granted > 300, "{refused} refused, {granted} granted, seed {seed}");

    for store in [postgres, redis] {
        assert_eq!(names(&*store).await, meters.map(|(meter, ..)| meter));
        store.forget(&["1/a/x".to_owned(), "4/c/service".to_owned()]).await.unwrap();
        assert_eq!(names(&*store).await, ["1/a/y", "2/b/x", "2/b/y"]);
    }
}

async fn names(store: &dyn MeterStore) -> Vec<String> {
    store.stored().await.unwrap().into_iter().map(|stored| stored.meter).collect()
}

/// Races from several nodes: how many requests were let through, each on a meter of its own and on one that all share.
async fn race(
    place: &LimitStore,
    database: &TestDatabase,
    present: DateTime<Utc>,
    shared_most: i64,
) -> usize {
    let nodes: Vec<Box<dyn MeterStore>> = (0..4).map(|_| store(place, database)).collect();
    let races = (0..400).map(|n: usize| {
        let entry = |meter: String, most| MeterEntry {
            meter,
            rule: MeterRule::window(3_600 * SECOND),
            most,
            cost: 1,
        };
        // Neighbours' meters overlap, named in no order, so that locks taken as they come would meet crosswise.
        let mut entries: Vec<MeterEntry> =
            (0..6).map(|m| entry(format!("2/own/{}", (n * 7 + m * 5) % 31), 1_000_000)).collect();
        entries.push(entry("4/shared/service".to_owned(), shared_most));
        nodes[n % nodes.len()].count(present, entries)
    });
    let counted = futures_util::future::join_all(races).await;
    counted.into_iter().filter(|counted| matches!(counted.as_ref().unwrap(), CountOutcome::All(_))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_nodes_are_granted_exactly_what_there_is_and_none_waits_for_ever() {
    let (database, server) = (TestDatabase::new(), RedisServer::start());
    for place in [LimitStore::Postgres, redis(&server)] {
        let mut present = SystemClock.now();
        for most in [1, 20, 333] {
            present += TimeDelta::hours(2);
            assert_eq!(race(&place, &database, present, most).await, usize::try_from(most).unwrap());
        }
    }
    let deadlocks: i64 =
        database.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await;
    assert_eq!(deadlocks, 0);
}

#[tokio::test]
async fn expired_counters_are_deleted() {
    let database = TestDatabase::new();
    let postgres = store(&LimitStore::Postgres, &database);
    let present = SystemClock.now();
    for (meter, rule) in
        [("1/a/x", MeterRule::rate(60 * SECOND)), ("2/b/x", MeterRule::window(86_400 * SECOND))]
    {
        let entry = MeterEntry { meter: meter.to_owned(), rule, most: 5, cost: 1 };
        postgres.count(present, vec![entry]).await.unwrap();
    }
    let client = database.connect().await;
    let prune = include_str!("../../../src/limits/sql/prune.sql");
    client.execute(prune, &[&present]).await.unwrap();
    assert_eq!(postgres.stored().await.unwrap().len(), 2);
    client.execute(prune, &[&(present + TimeDelta::hours(2))]).await.unwrap();
    assert_eq!(names(&*postgres).await, ["2/b/x"]);
    client.execute(prune, &[&(present + TimeDelta::hours(28))]).await.unwrap();
    assert!(postgres.stored().await.unwrap().is_empty());
}
