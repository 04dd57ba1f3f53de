//! Identifiers, hashed anew under the active lookup key, so that the former one can go.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::UserAccount;
use counterfoil_domain::values::{AccountId, EmailAddress, Identifier, PhoneNumber};
use cqrs_es::Aggregate as _;
use deadpool_postgres::Client;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Journal, JournalError};
use crate::crypto::personal_data::{LookupHashes, WrappedKey};

/// How many identifiers are read at a time.
const PAGE: i64 = 200;

/// How often and after which time what a request held is tried again.
const PASSES: u32 = 100;
const BETWEEN_PASSES: Duration = Duration::from_millis(100);

/// What came of hashing identifiers anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RehashReport {
    /// Identifiers that are now found by the active key and were not.
    pub rehashed: u64,
    /// Identifiers that are left as they are: what they are cannot be opened, or the key that they were hashed with is not in
    /// the keyring.
    pub lost: u64,
    /// Identifiers that are left as they are: requests held them each time, or another account has them by the active key.
    pub held: u64,
}

/// An identifier as it is stored.
struct Reserved {
    lookup: Vec<u8>,
    account: AccountId,
}

impl Journal {
    /// Hashes every identifier under the active lookup key that is not yet, until none is left; `show` is told how many are
    /// done, of how many. It may be stopped at any time and begun again. Every node must have read the keyring in which the
    /// key is active. The database role must be allowed to update identifiers.
    ///
    /// # Errors
    /// [`JournalError`] when the database does not answer; what was done until then is done.
    pub async fn rehash(&self, show: &mut impl FnMut(u64, u64)) -> Result<RehashReport, JournalError> {
        let connection = self.database.connection().await?;
        // A page may have to be looked for far and wide, when few identifiers are left.
        connection.batch_execute("SET statement_timeout = 0").await?;
        let active = &*self.personal_data().lookup_key_id();
        let count = "SELECT count(*) FROM identifiers WHERE key_id IS DISTINCT FROM $1";
        let of = connection.query_one(count, &[&active]).await?.get::<_, i64>(0).unsigned_abs();
        let mut all = RehashReport::default();
        for _ in 0..PASSES {
            let pass =
                self.rehash_all(&connection, active, &mut |done| show(all.rehashed + done, of)).await?;
            all = RehashReport { rehashed: all.rehashed + pass.rehashed, ..pass };
            if pass.rehashed == 0 && pass.held == 0 {
                break;
            }
            tokio::time::sleep(if pass.rehashed == 0 { BETWEEN_PASSES } else { Duration::ZERO }).await;
        }
        Ok(all)
    }

    /// How many identifiers are found by a lookup key, or by one that was not kept with them.
    ///
    /// # Errors
    /// [`JournalError`] when the database does not answer.
    pub async fn hashed_with(&self, key_id: &str) -> Result<u64, JournalError> {
        let connection = self.database.connection().await?;
        connection.batch_execute("SET statement_timeout = 0").await?;
        let count = "SELECT count(*) FROM identifiers WHERE key_id = $1 OR key_id IS NULL";
        Ok(connection.query_one(count, &[&key_id]).await?.get::<_, i64>(0).unsigned_abs())
    }

    async fn rehash_all(
        &self,
        connection: &Client,
        active: &str,
        show: &mut impl FnMut(u64),
    ) -> Result<RehashReport, JournalError> {
        let page = connection.prepare_cached(include_str!("sql/hashed_otherwise.sql")).await?;
        let update = connection.prepare_cached(include_str!("sql/rehash.sql")).await?;
        let (mut done, mut after) = (RehashReport::default(), Vec::<u8>::new());
        loop {
            let rows = connection.query(&page, &[&active, &after, &PAGE]).await?;
            let Some(last) = rows.last() else { return Ok(done) };
            after = last.get("lookup");

            let (mut found, mut unknown) = (Vec::new(), Vec::new());
            for row in &rows {
                let reserved =
                    Reserved { lookup: row.get("lookup"), account: AccountId(row.get("account_id")) };
                match self.hashes_of(&reserved, of_profile(row)) {
                    Some(hashes) => found.push((reserved, hashes)),
                    None => unknown.push(reserved),
                }
            }
            let persons = self.persons(connection, &unknown).await?;
            for reserved in unknown {
                let identifiers = persons.get(&reserved.account).into_iter().flatten();
                match self.hashes_of(&reserved, identifiers.cloned()) {
                    Some(hashes) => found.push((reserved, hashes)),
                    None => done.lost += 1,
                }
            }

            let former: Vec<&[u8]> = found.iter().map(|(reserved, _)| reserved.lookup.as_slice()).collect();
            let accounts: Vec<Uuid> = found.iter().map(|(reserved, _)| reserved.account.0).collect();
            let hashes: Vec<&[u8]> = found.iter().map(|(_, hashes)| hashes.active.as_slice()).collect();
            let guards: Vec<Option<&[u8]>> = found.iter().map(|(_, hashes)| hashes.guard()).collect();
            let changed =
                connection.execute(&update, &[&former, &accounts, &hashes, &guards, &active]).await?;
            done.rehashed += changed;
            done.held += (found.len() as u64).saturating_sub(changed);
            show(done.rehashed);
        }
    }

    /// The hashes of that one of the identifiers by whose hash, under whichever key, the row is found.
    fn hashes_of(
        &self,
        reserved: &Reserved,
        identifiers: impl IntoIterator<Item = Identifier>,
    ) -> Option<LookupHashes> {
        let mut hashes = identifiers.into_iter().map(|identifier| self.personal_data().lookup(&identifier));
        hashes.find(|hashes| hashes.all().any(|hash| *hash == reserved.lookup))
    }

    /// All identifiers that the events of accounts name, opened with the accounts' keys. A profile tells nothing of an account
    /// that was only asked for, and may be behind.
    async fn persons(
        &self,
        connection: &Client,
        reserved: &[Reserved],
    ) -> Result<HashMap<AccountId, Vec<Identifier>>, JournalError> {
        let mut persons: HashMap<AccountId, Vec<Identifier>> = HashMap::new();
        if reserved.is_empty() {
            return Ok(persons);
        }
        let mut accounts: Vec<Uuid> = reserved.iter().map(|reserved| reserved.account.0).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let statement = connection.prepare_cached(include_str!("sql/persons.sql")).await?;
        for row in connection.query(&statement, &[&UserAccount::TYPE, &accounts]).await? {
            let account = AccountId(row.get("account_id"));
            let keys = self.personal_data().unwrap(account, [WrappedKey::of(&row)]);
            let (sequence, event_type) = (row.get("sequence"), row.get("event_type"));
            // The time says under which key the client is sealed, which is not opened here.
            let (person, _) =
                keys.open_event(sequence, event_type, DateTime::<Utc>::UNIX_EPOCH, row.get("personal"));
            let identifiers = persons.entry(account).or_default();
            if let Some(identifier) = person.and_then(|person| person.identifier)
                && !identifiers.contains(&identifier)
            {
                identifiers.push(identifier);
            }
        }
        Ok(persons)
    }
}

/// What the profile of the row's account says.
fn of_profile(row: &Row) -> impl Iterator<Item = Identifier> {
    let number = row.get::<_, Option<&str>>("phone_number");
    let number = number.and_then(|text| PhoneNumber::parse(text, None).ok()).map(Identifier::Phone);
    let address = row.get::<_, Option<&str>>("email");
    let address = address.and_then(|text| EmailAddress::parse(text).ok()).map(Identifier::Email);
    number.into_iter().chain(address)
}
