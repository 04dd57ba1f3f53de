//! Counting in Redis: one call of a script a request.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, Script, cmd};

use super::meter::{CountOutcome, MeterEntry, MeterStore, StoreUnavailable, StoredMeter};

/// How long anything waits for the server.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);

/// Before every key, since a server can be shared.
const PREFIX: &str = "counterfoil:";

impl From<RedisError> for StoreUnavailable {
    fn from(error: RedisError) -> Self {
        // The kind only: a message may quote what was sent.
        Self(error.category().to_owned())
    }
}

/// Meters as keys of a server.
pub(super) struct RedisStore {
    connection: ConnectionManager,
    count: Script,
}

impl RedisStore {
    /// Of that server, which is connected to when it is first asked.
    pub(super) fn new(server: Client) -> Self {
        let patience = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(ANSWER_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(server, patience)
            .expect("only push messages need more, and none are asked for");
        Self { connection, count: Script::new(include_str!("count.lua")) }
    }
}

#[async_trait]
impl MeterStore for RedisStore {
    async fn count(
        &self,
        present: DateTime<Utc>,
        entries: Vec<MeterEntry>,
    ) -> Result<CountOutcome, StoreUnavailable> {
        let mut call = self.count.prepare_invoke();
        call.arg(present.timestamp_micros());
        for MeterEntry { meter, rule, most, cost } in &entries {
            call.key(format!("{PREFIX}{meter}")).arg(rule.every).arg(rule.slots).arg(most).arg(cost);
        }
        let (refused, wait, total) = call.invoke_async(&mut self.connection.clone()).await?;
        Ok(CountOutcome::from_answer(refused, wait, total))
    }

    async fn stored(&self) -> Result<Vec<StoredMeter>, StoreUnavailable> {
        let mut connection = self.connection.clone();
        let (mut cursor, mut stored) = (0_u64, Vec::new());
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{PREFIX}*")).arg("COUNT").arg(1000);
            let (next, keys): (u64, Vec<String>) = scan.query_async(&mut connection).await?;
            stored.extend(read(&mut connection, keys).await?);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        stored.sort_by(|a, b| a.meter.cmp(&b.meter));
        stored.dedup();
        Ok(stored)
    }

    async fn find(&self, meters: &[String]) -> Result<Vec<StoredMeter>, StoreUnavailable> {
        let keys = meters.iter().map(|meter| format!("{PREFIX}{meter}")).collect();
        let mut stored = read(&mut self.connection.clone(), keys).await?;
        stored.sort_by(|a, b| a.meter.cmp(&b.meter));
        Ok(stored)
    }

    async fn forget(&self, meters: &[String]) -> Result<(), StoreUnavailable> {
        for meter in meters {
            let mut delete = cmd("DEL");
            delete.arg(format!("{PREFIX}{meter}"));
            let _: i64 = delete.query_async(&mut self.connection.clone()).await?;
        }
        Ok(())
    }
}

/// The meters of these keys, where there are any.
async fn read(
    connection: &mut ConnectionManager,
    keys: Vec<String>,
) -> Result<Vec<StoredMeter>, StoreUnavailable> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<Option<String>> = cmd("MGET").arg(&keys).query_async(connection).await?;
    let stored = keys.iter().zip(values).filter_map(|(key, value)| {
        let value = value?;
        let mut numbers = value.split(' ').map_while(|number| number.parse().ok());
        let (until, slot) = (numbers.next()?, numbers.next()?);
        let meter = key.strip_prefix(PREFIX)?.to_owned();
        Some(StoredMeter { meter, until, slot, counts: numbers.collect() })
    });
    Ok(stored.collect())
}
