//! Rebuilds of read models from the log, with the projectors that write them: of those that are written with the events account by
//! account, of what follows the ledger in its order ([`follower`]).

pub mod follower;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::UserAccount;
use counterfoil_projections::{AccountStream, ReadModel};
use cqrs_es::Aggregate as _;
use deadpool_postgres::{Client, Transaction};
use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use tokio_postgres::IsolationLevel;
use uuid::Uuid;

use crate::journal::{Journal, JournalError, streams};

/// How many accounts are read at a time.
const PAGE: i64 = 500;

/// How many fill the new tables at a time: while one reads and another writes, a third makes rows of events.
const FILLERS: usize = 3;

/// How far a rebuild or a check has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RebuildProgress {
    /// How much is done.
    pub done: u64,
    /// How much there is to do.
    pub of: u64,
    /// The unit that both are counted in.
    pub unit: ProgressUnit,
    /// How many events were read.
    pub events: u64,
}

impl RebuildProgress {
    /// How much is done, from 0 to 1.
    pub fn fraction(&self) -> f64 {
        // Fewer than 2⁵³ of anything.
        #[expect(clippy::cast_precision_loss, reason = "a part of a whole, for people")]
        let fraction = self.done as f64 / self.of.max(1) as f64;
        fraction.min(1.0)
    }
}

/// What work is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressUnit {
    /// Work is counted in accounts.
    #[default]
    Accounts,
    /// Work is counted in events.
    Events,
}

impl ProgressUnit {
    /// Its name, of many.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Events => "events",
        }
    }
}

/// What a check found of one read model.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CheckReport {
    /// The name of the read model.
    pub name: &'static str,
    /// How many rows it has.
    pub rows: i64,
    /// Rows that are in the live table or in the rebuilt one, but not alike in both.
    pub differing: i64,
}

/// The condition of rows of accounts that were erased.
pub(super) const OF_ERASED: &str = "account_id IN (SELECT e.account_id FROM erasures AS e)";

/// Fills new tables beside the old ones, in one reading of the log, catches up with what happened meanwhile, and puts
/// them in the old ones' place.
///
/// Takes four of the database's connections. Commands go on while the tables are filled; they wait only while the
/// accounts that changed meanwhile are done again.
///
/// # Errors
/// [`JournalError`]; the old tables are then untouched.
pub async fn rebuild(
    journal: &Journal,
    models: &[ReadModel],
    progress: &mut impl FnMut(RebuildProgress),
) -> Result<RebuildProgress, JournalError> {
    let mut connection = journal.database().connection().await?;
    let mut tables: Vec<(ReadModel, String)> = Vec::new();
    for model in models {
        tables.push((*model, make_beside(&connection, model.table.name).await?));
    }

    let filler = Filler::new(journal, &tables, progress);
    let first =
        connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await?;
    let row = first.query_one("SELECT pg_current_snapshot()::text, pg_export_snapshot()", &[]).await?;
    let (snapshot, exported): (String, String) = (row.get(0), row.get(1));
    try_join_all((0..FILLERS).map(|_| filler.fill_beside(&exported))).await?;
    first.commit().await?;

    let last = connection.transaction().await?;
    last.batch_execute("LOCK TABLE heads IN SHARE MODE").await?;
    let changed = last.query(include_str!("../journal/sql/changed_since.sql"), &[&snapshot]).await?;
    let changed: Vec<Uuid> = changed.iter().map(|row| row.get(0)).collect();
    for (_, new) in &tables {
        last.execute(&format!("DELETE FROM {new} WHERE account_id = ANY($1)"), &[&changed]).await?;
    }
    filler.fill(&last, &changed).await?;
    let done = filler.state.into_inner().done;
    for (model, new) in &tables {
        if model.forgets_erased {
            last.batch_execute(&format!("DELETE FROM {new} WHERE {OF_ERASED}")).await?;
        }
        last.batch_execute(&format!("DELETE FROM {new} WHERE {}", model.is_over())).await?;
        put_in_place(&last, model.table.name, new).await?;
    }
    last.commit().await?;
    Ok(done)
}

/// Makes every read model again, beside the live ones and in one snapshot of the database, and compares them.
///
/// # Errors
/// [`JournalError`] when the log cannot be read.
pub async fn check(
    journal: &Journal,
    models: &[ReadModel],
    now: DateTime<Utc>,
    progress: &mut impl FnMut(RebuildProgress),
) -> Result<Vec<CheckReport>, JournalError> {
    let mut connection: Client = journal.database().connection().await?;
    let snapshot =
        connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await?;
    let tables: Vec<(ReadModel, String)> =
        models.iter().map(|model| (*model, format!("{}_check", model.table.name))).collect();
    for (model, copy) in &tables {
        let name = model.table.name;
        snapshot
            .batch_execute(&format!(
                "CREATE TEMPORARY TABLE {copy} (LIKE {name} INCLUDING DEFAULTS INCLUDING INDEXES) ON COMMIT DROP"
            ))
            .await?;
    }
    Filler::new(journal, &tables, progress).fill_all(&snapshot).await?;

    let mut checked = Vec::new();
    for (model, copy) in &tables {
        let (name, names) = (model.table.name, model.table.names());
        let forgotten = if model.forgets_erased { OF_ERASED } else { "false" };
        let kept = |table: &str| {
            format!(
                "SELECT {names} FROM {table} candidate
                  WHERE $1::timestamptz IS NOT NULL AND ({}) AND NOT {forgotten} AND NOT {}",
                model.table.kept,
                model.is_over()
            )
        };
        let (live, rebuilt) = (kept(name), kept(copy));
        let row = snapshot.query_one(&differing(&live, &rebuilt), &[&now]).await?;
        checked.push(CheckReport { name, rows: row.get("rows"), differing: row.get("differing") });
    }
    Ok(checked)
}

/// The statement that compares the rows of two.
fn differing(live: &str, rebuilt: &str) -> String {
    format!(
        "SELECT (SELECT count(*) FROM ({live}) live) AS rows, count(*) AS differing
           FROM (({live} EXCEPT ALL {rebuilt}) UNION ALL ({rebuilt} EXCEPT ALL {live})) difference"
    )
}

/// Makes an empty table of the form of another; its name.
async fn make_beside(connection: &Client, name: &str) -> Result<String, JournalError> {
    let new = format!("{name}_rebuild");
    // All of it but the room on its pages, without which updates would write every index.
    let options = "SELECT 'WITH (' || array_to_string(reloptions, ', ') || ')' FROM pg_class WHERE oid = $1::text::regclass";
    let options: Option<String> = connection.query_one(options, &[&name]).await?.get(0);
    let options = options.unwrap_or_default();
    let like = format!("CREATE TABLE {new} (LIKE {name} INCLUDING ALL) {options}");
    connection.batch_execute(&format!("DROP TABLE IF EXISTS {new}; {like}")).await?;
    connection.batch_execute(&same_grants(name, &new)).await?;
    Ok(new)
}

/// Puts the new table in the place of the old one.
async fn put_in_place(transaction: &Transaction<'_>, name: &str, new: &str) -> Result<(), JournalError> {
    transaction.batch_execute(&format!("DROP TABLE {name}; ALTER TABLE {new} RENAME TO {name}")).await?;
    rename_indexes(transaction, name, new).await
}

/// Gives every role the rights on the new table that it has on the old one.
fn same_grants(old: &str, new: &str) -> String {
    format!(
        "DO $$
         DECLARE given record;
         BEGIN
             FOR given IN SELECT grantee::regrole AS role, privilege_type
                            FROM pg_class, aclexplode(relacl)
                           WHERE oid = '{old}'::regclass AND grantee <> 0
             LOOP
                 EXECUTE format('GRANT %s ON {new} TO %s', given.privilege_type, given.role);
             END LOOP;
         END $$"
    )
}

async fn rename_indexes(transaction: &Transaction<'_>, name: &str, new: &str) -> Result<(), JournalError> {
    let indexes =
        transaction.query("SELECT indexname::text FROM pg_indexes WHERE tablename = $1", &[&name]).await?;
    for index in indexes.iter().map(|row| row.get::<_, String>(0)) {
        let renamed = index.replacen(new, name, 1);
        if renamed != index {
            transaction.batch_execute(&format!("ALTER INDEX {index} RENAME TO {renamed}")).await?;
        }
    }
    Ok(())
}

/// Reads the log and writes rows into tables, in as many transactions at a time as ask it to.
struct Filler<'a, F> {
    journal: &'a Journal,
    tables: &'a [(ReadModel, String)],
    state: Mutex<FillerState<'a, F>>,
}

struct FillerState<'a, F> {
    /// The last account that a filler has taken on.
    taken: Uuid,
    done: RebuildProgress,
    progress: &'a mut F,
}

impl<'a, F: FnMut(RebuildProgress)> Filler<'a, F> {
    fn new(journal: &'a Journal, tables: &'a [(ReadModel, String)], progress: &'a mut F) -> Self {
        let state = FillerState { taken: Uuid::nil(), done: RebuildProgress::default(), progress };
        Self { journal, tables, state: Mutex::new(state) }
    }

    /// Does its share, in a transaction of its own that sees what an exported snapshot does.
    async fn fill_beside(&self, exported: &str) -> Result<(), JournalError> {
        let mut connection = self.journal.database().connection().await?;
        let transaction =
            connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await?;
        // The statement takes no parameters; the name is PostgreSQL's own, of digits and hyphens.
        transaction.batch_execute(&format!("SET TRANSACTION SNAPSHOT '{exported}'")).await?;
        self.fill_all(&transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Takes on accounts until all are taken.
    async fn fill_all(&self, transaction: &Transaction<'_>) -> Result<(), JournalError> {
        loop {
            let accounts = self.take_page(transaction).await?;
            if accounts.is_empty() {
                return Ok(());
            }
            self.fill(transaction, &accounts).await?;
        }
    }

    async fn take_page(&self, transaction: &Transaction<'_>) -> Result<Vec<Uuid>, JournalError> {
        let mut state = self.state.lock().await;
        if state.taken.is_nil() {
            let total: i64 = transaction.query_one("SELECT count(*) FROM heads", &[]).await?.get(0);
            state.done.of = u64::try_from(total).unwrap_or_default();
        }
        let page = transaction
            .query(
                "SELECT account_id FROM heads WHERE account_id > $1 ORDER BY account_id LIMIT $2",
                &[&state.taken, &PAGE],
            )
            .await?;
        let accounts: Vec<Uuid> = page.iter().map(|row| row.get(0)).collect();
        state.taken = accounts.last().copied().unwrap_or(state.taken);
        Ok(accounts)
    }

    async fn fill(&self, transaction: &Transaction<'_>, accounts: &[Uuid]) -> Result<(), JournalError> {
        let statement = transaction.prepare_cached(include_str!("../journal/sql/events_of.sql")).await?;
        let rows = transaction.query(&statement, &[&UserAccount::TYPE, &accounts]).await?;
        let keys = streams::keys(transaction, self.journal.personal_data(), accounts).await?;
        let histories = streams::read(&rows, &keys)?;
        let streams: Vec<AccountStream<'_>> =
            histories.iter().map(|(account, events)| AccountStream { account: *account, events }).collect();
        for (model, table) in self.tables {
            streams::write(transaction, model, table, &streams).await?;
        }
        let mut state = self.state.lock().await;
        state.done.done += accounts.len() as u64;
        state.done.events += rows.len() as u64;
        let done = state.done;
        (state.progress)(done);
        Ok(())
    }
}
