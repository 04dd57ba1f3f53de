//! The log over HTTP: for auditors only, each reading on record with its reason.

use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::number;
use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const AUDITOR: &str = "+989121234560";

/// An auditor, and two people with a few events.
async fn audited() -> (TestApp, SignedInDevice, SignedInDevice) {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(AUDITOR, Role::Auditor).await;
    let ada = app.api.sign_in("+989121234561").await;
    app.api.sign_in("+989121234562").await;
    number(&app).await;
    (app, auditor, ada)
}

async fn read(app: &TestApp, who: &SignedInDevice, path: &str) -> ApiAnswer {
    let request = app.api.request(Method::GET, path).bearer_auth(&who.access);
    ApiClient::send(request.header("X-Audit-Reason", "ticket 7: پرونده")).await
}

fn positions(page: &Value) -> Vec<i64> {
    page["items"].as_array().unwrap().iter().map(|item| item["position"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn pages_of_the_log_neither_skip_nor_repeat_events_while_new_ones_arrive() {
    let (app, auditor, ada) = audited().await;
    let page = read(&app, &auditor, "/audit/events/?limit=4").await.ok();
    assert_eq!((positions(&page), &page["next"]), (vec![1, 2, 3, 4], &json!(4)));
    app.api.refresh(&ada.refresh).await.ok();
    number(&app).await;
    let page = read(&app, &auditor, "/audit/events?limit=200&after=4").await.ok();
    assert_eq!((positions(&page), &page["next"]), ((5..=14).collect(), &json!(null)));
    let of_ada = format!("/audit/events/?account_id={}&type=LoggedIn,TokenRefreshed", ada.account());
    let page = read(&app, &auditor, &of_ada).await.ok();
    let types: Vec<&Value> = page["items"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(types, ["LoggedIn", "TokenRefreshed"]);
}

#[tokio::test]
async fn the_log_is_exported_as_ndjson_and_as_csv() {
    let (app, auditor, _) = audited().await;
    for path in ["/audit/events/?format=ndjson", "/audit/events/"] {
        let request = app.api.request(Method::GET, path).bearer_auth(&auditor.access);
        let request =
            request.header("x-audit-reason", "export").header("accept", "application/x-ndjson, */*;q=0.1");
        let answer = ApiClient::send(request).await;
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        let lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 12);
        assert_eq!(
            (&lines[11]["type"], &lines[11]["person"]["identifier"]["phone"]),
            (&json!("LoggedIn"), &json!("+989121234562"))
        );
    }
    let answer = read(&app, &auditor, "/audit/events/?format=csv&type=OtpRequested").await;
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"events.csv\""));
    for (mark, start) in [("", "position,"), ("&bom=0", "position,"), ("&bom=1", "\u{feff}position,")] {
        let path = format!("/audit/events/?format=csv{mark}");
        let request = app.api.request(Method::GET, &path).bearer_auth(&auditor.access);
        let answer = request.header("X-Audit-Reason", "a spreadsheet").send().await.unwrap();
        assert!(answer.bytes().await.unwrap().starts_with(start.as_bytes()), "{path}");
    }
    read(&app, &auditor, "/audit/events/?format=csv&bom=yes").await.is_problem(400, "invalid_fields");
    assert_eq!(answer.text.matches("\r\n").count(), 4);
    assert!(answer.text.contains("'+989121234561"));
}

#[tokio::test]
async fn each_reading_of_the_log_is_recorded_in_the_auditors_account_with_its_reason() {
    let (app, auditor, ada) = audited().await;
    read(&app, &auditor, "/audit/events/?limit=1&since=2020-01-01T00:00:00Z").await.ok();
    read(&app, &auditor, "/audit/events/?format=ndjson").await;
    read(&app, &auditor, &format!("/audit/accounts/{}/?step=2&reason=because", ada.account())).await.ok();
    number(&app).await;
    let page = read(&app, &auditor, "/audit/events/?type=AuditRead").await.ok();
    let told: Vec<(Value, Value)> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            assert_eq!(item["account_id"], auditor.user["id"]);
            (item["fact"]["AuditRead"]["what"].clone(), item["person"]["reason"].clone())
        })
        .collect();
    let given = json!("ticket 7: پرونده");
    assert_eq!(
        told,
        [
            (json!("events format=json since=2020-01-01T00:00:00Z limit=1"), given.clone()),
            (json!("events format=ndjson"), given),
            (json!(format!("account {} step=2", ada.account())), json!("because")),
        ]
    );
}

#[tokio::test]
async fn a_request_of_an_auditor_without_a_reason_is_refused() {
    let (app, auditor, ada) = audited().await;
    let account = format!("/audit/accounts/{}/", ada.account());
    for path in ["/audit/events/", "/audit/events/?format=csv", "/audit/events/stream/", &account] {
        app.api.get(path, &auditor.access).await.refuses_fields(&["reason"]);
        let blank = app.api.request(Method::GET, path).bearer_auth(&auditor.access);
        ApiClient::send(blank.header("x-audit-reason", " ")).await.refuses_fields(&["reason"]);
    }
    let noted = "SELECT count(*) FROM events WHERE event_type = 'AuditRead'";
    assert_eq!(app.database.value::<i64>(noted).await, 0);
}

#[tokio::test]
async fn only_an_auditor_reads_the_log_and_no_role_writes_it() {
    let (app, auditor, ada) = audited().await;
    let admin = app.sign_in_admin("+989121234563").await;
    let account = format!("/audit/accounts/{}/", ada.account());
    for path in ["/audit/events/", "/audit/events/?format=ndjson", "/audit/events/stream/", &account] {
        for who in [&ada, &admin] {
            read(&app, who, path).await.is_problem(403, "forbidden");
        }
        let anonymous = app.api.request(Method::GET, path).header("x-audit-reason", "x");
        ApiClient::send(anonymous).await.is_problem(401, "not_authenticated");
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            app.api
                .send_json(method, path, &auditor.access, json!({}))
                .await
                .is_problem(405, "method_not_allowed");
        }
    }
    let denied: i64 =
        app.database.value("SELECT count(*) FROM events WHERE event_type = 'AccessDenied'").await;
    assert_eq!(denied, 6, "once for each route and reader");

    // The role is read from what the account is now, not from the token.
    app.give_roles(&auditor, []).await;
    read(&app, &auditor, "/audit/events/").await.is_problem(403, "forbidden");
}

#[tokio::test]
async fn a_bad_filter_is_named_and_an_unknown_account_is_404() {
    let (app, auditor, ada) = audited().await;
    for (query, field) in [
        ("account_id=7", "account_id"),
        ("type=Nothing", "type"),
        ("type=", "type"),
        ("since=yesterday", "since"),
        ("until=2026-13-01T00:00:00Z", "until"),
        ("after=-1", "after"),
        ("after=x", "after"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("format=xml", "format"),
        ("nonsense=1", "nonsense"),
        ("limit=1&limit=2", "limit"),
    ] {
        read(&app, &auditor, &format!("/audit/events/?{query}")).await.refuses_fields(&[field]);
    }
    let account = format!("/audit/accounts/{}/", ada.account());
    for (query, field) in [("at=x", "at"), ("step=0", "step"), ("at=2026-01-01T00:00:00Z&step=1", "step")] {
        read(&app, &auditor, &format!("{account}?{query}")).await.refuses_fields(&[field]);
    }
    for path in ["/audit/accounts/7/", "/audit/accounts/00000000-0000-0000-0000-000000000000/"] {
        read(&app, &auditor, path).await.is_problem(404, "not_found");
    }
    read(&app, &auditor, &format!("{account}?step=99")).await.is_problem(404, "not_found");
}

#[tokio::test]
async fn an_auditor_sees_an_account_as_it_was_at_a_time() {
    let (app, auditor, ada) = audited().await;
    let before = counterfoil::runtime::clock::Clock::now(&*app.clock);
    app.advance_time(60);
    assert_eq!(app.api.logout(&ada.refresh).await.status, 204);
    let account = format!("/audit/accounts/{}/", ada.account());
    let now = read(&app, &auditor, &account).await.ok();
    assert_eq!((&now["state"], &now["sessions"], &now["version"]), (&json!("active"), &json!({}), &json!(4)));
    let at = before.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
    let then = read(&app, &auditor, &format!("{account}?at={at}")).await.ok();
    assert_eq!((then["sessions"].as_object().unwrap().len(), &then["version"]), (1, &json!(3)));
    let step = read(&app, &auditor, &format!("{account}?step=4")).await.ok();
    assert_eq!((&step["event"]["type"], &step["of"]), (&json!("LoggedOut"), &json!(4)));
}
