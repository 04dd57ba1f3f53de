//! The ledger, read a page at a time: for followers by account, for others in its order.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::user_account::{UserAccount, UserAccountEvent};
use counterfoil_domain::values::AccountId;
use counterfoil_projections::RecordedEvent;
use cqrs_es::Aggregate as _;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Journal, JournalError, streams};
use crate::crypto::personal_data::{AccountKeys, PersonalData};

/// The events that a reader of the ledger wants.
#[derive(Clone, Copy, Debug)]
pub struct WantedEvents {
    /// The names of the events; no others are read for it.
    pub names: &'static [&'static str],
    /// Whether it needs what is personal in them.
    pub with_personal: bool,
    /// Whether it needs the ids of the requests that they come from.
    pub with_request: bool,
}

/// The wanted events among some numbers of the ledger that follow each other.
#[derive(Debug)]
pub(crate) struct LedgerPage {
    /// The last of the numbers; the one that the page begins after, where the ledger ends there.
    pub(crate) to: i64,
    rows: Vec<Row>,
    keys: BTreeMap<AccountId, AccountKeys>,
}

/// A wanted event, where it stands in the ledger.
#[derive(Debug)]
pub(crate) struct LedgerEvent {
    /// The number in the ledger.
    pub(crate) seq: i64,
    pub(crate) account: AccountId,
    /// The id of the request that the event comes from, where it is wanted and there is one.
    pub(crate) request: Option<String>,
    /// The event, with its number in the stream of the account.
    pub(crate) recorded: Result<RecordedEvent<UserAccountEvent>, JournalError>,
}

impl LedgerPage {
    /// Reads the events after a number that any reader wants, up to so many numbers and not beyond the end of the ledger.
    pub(crate) async fn read(
        client: &impl GenericClient,
        personal_data: &PersonalData,
        readers: &[WantedEvents],
        from: i64,
        most: i64,
    ) -> Result<Self, JournalError> {
        let names_of = |readers: &mut dyn Iterator<Item = &WantedEvents>| -> Vec<&str> {
            let names: BTreeSet<&str> = readers.flat_map(|wanted| wanted.names).copied().collect();
            names.into_iter().collect()
        };
        let names = names_of(&mut readers.iter());
        let personal = names_of(&mut readers.iter().filter(|wanted| wanted.with_personal));
        let with_request = readers.iter().any(|wanted| wanted.with_request);
        let statement = client.prepare_cached(include_str!("sql/follow.sql")).await?;
        let mut rows = client
            .query(&statement, &[&UserAccount::TYPE, &from, &most, &names, &personal, &with_request])
            .await?;
        let to = rows.last().map_or(from, |row| row.get("seq"));
        rows.retain(|row| row.get::<_, Option<&str>>("payload").is_some());
        let sealed = rows.iter().filter(|row| row.get::<_, Option<&[u8]>>("personal").is_some());
        let mut accounts: Vec<Uuid> = sealed.map(|row| row.get("account_id")).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let keys = if accounts.is_empty() {
            BTreeMap::new()
        } else {
            streams::keys(client, personal_data, &accounts).await?
        };
        Ok(Self { to, rows, keys })
    }

    /// The events of each account, in their order.
    pub(super) fn by_account(&self) -> Result<BTreeMap<AccountId, streams::AccountEvents>, JournalError> {
        streams::read(&self.rows, &self.keys)
    }

    /// The events in the order of the ledger. One that cannot be read stands in its place as an error.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = LedgerEvent> {
        self.rows.iter().map(|row| {
            let account = AccountId(row.get("account_id"));
            let recorded = streams::read_event(account, row, &self.keys);
            LedgerEvent { seq: row.get("seq"), account, request: row.get("request"), recorded }
        })
    }
}

impl Journal {
    /// Reads a page of the ledger in no transaction.
    ///
    /// # Errors
    /// [`JournalError`] when the database does not answer.
    pub(crate) async fn ledger_page(
        &self,
        wanted: WantedEvents,
        from: i64,
        most: i64,
    ) -> Result<LedgerPage, JournalError> {
        let connection = self.database.connection().await?;
        LedgerPage::read(&connection, self.personal_data(), &[wanted], from, most).await
    }
}
