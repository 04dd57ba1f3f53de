//! Which read model handles which event. `UPDATE_GOLDEN=1` writes the table anew, to be looked at when an event is added.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::AccountId;
use counterfoil_projections::{
    ALL, AccountStream, ReadModel, RecordedEvent, event_subject, login_history, statistics,
};
use serde::Deserialize;
use uuid::Uuid;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/handlers.txt");

/// Examples of each event, several where its fields decide what comes of it.
fn examples() -> Vec<UserAccountEvent> {
    #[derive(Deserialize)]
    struct Golden {
        event: UserAccountEvent,
    }
    let stored = include_str!("../../domain/tests/golden/events.json");
    let golden: Vec<Golden> = serde_json::from_str(stored).unwrap();
    golden.into_iter().map(|golden| golden.event).collect()
}

fn models() -> impl Iterator<Item = ReadModel> {
    ALL.into_iter().chain([login_history::READ_MODEL])
}

#[test]
fn each_read_model_declares_the_events_that_it_makes_rows_of() {
    for model in models() {
        let mut handled = BTreeSet::new();
        for event in examples() {
            let name = event.name();
            let events = [RecordedEvent { sequence: 1, event }];
            let stream = AccountStream { account: AccountId(Uuid::nil()), events: &events };
            if !(model.changes)(&[stream]).is_empty() {
                handled.insert(name);
            }
        }
        let declared: BTreeSet<&str> = model.handled.iter().copied().collect();
        assert_eq!(declared, handled, "{}", model.table.name);
        assert_eq!(declared.len(), model.handled.len(), "{} declares an event twice", model.table.name);
    }
}

#[test]
fn the_table_shows_for_every_event_which_read_models_handle_it() {
    let mut handlers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in examples() {
        handlers.entry(event.name()).or_default();
    }
    let declared = models().map(|model| (model.table.name, model.handled));
    let others =
        [(statistics::NAME, statistics::HANDLED.as_slice()), (event_subject::NAME, event_subject::HANDLED)];
    for (name, handled) in declared.chain(others) {
        for event in handled {
            handlers.get_mut(event).unwrap_or_else(|| panic!("{event} is no event")).push(name);
        }
    }
    let lines = handlers.iter().map(|(event, models)| {
        if models.is_empty() { format!("{event}: -\n") } else { format!("{event}: {}\n", models.join(", ")) }
    });
    let table: String = lines.collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(TABLE, &table).unwrap();
    }
    assert_eq!(table, std::fs::read_to_string(TABLE).unwrap());
}
