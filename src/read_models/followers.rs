//! The read models that follow the ledger.

use async_trait::async_trait;
use counterfoil_projections::{AccountStream, event_subject, login_history, statistics};
use deadpool_postgres::Transaction;

use super::rebuild::OF_ERASED;
use crate::journal::{JournalError, LedgerFollower, WantedEvents, streams};

/// Every read model that follows the ledger.
pub static FOLLOWERS: [&dyn LedgerFollower; 3] = [&LoginHistory, &Statistics, &EventSubjects];

/// The login history: a row for each event that the user of an account may read about.
#[derive(Debug)]
struct LoginHistory;

#[async_trait]
impl LedgerFollower for LoginHistory {
    fn name(&self) -> &'static str {
        login_history::READ_MODEL.table.name
    }

    fn format(&self) -> i32 {
        login_history::READ_MODEL.format
    }

    fn tables(&self) -> &'static [&'static str] {
        &[login_history::READ_MODEL.table.name]
    }

    fn wanted_events(&self) -> WantedEvents {
        WantedEvents { names: login_history::READ_MODEL.handled, with_personal: true, with_request: false }
    }

    async fn apply(
        &self,
        transaction: &Transaction<'_>,
        tables: &[&str],
        page: &[AccountStream<'_>],
    ) -> Result<(), JournalError> {
        streams::write(transaction, &login_history::READ_MODEL, tables[0], page).await?;
        Ok(login_history::delete_erased(transaction, tables[0], page).await?)
    }

    async fn leave_out_erased(
        &self,
        transaction: &Transaction<'_>,
        tables: &[&str],
    ) -> Result<(), JournalError> {
        let delete = format!("DELETE FROM {} WHERE {OF_ERASED}", tables[0]);
        Ok(transaction.batch_execute(&delete).await?)
    }

    fn is_over(&self) -> String {
        login_history::READ_MODEL.is_over()
    }
}

/// The statistics: sums for each day, which hold nothing personal.
#[derive(Debug)]
struct Statistics;

#[async_trait]
impl LedgerFollower for Statistics {
    fn name(&self) -> &'static str {
        statistics::NAME
    }

    fn format(&self) -> i32 {
        statistics::FORMAT
    }

    fn tables(&self) -> &'static [&'static str] {
        &statistics::TABLES
    }

    fn wanted_events(&self) -> WantedEvents {
        WantedEvents { names: &statistics::HANDLED, with_personal: false, with_request: false }
    }

    async fn apply(
        &self,
        transaction: &Transaction<'_>,
        tables: &[&str],
        page: &[AccountStream<'_>],
    ) -> Result<(), JournalError> {
        Ok(statistics::add(transaction, [tables[0], tables[1]], page).await?)
    }
}

/// The subjects of events: who of the staff brought them about, and from which address they came.
#[derive(Debug)]
struct EventSubjects;

#[async_trait]
impl LedgerFollower for EventSubjects {
    fn name(&self) -> &'static str {
        event_subject::NAME
    }

    fn format(&self) -> i32 {
        event_subject::FORMAT
    }

    fn tables(&self) -> &'static [&'static str] {
        &[event_subject::NAME]
    }

    fn wanted_events(&self) -> WantedEvents {
        WantedEvents { names: event_subject::HANDLED, with_personal: true, with_request: false }
    }

    async fn apply(
        &self,
        transaction: &Transaction<'_>,
        tables: &[&str],
        page: &[AccountStream<'_>],
    ) -> Result<(), JournalError> {
        Ok(event_subject::add(transaction, tables[0], page).await?)
    }

    async fn leave_out_erased(
        &self,
        transaction: &Transaction<'_>,
        tables: &[&str],
    ) -> Result<(), JournalError> {
        let table = tables[0];
        let clear = format!(
            "DELETE FROM {table} WHERE actor IS NULL AND {OF_ERASED};
             UPDATE {table} SET ip_address = NULL, small_network = NULL, large_network = NULL
              WHERE ip_address IS NOT NULL AND {OF_ERASED}"
        );
        Ok(transaction.batch_execute(&clear).await?)
    }
}
