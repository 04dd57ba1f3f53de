//! Loading accounts: one row each, whatever their history, many in one statement.

use std::collections::HashMap;

use counterfoil_domain::values::AccountId;
use deadpool_postgres::Client;
use tokio_postgres::Row;
use uuid::Uuid;

use super::Leaf;
use crate::crypto::personal_data::{KeyScope, LookupHashes, WrappedKey};
use crate::postgres::DatabaseError;
use crate::postgres::batcher::BatchQuery;

/// A head as it is stored.
#[derive(Debug)]
pub(super) struct StoredHead {
    pub(super) account: AccountId,
    pub(super) version: i64,
    pub(super) state: Vec<u8>,
    pub(super) state_format: i32,
    pub(super) leaf: Option<Leaf>,
    pub(super) keys: Vec<WrappedKey>,
}

/// Loads whatever accounts are asked for, each with its keys for the person and for one quarter.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadByAccount;

/// The same by the keyed hashes of an identifier: all of them in one statement, so that a row whose hash is replaced meanwhile is
/// found by the one or by the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadByLookup;

impl BatchQuery for LoadByAccount {
    type Request = (AccountId, KeyScope);
    type Answer = Option<StoredHead>;

    const MOST: usize = 256;

    async fn ask(
        &self,
        connection: &Client,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, DatabaseError> {
        let accounts: Vec<Uuid> = requests.iter().map(|(account, _)| account.0).collect();
        let statement = connection.prepare_cached(include_str!("sql/load_by_account.sql")).await?;
        let rows = connection.query(&statement, &[&accounts, &scopes(requests)]).await?;
        let found: HashMap<Uuid, &Row> = rows.iter().map(|row| (row.get("account_id"), row)).collect();
        Ok(accounts.iter().map(|account| found.get(account).map(|row| stored(row))).collect())
    }
}

impl BatchQuery for LoadByLookup {
    type Request = (LookupHashes, KeyScope);
    type Answer = Option<StoredHead>;

    const MOST: usize = 256;

    async fn ask(
        &self,
        connection: &Client,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, DatabaseError> {
        let lookups: Vec<&[u8]> =
            requests.iter().flat_map(|(hashes, _)| hashes.all()).map(Vec::as_slice).collect();
        let statement = connection.prepare_cached(include_str!("sql/load_by_lookup.sql")).await?;
        let rows = connection.query(&statement, &[&lookups, &scopes(requests)]).await?;
        let found: HashMap<&[u8], &Row> = rows.iter().map(|row| (row.get("lookup"), row)).collect();
        let find = |hashes: &LookupHashes| hashes.all().find_map(|hash| found.get(hash.as_slice()));
        Ok(requests.iter().map(|(hashes, _)| find(hashes).map(|row| stored(row))).collect())
    }
}

/// The scopes that any of the requests needs.
fn scopes<K>(requests: &[(K, KeyScope)]) -> Vec<String> {
    let mut scopes: Vec<KeyScope> =
        requests.iter().map(|(_, scope)| *scope).chain([KeyScope::Person]).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes.iter().map(KeyScope::to_string).collect()
}

fn stored(row: &Row) -> StoredHead {
    let scopes: Option<Vec<String>> = row.get("scopes");
    let wrapping_ids: Option<Vec<String>> = row.get("wrapping_ids");
    let wrapped: Option<Vec<Vec<u8>>> = row.get("wrapped");
    let keys = scopes
        .unwrap_or_default()
        .into_iter()
        .zip(wrapping_ids.unwrap_or_default())
        .zip(wrapped.unwrap_or_default())
        .map(|((scope, wrapping_id), wrapped)| WrappedKey { scope, wrapping_id, wrapped });
    StoredHead {
        account: AccountId(row.get("account_id")),
        version: row.get("version"),
        state: row.get("state"),
        state_format: row.get("state_format"),
        leaf: row.get::<_, &[u8]>("leaf").try_into().ok().map(Leaf),
        keys: keys.collect(),
    }
}
