//! Tests of GET `/admin/identifiers/`.

use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADMIN, PHONE};
use crate::support::{SignedInDevice, TestApp};

async fn look(app: &TestApp, admin: &SignedInDevice, query: &str) -> Value {
    app.api.get(&format!("/admin/identifiers/?{query}"), &admin.access).await.ok()
}

fn obstacles(found: &Value) -> Vec<(String, Value)> {
    let each = found["obstacles"].as_array().unwrap().iter();
    each.map(|it| (it["kind"].as_str().unwrap().to_owned(), it["until"].clone())).collect()
}

#[tokio::test]
async fn identifiers_200_tells_what_became_of_a_newcomers_codes_and_what_is_in_the_way() {
    let settings = [("codes.wrong_in_a_row", "7"), ("codes.wrong_per_hour", "3"), ("codes.per_day", "2")];
    let app = TestApp::with_settings(&settings).await;
    let admin = app.sign_in_admin(ADMIN).await;
    let never = look(&app, &admin, "phone_number=09121234567").await;
    let expected = json!({"phone_number": PHONE, "email": null, "account_id": null, "joined": false,
        "summary": "No code was sent in the last 30 days; nothing is in the way of a code; 0 of 2 codes today.",
        "obstacles": [], "stops": [], "codes": {"sent": 0, "limit": 2}, "prefix": null, "messages": []});
    assert_eq!(never, expected);

    app.api.login(PHONE).await.ok();
    let found = look(&app, &admin, "phone_number=09121234567").await;
    assert_eq!((&found["joined"], found["account_id"].is_string()), (&json!(false), true));
    assert_eq!(obstacles(&found)[0].0, "too_soon");
    assert!(found["obstacles"][0]["until"].is_string(), "{found}");
    let summary = found["summary"].as_str().unwrap();
    assert!(summary.starts_with("Last code sent at "), "{summary}");
    assert!(
        summary.contains("asked again too soon until ") && summary.ends_with("1 of 2 codes today."),
        "{summary}"
    );
    let message = &found["messages"][0];
    assert!(message["settled_at"].is_string(), "{found}");
    assert_eq!((&message["kind"], &message["state"]), (&json!("sign_in"), &json!("sent")), "{found}");
    assert!(!found.to_string().contains("code\":"), "{found}");

    for guess in 0..3 {
        app.api.verify(PHONE, &format!("99999{guess}")).await.is_problem(400, "invalid_code");
    }
    let kinds = |found: &Value| obstacles(found).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    assert_eq!(kinds(&look(&app, &admin, "phone_number=09121234567").await), ["paused", "too_soon"]);
    app.advance_time(3600);
    app.api.login(PHONE).await.ok();
    for guess in 0..3 {
        app.api.verify(PHONE, &format!("99999{guess}")).await.is_problem(400, "invalid_code");
    }
    let admin = app.sign_in_staff("+989130000002", Role::Admin).await;
    let found = look(&app, &admin, "phone_number=09121234567").await;
    assert_eq!(kinds(&found), ["locked", "too_soon", "quota_spent"]);
    assert_eq!(obstacles(&found)[0].1, Value::Null);
}

#[tokio::test]
async fn identifiers_200_tells_of_a_suspended_person_and_400_where_no_identifier_is_named() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    let path = format!("/admin/accounts/{}/suspend/", device.account());
    let suspended = app.api.send_json(Method::POST, &path, &admin.access, json!({"reason": "stolen"})).await;
    assert_eq!(suspended.status, 204);
    app.advance_time(60);
    let found = look(&app, &admin, "phone_number=09121234567").await;
    assert_eq!(obstacles(&found), [("account_suspended".to_owned(), Value::Null)]);
    assert_eq!((&found["joined"], &found["account_id"]), (&json!(true), &json!(device.account())));
    app.api.get("/admin/identifiers/", &admin.access).await.refuses_fields(&["phone_number"]);
    let both = "/admin/identifiers/?phone_number=09121234567&email=a%40b.example";
    app.api.get(both, &admin.access).await.refuses_fields(&["email", "phone_number"]);
}
