//! The paths that only administrators may use.

mod account_roles;
mod accounts;
mod authorisation;
mod device_sessions;
mod ended_sessions;
mod identifier_proposals;
mod identifiers;
mod interventions;
mod messages;
mod projections;
mod staff_reads;
mod statistics;

use counterfoil::journal::sequencer::Sequencer;
use counterfoil::postgres::Database;
use counterfoil::read_models::FOLLOWERS;
use serde_json::Value;

use crate::support::{SignedInDevice, TestApp};

const ADMIN: &str = "+989130000001";
const PHONE: &str = "+989121234567";

/// The items of a list, on as many pages as it has.
async fn all(app: &TestApp, admin: &SignedInDevice, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.api.get(&format!("{path}{cursor}"), &admin.access).await.ok();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return items };
        cursor = format!("&cursor={next}");
    }
}

/// What a field of each item says.
fn each(items: &[Value], field: &str) -> Vec<Value> {
    items.iter().map(|item| item[field].clone()).collect()
}

/// The names of the account's events, in their order.
async fn events_of(app: &TestApp, device: &SignedInDevice) -> Vec<String> {
    let history = app.journal().history(device.account()).await.unwrap();
    history.iter().map(|(_, event)| event.name().to_owned()).collect()
}

/// Waits until what follows the ledger has come to its end.
async fn follow_ledger(app: &TestApp) {
    Sequencer::new(Database::new(&app.database.url.0, 2).unwrap()).look().await.unwrap();
    while app.journal().follow(&FOLLOWERS).await.unwrap() > 0 {}
}
