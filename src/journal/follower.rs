//! Read models that follow the ledger: events in their order, rows and position in one transaction.

use std::collections::BTreeMap;

use counterfoil_domain::user_account::UserAccount;
use counterfoil_domain::values::AccountId;
use counterfoil_projections::{FOLLOWING, Follower, Stream};
use cqrs_es::Aggregate as _;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Journal, JournalError, streams};

/// How many events are taken at a time.
const PAGE: i64 = 1_000;

impl Journal {
    /// Brings every read model that follows the ledger up to its end; how many events that took. Two nodes that do it
    /// at the same time do not harm each other: the position is compared and swapped with the rows.
    ///
    /// # Errors
    /// [`JournalError`]; rows and position are then as they were after the last page.
    pub async fn follow(&self) -> Result<u64, JournalError> {
        let mut followed = 0;
        for follower in &FOLLOWING {
            loop {
                let page = self.follow_page(follower).await?;
                followed += page;
                if page == 0 {
                    break;
                }
            }
        }
        Ok(followed)
    }

    async fn follow_page(&self, Follower { model, passes_over }: &Follower) -> Result<u64, JournalError> {
        let mut connection = self.database.connection().await?;
        let page = connection.transaction().await?;
        let position = page.prepare_cached("SELECT seq FROM followers WHERE name = $1").await?;
        let from: i64 = page.query_one(&position, &[&model.table.name]).await?.get(0);
        let statement = page.prepare_cached(include_str!("sql/follow.sql")).await?;
        let mut rows: Vec<Row> =
            page.query(&statement, &[&UserAccount::TYPE, &from, &PAGE, passes_over]).await?;
        let Some(to) = rows.last().map(|row| row.get::<_, i64>("seq")) else { return Ok(0) };

        let page_length = rows.len() as u64;
        rows.retain(|row| row.get::<_, Option<&str>>("payload").is_some());

        let mut accounts: Vec<Uuid> = rows.iter().map(|row| row.get("account_id")).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let keys = streams::keys(&page, self.personal_data(), &accounts).await?;
        let histories = streams::read(&rows, &keys)?;
        streams::write(&page, model, model.table.name, &of(&histories)).await?;

        let swap = page.prepare_cached("UPDATE followers SET seq = $1 WHERE name = $2 AND seq = $3").await?;
        if page.execute(&swap, &[&to, &model.table.name, &from]).await? == 0 {
            // Another node was here meanwhile.
            return Ok(0);
        }
        page.commit().await?;
        Ok(page_length)
    }
}

fn of(histories: &BTreeMap<AccountId, streams::Events>) -> Vec<Stream<'_>> {
    histories.iter().map(|(account, events)| Stream { account: *account, events }).collect()
}
