//! The erasure of accounts: what it destroys, what stays, and who may.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use counterfoil::audit::verify;
use counterfoil::journal::sequencer::Sequencer;
use counterfoil::postgres::Database;
use counterfoil::read_models::{FOLLOWERS, Projection, rebuild};
use counterfoil::runtime::clock::Clock as _;
use counterfoil_domain::values::Role;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;

use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const ADMIN: &str = "+989130000001";

/// A person with a number, an address, a name, a device and a user agent that no other has.
pub struct Person {
    pub device: SignedInDevice,
    /// What may be found nowhere once they are erased.
    pub traces: Vec<String>,
}

async fn send(app: &TestApp, path: &str, user_agent: &str, address: &str, body: Value) -> ApiAnswer {
    let request = app.api.request(Method::POST, path).header("user-agent", user_agent);
    ApiClient::send(request.header("x-forwarded-for", address).json(&body)).await
}

/// The `n`th person signs up, refreshes from elsewhere, gets an address and a name, and asks for a code that waits.
pub async fn join(app: &TestApp, n: u32) -> Person {
    let phone_number = format!("+98912{n:03}4567");
    let (email, fullname) = (format!("trace{n:03}@analytical.example"), format!("Zephyrine Trace{n:03}"));
    let (device_name, user_agent) = (format!("Handset-{n:03}"), format!("DifferenceEngine/{n:03}"));
    // None begins as another one does.
    let place = format!("{}.{}", 100 + n / 100, 100 + n % 100);
    let (home, away) = (format!("10.111.{place}"), format!("10.222.{place}"));
    let asked = json!({"phone_number": phone_number, "fullname": fullname});
    let code = send(app, "/accounts/login/", &user_agent, &home, asked).await.code();
    let verified = json!({"phone_number": phone_number, "code": code, "device_name": device_name});
    let mut device = send(app, "/accounts/verify/", &user_agent, &home, verified).await.signed_in();
    app.advance_time(60);
    let refreshed = json!({"refresh_token": device.refresh});
    let renewed = send(app, "/accounts/refresh/", &user_agent, &away, refreshed).await.ok();
    renewed["access_token"].as_str().unwrap().clone_into(&mut device.access);
    renewed["refresh_token"].as_str().unwrap().clone_into(&mut device.refresh);
    let added = json!({"email": email});
    let code = app.api.add_identifier(&device.access, &added).await.code();
    app.api.verify_identifier(&device.access, &added, &code).await.ok();
    let traces = [phone_number[1..].to_owned(), email, fullname, device_name, user_agent, home, away];
    Person { device, traces: traces.into() }
}

pub async fn follow(app: &TestApp) {
    Sequencer::new(Database::new(&app.database.url.0, 2).unwrap()).look().await.unwrap();
    while app.journal().follow(&FOLLOWERS).await.unwrap() > 0 {}
}

/// The names of all tables.
pub async fn tables(app: &TestApp) -> Vec<String> {
    let names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
    let rows = app.database.connect().await.query(names, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The tables in which a text stands, in clear or as hexadecimal digits, whatever its case.
pub async fn found_in(app: &TestApp, trace: &str) -> Vec<String> {
    let hex: String = trace.bytes().map(|byte| format!("{byte:02x}")).collect();
    let patterns = [format!("%{trace}%"), format!("%{hex}%")];
    let database = app.database.connect().await;
    let mut found = Vec::new();
    for table in tables(app).await {
        let sql = format!("SELECT count(*) FROM {table} AS t WHERE t::text ILIKE ANY($1)");
        let rows: i64 = database.query_one(&sql, &[&patterns.as_slice()]).await.unwrap().get(0);
        if rows > 0 {
            found.push(table);
        }
    }
    found
}

async fn rows_of(app: &TestApp, table: &str, device: &SignedInDevice) -> i64 {
    app.database
        .value(&format!("SELECT count(*) FROM {table} WHERE account_id = '{}'", device.account()))
        .await
}

pub async fn erase_own(app: &TestApp, device: &SignedInDevice) -> ApiAnswer {
    ApiClient::send(app.api.request(Method::DELETE, "/accounts/profile/").bearer_auth(&device.access)).await
}

async fn erase(app: &TestApp, admin: &SignedInDevice, account: &str, body: Value) -> ApiAnswer {
    app.api.post_as(admin, &format!("/admin/accounts/{account}/erase/"), body).await
}

pub fn proxied() -> [(&'static str, &'static str); 2] {
    [("server.trusted_proxies", "127.0.0.0/8"), ("server.forwarded", "x-forwarded-for")]
}

#[tokio::test]
async fn nothing_is_found_of_an_erased_person_and_everything_of_another() {
    let app = TestApp::with_settings(&proxied()).await;
    let (gone, kept) = (join(&app, 1).await, join(&app, 2).await);
    follow(&app).await;
    for trace in gone.traces.iter().chain(&kept.traces) {
        assert!(!found_in(&app, trace).await.is_empty(), "{trace} is there before");
    }

    let erasure = erase_own(&app, &gone.device).await.ok();
    assert_eq!(erasure["account_id"], json!(gone.device.account()));
    assert_eq!(erasure["keys"][1], "person", "{erasure}");
    for (table, rows) in [("identifiers", 2), ("profiles", 1), ("user_logins", 1), ("stays", 2)] {
        assert_eq!(erasure["rows"][table], rows, "{table}: {erasure}");
    }
    follow(&app).await;
    let traces = async |app: &TestApp| {
        for trace in &gone.traces {
            assert_eq!(found_in(app, trace).await, Vec::<String>::new(), "{trace}");
        }
        for trace in &kept.traces {
            assert!(!found_in(app, trace).await.is_empty(), "{trace}");
        }
        for table in
            ["account_keys", "identifiers", "outbox", "profiles", "user_logins", "stays", "login_history"]
        {
            assert_eq!(rows_of(app, table, &gone.device).await, 0, "{table}");
        }
    };
    traces(&app).await;

    // The log is whole, and read models that are made anew have nothing of them either.
    let verified = verify(&app.journal(), &app.trusted_keys(), &mut |_| {}).await.unwrap();
    assert!(verified.is_unaltered() && verified.is_complete(), "{verified:?}");
    let models: Vec<_> = Projection::all().filter_map(|model| model.immediate()).collect();
    let checked = rebuild::check(&app.journal(), &models, app.clock.now(), &mut |_| {}).await.unwrap();
    assert!(checked.iter().all(|model| model.differing == 0), "{checked:?}");
    rebuild::rebuild(&app.journal(), &models, &mut |_| {}).await.unwrap();
    traces(&app).await;
}

#[tokio::test]
async fn a_user_erases_their_account_and_begins_another_with_the_same_number() {
    let app = TestApp::start().await;
    let device = app.api.sign_in("+989121234567").await;
    app.advance_time(601);
    let device = SignedInDevice {
        access: app.api.refresh(&device.refresh).await.ok()["access_token"].as_str().unwrap().to_owned(),
        ..device
    };
    erase_own(&app, &device).await.is_problem(401, "fresh_proof_required");
    let device = app.api.sign_in("+989121234567").await;
    let other = device.account();
    erase_own(&app, &device).await.ok();
    app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
    app.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
    erase_own(&app, &device).await.is_problem(401, "invalid_access_token");
    let code = app.api.login("+989121234567").await.code();
    let again = app.api.verify("+989121234567", &code).await.signed_in();
    assert_ne!(again.account(), other);
    assert_eq!(again.user["fullname"], Value::Null);
}

#[tokio::test]
async fn staff_erase_an_account_and_the_reason_stays_in_their_own_stream() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let device = app.api.sign_in("+989121234567").await;
    let account = device.account().to_string();
    erase(&app, &admin, &account, json!({})).await.is_problem(400, "invalid_fields");
    let why = || json!({"reason": "asked by letter", "case": "HD-7"});
    let erasure = erase(&app, &admin, &account, why()).await.ok();
    assert_eq!(erase(&app, &admin, &account, why()).await.ok(), erasure, "the same the second time");
    app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
    app.api.get(&format!("/admin/accounts/{account}/"), &admin.access).await.is_problem(404, "not_found");
    let unknown = "01a2102b-9989-7532-acd2-ac1c6690aa6d";
    erase(&app, &admin, unknown, why()).await.is_problem(404, "not_found");
    let own = admin.account().to_string();
    erase(&app, &admin, &own, why()).await.is_problem(409, "own_account");
    app.api
        .post_as(&admin, &format!("/admin/accounts/{account}/suspend/"), why())
        .await
        .is_problem(404, "not_found");

    let history = app.journal().history(admin.account()).await.unwrap();
    let ordered: Vec<_> =
        history.iter().map(|(_, event)| event).filter(|event| event.name() == "ErasureOrdered").collect();
    let [order] = &ordered[..] else { panic!("{ordered:?}") };
    assert_eq!(order.person.as_ref().unwrap().reason.as_ref().unwrap().as_str(), "asked by letter");
    let history = app.journal().history(device.account()).await.unwrap();
    let (_, last) = history.last().unwrap();
    assert_eq!((last.name(), last.by().is_some()), ("AccountErased", true));
    assert!(history.iter().all(|(_, event)| event.person.is_none() && event.client.is_none()), "{history:?}");
}

/// A follower that has read keys writes before the erasure, or finds them gone.
#[tokio::test]
async fn a_read_model_that_is_behind_the_log_takes_in_nothing_of_an_erased_person() {
    let app = TestApp::with_settings(&proxied()).await;
    let person = join(&app, 7).await;
    erase_own(&app, &person.device).await.ok();
    follow(&app).await;
    for trace in &person.traces {
        assert_eq!(found_in(&app, trace).await, Vec::<String>::new(), "{trace}");
    }
    assert_eq!(rows_of(&app, "login_history", &person.device).await, 0);
}

/// What a rebuild has opened before an erasure, it leaves out at the end.
#[tokio::test]
async fn a_rebuild_of_what_follows_the_log_leaves_erased_accounts_out() {
    let app = TestApp::with_settings(&proxied()).await;
    let person = join(&app, 8).await;
    follow(&app).await;
    let backup = "CREATE TABLE before AS SELECT account_id, scope, wrapping_id, wrapped FROM account_keys";
    let database = app.database.connect().await;
    database.batch_execute(backup).await.unwrap();
    erase_own(&app, &person.device).await.ok();
    // As if the rebuild had opened the events before: with the keys that it had then.
    database
        .batch_execute("INSERT INTO account_keys SELECT * FROM before ON CONFLICT DO NOTHING")
        .await
        .unwrap();
    for follower in FOLLOWERS {
        rebuild::follower::rebuild(&app.journal(), follower, &mut |_| {}).await.unwrap();
    }
    database.batch_execute("DELETE FROM account_keys; DROP TABLE before").await.unwrap();
    for trace in &person.traces {
        assert_eq!(found_in(&app, trace).await, Vec::<String>::new(), "{trace}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_race_of_two_nodes_with_an_erasure_leaves_no_key_and_no_session() {
    let app = TestApp::start().await;
    let (beside, _proxy) = app.second_node(&[]).await;
    for n in 0..10 {
        let device = app.api.sign_in(&format!("+98912123450{n}")).await;
        beside.api.profile(&device.access).await.ok();
        let renamed = async |app: &TestApp, name: &str| {
            for _ in 0..5 {
                app.api.rename(&device.access, name).await;
            }
        };
        let (erased, ..) = tokio::join!(
            erase_own(&app, &device),
            renamed(&app, "one"),
            renamed(&beside, "other"),
            beside.api.refresh(&device.refresh)
        );
        if erased.status == 503 {
            erase_own(&app, &device).await.ok();
        }
        for table in ["account_keys", "identifiers", "profiles", "user_logins"] {
            assert_eq!(rows_of(&app, table, &device).await, 0, "{table}: {erased:?}");
        }
        let last = format!(
            "SELECT event_type FROM events WHERE aggregate_id = '{}' ORDER BY sequence DESC LIMIT 1",
            device.account()
        );
        assert_eq!(app.database.value::<String>(&last).await, "AccountErased");
    }
}

#[tokio::test]
async fn the_servers_role_erases_no_account_whose_log_does_not_say_so() {
    let app = TestApp::start().await;
    let (url, _) = app.database.by_server_role().await;
    let server = app.by_server_role().await;
    let owner = app.api.sign_in("+989121234567").await;
    let (role, connection) = tokio_postgres::connect(&url.0, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let erase = format!("SELECT erase_account('{}')", owner.account());
    role.execute(&erase, &[]).await.unwrap_err();
    assert!(rows_of(&app, "account_keys", &owner).await > 0);
    for table in ["erasures", "account_keys"] {
        let refused = role.execute(&format!("DELETE FROM {table}"), &[]).await.unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{table}");
    }
    erase_own(&server, &owner).await.ok();
    assert_eq!(rows_of(&app, "account_keys", &owner).await, 0);
}

#[tokio::test]
async fn an_auditor_sees_when_an_account_was_erased_and_nothing_of_who_it_was() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(ADMIN, Role::Auditor).await;
    let device = app.api.sign_in("+989121234567").await;
    app.advance_time(60);
    erase_own(&app, &device).await.ok();
    let path = format!("/audit/accounts/{}/?reason=asked", device.account());
    let shown = app.api.get(&path, &auditor.access).await.ok();
    assert_eq!((&shown["state"], &shown["identifiers"]), (&json!("erased"), &json!([])), "{shown}");
    let before = (app.clock.now() - chrono::TimeDelta::seconds(30)).to_rfc3339();
    let before = before.replace('+', "%2B");
    let shown = app.api.get(&format!("{path}&at={before}"), &auditor.access).await.ok();
    assert_eq!(shown["state"], "active", "{shown}");
}

/// How a text may stand in a dump: in clear, as hexadecimal digits, in base64 at any place, in UTF-16.
fn spellings(trace: &str) -> Vec<String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let wide: Vec<u8> = trace.encode_utf16().flat_map(u16::to_le_bytes).collect();
    // Where it stands in a group of three bytes, the letters in the middle are the same whatever is around it.
    let base64 = (0..3).map(|before| {
        let text = STANDARD_NO_PAD.encode([&vec![b'x'; before][..], trace.as_bytes()].concat());
        text[(before * 8).div_ceil(6)..text.len() - 2].to_owned()
    });
    let texts = [trace.to_owned(), hex(trace.as_bytes()), hex(&wide)];
    texts.into_iter().chain(base64).map(|text| text.to_ascii_lowercase()).collect()
}

/// All tables of the database, as text in lower case.
fn dump(app: &TestApp) -> String {
    let pg_dump = counterfoil::postgres::embedded::binaries().unwrap().join("pg_dump");
    let done = std::process::Command::new(pg_dump).arg(&app.database.url.0).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().to_ascii_lowercase()
}

fn is_in(dump: &str, trace: &str) -> bool {
    spellings(trace).iter().any(|spelling| dump.contains(spelling))
}

/// Half of the people are erased on two nodes, while all are busy. The long form has 200 of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_has_nothing_of_the_people_who_were_erased_under_load_and_everything_of_the_others() {
    let people = std::env::var("COUNTERFOIL_ERASED_PEOPLE").map_or(12, |people| people.parse().unwrap());
    let app = TestApp::with_settings(&proxied()).await;
    let (beside, _proxy) = app.second_node(&proxied()).await;
    let mut joined = Vec::new();
    for n in 1..=people {
        joined.push(join(&app, n).await);
    }
    // Time has gone on, and an erasure takes fresh proof.
    for person in &mut joined {
        person.device = app.api.sign_in(&format!("+{}", person.traces[0])).await;
        beside.api.profile(&person.device.access).await.ok();
    }
    follow(&app).await;
    let before = dump(&app);
    for person in &joined {
        for trace in &person.traces {
            assert!(is_in(&before, trace), "{trace} is there before");
        }
    }
    let busy = async |node: &TestApp, person: &Person| {
        for n in 0..3 {
            node.api.rename(&person.device.access, &format!("Zephyrine Again{n}")).await;
            node.api.profile(&person.device.access).await;
        }
    };
    let (gone, kept): (Vec<_>, Vec<_>) = joined.iter().enumerate().partition(|(n, _)| n % 2 == 0);
    let (here, there) = (&app, &beside);
    let erased = gone.iter().map(|(n, person)| {
        let node = if n % 4 == 0 { here } else { there };
        async move {
            let erased = erase_own(node, &person.device);
            tokio::join!(erased, busy(here, person), busy(there, person)).0
        }
    });
    let stayed = kept.iter().map(|(_, person)| busy(&beside, person));
    let (erased, _) = tokio::join!(join_all(erased), join_all(stayed));
    // What was too busy is asked for again, as the answer says.
    for (answer, (_, person)) in erased.iter().zip(&gone) {
        if answer.status != 200 {
            erase_own(&app, &person.device).await.ok();
        }
    }
    follow(&app).await;
    let models: Vec<_> = Projection::all().filter_map(|model| model.immediate()).collect();
    rebuild::rebuild(&app.journal(), &models, &mut |_| {}).await.unwrap();
    for follower in FOLLOWERS {
        rebuild::follower::rebuild(&app.journal(), follower, &mut |_| {}).await.unwrap();
    }
    let after = dump(&app);
    for (_, person) in &gone {
        for trace in &person.traces {
            assert!(!is_in(&after, trace), "{trace} is in the dump");
        }
        for node in [&app, &beside] {
            node.api.profile(&person.device.access).await.is_problem(401, "invalid_access_token");
        }
    }
    for (_, person) in &kept {
        // Their names were changed meanwhile.
        for trace in person.traces.iter().filter(|trace| !trace.starts_with("Zephyrine")) {
            assert!(is_in(&after, trace), "{trace} is not in the dump");
        }
    }
    let verified = verify(&app.journal(), &app.trusted_keys(), &mut |_| {}).await.unwrap();
    assert!(verified.is_unaltered() && verified.is_complete(), "{verified:?}");
}
