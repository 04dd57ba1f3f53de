//! What becomes of accounts that were never signed in to.

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::commands::LapseAccount;
use counterfoil_domain::values::{AccountId, Channel};
use tokio_postgres::Row;
use uuid::Uuid;

use super::commit::until_available;
use super::{Accounts, AccountsError, RequestContext};
use crate::journal::{AccountRef, JournalError};

/// How many accounts are read at a time.
const PAGE: i64 = 500;

impl Accounts {
    /// Lets accounts lapse that were never signed in to and whose last code is that old, and forgets who they were: the
    /// identifier is free, and the profile and the keys of what is personal in the events are gone. Returns how many. Any
    /// number of nodes do this at a time.
    ///
    /// # Errors
    /// [`AccountsError`] when the database does not answer.
    pub async fn forget_never_signed_in(&self) -> Result<u64, AccountsError> {
        let (at, unused_for) = (self.clock.now(), self.never_signed_in);
        let (mut after, before) = (Uuid::nil(), first_account_at(at - unused_for));
        let mut forgotten = 0;
        loop {
            let page = self.never_joined(after, before).await?;
            for row in &page {
                after = row.get("account_id");
                let channel = row.get::<_, Option<&str>>("channel").map(channel);
                forgotten +=
                    u64::from(self.forget_if_lapsed(AccountId(after), channel, at, unused_for).await?);
            }
            if page.len() < usize::try_from(PAGE).unwrap_or_default() {
                return Ok(forgotten);
            }
        }
    }

    async fn never_joined(&self, after: Uuid, before: Uuid) -> Result<Vec<Row>, JournalError> {
        let db = self.journal.database().connection().await?;
        let statement = db.prepare_cached(include_str!("sql/never_joined.sql")).await?;
        Ok(db.query(&statement, &[&after, &before, &PAGE]).await?)
    }

    async fn forget_if_lapsed(
        &self,
        account: AccountId,
        channel: Option<Channel>,
        at: DateTime<Utc>,
        unused_for: TimeDelta,
    ) -> Result<bool, AccountsError> {
        if let Some(channel) = channel {
            let address = AccountRef::Account(account);
            let command = LapseAccount { at, channel, unused_for };
            let loaded = until_available(|| self.journal.load_anew(&address, at)).await?;
            // Asked before, since a command that has nothing to do waits until that is durable.
            let (events, _) = self.decide(&loaded, command.clone().into()).await?;
            if events.is_empty() {
                return Ok(false);
            }
            let origin = RequestContext::nowhere("retention");
            self.execute(address, &origin, at, command.into()).await?;
        }
        let db = self.journal.database().connection().await.map_err(JournalError::from)?;
        let forgotten = db.query_one("SELECT forget_lapsed_account($1)", &[&account.0]).await;
        self.journal.forget(account);
        Ok(forgotten.map_err(JournalError::from)?.get(0))
    }
}

/// The least id that an account can have that began then (RFC 9562, version 7: the time in milliseconds comes first).
fn first_account_at(at: DateTime<Utc>) -> Uuid {
    let milliseconds = u128::try_from(at.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(milliseconds << 80)
}

fn channel(name: &str) -> Channel {
    if name == Channel::Email.as_str() { Channel::Email } else { Channel::Phone }
}

#[cfg(test)]
mod tests {
    use super::first_account_at;
    use crate::crypto::entropy;
    use chrono::{DateTime, TimeDelta};

    #[test]
    fn accounts_that_began_before_a_time_have_lesser_ids() {
        let at = DateTime::from_timestamp_millis(1_800_000_000_123).expect("a time");
        for (milliseconds, is_before) in [(-1_000, true), (-1, true), (0, false), (1, false)] {
            let account = entropy::account_id(at + TimeDelta::milliseconds(milliseconds)).0;
            assert_eq!(account < first_account_at(at), is_before, "{milliseconds}");
        }
    }
}
