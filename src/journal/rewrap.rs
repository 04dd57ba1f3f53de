//! Accounts' keys, wrapped anew under the active key of the keyring, so that a former one can go.

use counterfoil_domain::values::AccountId;
use deadpool_postgres::Client;
use uuid::Uuid;

use super::{Journal, JournalError};
use crate::crypto::personal_data::WrappedKey;

/// How many keys are read at a time.
const PAGE: i64 = 1000;

/// What came of wrapping keys anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RewrapReport {
    /// Keys that are now wrapped under the active key and were not.
    pub rewrapped: u64,
    /// Keys that are left as they are: the key that they are wrapped under is not in the keyring, or not the one.
    pub lost: u64,
}

impl Journal {
    /// Wraps every account's keys under the active key that are not yet, until none is left. Every node must have read
    /// the keyring before, or a new account may bring another one. The database role must be allowed to update the
    /// keys.
    ///
    /// # Errors
    /// [`JournalError`] when the database does not answer; what was done until then is done.
    pub async fn rewrap(&self) -> Result<RewrapReport, JournalError> {
        let connection = self.database.connection().await?;
        // A page may have to be looked for far and wide, when few keys are left.
        connection.batch_execute("SET statement_timeout = 0").await?;
        let mut all = RewrapReport::default();
        loop {
            let RewrapReport { rewrapped, lost } = self.pass(&connection).await?;
            all = RewrapReport { rewrapped: all.rewrapped + rewrapped, lost };
            if rewrapped == 0 {
                return Ok(all);
            }
        }
    }

    async fn pass(&self, connection: &Client) -> Result<RewrapReport, JournalError> {
        let page = connection.prepare_cached(include_str!("sql/wrapped_otherwise.sql")).await?;
        let update = connection.prepare_cached(include_str!("sql/rewrap.sql")).await?;
        let (mut done, mut after) = (RewrapReport::default(), (Uuid::nil(), String::new()));
        loop {
            let active = self.personal_data().wrapping_id();
            let rows = connection.query(&page, &[&active, &after.0, &after.1, &PAGE]).await?;
            let Some(last) = rows.last() else { return Ok(done) };
            after = (last.get("account_id"), last.get("scope"));

            let (mut accounts, mut former, mut rewrapped) = (Vec::new(), Vec::new(), Vec::new());
            for row in &rows {
                let (account, stored): (Uuid, _) = (row.get("account_id"), WrappedKey::of(row));
                match self.personal_data().rewrap(AccountId(account), &stored) {
                    Ok(key) => {
                        accounts.push(account);
                        former.push(stored.wrapping_id);
                        rewrapped.push(key);
                    }
                    Err(_) => done.lost += 1,
                }
            }
            let column = |of: fn(&WrappedKey) -> &str| rewrapped.iter().map(of).collect::<Vec<_>>();
            let (scopes, ids) = (column(|key| &key.scope), column(|key| &key.wrapping_id));
            let wrapped: Vec<&[u8]> = rewrapped.iter().map(|key| key.wrapped.as_slice()).collect();
            done.rewrapped +=
                connection.execute(&update, &[&accounts, &scopes, &former, &ids, &wrapped]).await?;
        }
    }
}
