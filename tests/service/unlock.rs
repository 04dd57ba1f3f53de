//! The owner of a number or an address that strangers locked lets codes be sent again, by a link that only the owner gets.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, ProviderReply, ProviderServer, TestApp};

const PHONE: &str = "+989121234567";
const EMAIL: &str = "ada@example.com";
const SECRET: &str = "whsec_aHVzaC1odXNoLWh1c2gtaHVzaC1odXNoLWh1c2g=";

fn phone(number: &str) -> Value {
    json!({"phone_number": number})
}

/// Settings by which all messages go to that provider, and few wrong codes lock.
fn settings(url: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("delivery.phone", "sms"),
        ("gateways.sms.kind", "webhook"),
        ("gateways.sms.url", url),
        ("gateways.sms.secret", SECRET),
        ("delivery.email", "sms"),
        ("server.public_url", "https://auth.example/"),
        ("codes.wrong_in_a_row", "3"),
    ]
}

fn accepting() -> ProviderServer {
    ProviderServer::start(|_| ProviderReply::json(200, &json!({})))
}

/// The messages of a kind, once there are so many.
async fn messages(provider: &ProviderServer, kind: &str, count: usize) -> Vec<Value> {
    let found = || {
        let sent =
            provider.requests().into_iter().map(|asked| serde_json::from_str::<Value>(&asked.body).unwrap());
        sent.filter(|message| message["kind"] == kind).collect::<Vec<_>>()
    };
    let waited = async {
        while found().len() < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap_or_else(|_| panic!("no {kind}"));
    found()
}

/// The path that the link in a message leads to.
fn path_in(message: &Value) -> String {
    let text = message["text"].as_str().unwrap();
    let link = text.split_whitespace().find(|word| word.starts_with("https://")).unwrap();
    link.strip_prefix("https://auth.example").unwrap().to_owned()
}

/// Signs in by the newest code that was sent there.
async fn sign_in(app: &TestApp, provider: &ProviderServer, to: &Value, nth: usize) -> ApiAnswer {
    app.api.post("/accounts/login/", to.clone()).await.ok();
    let mut body = to.clone();
    body["code"] = messages(provider, "sign_in", nth).await.pop().unwrap()["code"].clone();
    app.api.post("/accounts/verify/", body).await
}

/// A stranger tries wrong codes until none is looked at.
async fn lock(app: &TestApp, of: &Value) {
    app.advance_time(60);
    app.api.post("/accounts/login/", of.clone()).await.ok();
    let mut body = of.clone();
    for _ in 0..4 {
        body["code"] = json!("999999");
        app.api.post("/accounts/verify/", body.clone()).await;
    }
    app.api.post("/accounts/verify/", body).await.is_problem(429, "too_many_tries");
}

async fn open(api: &ApiClient, method: Method, path: &str) -> ApiAnswer {
    ApiClient::send(api.request(method, path)).await
}

async fn count(app: &TestApp, event: &str) -> i64 {
    app.database.value(&format!("SELECT count(*) FROM events WHERE event_type = '{event}'")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_owner_gets_one_link_a_day_and_is_let_in_by_it_at_once() {
    let provider = accepting();
    let settings = settings(&provider.url);
    let app = TestApp::with_settings(&settings).await;
    let (other, _proxy) = app.second_node(&settings).await;
    let nodes = [&app.api, &other.api];
    sign_in(&app, &provider, &phone(PHONE), 1).await.signed_in();
    lock(&app, &phone(PHONE)).await;
    lock(&app, &phone("+989127654321")).await;

    // Known and unknown numbers are refused alike, and asking at once on two nodes sends one link.
    let asked = join_all((0..8).map(async |n| nodes[n % 2].login(PHONE).await)).await;
    let of_unknown = app.api.login("+989127654321").await;
    for answer in &asked {
        answer.is_problem(406, "code_quota_spent");
        let told = |answer: &ApiAnswer| (answer.text.clone(), answer.retry_after());
        assert_eq!(told(answer), told(&of_unknown));
    }
    let links = messages(&provider, "unlock_link", 2).await;
    let [link] = &links.iter().filter(|link| link["to"] == PHONE).collect::<Vec<_>>()[..] else {
        panic!("{links:?}")
    };
    let path = path_in(link);

    // Opening the link, as a scanner does, changes nothing; confirming it on two nodes at once lifts the lock once.
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let page = open(&app.api, method.clone(), &path).await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
        assert!(method == Method::HEAD || page.text.contains("<form method=\"post\">"), "{}", page.text);
        app.api.login(PHONE).await.is_problem(406, "code_quota_spent");
    }
    let farsi = app.api.request(Method::GET, &path).header("accept-language", "fa");
    assert!(ApiClient::send(farsi).await.text.contains("dir=\"rtl\""));
    let confirmed = join_all(nodes.map(async |node| open(node, Method::POST, &path).await)).await;
    let mut statuses = confirmed.iter().map(|page| page.status.as_u16()).collect::<Vec<_>>();
    statuses.sort_unstable();
    assert_eq!((statuses, count(&app, "LockLifted").await), (vec![200, 404], 1));
    let codes = messages(&provider, "sign_in", 3).await.len();
    sign_in(&other, &provider, &phone(PHONE), codes + 1).await.signed_in();

    // The link is spent, and a second lock on the same day gets none.
    lock(&app, &phone(PHONE)).await;
    app.api.login(PHONE).await.is_problem(406, "code_quota_spent");
    let unknown = format!("{path}A");
    for method in [Method::GET, Method::POST] {
        let spent = open(&app.api, method.clone(), &path).await;
        assert_eq!((spent.status.as_u16(), spent.text.contains("<form")), (404, false));
        let words = |page: &ApiAnswer| page.text.split_once("<body>").unwrap().1.to_owned();
        assert_eq!(words(&spent), words(&open(&app.api, method, &unknown).await));
    }
    assert_eq!(count(&app, "UnlockLinkIssued").await, 2);
    app.advance_time(24 * 3600);
    app.api.login(PHONE).await.is_problem(406, "code_quota_spent");
    let next = path_in(messages(&provider, "unlock_link", 3).await.last().unwrap());
    app.advance_time(24 * 3600);
    assert_eq!(open(&app.api, Method::POST, &next).await.status, 404, "it has expired");
}

#[tokio::test]
async fn an_address_is_unlocked_by_its_link_and_a_session_adds_a_number_whatever_strangers_tried() {
    let provider = accepting();
    let app = TestApp::with_settings(&settings(&provider.url)).await;
    let email = json!({"email": EMAIL});
    sign_in(&app, &provider, &email, 1).await.signed_in();
    lock(&app, &email).await;
    app.api.post("/accounts/login/", email.clone()).await.is_problem(406, "code_quota_spent");
    let link = messages(&provider, "unlock_link", 1).await.remove(0);
    assert_eq!(link["to"], EMAIL);
    assert_eq!(open(&app.api, Method::POST, &path_in(&link)).await.status, 200);
    let device = sign_in(&app, &provider, &email, 3).await.signed_in();
    // Strangers lock the address once more: its owner, signed in, replaces it all the same.
    lock(&app, &email).await;
    let new = json!({"email": "ada@example.org"});
    app.api.add_identifier(&device.access, &new).await.ok();
    let code = messages(&provider, "add_identifier", 1).await.remove(0)["code"].clone();
    let profile = app.api.verify_identifier(&device.access, &new, code.as_str().unwrap()).await.ok();
    assert_eq!(profile["email"], new["email"]);
}

#[tokio::test]
async fn without_a_public_url_a_locked_account_is_refused_and_no_unlock_link_is_issued() {
    let app = TestApp::with_settings(&[("codes.wrong_in_a_row", "3")]).await;
    app.api.sign_in(PHONE).await;
    lock(&app, &phone(PHONE)).await;
    app.api.login(PHONE).await.is_problem(406, "code_quota_spent");
    assert_eq!(count(&app, "UnlockLinkIssued").await, 0);
}
