//! Reading streams back, by postgres-es: what an auditor replays, and what a state of a former format is made from.

use counterfoil_domain::user_account::{HeldIdentifiers, UserAccount, UserAccountEvent};
use counterfoil_domain::values::AccountId;
use cqrs_es::EventStore as _;
use cqrs_es::persist::PersistedEventStore;
use postgres_es::PostgresEventRepository;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{AccountHead, Journal, JournalError};
use crate::crypto::personal_data::WrappedKey;
use crate::postgres::{Database, DatabaseError};

/// The stock event store over our table.
pub type StockStore = PersistedEventStore<PostgresEventRepository, UserAccount>;

/// The stock event store, reading through the small pool. Not to be written through: it knows neither heads nor read
/// models.
///
/// # Errors
/// [`DatabaseError::Unavailable`] when none of several hosts will do.
pub async fn stock_store(database: &Database) -> Result<StockStore, DatabaseError> {
    let repository = PostgresEventRepository::new(database.reader().await?.clone());
    Ok(PersistedEventStore::new_event_store(repository))
}

/// An account's state, folded from all its events.
pub(super) async fn refold(
    database: &Database,
    account: AccountId,
    version: i64,
) -> Result<UserAccount, JournalError> {
    let unreadable = |reason: String| JournalError::Unreadable { account, reason };
    let context = stock_store(database).await?.load_aggregate(&account.to_string()).await;
    let context = context.map_err(|error| unreadable(error.to_string()))?;
    if i64::try_from(context.current_sequence) != Ok(version) {
        return Err(unreadable(format!("{} events and version {version}", context.current_sequence)));
    }
    Ok(context.aggregate)
}

impl Journal {
    /// All events of an account, in their order, each with its sequence number and what can still be opened of its
    /// personal part.
    ///
    /// # Errors
    /// [`JournalError`] when they cannot be read.
    pub async fn history(&self, account: AccountId) -> Result<Vec<(i64, UserAccountEvent)>, JournalError> {
        let id = account.to_string();
        let envelopes = stock_store(&self.database)
            .await?
            .load_events(&id)
            .await
            .map_err(|error| DatabaseError::Unavailable(error.to_string()))?;

        let connection = self.database.connection().await?;
        let keys = connection.query(include_str!("sql/keys.sql"), &[&[account.0].as_slice()]).await?;
        let keys = keys.iter().map(WrappedKey::of);
        let keys = self.personal_data().unwrap(account, keys);
        let personal = connection.query(include_str!("sql/personal.sql"), &[&id]).await?;

        let mut events = Vec::with_capacity(envelopes.len());
        for (envelope, row) in envelopes.into_iter().zip(&personal) {
            let (sequence, mut event) = (row.get("sequence"), envelope.payload);
            if let Some(personal) = row.get::<_, Option<&[u8]>>("personal") {
                keys.reveal_event(sequence, &mut event, personal);
            }
            events.push((sequence, event));
        }
        Ok(events)
    }

    /// The events by which an account, as it stood at that head, came to its identifiers, with what can still be opened of
    /// their personal parts.
    ///
    /// # Errors
    /// [`JournalError`] when they cannot be read.
    pub async fn identifier_events(&self, head: &AccountHead) -> Result<Vec<UserAccountEvent>, JournalError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(include_str!("sql/identifier_events.sql")).await?;
        let (account, names) = (head.account.to_string(), HeldIdentifiers::EVENTS);
        let rows = connection.query(&statement, &[&account, &names.as_slice(), &head.version]).await?;
        let read = |row: &Row| {
            let mut event: UserAccountEvent = serde_json::from_str(row.get("payload")).ok()?;
            if let Some(personal) = row.get::<_, Option<&[u8]>>("personal") {
                head.keys.reveal_event(row.get("sequence"), &mut event, personal);
            }
            Some(event)
        };
        let unreadable = || JournalError::Unreadable {
            account: head.account,
            reason: "an event of an identifier is not one".to_owned(),
        };
        rows.iter().map(|row| read(row).ok_or_else(unreadable)).collect()
    }

    /// The account that has an identifier, if any.
    ///
    /// # Errors
    /// [`JournalError`] when the database does not answer.
    pub async fn find(
        &self,
        identifier: &counterfoil_domain::values::Identifier,
    ) -> Result<Option<AccountId>, JournalError> {
        let connection = self.database.connection().await?;
        let hashes = self.personal_data().lookup(identifier);
        let hashes: Vec<&[u8]> = hashes.all().map(Vec::as_slice).collect();
        let find = "SELECT account_id FROM identifiers WHERE lookup = ANY ($1) LIMIT 1";
        let row = connection.query_opt(find, &[&hashes]).await?;
        Ok(row.map(|row| AccountId(row.get::<_, Uuid>(0))))
    }
}
