//! The people that `script/bench` measures searches and audits with are what the same commands come to one by one.

#[path = "../../benches/load/population.rs"]
mod bulk;

use counterfoil::read_models::FOLLOWERS;
use std::collections::HashMap;

use bulk::{Person, Population, Visit, VisitAct};
use chrono::{DateTime, TimeDelta, Utc};
use counterfoil::accounts::{RequestContext, StaffAction};
use counterfoil::audit::{self, EventFilter};
use counterfoil::journal::{AccountRef, Journal};
use counterfoil::read_models::rebuild;
use counterfoil::runtime::clock::Clock as _;
use counterfoil::tokens::{IssuedTokens, TokenKind};
use counterfoil::transparency::TrustedKeys;
use counterfoil_domain::values::{self, Reason};
use counterfoil_projections::ALL;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::audit::{number, read};
use crate::support::{TestApp, operator};

const PEOPLE: u32 = 53;

/// Fifty days of them, from then on.
fn people(from: DateTime<Utc>) -> Population {
    Population { people: PEOPLE, from, until: from + TimeDelta::days(50) }
}

/// Their visits by the door that requests come in by, command by command.
async fn visit_one_by_one(app: &TestApp, visits: impl Iterator<Item = Visit>) {
    let accounts = &app.state.accounts;
    let mut tokens: HashMap<Person, Vec<IssuedTokens>> = HashMap::new();
    let origin = |client: values::Client| RequestContext {
        client,
        request: String::new(),
        languages: String::new(),
        shown: None,
    };
    for Visit { person, at, acts } in visits {
        app.clock.advance(at - app.clock.now());
        let (identifier, tokens) = (person.identifier(), tokens.entry(person).or_default());
        for act in acts {
            match act {
                VisitAct::SignIn(device) => {
                    let origin = origin(person.client(device));
                    let sent = accounts.request_otp(identifier.clone(), None, origin.clone()).await.unwrap();
                    let signed_in = accounts.verify_otp(identifier.clone(), sent.code.unwrap(), origin).await;
                    tokens.push(signed_in.unwrap().tokens);
                }
                VisitAct::Rename(device) => {
                    let token = app.state.tokens.open(TokenKind::Access, &tokens[device].access, at).unwrap();
                    let renamed =
                        accounts.update_profile(token, person.name(), origin(person.client(device)));
                    renamed.await.unwrap();
                }
                VisitAct::Refresh(device) => {
                    let refreshed =
                        accounts.refresh(&tokens[device].refresh, origin(person.client(device))).await;
                    tokens[device] = refreshed.unwrap();
                }
                VisitAct::SignOut(device) => {
                    let origin = origin(person.client(device));
                    accounts.logout(TokenKind::Refresh, &tokens[device].refresh, origin).await.unwrap();
                }
                VisitAct::Suspended => {
                    let account = app.journal().find(&identifier).await.unwrap().unwrap();
                    let operator = StaffAction::operator(operator(), Some(Reason::parse("fraud").unwrap()));
                    accounts.suspend(account, None, operator).await.unwrap();
                }
            }
        }
    }
}

/// All that is stored of a person, opened and with what chance has made taken out: ids are told by when they come up, and
/// there is nothing of nonces, marks, leaves and the commits that events came by.
async fn stored(journal: &Journal, database: &Client, at: DateTime<Utc>, person: Person) -> Value {
    let account = journal.find(&person.identifier()).await.unwrap().expect("the identifier is reserved");
    let loaded = journal.load_anew(&AccountRef::Account(account), at).await.unwrap();
    let mut all = json!({
        "1 log": read(journal, &EventFilter { account: Some(account), ..EventFilter::default() }).await,
        "2 version": loaded.head.version,
        "3 state": loaded.head.state,
    });
    for (name, columns, table, order) in [
        ("4 head", "state_format", "heads", "1"),
        (
            "4 row",
            "aggregate_type, sequence, event_type, event_version, payload, personal IS NULL",
            "events",
            "sequence",
        ),
        ("4 identifier", "account_id, channel", "identifiers", "lookup"),
        ("4 keys", "scope", "account_keys", "scope"),
        ("4 ledger", "account_id, sequence, event_type, at", "ledger", "sequence"),
        ("5 profile", "*", "profiles", "1"),
        ("5 session", "*", "user_logins", "signed_in_at"),
        ("5 stays", "*", "stays", "since"),
        ("5 revoked", "account_id, session_id, revoked_at, expires_at", "revoked_tokens", "session_id"),
        ("5 login history", "*", "login_history", "sequence"),
    ] {
        let key = if table == "events" { "aggregate_id" } else { "account_id" };
        let sql = format!(
            "SELECT coalesce(json_agg(r), '[]')::text FROM (SELECT {columns} FROM {table} WHERE {key} = '{account}' ORDER BY {order}) r"
        );
        let rows: String = database.query_one(&sql, &[]).await.unwrap().get(0);
        all[name] = serde_json::from_str(&rows).unwrap();
    }
    without_chance(&mut all, &mut Vec::new());
    all
}

fn without_chance(value: &mut Value, ids: &mut Vec<Uuid>) {
    match value {
        Value::String(text) => {
            if let Ok(id) = Uuid::try_parse(text) {
                let place = ids.iter().position(|known| *known == id).unwrap_or_else(|| {
                    ids.push(id);
                    ids.len() - 1
                });
                *text = format!("id {place}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_chance(item, ids)),
        Value::Object(members) => {
            for name in [
                "nonce",
                "mark",
                "address",
                "moved",
                "seen",
                "leaf",
                "commit",
                "request",
                "recorded_at",
                "position",
            ] {
                members.remove(name);
            }
            members.values_mut().for_each(|member| without_chance(member, ids));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[tokio::test]
async fn a_population_written_in_bulk_has_the_events_of_its_commands_one_by_one() {
    let (bulk, single) = (TestApp::start().await, TestApp::start().await);
    let people = people(bulk.clock.now());
    people.live(&bulk.journal(), &bulk.keyring).await;
    visit_one_by_one(&single, people.visits()).await;
    let mut found = Vec::new();
    for app in [&bulk, &single] {
        app.clock.advance(people.until - app.clock.now());
        number(app).await;
        let (journal, database) = (app.journal(), app.database.connect().await);
        journal.follow(&FOLLOWERS).await.unwrap();
        let mut stored_there = Vec::new();
        for n in 0..PEOPLE {
            stored_there.push(stored(&journal, &database, people.until, Person(n)).await);
        }
        found.push(stored_there);
    }
    for (n, (in_bulk, one_by_one)) in found[0].iter().zip(&found[1]).enumerate() {
        assert_eq!(in_bulk["1 log"].as_array().unwrap().len(), if n == 50 { 13 } else { 10 });
        assert_eq!(in_bulk, one_by_one, "person {n}");
    }
}

#[tokio::test]
async fn a_population_written_in_bulk_verifies_and_its_read_models_agree_with_the_log() {
    let app = TestApp::start().await;
    people(app.clock.now()).live(&app.journal(), &app.keyring).await;
    app.advance_time(TimeDelta::days(50).num_seconds());
    number(&app).await;
    let journal = app.journal();
    journal.follow(&FOLLOWERS).await.unwrap();
    let verified = audit::verify(&journal, &TrustedKeys::default(), &mut |_| ()).await.unwrap();
    assert!(verified.is_unaltered() && verified.is_complete(), "{verified:?}");
    assert_eq!((verified.accounts, verified.events, verified.waiting), (53, 533, 0));
    let mut checked = rebuild::check(&journal, &ALL, app.clock.now(), &mut |_| ()).await.unwrap();
    for follower in FOLLOWERS {
        checked.push(rebuild::follower::check(&journal, follower, &mut |_| ()).await.unwrap());
    }
    for model in checked {
        assert!(model.rows > 0 || model.name == "revoked_tokens");
        assert_eq!(model.differing, 0, "{model:?}");
    }
}
