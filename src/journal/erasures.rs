//! What nodes remember of accounts that other nodes erase.

use std::time::Duration;

use counterfoil_domain::values::AccountId;
use uuid::Uuid;

use super::{Journal, JournalError};

/// On which channel an erasure is announced, by the account's id.
const CHANNEL: &str = "counterfoil_erased";

/// How long to wait where there is no connection.
const LOOK_AFTER_ERROR: Duration = Duration::from_millis(250);

impl Journal {
    /// Forgets what this node remembers of each account that is erased on any node, as soon as that is announced. An announcement
    /// that was missed while there was no connection is made up for. It has no end.
    pub async fn forget_erased(&self) {
        loop {
            if let Err(error) = self.forget_announced().await {
                tracing::debug!(%error, "erasures are not announced for now");
            }
            tokio::time::sleep(LOOK_AFTER_ERROR).await;
        }
    }

    /// By one connection, until it ends.
    async fn forget_announced(&self) -> Result<(), JournalError> {
        let mut listener = self.database.listen(CHANNEL).await?;
        // A node remembers an account for as long as it is used, and an erased one is used no more.
        let lately = "SELECT account_id FROM erasures WHERE erased_at > clock_timestamp() - interval '1 day'";
        for row in self.database.connection().await?.query(lately, &[]).await? {
            self.forget(AccountId(row.get(0)));
        }
        while let Some(announced) = listener.next().await {
            if let Ok(account) = Uuid::try_parse(&announced) {
                self.forget(AccountId(account));
            }
        }
        Ok(())
    }
}
