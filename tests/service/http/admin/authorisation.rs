//! Only a caller who has the role at that moment may use the paths of administrators.

use counterfoil_domain::user_account::{AccountFact, StaffFact};
use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADMIN, PHONE, events_of};
use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

/// Everything an administrator can ask for about an account and a session, with a body that will do.
fn requests(account: &str, session: &str) -> Vec<(Method, String, Value)> {
    let of = |path: &str| format!("/admin/accounts/{account}/{path}");
    vec![
        (Method::GET, "/admin/device-sessions/".to_owned(), Value::Null),
        (Method::DELETE, format!("/admin/device-sessions/{session}/"), json!({"reason": "stolen"})),
        (Method::GET, "/admin/accounts/".to_owned(), Value::Null),
        (Method::GET, of(""), Value::Null),
        (Method::POST, of("suspend/"), json!({"reason": "fraud"})),
        (Method::POST, of("reinstate/"), json!({})),
        (Method::POST, of("sign-out/"), json!({})),
        (Method::POST, of("unlock/"), json!({})),
        (Method::POST, of("roles/"), json!({"roles": []})),
        (Method::GET, "/admin/projections/".to_owned(), Value::Null),
        (Method::POST, "/admin/projections/login_history/rebuild/".to_owned(), json!({})),
        (Method::GET, "/admin/stats/".to_owned(), Value::Null),
    ]
}

async fn send(
    app: &TestApp,
    (method, path, body): &(Method, String, Value),
    access: Option<&str>,
) -> ApiAnswer {
    let request = app.api.request(method.clone(), path);
    let request = if let Some(access) = access { request.bearer_auth(access) } else { request };
    ApiClient::send(if body.is_null() { request } else { request.json(body) }).await
}

/// The denials on the account's record.
async fn denials(app: &TestApp, device: &SignedInDevice) -> Vec<String> {
    let history = app.journal().history(device.account()).await.unwrap();
    let action = |fact: &AccountFact| {
        if let AccountFact::Staff(StaffFact::AccessDenied { action, .. }) = fact {
            Some(action.clone())
        } else {
            None
        }
    };
    history.iter().filter_map(|(_, event)| action(&event.fact)).collect()
}

async fn session_of(app: &TestApp, device: &SignedInDevice) -> String {
    app.api.get("/accounts/devices/", &device.access).await.ok()[0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_path_is_for_administrators_and_each_denial_is_on_record_once_an_hour() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let (user, auditor) =
        (app.api.sign_in(PHONE).await, app.sign_in_staff("+989130000002", Role::Auditor).await);
    let victim = app.api.sign_in("+989121234560").await;
    let account = victim.account().to_string();
    let requests = requests(&account, &session_of(&app, &victim).await);
    let before = events_of(&app, &victim).await;
    for request in &requests {
        send(&app, request, None).await.is_problem(401, "not_authenticated");
        send(&app, request, Some(&user.refresh)).await.is_problem(401, "invalid_access_token");
        for device in [&user, &auditor, &user, &auditor] {
            send(&app, request, Some(&device.access)).await.is_problem(403, "forbidden");
        }
    }
    assert_eq!(events_of(&app, &victim).await, before);
    for device in [&user, &auditor] {
        assert_eq!(
            denials(&app, device).await,
            [
                "GET /admin/device-sessions",
                "DELETE /admin/device-sessions/{id}",
                "GET /admin/accounts",
                "GET /admin/accounts/{id}",
                "POST /admin/accounts/{id}/suspend",
                "POST /admin/accounts/{id}/reinstate",
                "POST /admin/accounts/{id}/sign-out",
                "POST /admin/accounts/{id}/unlock",
                "POST /admin/accounts/{id}/roles",
                "GET /admin/projections",
                "POST /admin/projections/{name}/rebuild",
                "GET /admin/stats",
            ]
        );
    }
    for request in &requests {
        let answer = send(&app, request, Some(&admin.access)).await;
        assert!([200, 202, 204].contains(&answer.status.as_u16()), "{request:?}: {answer:?}");
    }
    assert_eq!(denials(&app, &admin).await, Vec::<String>::new());

    app.advance_time(3600);
    let user = app.api.sign_in(PHONE).await;
    send(&app, &requests[0], Some(&user.access)).await.is_problem(403, "forbidden");
    assert_eq!(denials(&app, &user).await.len(), requests.len() + 1);
}

#[tokio::test]
async fn no_query_or_body_is_read_before_the_caller_is_checked() {
    let app = TestApp::start().await;
    let user = app.api.sign_in(PHONE).await;
    for (method, path, _) in requests("no-id", "no-id") {
        let path = format!("{path}?nonsense=1");
        let request = || app.api.request(method.clone(), &path).body("{");
        ApiClient::send(request()).await.is_problem(401, "not_authenticated");
        ApiClient::send(request().bearer_auth(&user.access)).await.is_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn a_role_that_is_removed_stops_working_at_once_on_every_node() {
    let here = TestApp::start().await;
    let (there, _proxy) = here.second_node(&[]).await;
    let (admin, other) = (here.sign_in_admin(ADMIN).await, here.sign_in_admin("+989130000002").await);
    for node in [&here, &there] {
        node.api.get("/admin/accounts/", &admin.access).await.ok();
    }
    let path = format!("/admin/accounts/{}/roles/", admin.account());
    let taken = here.api.send_json(Method::POST, &path, &other.access, json!({"roles": ["auditor"]})).await;
    assert_eq!(taken.status, 204, "{taken:?}");
    for node in [&there, &here] {
        node.api.get("/admin/accounts/", &admin.access).await.is_problem(403, "forbidden");
    }
    let given = here.api.send_json(Method::POST, &path, &other.access, json!({"roles": ["admin"]})).await;
    assert_eq!(given.status, 204, "{given:?}");
    there.api.get("/admin/accounts/", &admin.access).await.ok();
}

#[tokio::test]
async fn an_administrator_who_is_suspended_or_signed_out_loses_access() {
    let here = TestApp::start().await;
    let (there, _proxy) = here.second_node(&[]).await;
    let (admin, other) = (here.sign_in_admin(ADMIN).await, here.sign_in_admin("+989130000002").await);
    there.api.get("/admin/accounts/", &other.access).await.ok();
    let path = format!("/admin/accounts/{}/suspend/", other.account());
    let suspended = here.api.send_json(Method::POST, &path, &admin.access, json!({"reason": "left"})).await;
    assert_eq!(suspended.status, 204, "{suspended:?}");
    // At once, though the other node's memory of ended sessions may be almost a second old.
    there.api.get("/admin/accounts/", &other.access).await.is_problem(401, "invalid_access_token");
}
