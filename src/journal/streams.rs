//! Events as they are stored, read for projectors, and the rows these make of them, written.

use std::collections::BTreeMap;

use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::AccountId;
use counterfoil_projections::{AccountStream, ReadModel, RecordedEvent};
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;
use uuid::Uuid;

use super::JournalError;
use crate::crypto::personal_data::{AccountKeys, PersonalData, WrappedKey};

/// Events of one account, in their order.
pub(crate) type AccountEvents = Vec<RecordedEvent<UserAccountEvent>>;

/// Reads rows of `account_id, sequence, payload, personal`, with what the keys can still open of the personal parts.
pub(crate) fn read(
    rows: &[Row],
    keys: &BTreeMap<AccountId, AccountKeys>,
) -> Result<BTreeMap<AccountId, AccountEvents>, JournalError> {
    let mut streams: BTreeMap<AccountId, AccountEvents> = BTreeMap::new();
    for row in rows {
        let account = AccountId(row.get("account_id"));
        streams.entry(account).or_default().push(read_event(account, row, keys)?);
    }
    Ok(streams)
}

/// Reads a row of `sequence, payload, personal`, with what the keys can still open of the personal part.
pub(crate) fn read_event(
    account: AccountId,
    row: &Row,
    keys: &BTreeMap<AccountId, AccountKeys>,
) -> Result<RecordedEvent<UserAccountEvent>, JournalError> {
    let sequence = row.get("sequence");
    let unreadable =
        |error: serde_json::Error| JournalError::Unreadable { account, reason: error.to_string() };
    let mut event: UserAccountEvent = serde_json::from_str(row.get("payload")).map_err(unreadable)?;
    if let (Some(personal), Some(keys)) = (row.get::<_, Option<&[u8]>>("personal"), keys.get(&account)) {
        keys.reveal_event(sequence, &mut event, personal);
    }
    Ok(RecordedEvent { sequence, event })
}

/// Writes what a read model's projector makes of events into a table of its form.
pub(crate) async fn write(
    transaction: &Transaction<'_>,
    model: &ReadModel,
    table: &str,
    streams: &[AccountStream<'_>],
) -> Result<(), JournalError> {
    let sql = model.table.upsert(table, &model.table.records(1));
    let statement = transaction.prepare_cached(&sql).await?;
    let changes = (model.changes)(streams);
    transaction.execute(&statement, &changes.parameters().collect::<Vec<_>>()).await?;
    Ok(())
}

/// The keys of accounts, as far as they are there.
pub(crate) async fn keys(
    client: &impl GenericClient,
    personal_data: &PersonalData,
    accounts: &[Uuid],
) -> Result<BTreeMap<AccountId, AccountKeys>, JournalError> {
    let statement = client.prepare_cached(include_str!("sql/keys.sql")).await?;
    let mut stored: BTreeMap<AccountId, Vec<WrappedKey>> = BTreeMap::new();
    for row in client.query(&statement, &[&accounts]).await? {
        stored.entry(AccountId(row.get("account_id"))).or_default().push(WrappedKey::of(&row));
    }
    Ok(stored.into_iter().map(|(account, keys)| (account, personal_data.unwrap(account, keys))).collect())
}
