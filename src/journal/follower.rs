//! Followers of the ledger. A follower takes the events in their order; what they come to is written in one transaction with the
//! position of the follower, so that each event counts once, whichever node applies it.

use std::collections::BTreeMap;
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

    /// Writes what a page of events comes to. Events that it does not want may be among them, where it shares the page with others;
    /// it passes them over. The tables are its own in their order, or others of the same form while they are rebuilt or checked.
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

    /// Returns an SQL condition on rows of its tables that holds for those older than the history that is kept. A follower whose rows
    /// are not deleted by age has none.
    fn is_over(&self) -> String {
        "false".to_owned()
    }
}

impl Journal {
    /// Applies to every follower what the ledger has, up to its end. Returns how many events the follower took that was furthest
    /// behind. Two nodes that do this at the same time do not harm each other: one waits for the page of the other.
    ///
    /// # Errors
    /// [`JournalError`]; what the followers have written and their positions are then as they were after their last page.
    pub async fn follow(&self, followers: &[&dyn LedgerFollower]) -> Result<u64, JournalError> {
        let mut followed = 0;
        loop {
            let page = self.follow_page(followers).await?;
            followed += page.events;
            if page.is_last {
                return Ok(followed);
            }
        }
    }

    /// Applies a page to the followers that are furthest behind, up to where the next one stands. Those that stand together, which
    /// all do unless one was rebuilt, share what costs most: the page is read and opened once.
    async fn follow_page(&self, followers: &[&dyn LedgerFollower]) -> Result<FollowedPage, JournalError> {
        let mut connection = self.database.connection().await?;
        let transaction = connection.transaction().await?;
        let positions = lock_positions(&transaction, followers).await?;
        let from = positions.values().copied().min().unwrap_or_default();
        let next = positions.values().copied().filter(|position| *position > from).min();
        let most = next.map_or(PAGE, |next| PAGE.min(next - from));
        let stands_there = |follower: &&dyn LedgerFollower| positions.get(follower.name()) == Some(&from);
        let behind: Vec<&dyn LedgerFollower> = followers.iter().copied().filter(stands_there).collect();
        let targets: Vec<FollowerTables<'_>> =
            behind.iter().map(|follower| (*follower, follower.tables())).collect();
        let to = self.apply_page(&transaction, &targets, from, most).await?;
        if to > from {
            set_positions(&transaction, &behind, to).await?;
            transaction.commit().await?;
        }
        Ok(FollowedPage { events: to.abs_diff(from), is_last: to - from < most })
    }

    /// Applies to followers the events after a number, up to that many and not beyond the end of the ledger. Returns the last
    /// number that has been applied.
    ///
    /// # Errors
    /// [`JournalError`].
    pub(crate) async fn apply_page(
        &self,
        transaction: &Transaction<'_>,
        targets: &[FollowerTables<'_>],
        from: i64,
        most: i64,
    ) -> Result<i64, JournalError> {
        let wanted: Vec<WantedEvents> =
            targets.iter().map(|(follower, _)| follower.wanted_events()).collect();
        let page = LedgerPage::read(transaction, self.personal_data(), &wanted, from, most).await?;
        let histories = page.by_account()?;
        let streams: Vec<AccountStream<'_>> =
            histories.iter().map(|(account, events)| AccountStream { account: *account, events }).collect();
        if !streams.is_empty() {
            for (follower, tables) in targets {
                follower.apply(transaction, tables, &streams).await?;
            }
        }
        Ok(page.to)
    }
}

/// A follower, and the tables that it is to write.
pub(crate) type FollowerTables<'a> = (&'a dyn LedgerFollower, &'a [&'a str]);

/// What a page of the ledger came to.
#[derive(Clone, Copy, Debug)]
struct FollowedPage {
    /// How many events it has.
    events: u64,
    /// Whether the ledger ended with it.
    is_last: bool,
}

/// Returns the numbers of the last events that followers have applied, by the names of the followers. They apply no other, but in
/// this transaction, until the transaction ends.
pub(crate) async fn lock_positions(
    transaction: &Transaction<'_>,
    followers: &[&dyn LedgerFollower],
) -> Result<BTreeMap<String, i64>, JournalError> {
    let names: Vec<&str> = followers.iter().map(|follower| follower.name()).collect();
    // An erasure locks the same rows in the same order.
    let sql = "SELECT name, seq FROM followers WHERE name = ANY ($1) ORDER BY name FOR UPDATE";
    let statement = transaction.prepare_cached(sql).await?;
    let rows = transaction.query(&statement, &[&names]).await?;
    Ok(rows.iter().map(|row| (row.get("name"), row.get("seq"))).collect())
}

/// Writes the number of the last event that followers have applied.
pub(crate) async fn set_positions(
    transaction: &Transaction<'_>,
    followers: &[&dyn LedgerFollower],
    seq: i64,
) -> Result<(), JournalError> {
    let names: Vec<&str> = followers.iter().map(|follower| follower.name()).collect();
    let statement = transaction.prepare_cached("UPDATE followers SET seq = $1 WHERE name = ANY ($2)").await?;
    transaction.execute(&statement, &[&seq, &names]).await?;
    Ok(())
}
