//! Counting in PostgreSQL: whatever waits at a moment is one call of `count_limits`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use deadpool_postgres::Client;
use tokio_postgres::Row;

use super::meter::{CountOutcome, MeterEntry, MeterRule, MeterStore, StoreUnavailable, StoredMeter};
use crate::postgres::batcher::{BatchQuery, Batcher};
use crate::postgres::{Database, DatabaseError};

/// How many batches of a thread are under way, and how many requests may wait for them.
const COUNTERS: usize = 1;
const WAITING_AT_MOST: usize = 10_000;

impl From<DatabaseError> for StoreUnavailable {
    fn from(error: DatabaseError) -> Self {
        Self(error.to_string())
    }
}

/// Meters in the tables of a database.
#[derive(Debug)]
pub(super) struct PostgresStore {
    database: Database,
    counts: Batcher<Count>,
}

impl PostgresStore {
    pub(super) fn new(database: Database) -> Self {
        Self { counts: Batcher::start(Count, database.clone(), COUNTERS, WAITING_AT_MOST), database }
    }
}

#[async_trait]
impl MeterStore for PostgresStore {
    async fn count(
        &self,
        present: DateTime<Utc>,
        entries: Vec<MeterEntry>,
    ) -> Result<CountOutcome, StoreUnavailable> {
        // Of a request without entries the function would say nothing.
        if entries.is_empty() {
            return Ok(CountOutcome::All(0));
        }
        Ok(self.counts.ask((present, entries)).await?)
    }

    async fn stored(&self) -> Result<Vec<StoredMeter>, StoreUnavailable> {
        let connection = self.database.connection().await?;
        let rows =
            connection.query(include_str!("sql/stored.sql"), &[]).await.map_err(DatabaseError::from)?;
        Ok(rows.iter().map(stored_meter).collect())
    }

    async fn find(&self, meters: &[String]) -> Result<Vec<StoredMeter>, StoreUnavailable> {
        let connection = self.database.connection().await?;
        let rows =
            connection.query(include_str!("sql/find.sql"), &[&meters]).await.map_err(DatabaseError::from)?;
        Ok(rows.iter().map(stored_meter).collect())
    }

    async fn forget(&self, meters: &[String]) -> Result<(), StoreUnavailable> {
        let connection = self.database.connection().await?;
        connection.execute(include_str!("sql/forget.sql"), &[&meters]).await.map_err(DatabaseError::from)?;
        Ok(())
    }
}

fn stored_meter(row: &Row) -> StoredMeter {
    StoredMeter {
        meter: row.get("key"),
        until: row.get("until"),
        slot: row.get("slot"),
        counts: row.get("counts"),
    }
}

#[derive(Clone, Copy, Debug)]
struct Count;

impl BatchQuery for Count {
    type Request = (DateTime<Utc>, Vec<MeterEntry>);
    type Answer = CountOutcome;

    const MOST: usize = 128;

    async fn ask(
        &self,
        connection: &Client,
        requests: &[Self::Request],
    ) -> Result<Vec<CountOutcome>, DatabaseError> {
        let present = requests.iter().map(|(present, _)| present.timestamp_micros()).max();
        let all =
            || requests.iter().zip(1_i32..).flat_map(|((_, entries), n)| entries.iter().map(move |e| (n, e)));

        // Each meter once, in the order of names, in which everybody locks.
        let meters: BTreeMap<&str, MeterRule> =
            all().map(|(_, entry)| (entry.meter.as_str(), entry.rule)).collect();
        let places: BTreeMap<&str, i32> = meters.keys().copied().zip(1..).collect();
        let names: Vec<&str> = meters.keys().copied().collect();
        let every: Vec<i64> = meters.values().map(|rule| rule.every).collect();
        let slots: Vec<i32> = meters.values().map(|rule| rule.slots).collect();

        let request: Vec<i32> = all().map(|(n, _)| n).collect();
        let place: Vec<i32> = all().map(|(_, entry)| places[entry.meter.as_str()]).collect();
        let most: Vec<i64> = all().map(|(_, entry)| entry.most).collect();
        let costs: Vec<i64> = all().map(|(_, entry)| entry.cost).collect();

        let (mut totals, mut tightest) = (vec![0_i64; names.len()], vec![i64::MAX; names.len()]);
        for (_, entry) in all() {
            let place = usize::try_from(places[entry.meter.as_str()] - 1).unwrap_or_default();
            totals[place] = totals[place].saturating_add(entry.cost);
            tightest[place] = tightest[place].min(entry.most);
        }
        let last = |(_, entries): &Self::Request| entries.last().map(|entry| places[entry.meter.as_str()]);
        let lasts: Vec<i32> = requests.iter().filter_map(last).collect();

        let statement = connection.prepare_cached(include_str!("sql/count.sql")).await?;
        let rows = connection
            .query(
                &statement,
                &[
                    &present, &names, &every, &slots, &request, &place, &most, &costs, &totals, &tightest,
                    &lasts,
                ],
            )
            .await?;
        let counted = rows.iter().map(|row| {
            let (refused, total): (Option<i32>, Option<i64>) = (row.get("refused"), row.get("total"));
            CountOutcome::from_answer(refused.unwrap_or(0).into(), row.get("wait"), total.unwrap_or(0))
        });
        Ok(counted.collect())
    }
}

/// Deletes the counters that count nothing any more, and old alarms. Returns how many counters were deleted.
///
/// # Errors
/// When the database fails.
pub async fn prune(db: &Client, now: DateTime<Utc>) -> Result<u64, tokio_postgres::Error> {
    let statement = db.prepare_cached(include_str!("sql/prune.sql")).await?;
    db.execute(&statement, &[&now]).await
}
