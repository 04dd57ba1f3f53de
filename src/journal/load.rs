//! Loading an account: one row, whatever its history.

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::UserAccount;
use counterfoil_domain::values::AccountId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::commit::state_place;
use super::{Address, Journal, JournalError, Leaf, Loaded, STATE_FORMAT, replay};
use crate::entropy;
use crate::personal_data::{Scope, WrappedKey};

impl Journal {
    /// Loads an account, with the keys that a commit at `now` needs. An identifier that nobody has is given a new
    /// account, which begins to exist with its first commit.
    ///
    /// # Errors
    /// [`JournalError`]; an account id that is unknown loads as an account to which nothing has happened.
    pub async fn load(&self, address: &Address, now: DateTime<Utc>) -> Result<Loaded, JournalError> {
        let connection = self.database.connection().await?;
        let origin = Scope::origin_at(now).to_string();
        let (sql, key): (_, &(dyn tokio_postgres::types::ToSql + Sync)) = match address {
            Address::Account(account) => (include_str!("sql/load_by_account.sql"), &account.0),
            Address::Identifier(identifier) => {
                (include_str!("sql/load_by_lookup.sql"), &self.personal_data.lookup(identifier))
            }
        };
        let statement = connection.prepare_cached(sql).await?;
        let row = connection.query_opt(&statement, &[key, &origin]).await?;
        drop(connection);
        match row {
            Some(row) => self.loaded(&row).await,
            None => Ok(self.fresh(address, now)),
        }
    }

    fn fresh(&self, address: &Address, now: DateTime<Utc>) -> Loaded {
        let (account, reservation) = match address {
            Address::Account(account) => (*account, None),
            Address::Identifier(identifier) => {
                let lookup = self.personal_data.lookup(identifier);
                (entropy::account_id(now), Some((lookup, identifier.channel().as_str())))
            }
        };
        Loaded {
            account,
            version: 0,
            state: UserAccount::Unknown,
            leaf: Leaf::default(),
            keys: self.personal_data.unwrap(account, []),
            reservation,
        }
    }

    async fn loaded(&self, row: &Row) -> Result<Loaded, JournalError> {
        let account = AccountId(row.get::<_, Uuid>("account_id"));
        let unreadable = |reason: &str| JournalError::Unreadable { account, reason: reason.to_owned() };
        let version: i64 = row.get("version");
        let scopes: Vec<String> = row.get("scopes");
        let wrapping_ids: Vec<String> = row.get("wrapping_ids");
        let wrapped: Vec<Vec<u8>> = row.get("wrapped");
        let stored = scopes
            .into_iter()
            .zip(wrapping_ids)
            .zip(wrapped)
            .map(|((scope, wrapping_id), wrapped)| WrappedKey { scope, wrapping_id, wrapped });
        let keys = self.personal_data.unwrap(account, stored);
        let state = if row.get::<_, i32>("state_format") == STATE_FORMAT {
            keys.open(Scope::Person, &state_place(version), row.get("state"))
                .map_err(|_| unreadable("its state cannot be opened"))?
        } else {
            replay::refold(&self.database, account, version).await?
        };
        let leaf =
            row.get::<_, &[u8]>("leaf").try_into().map_err(|_| unreadable("its leaf is not 32 bytes"))?;
        Ok(Loaded { account, version, state, leaf: Leaf(leaf), keys, reservation: None })
    }
}
