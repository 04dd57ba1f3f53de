//! Followers of the ledger. A follower takes the events in their order; what they come to is written in one transaction with the
//! position of the follower, so that each event counts once, whichever node applies it.

use std::fmt::Debug;

use async_trait::async_trait;
use counterfoil_projections::AccountStream;
use deadpool_postgres::Transaction;

use super::ledger_page::LedgerPage;
use super::{Journal, JournalError, WantedEvents};

/// How many events a follower takes at a time.
const PAGE: i64 = 1_000;

/// What follows the ledger: a read model, or anything else that takes events in their order, each once.
#[async_trait]
pub trait LedgerFollower: Debug + Send + Sync {
    /// The name of the follower, under which its position is kept in the table `followers`.
    fn name(&self) -> &'static str;

    /// The form of what it writes; raised with a change that takes a rebuild.
    fn format(&self) -> i32;

    /// Its tables, the first of them named after it. A rebuild makes them anew.
    fn tables(&self) -> &'static [&'static str];

    /// The events that it wants.
    fn wanted_events(&self) -> WantedEvents;

    /// Writes what a page of events comes to. The tables are its own in their order, or others of the same form while they are
    /// rebuilt or checked.
    ///
    /// # Errors
    /// [`JournalError`]; nothing of the page is kept then.
    async fn apply(
        &self,
        transaction: &Transaction<'_>,
        tables: &[&str],
        page: &[AccountStream<'_>],
    ) -> Result<(), JournalError>;

    /// Takes out of new tables what tells of the users of erased accounts: their events may have been opened before the erasure. A
    /// follower that writes nothing personal has nothing to do.
    ///
    /// # Errors
    /// [`JournalError`] when the database does not answer; the new tables are then not put in place.
    async fn leave_out_erased(
        &self,
        _transaction: &Transaction<'_>,
        _tables: &[&str],
    ) -> Result<(), JournalError> {
        Ok(())
    }
}

impl Journal {
    /// Applies to every follower what the ledger has, up to its end. Returns how many events the follower took that was furthest
    /// behind. Two nodes that do this at the same time do not harm each other: one waits for the page of the other.
    ///
    /// # Errors
    /// [`JournalError`]; what a follower has written and its position are then as they were after its last page.
    pub async fn follow(&self, followers: &[&dyn LedgerFollower]) -> Result<u64, JournalError> {
        let mut furthest = 0;
        for follower in followers {
            let mut followed = 0;
            loop {
                let page = self.follow_page(*follower).await?;
                followed += page;
                if page == 0 {
                    break;
                }
            }
            furthest = furthest.max(followed);
        }
        Ok(furthest)
    }

    async fn follow_page(&self, follower: &dyn LedgerFollower) -> Result<u64, JournalError> {
        let mut connection = self.database.connection().await?;
        let transaction = connection.transaction().await?;
        let from = lock_position(&transaction, follower.name()).await?;
        let to = self.apply_page(&transaction, follower, follower.tables(), from, PAGE).await?;
        if to > from {
            set_position(&transaction, follower.name(), to).await?;
            transaction.commit().await?;
        }
        Ok(to.abs_diff(from))
    }

    /// Applies the events after a number, up to that many and not beyond the end of the ledger. Returns the last number that has
    /// been applied.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(crate) async fn apply_page(
        &self,
        transaction: &Transaction<'_>,
        follower: &dyn LedgerFollower,
        tables: &[&str],
        from: i64,
        most: i64,
    ) -> Result<i64, JournalError> {
        let wanted = follower.wanted_events();
        let page = LedgerPage::read(transaction, self.personal_data(), wanted, from, most).await?;
        if page.to == from {
            return Ok(from);
        }
        let histories = page.by_account()?;
        let streams: Vec<AccountStream<'_>> =
            histories.iter().map(|(account, events)| AccountStream { account: *account, events }).collect();
        follower.apply(transaction, tables, &streams).await?;
        Ok(page.to)
    }
}

/// Returns the number of the last event that a follower has applied. It applies no other, but in this transaction, until the
/// transaction ends.
pub(crate) async fn lock_position(transaction: &Transaction<'_>, name: &str) -> Result<i64, JournalError> {
    let statement =
        transaction.prepare_cached("SELECT seq FROM followers WHERE name = $1 FOR UPDATE").await?;
    Ok(transaction.query_one(&statement, &[&name]).await?.get(0))
}

/// Writes the number of the last event that a follower has applied.
pub(crate) async fn set_position(
    transaction: &Transaction<'_>,
    name: &str,
    seq: i64,
) -> Result<(), JournalError> {
    let statement = transaction.prepare_cached("UPDATE followers SET seq = $1 WHERE name = $2").await?;
    transaction.execute(&statement, &[&seq, &name]).await?;
    Ok(())
}
