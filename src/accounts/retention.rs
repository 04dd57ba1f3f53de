//! How long data is kept: accounts that were never signed in to, network data, and history.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::commands::LapseAccount;
use counterfoil_domain::values::{AccountId, Channel};
use tokio_postgres::Row;
use uuid::Uuid;

use super::commit::until_available;
use super::{Accounts, AccountsError, RequestContext};
use crate::journal::{AccountRef, JournalError};
use crate::read_models::retention::{RetentionLimits, forget_page};

/// How many accounts are read at a time.
const PAGE: i64 = 500;

/// How many pages of old data are forgotten one after the other. Each node goes on a minute later.
const PAGES_AT_ONCE: usize = 200;

/// What is waited between two of them, so that requests find the disk free, and a rebuild its turn.
const PAUSE: Duration = Duration::from_millis(100);

/// How long data is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// How long after its last code an account that was never signed in to is forgotten.
    pub never_signed_in: TimeDelta,
    /// How long after the end of a quarter of a year the network data of that quarter is forgotten.
    pub network_data: TimeDelta,
    /// How long rows of ended sessions and of the login history are kept. Their events are kept for good.
    pub history: TimeDelta,
}

impl RetentionPolicy {
    /// Keeps everything for a thousand years.
    pub(super) const ENDLESS: Self = {
        let period = TimeDelta::days(365_000);
        Self { never_signed_in: period, network_data: period, history: period }
    };
}

impl Accounts {
    /// Goes on with forgetting network data and with deleting history that is older than it is kept. Returns how many accounts were
    /// gone through. Any number of nodes do this at a time.
    ///
    /// # Errors
    /// [`AccountsError`] when the database does not answer.
    pub async fn forget_old_data(&self) -> Result<u64, AccountsError> {
        let RetentionPolicy { network_data, history, .. } = self.retention;
        let limits = RetentionLimits::at(self.clock.now(), network_data, history);
        let mut done = 0;
        for _ in 0..PAGES_AT_ONCE {
            let accounts = forget_page(&self.journal, limits).await?;
            if accounts == 0 {
                break;
            }
            done += accounts;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(done)
    }

    /// Lets accounts lapse that were never signed in to and whose last code is that old, and forgets who they were: the
    /// identifier is free, and the profile and the keys of what is personal in the events are gone. Returns how many. Any
    /// number of nodes do this at a time.
    ///
    /// # Errors
    /// [`AccountsError`] when the database does not answer.
    pub async fn forget_never_signed_in(&self) -> Result<u64, AccountsError> {
        let (at, unused_for) = (self.clock.now(), self.retention.never_signed_in);
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
