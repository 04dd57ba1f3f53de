//! The statistics, made again: sums over all accounts, so the log is added up in its order, up to a position that is
//! written with them.

use counterfoil_projections::statistics::{NAME, TABLES};
use tokio_postgres::IsolationLevel;

use super::{Checked, Progress, Unit, differing, make_beside, put_in_place};
use crate::journal::follower::{count_after, move_to, position};
use crate::journal::{Journal, JournalError};

/// How many events are added at a time.
const PAGE: i64 = 5_000;

/// Adds the whole log up into new tables, beside the old ones, and puts them in their place. They are kept up to date
/// meanwhile, but for the moment of the exchange.
///
/// Takes one of the database's connections.
///
/// # Errors
/// [`JournalError`]; the old tables are then untouched.
pub async fn rebuild(
    journal: &Journal,
    progress: &mut impl FnMut(Progress),
) -> Result<Progress, JournalError> {
    let mut connection = journal.database().connection().await?;
    let [sums, devices] = TABLES;
    let new = [make_beside(&connection, sums).await?, make_beside(&connection, devices).await?];
    let beside = [new[0].as_str(), new[1].as_str()];

    let end: i64 = connection.query_one("SELECT seq FROM sequencer", &[]).await?.get(0);
    let mut reached = 0;
    loop {
        let page = connection.transaction().await?;
        let to = count_after(&page, beside, reached, PAGE).await?;
        page.commit().await?;
        if to == reached {
            break;
        }
        reached = to;
        progress(so_far(reached, end));
    }

    let last = connection.transaction().await?;
    // Whoever follows waits here from now on, and then goes on from what is written below.
    position(&last, NAME).await?;
    loop {
        let to = count_after(&last, beside, reached, PAGE).await?;
        if to == reached {
            break;
        }
        reached = to;
    }
    for (name, new) in TABLES.into_iter().zip(beside) {
        put_in_place(&last, name, new).await?;
    }
    move_to(&last, NAME, reached).await?;
    last.commit().await?;
    Ok(so_far(reached, end))
}

/// Adds the log up again, to where the live sums have come, in one snapshot of the database, and compares the two.
///
/// # Errors
/// [`JournalError`] when the log cannot be read.
pub async fn check(journal: &Journal, progress: &mut impl FnMut(Progress)) -> Result<Checked, JournalError> {
    let mut connection = journal.database().connection().await?;
    let snapshot =
        connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await?;
    let copies = TABLES.map(|name| format!("{name}_check"));
    let beside = [copies[0].as_str(), copies[1].as_str()];
    for (name, copy) in TABLES.into_iter().zip(beside) {
        let like = format!("(LIKE {name} INCLUDING DEFAULTS INCLUDING INDEXES) ON COMMIT DROP");
        snapshot.batch_execute(&format!("CREATE TEMPORARY TABLE {copy} {like}")).await?;
    }
    let sql = "SELECT seq FROM followers WHERE name = $1";
    let end: i64 = snapshot.query_one(sql, &[&NAME]).await?.get(0);
    let mut reached = 0;
    loop {
        let to = count_after(&snapshot, beside, reached, PAGE.min(end - reached)).await?;
        if to == reached {
            break;
        }
        reached = to;
        progress(so_far(reached, end));
    }
    let mut checked = Checked { name: NAME, rows: 0, differing: 0 };
    for (name, copy) in TABLES.into_iter().zip(beside) {
        let compare = differing(&format!("SELECT * FROM {name}"), &format!("SELECT * FROM {copy}"));
        let found = snapshot.query_one(&compare, &[]).await?;
        if name == NAME {
            checked.rows = found.get("rows");
        }
        checked.differing += found.get::<_, i64>("differing");
    }
    Ok(checked)
}

fn so_far(reached: i64, end: i64) -> Progress {
    let done = u64::try_from(reached).unwrap_or_default();
    Progress { done, of: u64::try_from(end).unwrap_or_default().max(done), unit: Unit::Events, events: done }
}
