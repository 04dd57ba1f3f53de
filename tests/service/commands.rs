//! What whoever runs the service does from the command line, beside a node that serves.

use std::process::Output;
use std::time::Duration;

use counterfoil_domain::user_account::{Actor, UserAccountEvent};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Api, Node, SignedIn, TestApp};

const PHONE: &str = "+989121234567";

fn counterfoil(app: &TestApp, arguments: &[&str]) -> Output {
    let keyring = app.keyring_file();
    let environment =
        [("DATABASE_URL", app.database.url.0.as_str()), ("COUNTERFOIL_KEYRING", keyring.to_str().unwrap())];
    let output = Node::command(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")), &environment)
        .env("COUNTERFOIL_PROFILE", "development")
        .args(arguments)
        .output()
        .unwrap();
    std::fs::remove_file(keyring).unwrap();
    output
}

/// What a command prints that has to do well.
fn done(app: &TestApp, arguments: &[&str]) -> String {
    let output = counterfoil(app, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(app: &TestApp, arguments: &[&str]) -> Value {
    serde_json::from_str(&done(app, arguments)).unwrap()
}

/// Checks that a command fails with that exit status and says why.
fn fails(app: &TestApp, arguments: &[&str], status: i32, why: &str) {
    let output = counterfoil(app, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
    assert!(said.contains(why), "{arguments:?}: {said}");
}

async fn last_event(app: &TestApp, device: &SignedIn) -> UserAccountEvent {
    app.journal().history(device.account()).await.unwrap().pop().unwrap().1
}

/// The access token works no more within the second.
async fn is_signed_out(app: &TestApp, device: &SignedIn) {
    for _ in 0..20 {
        if app.api.profile(&device.access).await.status == 401 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_is_made_on_the_server() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    app.api.get("/admin/accounts/", &device.access).await.is_problem(403, "forbidden");
    done(&app, &["accounts", "grant", "0912 123 4567", "admin"]);
    done(&app, &["accounts", "grant", PHONE, "auditor", "--reason", "covers for Grace"]);
    let message = &json_of(&app, &["accounts", "show", PHONE, "--json"])["messages"][0];
    assert_eq!((&message["kind"], &message["state"]), (&json!("sign_in"), &json!("sent")));
    let shown = done(&app, &["accounts", "show", PHONE]);
    assert!(shown.contains("sign_in") && shown.contains("echo"), "{shown}");
    let event = last_event(&app, &device).await;
    assert_eq!((event.by(), event.client.is_none()), (Some(Actor::Operator), true));
    app.api.get("/admin/accounts/", &device.access).await.is_problem(403, "second_factor_required");
    app.enrol(&device).await;
    app.api.get("/admin/accounts/", &device.access).await.ok();
    let shown = json_of(&app, &["accounts", "show", PHONE, "--json"]);
    assert_eq!((&shown["roles"], &shown["second_factor"]), (&json!(["admin", "auditor"]), &json!(true)));
    fails(&app, &["accounts", "remove-second-factor", PHONE], 2, "--reason");
    done(&app, &["accounts", "remove-second-factor", PHONE, "--reason", "lost her phone"]);
    app.api.get("/admin/accounts/", &device.access).await.is_problem(403, "second_factor_required");
    assert!(done(&app, &["accounts", "show", PHONE]).contains("none"));
    fails(&app, &["accounts", "remove-second-factor", PHONE, "--reason", "again"], 1, "no second factor");
    done(&app, &["accounts", "grant", PHONE, "admin", "--revoke"]);
    app.api.get("/admin/accounts/", &device.access).await.is_problem(403, "forbidden");
    fails(&app, &["accounts", "grant", PHONE, "root"], 2, "there are admin and auditor");
    fails(&app, &["accounts", "grant", "+989120000000", "admin"], 1, "nobody is known");
    fails(&app, &["accounts", "grant", &uuid::Uuid::nil().to_string(), "admin"], 1, "no such account");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_suspended_and_reinstated() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    fails(&app, &["accounts", "suspend", PHONE], 2, "--reason");
    fails(
        &app,
        &["accounts", "suspend", PHONE, "--reason", "x", "--until", "2001-01-01T00:00:00Z"],
        2,
        "is over",
    );
    done(&app, &["accounts", "suspend", PHONE, "--reason", "fraud", "--until", "2100-01-01T00:00:00Z"]);
    is_signed_out(&app, &device).await;
    let shown = done(&app, &["accounts", "show", PHONE]);
    assert!(shown.contains("suspended until 2100-01-01T00:00:00.000Z"), "{shown}");
    let found = &json_of(&app, &["accounts", "find", PHONE, "--json"])[0];
    assert_eq!((&found["id"], &found["is_active"]), (&device.user["id"], &json!(false)));
    done(&app, &["accounts", "reinstate", PHONE]);
    app.wait(60);
    app.api.sign_in(PHONE).await;
    assert!(done(&app, &["accounts", "find", PHONE]).contains("active"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_for_people_programs_and_spreadsheets_and_ended() {
    let app = TestApp::start().await;
    let code = app.api.login(PHONE).await.code();
    let body = json!({"phone_number": PHONE, "code": code, "device_name": "=1+1, \"quoted\""});
    let device = app.api.post("/accounts/verify/", body).await.signed_in();
    app.api.sign_in("+989121234568").await;

    let list = json_of(&app, &["sessions", "list", "--account", PHONE, "--json"]);
    let id = list[0]["id"].as_str().unwrap();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["account_id"]), (1, &device.user["id"]));
    assert_eq!(json_of(&app, &["sessions", "list", "--limit", "1", "--json"]).as_array().unwrap().len(), 1);
    assert_eq!(json_of(&app, &["sessions", "list", "--address", "10.0.0.0/8", "--json"]), json!([]));
    assert!(done(&app, &["sessions", "list", "--device", "quoted"]).contains(id));
    let csv = done(&app, &["sessions", "list", "--address", "127.0.0.1", "--device", "quoted", "--csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "session,account,device,address,signed in,last seen,expires,ended,reason");
    assert!(lines[1].contains(r#","'=1+1, ""quoted""",127.0.0.1,"#), "{csv}");

    fails(&app, &["sessions", "end", id], 2, "--reason");
    fails(&app, &["sessions", "end", &uuid::Uuid::nil().to_string(), "--reason", "x"], 1, "no such session");
    fails(&app, &["sessions", "list", "--at", "noon"], 2, "--at");
    done(&app, &["sessions", "end", id, "--reason", "stolen"]);
    is_signed_out(&app, &device).await;
    let ended = json_of(&app, &["sessions", "list", "--active", "false", "--json"]);
    assert_eq!((&ended[0]["id"], &ended[0]["end_reason"]), (&json!(id), &json!("ended_by_admin")));
    let list = app.api.request(Method::GET, "/accounts/devices/").bearer_auth(&device.access);
    Api::send(list).await.is_problem(401, "invalid_access_token");
}
