//! Read models that follow the ledger: events in their order, rows and position in one transaction.

use std::collections::BTreeMap;

use counterfoil_domain::user_account::UserAccount;
use counterfoil_domain::values::AccountId;
use counterfoil_projections::{FOLLOWING, Follower, Stream, statistics};
use cqrs_es::Aggregate as _;
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Journal, JournalError, streams};

/// How many events are taken at a time.
const PAGE: i64 = 1_000;

/// Events that follow each other in the ledger.
struct Page {
    /// The last number of them, those included that were passed over.
    to: i64,
    /// Those that are of interest.
    rows: Vec<Row>,
}

/// Which events, and what of them.
#[derive(Clone, Copy)]
struct Wanted {
    all_but: &'static [&'static str],
    with_personal: bool,
}

impl Wanted {
    /// Who the people are is not counted.
    const COUNTED: Self = Self { all_but: &statistics::PASSED_OVER, with_personal: false };
}

/// A read model that follows the ledger.
#[derive(Clone, Copy)]
enum Following {
    /// One of rows.
    Rows(Follower),
    /// The statistics.
    Sums,
}

impl Following {
    fn all() -> impl Iterator<Item = Self> {
        FOLLOWING.into_iter().map(Self::Rows).chain([Self::Sums])
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Rows(follower) => follower.model.table.name,
            Self::Sums => statistics::NAME,
        }
    }

    /// The events that it is to have.
    fn wanted(&self) -> Wanted {
        match self {
            Self::Rows(follower) => Wanted { all_but: follower.passes_over, with_personal: true },
            Self::Sums => Wanted::COUNTED,
        }
    }
}

impl Journal {
    /// Brings every read model that follows the ledger up to its end; how many events the one took that was furthest
    /// behind. Two nodes that do it at the same time do not harm each other: one waits for the other's page.
    ///
    /// # Errors
    /// [`JournalError`]; rows and position are then as they were after the last page.
    pub async fn follow(&self) -> Result<u64, JournalError> {
        let mut furthest = 0;
        for following in Following::all() {
            let mut followed = 0;
            loop {
                let page = self.follow_page(following).await?;
                followed += page;
                if page == 0 {
                    break;
                }
            }
            furthest = furthest.max(followed);
        }
        Ok(furthest)
    }

    async fn follow_page(&self, following: Following) -> Result<u64, JournalError> {
        let mut connection = self.database.connection().await?;
        let transaction = connection.transaction().await?;
        let from = position(&transaction, following.name()).await?;
        let page = next_page(&transaction, from, PAGE, following.wanted()).await?;
        let Some(Page { to, rows }) = page else { return Ok(0) };
        match following {
            Following::Rows(follower) => self.write(&transaction, &follower, &rows).await?,
            Following::Sums => add(&transaction, statistics::TABLES, &rows).await?,
        }
        move_to(&transaction, following.name(), to).await?;
        transaction.commit().await?;
        Ok(to.abs_diff(from))
    }

    async fn write(
        &self,
        transaction: &Transaction<'_>,
        Follower { model, .. }: &Follower,
        rows: &[Row],
    ) -> Result<(), JournalError> {
        let mut accounts: Vec<Uuid> = rows.iter().map(|row| row.get("account_id")).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let keys = streams::keys(transaction, self.personal_data(), &accounts).await?;
        let histories = streams::read(rows, &keys)?;
        streams::write(transaction, model, model.table.name, &of(&histories)).await
    }
}

/// Adds to tables of the form of the statistics what has happened after a number, up to that many events and not beyond the
/// end of the ledger; the last number that is in them now.
///
/// # Errors
/// [`JournalError`].
pub(crate) async fn count_after(
    transaction: &Transaction<'_>,
    tables: [&str; 2],
    from: i64,
    most: i64,
) -> Result<i64, JournalError> {
    let page = next_page(transaction, from, most, Wanted::COUNTED).await?;
    let Some(page) = page else { return Ok(from) };
    add(transaction, tables, &page.rows).await?;
    Ok(page.to)
}

async fn add(transaction: &Transaction<'_>, tables: [&str; 2], rows: &[Row]) -> Result<(), JournalError> {
    let histories = streams::read(rows, &BTreeMap::new())?;
    Ok(statistics::add(transaction, tables, &of(&histories)).await?)
}

/// How far a read model has come. It goes no further, but by this transaction, until that has ended.
pub(crate) async fn position(transaction: &Transaction<'_>, name: &str) -> Result<i64, JournalError> {
    let statement =
        transaction.prepare_cached("SELECT seq FROM followers WHERE name = $1 FOR UPDATE").await?;
    Ok(transaction.query_one(&statement, &[&name]).await?.get(0))
}

/// Says how far a read model has come.
pub(crate) async fn move_to(transaction: &Transaction<'_>, name: &str, seq: i64) -> Result<(), JournalError> {
    let statement = transaction.prepare_cached("UPDATE followers SET seq = $1 WHERE name = $2").await?;
    transaction.execute(&statement, &[&seq, &name]).await?;
    Ok(())
}

async fn next_page(
    transaction: &Transaction<'_>,
    from: i64,
    most: i64,
    Wanted { all_but, with_personal }: Wanted,
) -> Result<Option<Page>, JournalError> {
    let statement = transaction.prepare_cached(include_str!("sql/follow.sql")).await?;
    let mut rows =
        transaction.query(&statement, &[&UserAccount::TYPE, &from, &most, &all_but, &with_personal]).await?;
    let Some(to) = rows.last().map(|row| row.get("seq")) else { return Ok(None) };
    rows.retain(|row| row.get::<_, Option<&str>>("payload").is_some());
    Ok(Some(Page { to, rows }))
}

fn of(histories: &BTreeMap<AccountId, streams::Events>) -> Vec<Stream<'_>> {
    histories.iter().map(|(account, events)| Stream { account: *account, events }).collect()
}
