//! Rebuilds of what follows the ledger: the events are applied in their order to new tables, up to a position that is written with
//! them.

use tokio_postgres::IsolationLevel;

use super::{CheckReport, ProgressUnit, RebuildProgress, differing, make_beside, put_in_place};
use crate::journal::follower::{lock_positions, set_positions};
use crate::journal::{Journal, JournalError, LedgerFollower};

/// How many events are applied at a time.
const PAGE: i64 = 5_000;

/// Applies the whole log to new tables, beside the old ones, and puts them in their place. The old ones are kept up to date
/// meanwhile, but for the moment of the exchange.
///
/// Takes one of the database's connections.
///
/// # Errors
/// [`JournalError`]; the old tables are then untouched.
pub async fn rebuild(
    journal: &Journal,
    follower: &dyn LedgerFollower,
    progress: &mut impl FnMut(RebuildProgress),
) -> Result<RebuildProgress, JournalError> {
    let mut connection = journal.database().connection().await?;
    let mut new = Vec::new();
    for name in follower.tables() {
        new.push(make_beside(&connection, name).await?);
    }
    let beside: Vec<&str> = new.iter().map(String::as_str).collect();

    let end: i64 = connection.query_one("SELECT seq FROM sequencer", &[]).await?.get(0);
    let mut reached = 0;
    loop {
        let page = connection.transaction().await?;
        let to = journal.apply_page(&page, &[(follower, &beside)], reached, PAGE).await?;
        page.commit().await?;
        if to == reached {
            break;
        }
        reached = to;
        progress(so_far(reached, end));
    }

    let last = connection.transaction().await?;
    // A node that applies events to the old tables waits here from now on, and goes on from the position that is written below.
    lock_positions(&last, &[follower]).await?;
    loop {
        let to = journal.apply_page(&last, &[(follower, &beside)], reached, PAGE).await?;
        if to == reached {
            break;
        }
        reached = to;
    }
    // An erasure waits for the position as well, and finds the new tables in their place.
    follower.leave_out_erased(&last, &beside).await?;
    for new in &beside {
        last.batch_execute(&format!("DELETE FROM {new} WHERE {}", follower.is_over())).await?;
    }
    for (name, new) in follower.tables().iter().zip(&beside) {
        put_in_place(&last, name, new).await?;
    }
    set_positions(&last, &[follower], reached).await?;
    last.commit().await?;
    Ok(so_far(reached, end))
}

/// Applies the log again, up to the position of the follower, in one snapshot of the database, and compares the tables.
///
/// # Errors
/// [`JournalError`] when the log cannot be read.
pub async fn check(
    journal: &Journal,
    follower: &dyn LedgerFollower,
    progress: &mut impl FnMut(RebuildProgress),
) -> Result<CheckReport, JournalError> {
    let mut connection = journal.database().connection().await?;
    let snapshot =
        connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await?;
    let copies: Vec<String> = follower.tables().iter().map(|name| format!("{name}_check")).collect();
    let beside: Vec<&str> = copies.iter().map(String::as_str).collect();
    for (name, copy) in follower.tables().iter().zip(&beside) {
        let like = format!("(LIKE {name} INCLUDING DEFAULTS INCLUDING INDEXES) ON COMMIT DROP");
        snapshot.batch_execute(&format!("CREATE TEMPORARY TABLE {copy} {like}")).await?;
    }
    let sql = "SELECT seq FROM followers WHERE name = $1";
    let end: i64 = snapshot.query_one(sql, &[&follower.name()]).await?.get(0);
    let mut reached = 0;
    loop {
        let to =
            journal.apply_page(&snapshot, &[(follower, &beside)], reached, PAGE.min(end - reached)).await?;
        if to == reached {
            break;
        }
        reached = to;
        progress(so_far(reached, end));
    }
    let mut checked = CheckReport { name: follower.name(), rows: 0, differing: 0 };
    for (name, copy) in follower.tables().iter().zip(&beside) {
        let kept = |table: &str| format!("SELECT * FROM {table} WHERE NOT {}", follower.is_over());
        let compare = differing(&kept(name), &kept(copy));
        let found = snapshot.query_one(&compare, &[]).await?;
        if *name == follower.name() {
            checked.rows = found.get("rows");
        }
        checked.differing += found.get::<_, i64>("differing");
    }
    Ok(checked)
}

fn so_far(reached: i64, end: i64) -> RebuildProgress {
    let done = u64::try_from(reached).unwrap_or_default();
    RebuildProgress {
        done,
        of: u64::try_from(end).unwrap_or_default().max(done),
        unit: ProgressUnit::Events,
        events: done,
    }
}
