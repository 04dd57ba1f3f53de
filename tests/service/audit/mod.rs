//! What an auditor reads: the log in its order, accounts as they stood, and whether any of it was altered.

mod command;
mod device_sessions;
mod http;
mod live;
mod log;
mod long_readings;
mod plain_members;
mod rehearse;
mod search;
mod standing;
mod verify;

use counterfoil::audit::{EventFilter, EventRecord};
use counterfoil::journal::Journal;
use counterfoil::journal::sequencer::Sequencer;
use counterfoil::postgres::Database;

use crate::support::TestApp;

/// Gives every event its number.
pub async fn number(app: &TestApp) {
    let client = app.database.connect().await;
    client.execute("UPDATE sequencer SET lease_until = '-infinity'", &[]).await.unwrap();
    Sequencer::new(Database::new(&app.database.url.0, 2).unwrap()).look().await.unwrap();
}

/// All records that match.
pub async fn read(journal: &Journal, filter: &EventFilter) -> Vec<EventRecord> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = counterfoil::audit::page(journal, filter, after, i64::MAX, 7).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = last.position;
        all.extend(page);
    }
}
