//! Of callers who are signed in: what they ask for that is put on record.

use std::collections::BTreeSet;

use counterfoil::crypto::message_links::{ChangeNumber, SessionLinks, UndoLinks, UnlockLinks};
use counterfoil_domain::values::{ChallengeNonce, Role, SessionId};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{PROXIED, SettingValue, count, is_refused, on_both_stores};
use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The rates of production, which tests do without otherwise.
const RATES: [SettingValue<'static>; 4] = [
    ("limits.writes_burst", "30"),
    ("limits.writes_per_minute", "30"),
    ("limits.address_writes_burst", "300"),
    ("limits.address_writes_per_minute", "300"),
];

/// Operations that change something by their method and are not counted here, each with what bounds it.
const OTHERWISE: [(&str, &str, &str); 7] = [
    ("POST", "/accounts/login/", "codes of an address and of an identifier"),
    ("POST", "/accounts/verify/", "tries of an address and of an identifier"),
    ("POST", "/accounts/verify/resend/", "codes of an address and of an identifier"),
    ("POST", "/accounts/refresh/", "refreshes of a session"),
    ("POST", "/accounts/token/verify/", "it writes nothing"),
    ("DELETE", "/accounts/profile/", "an account is erased once"),
    ("POST", "/oauth/introspect", "it writes nothing"),
];

/// Every operation of the route table that may write, but those.
fn writing() -> BTreeSet<(String, String)> {
    let document = counterfoil::http::document();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, operations)| {
        let methods = operations.as_object().unwrap().keys().map(|method| method.to_uppercase());
        methods.map(|method| (method, path.clone())).collect::<Vec<_>>()
    });
    let (exempt, writing): (BTreeSet<_>, BTreeSet<_>) = operations
        .filter(|(method, _)| method != "GET")
        .partition(|(method, path)| OTHERWISE.iter().any(|(its, at, _)| its == method && at == path));
    assert_eq!(exempt.len(), OTHERWISE.len(), "what is exempt is there: {exempt:?}");
    writing
}

async fn session_of(app: &TestApp, device: &SignedInDevice) -> SessionId {
    let devices = app.api.get("/accounts/devices/", &device.access).await.ok();
    SessionId(devices[0]["id"].as_str().unwrap().parse().unwrap())
}

async fn app(settings: &[SettingValue<'_>]) -> TestApp {
    TestApp::with_settings(&[&RATES, &PROXIED[1..], settings].concat()).await
}

fn client() -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    let hash: String =
        digest(&SHA256, SECRET.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("[{{ id = \"orders\", secret_sha256 = \"{hash}\", scopes = [\"tokens:revoke\"] }}]")
}

/// A request of that operation, in the name of an account: what it says may be wrong, since it is counted before it is read.
fn request(app: &TestApp, method: &str, path: &str, caller: &SignedInDevice, link: &str) -> RequestBuilder {
    let unknown = "00000000-0000-7000-8000-000000000000";
    let real = path.replace("{id}", unknown).replace("{name}", "unknown").replace("{link}", link);
    let request = app.api.request(method.parse().unwrap(), &real);
    match path {
        "/accounts/logout/all/" => request.bearer_auth(&caller.access).json(&json!({"keep_current": true})),
        "/accounts/logout/" => request.json(&json!({"refresh_token": caller.refresh})),
        "/oauth/revoke" => request.basic_auth("orders", Some(SECRET)).form(&[("token", &caller.refresh)]),
        _ => request.bearer_auth(&caller.access).json(&json!({})),
    }
}

#[tokio::test]
async fn every_operation_that_writes_is_limited_for_its_account() {
    let app = TestApp::with_toml_and_settings(&format!("[oauth]\nclients = {}", client()), &RATES).await;
    let mut unlimited = Vec::new();
    for (n, (method, path)) in writing().into_iter().enumerate() {
        let phone = format!("+98912{n:07}");
        let caller = if path.starts_with("/admin/") {
            app.sign_in_staff(&phone, Role::Admin).await
        } else {
            app.api.sign_in(&phone).await
        };
        let session = session_of(&app, &caller).await;
        let link = if path.starts_with(UnlockLinks::PATH) {
            let links = UnlockLinks::new(&app.keyring, Some("https://auth.example".to_owned()));
            let link = links.link(caller.account(), ChallengeNonce::new([1; 16])).unwrap();
            link.rsplit('/').next().unwrap().to_owned()
        } else if path.starts_with(UndoLinks::PATH) {
            UndoLinks::new(&app.keyring, None).token(caller.account(), ChangeNumber(1))
        } else {
            SessionLinks::new(&app.keyring, None).token(caller.account(), session)
        };
        // What led here is used up.
        app.advance_time(60);
        for _ in 0..30 {
            let answer = ApiClient::send(request(&app, &method, &path, &caller, &link)).await;
            assert!(!answer.status.is_server_error(), "{method} {path}: {answer:?}");
            if answer.status == 429 {
                answer.is_problem(429, "too_many_tries");
            }
        }
        let events: i64 = app.database.value("SELECT count(*) FROM events").await;
        let refused = ApiClient::send(request(&app, &method, &path, &caller, &link)).await;
        if refused.status != 429 || refused.json()["code"] != "too_many_requests" {
            unlimited.push(format!("{method} {path}: {} {}", refused.status, refused.text));
            continue;
        }
        is_refused(&refused);
        assert_eq!(app.database.value::<i64>("SELECT count(*) FROM events").await, events);
        app.advance_time(2);
        let next = ApiClient::send(request(&app, &method, &path, &caller, &link)).await;
        assert!(next.status != 429 || next.json()["code"] == "too_many_tries", "{method} {path}: {next:?}");
        app.advance_time(60);
    }
    assert!(unlimited.is_empty(), "{}", unlimited.join("\n"));
}

async fn rename(api: &ApiClient, device: &SignedInDevice, address: &str, n: usize) -> ApiAnswer {
    let request = api.request(Method::PATCH, "/accounts/profile/").bearer_auth(&device.access);
    let body = json!({"fullname": format!("Ada {n}")});
    ApiClient::send(request.header("x-forwarded-for", address).json(&body)).await
}

#[tokio::test]
async fn five_hundred_renames_leave_thirty_events_and_refreshes_go_on() {
    let app = app(&[]).await;
    let mut device = app.api.sign_in("+989121234567").await;
    let other = app.api.sign_in("+989121234568").await;
    let answers = super::together((0..500).map(|n| rename(&app.api, &device, "192.0.2.1", n))).await;
    assert_eq!((count(&answers, 200), count(&answers, 429)), (30, 470));
    let renamed = "SELECT count(*) FROM events WHERE event_type = 'ProfileUpdated'";
    assert_eq!(app.database.value::<i64>(renamed).await, 30);
    assert_eq!(answers.iter().find(|answer| answer.status == 429).unwrap().retry_after(), Some(2));
    for _ in 0..50 {
        let next = app.api.refresh(&device.refresh).await.ok();
        device.refresh = next["refresh_token"].as_str().unwrap().to_owned();
    }
    app.api.profile(&device.access).await.ok();
    rename(&app.api, &other, "192.0.2.1", 1).await.ok();
    app.advance_time(2);
    let answers = super::together((0..5).map(|n| rename(&app.api, &device, "192.0.2.1", n))).await;
    assert_eq!((count(&answers, 200), count(&answers, 429)), (1, 4));
}

#[tokio::test]
async fn one_address_writes_no_more_for_many_accounts_than_it_may() {
    let app = app(&[("limits.address_writes_burst", "40")]).await;
    let mut devices = Vec::new();
    for n in 0..3 {
        devices.push(app.api.sign_in(&format!("+98912123456{n}")).await);
    }
    let mut answers = Vec::new();
    for n in 0..60 {
        answers.push(rename(&app.api, &devices[n % 3], "192.0.2.1", n).await);
    }
    assert_eq!((count(&answers, 200), count(&answers, 429)), (40, 20));
    rename(&app.api, &devices[0], "192.0.2.2", 1).await.ok();
    is_refused(&rename(&app.api, &devices[0], "192.0.2.1", 2).await);
}

#[tokio::test]
async fn an_account_writes_little_more_on_two_nodes_than_on_one() {
    on_both_stores(&RATES, async |[app, beside]| {
        let device = app.api.sign_in("+989121234567").await;
        let rename = |n: usize| {
            let (api, device) = ([&app.api, &beside.api][n % 2].clone(), device.clone());
            async move { rename(&api, &device, "192.0.2.1", n).await }
        };
        // The share of each node is ten; the 20 beyond are counted together.
        let answers = super::together((0..200).map(rename)).await;
        assert_eq!((count(&answers, 200), count(&answers, 429)), (40, 160));
        answers.iter().filter(|answer| answer.status == 429).for_each(is_refused);
        // One in ten seconds each, and 24 a minute together.
        app.advance_time(10);
        let answers = super::together((0..200).map(rename)).await;
        assert_eq!(count(&answers, 200), 6);
    })
    .await;
}

#[tokio::test]
async fn an_address_writes_little_more_on_two_nodes_than_on_one() {
    let settings = [&RATES[..2], &[("limits.address_writes_burst", "30")], &RATES[3..]].concat();
    on_both_stores(&settings, async |[app, beside]| {
        let mut devices = Vec::new();
        for n in 0..8 {
            devices.push(app.api.sign_in(&format!("+98912123456{n}")).await);
            // An address asks for one code a minute.
            app.advance_time(60);
        }
        let answers = super::together((0..100).map(|n| {
            let (api, device) = ([&app.api, &beside.api][n % 2].clone(), devices[n % 8].clone());
            async move { rename(&api, &device, "192.0.2.1", n).await }
        }))
        .await;
        assert_eq!((count(&answers, 200), count(&answers, 429)), (40, 60));
        rename(&app.api, &devices[0], "192.0.2.2", 1).await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_caller_who_writes_little_asks_nothing_of_the_shared_store() {
    let app = app(&[("limits.shared", "on")]).await;
    let device = app.api.sign_in("+989121234567").await;
    let meters = "SELECT count(*) FROM limits WHERE key LIKE '1/writes%'";
    for n in 0..10 {
        rename(&app.api, &device, "192.0.2.1", n).await.ok();
    }
    assert_eq!(app.database.value::<i64>(meters).await, 0);
    rename(&app.api, &device, "192.0.2.1", 10).await.ok();
    assert_eq!(app.database.value::<i64>(meters).await, 2);
}
