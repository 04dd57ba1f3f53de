//! The commands of the operator, beside a node that serves.

use std::process::Output;
use std::time::Duration;

use counterfoil_domain::user_account::{ActingStaff, UserAccountEvent};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiClient, NodeProcess, SignedInDevice, TestApp};

const PHONE: &str = "+989121234567";

pub fn counterfoil(app: &TestApp, arguments: &[&str]) -> Output {
    let keyring = app.keyring_file();
    let environment =
        [("DATABASE_URL", app.database.url.0.as_str()), ("COUNTERFOIL_KEYRING", keyring.to_str().unwrap())];
    let output = NodeProcess::command(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")), &environment)
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

async fn last_event(app: &TestApp, device: &SignedInDevice) -> UserAccountEvent {
    app.journal().history(device.account()).await.unwrap().pop().unwrap().1
}

/// The access token works no more within the second.
async fn is_signed_out(app: &TestApp, device: &SignedInDevice) {
    for _ in 0..20 {
        if app.api.profile(&device.access).await.status == 401 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_is_appointed_by_a_command_on_the_server() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    // What commands write has the time of this machine, which the node is not to be behind.
    app.advance_time(300);
    app.api.get("/admin/accounts/", &device.access).await.is_problem(403, "forbidden");
    done(&app, &["accounts", "grant", "0912 123 4567", "admin"]);
    done(&app, &["accounts", "grant", PHONE, "auditor", "--reason", "covers for Grace"]);
    let message = &json_of(&app, &["accounts", "show", PHONE, "--json"])["messages"][0];
    assert_eq!((&message["kind"], &message["state"]), (&json!("sign_in"), &json!("sent")));
    let shown = done(&app, &["accounts", "show", PHONE]);
    assert!(shown.contains("sign_in") && shown.contains("echo"), "{shown}");
    let event = last_event(&app, &device).await;
    assert!(matches!(event.by(), Some(ActingStaff::Operator(_))) && event.client.is_none(), "{event:?}");
    app.api.get("/admin/accounts/", &device.access).await.is_problem(403, "second_factor_required");
    app.enrol_second_factor(&device).await;
    app.api.get("/admin/accounts/", &device.access).await.ok();
    let shown = json_of(&app, &["accounts", "show", PHONE, "--json"]);
    assert_eq!((&shown["roles"], &shown["second_factor"]), (&json!(["admin", "auditor"]), &json!(true)));
    fails(&app, &["accounts", "remove-second-factor", PHONE], 2, "--reason");
    done(&app, &["accounts", "remove-second-factor", PHONE, "--reason", "lost her phone"]);
    app.api.get("/admin/accounts/", &device.access).await.is_problem(403, "second_factor_required");
    assert!(done(&app, &["accounts", "show", PHONE]).contains("none"));
    fails(&app, &["accounts", "remove-second-factor", PHONE, "--reason", "again"], 1, "no_second_factor");
    done(&app, &["accounts", "grant", PHONE, "admin", "--revoke"]);
    app.api.get("/admin/accounts/", &device.access).await.is_problem(403, "forbidden");
    fails(&app, &["accounts", "grant", PHONE, "root"], 2, "there are admin and auditor");
    fails(&app, &["accounts", "grant", "+989120000000", "admin"], 1, "no account is known");
    fails(&app, &["accounts", "grant", &uuid::Uuid::nil().to_string(), "admin"], 1, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_suspend_and_reinstate_an_account() {
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
    assert!(shown.contains("suspended until 2100-01-01T00:00:00Z"), "{shown}");
    let found = json_of(&app, &["accounts", "list", "--state", "suspended", "--json"])["items"].take();
    assert_eq!((&found[0]["id"], &found[0]["is_active"]), (&device.user["id"], &json!(false)));
    let said = done(&app, &["accounts", "reinstate", PHONE]);
    assert!(said.contains(": active, 0 devices; before: suspended until 2100-01-01T00:00:00Z"), "{said}");
    app.advance_time(60);
    app.api.sign_in(PHONE).await;
    assert!(done(&app, &["accounts", "list", "--state", "active"]).contains(PHONE));
    let said = done(&app, &["accounts", "sign-out", PHONE, "--reason", "asked by phone"]);
    assert!(said.contains("0 devices; before: active, 1 device"), "{said}");
    assert!(done(&app, &["accounts", "unlock", PHONE]).contains("as before"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_list_sessions_as_a_table_json_and_csv_and_end_them() {
    let app = TestApp::start().await;
    let code = app.api.login(PHONE).await.code();
    let body = json!({"phone_number": PHONE, "code": code, "device_name": "=1+1, \"quoted\""});
    let device = app.api.post("/accounts/verify/", body).await.signed_in();
    app.api.sign_in("+989121234568").await;

    let list = json_of(&app, &["sessions", "list", "--account", PHONE, "--json"])["items"].take();
    let id = list[0]["id"].as_str().unwrap();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["account_id"]), (1, &device.user["id"]));
    let none = json_of(&app, &["sessions", "list", "--address", "10.0.0.0/8", "--json"]);
    assert_eq!(none, json!({"items": [], "next": null}));
    assert!(done(&app, &["sessions", "list", "--device", "quoted"]).contains(id));
    let csv = done(&app, &["sessions", "list", "--address", "127.0.0.1", "--device", "quoted", "--csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "session,account,device,address,signed in,last seen,expires,ended,reason,ended by");
    assert!(lines[1].contains(r#","'=1+1, ""quoted""",127.0.0.1,"#), "{csv}");

    fails(&app, &["sessions", "end", id], 2, "--reason");
    fails(&app, &["sessions", "end", &uuid::Uuid::nil().to_string(), "--reason", "x"], 1, "not_found");
    fails(&app, &["sessions", "list", "--at", "noon"], 2, "give it as in 2026-11-27T18:00");
    done(&app, &["sessions", "end", id, "--reason", "stolen"]);
    is_signed_out(&app, &device).await;
    let ended = json_of(&app, &["sessions", "list", "--active", "false", "--json"])["items"].take();
    assert_eq!((&ended[0]["id"], &ended[0]["end_reason"]), (&json!(id), &json!("ended_by_admin")));
    let table = done(&app, &["sessions", "list", "--active", "false"]);
    let line = table.lines().nth(1).unwrap().trim_end();
    assert!(line.contains(" ended_by_admin  operator "), "{table}");
    let list = app.api.request(Method::GET, "/accounts/devices/").bearer_auth(&device.access);
    ApiClient::send(list).await.is_problem(401, "invalid_access_token");
}

/// Signs in as many accounts as that, each later than the one before; returns their ids, the newest first.
async fn signed_in(app: &TestApp, count: u32) -> Vec<String> {
    let mut accounts = Vec::new();
    for n in 0..count {
        let device = app.api.sign_in(&format!("+98912123{:04}", 5000 + n)).await;
        accounts.insert(0, device.account().to_string());
        app.advance_time(1);
    }
    accounts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_cut_says_so_and_continues_where_it_ended() {
    let app = TestApp::start().await;
    let accounts = signed_in(&app, 52).await;
    let shown_by = |arguments: &[&str]| {
        let output = counterfoil(&app, &[&["sessions", "list"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        let [said, shown] = [output.stderr, output.stdout].map(|text| String::from_utf8(text).unwrap());
        let shown: Vec<String> = accounts.iter().filter(|id| shown.contains(*id)).cloned().collect();
        (shown, said)
    };
    let cut = "50 of more; --limit N or --all prints more";
    let (shown, said) = shown_by(&[]);
    assert!(shown == accounts[..50] && said.contains(cut), "{} {said}", shown.len());
    let (shown, said) = shown_by(&["--limit", "3"]);
    assert!(shown == accounts[..3] && said.contains("3 of more"), "{shown:?} {said}");
    for whole in [&["--all"][..], &["--csv"], &["--limit", "52"], &["--json", "--all"]] {
        let (shown, said) = shown_by(whole);
        assert!(shown == accounts && said.is_empty(), "{whole:?}: {} {said}", shown.len());
    }
    let (shown, said) = shown_by(&["--csv", "--limit", "50"]);
    assert!(shown == accounts[..50] && said.contains(cut), "{said}");

    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let mut arguments = vec!["sessions", "list", "--json", "--limit", "20"];
        let after: Option<String> = cursor.take();
        arguments.extend(after.iter().flat_map(|after| ["--cursor", after.as_str()]));
        let page = json_of(&app, &arguments);
        found.extend(page["items"].as_array().unwrap().iter().map(|item| item["account_id"].clone()));
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(found, accounts);
    fails(&app, &["sessions", "list", "--cursor", "x"], 2, "cursor");
    fails(&app, &["sessions", "list", "--limit", "0"], 2, "--limit");
    fails(&app, &["sessions", "list", "--limit", "1", "--all"], 2, "--all");
    fails(&app, &["sessions", "list", "--cursor", "-xQs9jkq"], 2, "cursor");
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_are_escaped_in_every_output_of_the_commands() {
    let app = TestApp::start().await;
    let agent = "Evil\u{202e}exe.\u{2066}\u{9b}31m\u{200f}";
    let login = app.api.request(Method::POST, "/accounts/login/").header("User-Agent", agent.as_bytes());
    let code = ApiClient::send(login.json(&json!({"phone_number": PHONE}))).await.code();
    let verify = app.api.request(Method::POST, "/accounts/verify/").header("User-Agent", agent.as_bytes());
    let device =
        ApiClient::send(verify.json(&json!({"phone_number": PHONE, "code": code}))).await.signed_in();
    for arguments in [
        &["sessions", "list"][..],
        &["sessions", "list", "--json"],
        &["accounts", "show", PHONE],
        &["accounts", "show", PHONE, "--json"],
        &["audit", "replay", PHONE],
        &["audit", "replay", PHONE, "--json"],
        &["audit", "at", PHONE, "2100-01-01T00:00:00Z"],
        &["audit", "events"],
        &["audit", "events", "--ndjson"],
    ] {
        let printed = done(&app, arguments);
        let obeyed = |c: char| agent.contains(c) && !c.is_ascii();
        assert!(!printed.contains(obeyed), "{arguments:?}: {printed:?}");
    }
    let listed = json_of(&app, &["sessions", "list", "--json"]);
    let (listed, kept) = (&listed["items"][0], agent.replace('\u{9b}', ""));
    assert_eq!(
        (&listed["account_id"], listed["user_agent"].as_str()),
        (&device.user["id"], Some(kept.as_str()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_code_is_shown_before_the_first_sign_in_of_its_account() {
    let app = TestApp::start().await;
    app.api.login(PHONE).await.ok();
    let shown = done(&app, &["accounts", "show", PHONE]);
    assert!(
        shown.contains("never signed in to") && shown.contains("sign_in") && shown.contains("sent"),
        "{shown}"
    );
    let shown = json_of(&app, &["accounts", "show", PHONE, "--json"]);
    let message = &shown["messages"][0];
    assert_eq!((&message["kind"], &message["state"]), (&json!("sign_in"), &json!("sent")));
    fails(&app, &["accounts", "suspend", PHONE, "--reason", "x"], 1, "accounts show");
    fails(&app, &["accounts", "show", &uuid::Uuid::nil().to_string()], 1, "not_found");
}

#[tokio::test]
async fn a_table_fits_the_terminal_and_has_a_line_for_each_row_elsewhere() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("terminal");
    std::fs::create_dir_all(&folder).unwrap();
    let show = format!("{} config show", env!("CARGO_BIN_EXE_counterfoil"));
    let width = |output: &[u8]| {
        let text = String::from_utf8_lossy(output).into_owned();
        text.lines().map(|line| line.trim_end().chars().count()).max().unwrap()
    };
    for columns in [80, 120] {
        // The command that makes a terminal (util-linux), as a person would have one of that size.
        let typed = format!("stty cols {columns}; {show}");
        let mut script = std::process::Command::new("script");
        let output = script.args(["-qec", &typed, "/dev/null"]).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!((columns - 20..=columns).contains(&width(&output.stdout)), "{}", width(&output.stdout));
    }
    let piped = std::process::Command::new("sh").args(["-c", &show]).current_dir(&folder).output().unwrap();
    assert!(width(&piped.stdout) > 200, "a row is one line");
}
