//! Tests of what all interventions have in common, and of the removal of a second factor.

use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADMIN, PHONE, events_of};
use crate::support::{SignedInDevice, TestApp};

const UNKNOWN: &str = "0199d1de-0000-7000-8000-000000000000";

fn path(device: &SignedInDevice, what: &str) -> String {
    format!("/admin/accounts/{}/{what}", device.account())
}

#[tokio::test]
async fn every_intervention_keeps_the_case_number_sealed_beside_the_reason() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    let staff = app.sign_in_staff("+989130000002", Role::Auditor).await;
    let devices = app.api.get("/accounts/devices/", &device.access).await.ok();
    let session = devices[0]["id"].as_str().unwrap();
    let acts = [
        (Method::POST, path(&device, "roles/"), json!({"roles": ["auditor"]})),
        (Method::DELETE, format!("/admin/device-sessions/{session}/"), json!({})),
        (Method::POST, path(&device, "unlock/"), json!({})),
        (Method::POST, path(&device, "suspend/"), json!({})),
        (Method::POST, path(&device, "reinstate/"), json!({})),
        (Method::POST, path(&staff, "sign-out/"), json!({})),
        (Method::DELETE, path(&staff, "second-factor/"), json!({})),
    ];
    for (nth, (method, path, mut body)) in acts.into_iter().enumerate() {
        body["reason"] = json!("a call");
        body["case"] = json!("x".repeat(65));
        app.api.send_json(method.clone(), &path, &admin.access, body.clone()).await.refuses_fields(&["case"]);
        body["case"] = json!("HD\u{7}1");
        app.api.send_json(method.clone(), &path, &admin.access, body.clone()).await.refuses_fields(&["case"]);
        // Where a client sends no body, the query says it.
        let (case, beside) = (format!("HD-{nth}"), nth % 2 == 0);
        body["case"] = if beside { Value::Null } else { json!(case) };
        let path = if beside { format!("{path}?case={case}") } else { path };
        let answer = app.api.send_json(method, &path, &admin.access, body).await;
        assert_eq!(answer.status, 204, "{path}: {answer:?}");
    }
    let mut cases = Vec::new();
    for account in [device.account(), staff.account()] {
        for (_, event) in app.journal().history(account).await.unwrap() {
            cases.extend(event.person.and_then(|person| Some(person.case?.as_str().to_owned())));
        }
    }
    assert_eq!(cases, ["HD-0", "HD-1", "HD-2", "HD-3", "HD-4", "HD-5", "HD-6"]);
    let database = app.database.connect().await;
    let clear = "SELECT count(*) FROM events WHERE payload::text || metadata::text LIKE '%HD-%'";
    assert_eq!(database.query_one(clear, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn second_factor_delete_204_lets_its_owner_enrol_another_and_tells_them() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let colleague = app.sign_in_staff("+989130000002", Role::Admin).await;
    let user = app.api.sign_in(PHONE).await;
    let remove = async |of: &SignedInDevice, body: Value| {
        app.api.send_json(Method::DELETE, &path(of, "second-factor/"), &admin.access, body).await
    };
    remove(&colleague, json!({})).await.refuses_fields(&["reason"]);
    let why = || json!({"reason": "lost her phone and the list of codes"});
    remove(&admin, why()).await.is_problem(409, "own_account");
    remove(&user, why()).await.is_problem(409, "no_second_factor");
    let unknown = format!("/admin/accounts/{UNKNOWN}/second-factor/");
    app.api.send_json(Method::DELETE, &unknown, &admin.access, why()).await.is_problem(404, "not_found");

    let answer = remove(&colleague, why()).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""), "{answer:?}");
    remove(&colleague, why()).await.is_problem(409, "no_second_factor");
    app.api.get("/admin/accounts/", &colleague.access).await.is_problem(403, "second_factor_required");
    let shown = app.api.get(&path(&colleague, ""), &admin.access).await.ok();
    assert_eq!(
        (&shown["messages"][0]["kind"], &shown["second_factor"]),
        (&json!("second_factor_removed"), &json!(false))
    );
    let own = app.api.get("/accounts/second-factor/", &colleague.access).await.ok();
    assert_eq!(own["enrolled"], false);
    app.enrol_second_factor(&colleague).await;
    app.api.get("/admin/accounts/", &colleague.access).await.ok();
    assert_eq!(
        events_of(&app, &colleague).await.iter().filter(|name| *name == "SecondFactorRemoved").count(),
        1
    );
}
