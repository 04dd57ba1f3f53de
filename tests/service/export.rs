//! The export of accounts: that it is complete, and holds nothing that is not the user's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use counterfoil::audit::AccountExport;
use counterfoil::runtime::clock::Clock as _;
use counterfoil_domain::user_account::{ActingStaff, UserAccountEvent};
use counterfoil_domain::values::{AccountId, Role};
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::commands::counterfoil;
use crate::erasure::{erase_own, follow, join, proxied, tables};
use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const PHONE: &str = "+989121234567";
const ADMIN: &str = "+989130000001";
const SCHEMA: &str = "docs/schemas/account-export.schema.json";
const EXAMPLE: &str = "docs/schemas/account-export.example.json";

/// The tables that the document has everything of: in which part of it, and the columns that are left out, as `docs/export.md` says.
const CONTAINED: [(&str, &str, &[&str]); 7] = [
    ("profiles", "/profile", &["proposal_due_at"]),
    ("user_logins", "/device_sessions", &["ended_by"]),
    ("session_uses", "/device_sessions", &[]),
    ("statistics_devices", "/device_sessions", &[]),
    ("stays", "/stays", &[]),
    ("login_history", "/login_history", &[]),
    ("outbox", "/messages", &["content"]),
];

fn request(app: &TestApp, device: &SignedInDevice) -> RequestBuilder {
    app.api.request(Method::GET, "/accounts/export/").bearer_auth(&device.access)
}

async fn export(app: &TestApp, device: &SignedInDevice) -> ApiAnswer {
    ApiClient::send(request(app, device)).await
}

async fn events(app: &TestApp, account: AccountId) -> Vec<(i64, UserAccountEvent)> {
    app.journal().history(account).await.unwrap()
}

/// How often something of that name happened to the account.
async fn count(app: &TestApp, account: AccountId, name: &str) -> usize {
    events(app, account).await.iter().filter(|(_, event)| event.name() == name).count()
}

/// A person of whom every part of the document has something, and the administrator who acted on the account.
async fn eventful(app: &TestApp) -> (SignedInDevice, SignedInDevice, Vec<String>) {
    let person = join(app, 1).await;
    let admin = app.sign_in_admin(ADMIN).await;
    let (account, device) = (person.device.account(), person.device);
    app.api.rename(&admin.access, "Grace Staff").await.ok();
    app.advance_time(60);
    // A session that staff end, and one that goes on.
    app.api.sign_in(&format!("+{}", person.traces[0])).await;
    let sign_out = json!({"reason": "asked on the phone", "case": "HD-7"});
    app.api.post_as(&admin, &format!("/admin/accounts/{account}/sign-out/"), sign_out).await;
    app.advance_time(60);
    let device =
        SignedInDevice { user: device.user, ..app.api.sign_in(&format!("+{}", person.traces[0])).await };
    let proposal = json!({"action": "replace", "phone_number": "+989121239999", "reason": "lost the card"});
    app.api.post_as(&admin, &format!("/admin/accounts/{account}/identifiers/"), proposal).await.ok();
    app.state.write_uses().await;
    follow(app).await;
    (device, admin, person.traces)
}

/// A value by which times of the database and of the API are compared.
fn normal(value: &Value) -> Value {
    let time = value.as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    time.map_or_else(|| value.clone(), |time| json!(time.timestamp_micros()))
}

/// The items of a part of the document; the part itself where it is no list.
fn items<'a>(document: &'a Value, part: &str) -> Vec<&'a Map<String, Value>> {
    let part = document.pointer(part).unwrap();
    let items = part.as_array().map_or_else(|| vec![part], |items| items.iter().collect());
    items.into_iter().map(|item| item.as_object().unwrap()).collect()
}

/// The rows of a table that are of an account, as the document would have their columns.
async fn rows(app: &TestApp, table: &str, account: AccountId, but: &[&str]) -> Vec<BTreeMap<String, Value>> {
    let sql = format!("SELECT to_jsonb(t) FROM {table} AS t WHERE account_id = $1");
    let rows = app.database.connect().await.query(&sql, &[&account.0]).await.unwrap();
    let columns = rows.iter().map(|row| {
        let columns: BTreeMap<String, Value> = serde_json::from_value(row.get(0)).unwrap();
        // A column of a profile that was set and emptied holds an empty text, or the end of time.
        let is_said =
            |value: &Value| !value.is_null() && *value != "" && *value != "9999-12-31T23:59:59+00:00";
        let left =
            columns.into_iter().filter(|(name, value)| !but.contains(&name.as_str()) && is_said(value));
        left.filter(|(name, _)| name != "account_id").collect()
    });
    columns.collect()
}

#[tokio::test]
async fn the_document_has_every_row_of_every_table_and_every_event_of_the_account() {
    let app = TestApp::with_settings(&proxied()).await;
    let (device, ..) = eventful(&app).await;
    let account = device.account();
    export(&app, &device).await.ok();
    follow(&app).await;
    let document = export(&app, &device).await.ok();
    assert_eq!(document["account_id"], json!(account));
    for (table, part, left_out) in CONTAINED {
        let rows = rows(&app, table, account, left_out).await;
        assert!(!rows.is_empty(), "{table} has something to compare");
        for row in rows {
            let has_all = |item: &Map<String, Value>| {
                let values: Vec<Value> = item.values().map(normal).collect();
                row.values().all(|value| values.contains(&normal(value)))
            };
            assert!(items(&document, part).into_iter().any(has_all), "{table}: {row:?}: {document:#}");
        }
    }
    for (table, part) in [("user_logins", "/device_sessions"), ("stays", "/stays"), ("outbox", "/messages")] {
        assert_eq!(rows(&app, table, account, &[]).await.len(), items(&document, part).len(), "{table}");
    }
    let (events, shown) = (events(&app, account).await, items(&document, "/events"));
    assert_eq!(events.len(), shown.len());
    for ((sequence, event), shown) in events.iter().zip(shown) {
        assert_eq!((&shown["sequence"], &shown["type"]), (&json!(sequence), &json!(event.name())));
        assert_eq!((&shown["at"], &shown["person"]), (&json!(event.at), &json!(event.person)));
        let client = event.client.as_ref().filter(|_| event.by().is_none());
        assert_eq!(shown["client"], json!(client), "{event:?}");
        let mut fact = serde_json::to_value(&event.fact).unwrap();
        let members = fact[event.name()].as_object_mut().unwrap();
        members.retain(|name, _| !["nonce", "authenticator", "recovery"].contains(&name.as_str()));
        members.entry("by").and_modify(|by| *by = json!("staff"));
        assert_eq!(shown["fact"], fact);
    }
    assert_eq!(document["identifier_proposal"]["identifier"]["phone"], "+989121239999");
    let ended =
        items(&document, "/device_sessions").into_iter().filter(|session| !session["ended_at"].is_null());
    let by: Vec<&Value> = ended.map(|session| &session["ended_by"]).collect();
    assert!(!by.is_empty() && by.iter().all(|by| *by == "staff"), "{by:?}");
}

#[tokio::test]
async fn every_table_is_named_in_the_guide_as_contained_or_left_out() {
    let app = TestApp::start().await;
    let guide = include_str!("../../docs/export.md");
    for table in tables(&app).await.into_iter().filter(|table| table != "_sqlx_migrations") {
        assert!(guide.contains(&format!("| `{table}` |")), "docs/export.md says nothing of {table}");
    }
}

#[tokio::test]
async fn the_document_tells_everything_of_its_user_and_nothing_of_staff_or_secrets() {
    let app = TestApp::with_settings(&proxied()).await;
    let (device, admin, traces) = eventful(&app).await;
    let answer = export(&app, &device).await;
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"account.json\""));
    for text in traces.iter().map(String::as_str).chain(["asked on the phone", "HD-7", "lost the card"]) {
        assert!(answer.text.contains(text), "{text}: {}", answer.text);
    }
    let admin_account = admin.account().to_string();
    let staff = [&admin_account, "Grace Staff", &ADMIN[1..]];
    let tokens = [device.access.as_str(), device.refresh.as_str()];
    for text in staff.into_iter().chain(tokens).chain(["nonce", "\"code\""]) {
        assert!(!answer.text.contains(text), "{text}: {}", answer.text);
    }
}

#[tokio::test]
async fn an_auditors_own_export_does_not_tell_whom_they_searched_for() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(ADMIN, Role::Auditor).await;
    let found = format!("/audit/events/?phone_number=%2B{}&reason=ticket%207", &PHONE[1..]);
    app.api.get(&found, &auditor.access).await.ok();
    let answer = export(&app, &auditor).await;
    let document = answer.ok();
    let read = items(&document, "/events").into_iter().find(|event| event["type"] == "AuditRead").unwrap();
    assert_eq!((&read["person"], read["client"].is_object()), (&Value::Null, true));
    assert!(!answer.text.contains(&PHONE[1..]) && !answer.text.contains("ticket 7"), "{}", answer.text);
    assert_eq!(document["second_factor"], json!({"enrolled": true, "recovery_codes_left": 10}));
}

#[tokio::test]
async fn an_export_takes_fresh_proof_is_in_the_history_and_its_owner_is_told_once() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    let account = device.account();
    for _ in 0..2 {
        export(&app, &device).await.ok();
        app.advance_time(60);
    }
    assert_eq!(count(&app, account, "DataExported").await, 1);
    let told = "SELECT count(*) FROM outbox WHERE kind = 'data_exported'";
    assert_eq!(app.database.value::<i64>(told).await, 1);
    follow(&app).await;
    let history = app.api.get("/accounts/history/", &device.access).await.ok();
    assert_eq!(
        (&history["items"][0]["event"], &history["items"][0]["ip_address"]),
        (&json!("DataExported"), &json!("127.0.0.1"))
    );

    app.advance_time(600);
    let access = app.api.refresh(&device.refresh).await.ok()["access_token"].as_str().unwrap().to_owned();
    let late = SignedInDevice { access, ..device };
    export(&app, &late).await.is_problem(401, "fresh_proof_required");
    let other_site = request(&app, &late).header("sec-fetch-site", "cross-site");
    ApiClient::send(other_site).await.is_problem(403, "cross_site_request");
    ApiClient::send(app.api.request(Method::GET, "/accounts/export/"))
        .await
        .is_problem(401, "not_authenticated");
    assert_eq!(count(&app, account, "DataExported").await, 1);
}

#[tokio::test]
async fn a_suspended_user_exports_nothing() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let device = app.api.sign_in(PHONE).await;
    let path = format!("/admin/accounts/{}/suspend/", device.account());
    app.api.post_as(&admin, &path, json!({"reason": "fraud"})).await;
    export(&app, &device).await.is_problem(401, "invalid_access_token");
}

#[tokio::test]
async fn exports_are_counted_as_writes() {
    let app =
        TestApp::with_settings(&[("limits.writes_burst", "2"), ("limits.writes_per_minute", "1")]).await;
    let device = app.api.sign_in(PHONE).await;
    export(&app, &device).await.ok();
    export(&app, &device).await.ok();
    export(&app, &device).await.is_problem(429, "too_many_requests");
}

/// Repeats the last event of an account until it has so many. They are not sealed, and no head knows them.
async fn lengthen(app: &TestApp, account: AccountId, length: i64) {
    let sql = format!(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, leaf)
         SELECT aggregate_type, aggregate_id, n, event_type, event_version, payload, metadata, leaf
           FROM (SELECT * FROM events WHERE aggregate_id = '{account}' ORDER BY sequence DESC LIMIT 1) AS last,
                generate_series(last.sequence + 1, {length}) AS n"
    );
    app.database.connect().await.batch_execute(&sql).await.unwrap();
}

/// A page has 1,000 events: the list ends within a page, with one, and after a page that is full.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_several_pages_is_whole_and_one_that_fails_on_the_way_breaks_off() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    let account = device.account();
    export(&app, &device).await.ok();
    for length in [999, 1_000, 1_001, 2_500] {
        lengthen(&app, account, length).await;
        let document = export(&app, &device).await.ok();
        let numbers: Vec<i64> =
            items(&document, "/events").iter().map(|event| event["sequence"].as_i64().unwrap()).collect();
        assert_eq!(numbers, (1..=length).collect::<Vec<_>>());
    }
    let altered =
        format!("UPDATE events SET payload = '{{}}' WHERE aggregate_id = '{account}' AND sequence = 1500");
    app.database.connect().await.batch_execute(&altered).await.unwrap();
    ApiClient::try_send(request(&app, &device)).await.unwrap_err();
    let (status, written, error) = said(&app, &["accounts", "export", PHONE]);
    assert!(status == Some(1) && written.contains("\"events\": [") && !written.ends_with("}\n"), "{error}");
}

/// Whatever the number of events, a part of the document is a page.
#[tokio::test]
async fn a_hundred_thousand_events_are_given_in_parts_of_a_page() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    lengthen(&app, device.account(), 100_000).await;
    let journal = app.journal();
    let mut begun = AccountExport::begin(&journal, device.account(), app.clock.now()).await.unwrap().unwrap();
    let (mut lines, mut largest) = (0, 0);
    while let Some(part) = begun.next().await.unwrap() {
        (lines, largest) = (lines + part.lines().count(), largest.max(part.len()));
    }
    assert!(lines > 100_000 && largest < 1 << 20, "{lines} lines, {largest} bytes");
}

#[tokio::test]
async fn an_export_of_an_account_that_is_erased_meanwhile_does_not_end_as_if_it_were_whole() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    let (journal, account) = (app.journal(), device.account());
    let mut begun = AccountExport::begin(&journal, account, app.clock.now()).await.unwrap().unwrap();
    begun.next().await.unwrap().unwrap();
    erase_own(&app, &device).await.ok();
    let end = loop {
        match begun.next().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(end.unwrap_err().to_string().contains("erased meanwhile"));
    assert!(AccountExport::begin(&journal, account, app.clock.now()).await.unwrap().is_none());
}

fn said(app: &TestApp, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = counterfoil(app, arguments);
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, err)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_writes_the_document_that_the_user_gets_and_it_is_on_record() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    let account = device.account().to_string();
    let mut own = export(&app, &device).await.ok();
    for named in [PHONE, &account] {
        let (status, written, error) =
            said(&app, &["accounts", "export", named, "--reason", "letter of 3 May"]);
        assert_eq!(status, Some(0), "{error}");
        let mut written: Value = serde_json::from_str(&written).unwrap();
        for document in [&mut own, &mut written] {
            document["exported_at"].take();
            // Whether a message was sent meanwhile.
            document["messages"].take();
        }
        assert_eq!(written, own);
    }
    let sql = "SELECT aggregate_id FROM events WHERE event_type = 'AuditRead' LIMIT 1";
    let operator: String = app.database.value(sql).await;
    let record = events(&app, AccountId(operator.parse().unwrap())).await.pop().unwrap().1;
    assert!(matches!(record.by(), Some(ActingStaff::Operator(_))));
    assert_eq!(record.person.unwrap().reason.unwrap().as_str(), "letter of 3 May");

    let unknown = "01a2102b-9989-7532-acd2-ac1c6690aa6d";
    erase_own(&app, &device).await.ok();
    for (named, why) in [
        (unknown, "there is no account"),
        (&account, "or it was erased"),
        ("+989121230000", "no account is known by"),
        ("Ada", "is no phone number"),
    ] {
        let (status, written, error) = said(&app, &["accounts", "export", named]);
        assert_eq!((status, written.as_str()), (Some(1), ""), "{named}: {error}");
        assert!(error.contains(why), "{named}: {error}");
    }
}

#[tokio::test]
async fn an_auditor_exports_with_a_reason_and_an_administrator_does_not() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(ADMIN, Role::Auditor).await;
    let admin = app.sign_in_admin("+989130000002").await;
    let device = app.api.sign_in(PHONE).await;
    let path = format!("/audit/accounts/{}/export/", device.account());
    app.api.get(&path, &auditor.access).await.refuses_fields(&["reason"]);
    let path = format!("{path}?reason=asked");
    app.api.get(&path, &admin.access).await.is_problem(403, "forbidden");
    let document = app.api.get(&path, &auditor.access).await.ok();
    assert_eq!(document["profile"]["phone_number"], PHONE);
    assert_eq!(count(&app, device.account(), "DataExported").await, 0);
    let what = events(&app, auditor.account()).await.pop().unwrap().1;
    assert_eq!(
        serde_json::to_value(&what.fact).unwrap()["AuditRead"]["what"],
        format!("account {} export", device.account())
    );
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares a published file with what it should be; `UPDATE_GOLDEN=1` writes it.
fn is_published(path: &str, expected: &Value) {
    let (file, expected) = (repository(path), format!("{expected:#}\n"));
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|set| set == "1") {
        std::fs::write(&file, &expected).unwrap();
    }
    let published = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(published == expected, "{path} is not what UPDATE_GOLDEN=1 writes:\n{expected}");
}

/// The schemas that one refers to, by their names, with references among themselves.
fn definitions(schema: &mut Value, components: &Value, found: &mut Map<String, Value>) {
    match schema {
        Value::Object(members) => {
            let target = members.get("$ref").and_then(Value::as_str).map(str::to_owned);
            if let Some(name) = target.as_deref().and_then(|target| target.rsplit('/').next()) {
                if !found.contains_key(name) {
                    let mut definition = components[name].clone();
                    found.insert(name.to_owned(), Value::Null);
                    definitions(&mut definition, components, found);
                    found.insert(name.to_owned(), definition);
                }
                members.insert("$ref".to_owned(), json!(format!("#/$defs/{name}")));
            }
            members.values_mut().for_each(|member| definitions(member, components, found));
        }
        Value::Array(parts) => parts.iter_mut().for_each(|part| definitions(part, components, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema of the document by itself: that of the OpenAPI document, which is made from the types.
fn schema() -> Value {
    let document = counterfoil::http::document();
    let components = &document["components"]["schemas"];
    let (mut schema, mut found) = (components["AccountExport"].clone(), Map::new());
    definitions(&mut schema, components, &mut found);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Counterfoil account export");
    schema["$defs"] = Value::Object(found);
    schema
}

/// Gives ids, times and keyed hashes, which differ each time, values that do not.
fn settle(value: &mut Value, ids: &mut Vec<Uuid>) {
    match value {
        Value::String(text) => {
            if let Ok(id) = text.parse::<Uuid>() {
                let number = ids.iter().position(|known| *known == id).unwrap_or_else(|| {
                    ids.push(id);
                    ids.len() - 1
                });
                *text = Uuid::from_u128(number as u128 + 1).to_string();
            } else if text.parse::<DateTime<Utc>>().is_ok() {
                "2026-01-31T12:00:00Z".clone_into(text);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                match name.as_str() {
                    "device" | "network" | "address" | "moved" if member.is_number() => *member = json!(7),
                    _ => settle(member, ids),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| settle(item, ids)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[tokio::test]
async fn the_published_schema_and_example_are_those_of_a_real_document() {
    is_published(SCHEMA, &schema());
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let app = TestApp::with_settings(&proxied()).await;
    let (device, ..) = eventful(&app).await;
    let mut document = export(&app, &device).await.ok();
    assert!(validator.is_valid(&document), "{:?}", validator.validate(&document));
    for name in items(&document, "").into_iter().flat_map(Map::keys) {
        assert!(!schema()["properties"][name].is_null(), "the schema does not know {name}");
    }
    document["events"][0]["sequence"] = json!("first");
    assert!(!validator.is_valid(&document));
    document["events"][0]["sequence"] = json!(1);
    settle(&mut document, &mut Vec::new());
    assert!(validator.is_valid(&document));
    is_published(EXAMPLE, &document);
}
