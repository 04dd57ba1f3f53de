//! Retention in read models: network data goes with the keys that it is sealed with, and history by its age.
//!
//! Network data needs no further note for rebuilds: they open what the keys that are left can open. What is deleted by its age is still in
//! the log, so the table `retention` says from when on there are rows.

use chrono::{DateTime, Datelike as _, Months, NaiveTime, TimeDelta, Utc};
use counterfoil_domain::values::AccountId;
use counterfoil_projections::{ALL, AccountStream, login_history, user_login};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

use super::claim;
use crate::journal::{Journal, JournalError, streams};

/// How many accounts a transaction takes. Commands of those that have keys to lose wait until it ends.
const PAGE: i64 = 50;

/// The times before which data is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetentionLimits {
    /// The first day of a quarter of a year.
    network_data_before: DateTime<Utc>,
    /// The first day of a month.
    history_before: DateTime<Utc>,
}

impl RetentionLimits {
    /// The limits at a time, for data that is kept for so long.
    pub(crate) fn at(now: DateTime<Utc>, network_data: TimeDelta, history: TimeDelta) -> Self {
        let in_quarter = (now - network_data).month0() % 3;
        Self {
            network_data_before: first_of_month(now - network_data, in_quarter),
            history_before: first_of_month(now - history, 0),
        }
    }
}

/// The beginning of the month of that time, or of an earlier one.
fn first_of_month(at: DateTime<Utc>, months_before: u32) -> DateTime<Utc> {
    let first =
        at.date_naive().with_day(1).and_then(|first| first.checked_sub_months(Months::new(months_before)));
    first.unwrap_or_default().and_time(NaiveTime::MIN).and_utc()
}

/// Removes what is older than it is kept from the next accounts. Returns how many accounts those were: none where all are done, or
/// another node is at it, or read models are being made again.
///
/// # Errors
/// [`JournalError`]; nothing is then removed.
pub(crate) async fn forget_page(journal: &Journal, limits: RetentionLimits) -> Result<u64, JournalError> {
    let mut connection = journal.database().connection().await?;
    let transaction = connection.transaction().await?;
    if !claim::try_until_end(&transaction).await? {
        return Ok(0);
    }
    // Accounts may have a long history.
    transaction.batch_execute("SET LOCAL statement_timeout = '1min'").await?;
    let begin = transaction.prepare_cached(include_str!("sql/begin_retention.sql")).await?;
    transaction.execute(&begin, &[&limits.network_data_before, &limits.history_before]).await?;
    let next = transaction.prepare_cached(include_str!("sql/retention_page.sql")).await?;
    let Some(page) = transaction.query_opt(&next, &[&PAGE]).await? else { return Ok(0) };
    let accounts: Vec<Uuid> = page.get("accounts");

    let forgotten = forget_network_data(journal, &transaction, &page, &accounts).await?;
    delete_history(&transaction, &accounts).await?;
    let is_last = accounts.len() < usize::try_from(PAGE).unwrap_or_default();
    let done_to = accounts.last().filter(|_| !is_last);
    transaction.execute("UPDATE retention SET done_to = $1", &[&done_to]).await?;
    transaction.commit().await?;
    for account in forgotten {
        // Its keys in memory.
        journal.forget(AccountId(account));
    }
    Ok(accounts.len() as u64)
}

/// Deletes keys of accounts, and what they opened. Returns the accounts that had such keys.
async fn forget_network_data(
    journal: &Journal,
    transaction: &Transaction<'_>,
    page: &Row,
    accounts: &[Uuid],
) -> Result<Vec<Uuid>, JournalError> {
    let before: DateTime<Utc> = page.get("network_data_before");
    let forget = "SELECT forget_network_data($1, $2)";
    let due: Vec<Uuid> = transaction.query_one(forget, &[&accounts, &before]).await?.get(0);
    if due.is_empty() {
        return Ok(due);
    }
    let statement = transaction.prepare_cached(include_str!("sql/sessions_to_read_again.sql")).await?;
    let names = user_login::READ_MODEL.handled;
    let rows = transaction.query(&statement, &[&due, &before, &names]).await?;
    let keys = streams::keys(transaction, journal.personal_data(), &due).await?;
    let histories = streams::read(&rows, &keys)?;
    let histories: Vec<AccountStream<'_>> =
        histories.iter().map(|(account, events)| AccountStream { account: *account, events }).collect();
    let model = user_login::READ_MODEL;
    streams::write(transaction, &model, model.table.name, &histories).await?;
    Ok(due)
}

/// Deletes the rows of accounts that are older than the history that is kept. The events stay.
async fn delete_history(transaction: &Transaction<'_>, accounts: &[Uuid]) -> Result<(), JournalError> {
    let models = ALL.iter().chain([&login_history::READ_MODEL]);
    let of_models = models.filter(|model| model.history_since.is_some()).map(|model| {
        format!("DELETE FROM {} WHERE account_id = ANY ($1) AND {}", model.table.name, model.is_over())
    });
    let uses = "DELETE FROM session_uses AS used WHERE account_id = ANY ($1)
                   AND NOT EXISTS (SELECT FROM user_logins
                                    WHERE account_id = used.account_id AND session_id = used.session_id)";
    for sql in of_models.chain([uses.to_owned()]) {
        let delete = transaction.prepare_cached(&sql).await?;
        transaction.execute(&delete, &[&accounts]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::RetentionLimits;
    use chrono::TimeDelta;

    #[test]
    fn network_data_goes_by_whole_quarters_and_history_by_whole_months() {
        for (now, network_data_before, history_before) in [
            ("2026-11-28T01:00:00Z", "2026-07-01T00:00:00Z", "2025-10-01T00:00:00Z"),
            ("2026-12-29T23:59:59Z", "2026-07-01T00:00:00Z", "2025-11-01T00:00:00Z"),
            ("2026-12-30T00:00:00Z", "2026-10-01T00:00:00Z", "2025-11-01T00:00:00Z"),
            ("2027-01-31T00:00:00Z", "2026-10-01T00:00:00Z", "2025-12-01T00:00:00Z"),
        ] {
            let limits = RetentionLimits::at(now.parse().unwrap(), TimeDelta::days(90), TimeDelta::days(400));
            assert_eq!(limits.network_data_before.to_rfc3339(), network_data_before.replace('Z', "+00:00"));
            assert_eq!(limits.history_before.to_rfc3339(), history_before.replace('Z', "+00:00"), "{now}");
        }
    }
}
