//! Who was signed in, as auditors are answered. That the right sessions are found, the model of the stays tells.

use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::number;
use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const AUDITOR: &str = "+989121234560";
const ADA: &str = "+989121234561";
const LIST: &str = "/audit/device-sessions/";

async fn read(app: &TestApp, who: &SignedInDevice, query: &str) -> ApiAnswer {
    let request = app.api.request(Method::GET, &format!("{LIST}{query}")).bearer_auth(&who.access);
    ApiClient::send(request.header("X-Audit-Reason", "case 7")).await
}

#[tokio::test]
async fn a_session_is_shown_with_the_name_and_the_identifiers_of_its_account() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(AUDITOR, Role::Auditor).await;
    app.advance_time(1);
    let ada = app.api.sign_in(ADA).await;
    app.api.rename(&ada.access, "Ada Lovelace").await.ok();
    let list = read(&app, &auditor, "?phone_number=%2B989121234561").await.ok();
    let mut item = list["items"][0].clone();
    assert_eq!((list["items"].as_array().unwrap().len(), &list["next"]), (1, &Value::Null));
    let admin = app.sign_in_admin("+989121234563").await;
    let path = format!("/admin/device-sessions/?account_id={}", ada.account());
    let same = app.api.get(&path, &admin.access).await.ok()["items"][0].clone();
    for (name, told) in
        [("fullname", json!("Ada Lovelace")), ("phone_number", json!(ADA)), ("email", Value::Null)]
    {
        assert_eq!(item.as_object_mut().unwrap().remove(name), Some(told));
    }
    assert_eq!(item, same);
}

#[tokio::test]
async fn a_search_is_on_record_with_its_reason_and_without_numbers_and_addresses_in_clear() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(AUDITOR, Role::Auditor).await;
    let ada = app.api.sign_in(ADA).await;
    let at = "2026-01-01T00:00:00Z";
    for query in [
        format!("?phone_number=%2B989121234561&at={at}&ip_address=127.0.0.0/8"),
        "?email=unknown%40example.com&active=true".to_owned(),
        "?device_name=phone&limit=1".to_owned(),
    ] {
        read(&app, &auditor, &query).await.ok();
    }
    number(&app).await;
    let request = app.api.request(Method::GET, "/audit/events/?type=AuditRead").bearer_auth(&auditor.access);
    let page = ApiClient::send(request.header("X-Audit-Reason", "review")).await.ok();
    let told = page["items"].as_array().unwrap().iter().map(|item| {
        assert_eq!(item["person"]["reason"], "case 7");
        (item["fact"]["AuditRead"]["what"].clone(), item["person"]["query"].clone())
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (
                json!(format!("device-sessions account_id={} at={at}", ada.account())),
                json!("ip_address=127.0.0.0/8")
            ),
            (json!("device-sessions active=true"), json!("email=unknown@example.com")),
            (json!("device-sessions"), json!("device_name=phone")),
        ]
    );
}

#[tokio::test]
async fn a_search_without_a_reason_or_with_a_wrong_filter_is_refused_and_leaves_no_record() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(AUDITOR, Role::Auditor).await;
    app.api.get(LIST, &auditor.access).await.refuses_fields(&["reason"]);
    for (query, field) in [
        ("?at=now", "at"),
        ("?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "until"),
        ("?ip_address=x", "ip_address"),
        ("?order=desc", "order"),
        ("?cursor=x", "cursor"),
    ] {
        read(&app, &auditor, query).await.refuses_fields(&[field]);
    }
    let on_record = "SELECT count(*) FROM events WHERE event_type = 'AuditRead'";
    assert_eq!(app.database.value::<i64>(on_record).await, 0);
    // What administrators and auditors both ask is refused alike.
    let admin = app.sign_in_admin("+989121234563").await;
    let backwards = "/admin/device-sessions/?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z";
    app.api.get(backwards, &admin.access).await.refuses_fields(&["until"]);
}
