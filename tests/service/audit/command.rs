//! The same from the command line.

use serde_json::Value;

use super::verify::some_log;
use crate::support::{Node, TestApp};

/// What `counterfoil audit …` did: its exit status, what it printed, and what it said beside that.
pub fn audit(app: &TestApp, arguments: &[&str]) -> (Option<i32>, String, String) {
    audit_with(app, &[], arguments)
}

/// The same, with more in its environment.
pub fn audit_with(
    app: &TestApp,
    settings: &[(&str, &str)],
    arguments: &[&str],
) -> (Option<i32>, String, String) {
    let (keyring, folder) = (app.keyring_file(), std::path::Path::new(env!("CARGO_TARGET_TMPDIR")));
    let environment = [
        ("DATABASE_URL", app.database.url.0.as_str()),
        ("COUNTERFOIL_KEYRING", keyring.to_str().unwrap()),
        ("COUNTERFOIL_PROFILE", "development"),
    ];
    let environment = [&environment, settings].concat();
    let output = Node::command(folder, &environment).arg("audit").args(arguments).output().unwrap();
    std::fs::remove_file(&keyring).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn events_are_printed_as_a_table_as_json_as_csv_and_by_the_line() {
    let (app, _) = some_log().await;
    let (status, table, _) = audit(&app, &["events", "--account", "+989121234561", "--type", "LoggedIn"]);
    assert_eq!(status, Some(0));
    assert_eq!(table.matches("LoggedIn").count(), 1, "{table}");

    let (_, json, _) = audit(&app, &["events", "--after", "3", "--limit", "2", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let positions: Vec<i64> =
        json.as_array().unwrap().iter().map(|event| event["position"].as_i64().unwrap()).collect();
    assert_eq!(positions, [4, 5]);
    assert_eq!(json[1]["person"]["identifier"]["phone"], "+989121234561");

    let (_, lines, progress) = audit(&app, &["events", "--ndjson"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 20);
    assert!(progress.contains("20 of 20"), "{progress}");

    let (_, csv, _) = audit(&app, &["events", "--csv", "--limit", "5"]);
    assert_eq!(csv.lines().count(), 6);
    let (status, _, said) = audit(&app, &["events", "--account", "+989121239999"]);
    assert_eq!((status, said.contains("nobody is known")), (Some(1), true), "{said}");
    assert_eq!(audit(&app, &["events", "--since", "yesterday"]).0, Some(2));
    assert_eq!(audit(&app, &["events", "--csv", "--json"]).0, Some(2));
}

#[tokio::test]
async fn an_account_is_replayed_and_shown_as_it_stood() {
    let (app, _) = some_log().await;
    let (_, table, _) = audit(&app, &["replay", "+989121234561"]);
    assert!(table.contains("TokenRefreshed") && table.contains("generation: 1 → 2"), "{table}");
    let (_, step, _) = audit(&app, &["replay", "+989121234561", "--step", "3", "--json"]);
    let step: Value = serde_json::from_str(&step).unwrap();
    assert_eq!((&step[0]["event"]["type"], step.as_array().unwrap().len()), (&"LoggedIn".into(), 1));
    assert_eq!(audit(&app, &["replay", "+989121234561", "--step", "5"]).0, Some(1));

    let (_, before, _) = audit(&app, &["at", "+989121234561", "2020-01-01T00:00:00Z", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&before).unwrap()["state"], "unknown");
    let (_, now, _) = audit(&app, &["at", "+989121234561", "2100-01-01T00:00:00Z"]);
    assert!(now.contains("active") && !now.contains("nonce"), "{now}");
}

#[tokio::test]
async fn verify_names_the_first_bad_place_and_fails() {
    let (app, client) = some_log().await;
    let (status, said, progress) = audit(&app, &["verify"]);
    assert_eq!(status, Some(0));
    assert!(said.starts_with("unaltered: yes\ncomplete:  yes\n20 events of 5 accounts"), "{said}");
    assert!(progress.contains("40 of 40"), "{progress}");

    let row =
        client.query_one("SELECT aggregate_id FROM events WHERE sequence = 3 LIMIT 1", &[]).await.unwrap();
    let account: String = row.get(0);
    let sql = "UPDATE events SET metadata = '{}' WHERE aggregate_id = $1 AND sequence = 3";
    client.execute(sql, &[&account]).await.unwrap();
    let (status, said, _) = audit(&app, &["verify"]);
    assert_eq!(status, Some(1));
    assert!(said.contains(&format!("unaltered: NO: account {account}, event 3, ")), "{said}");
    assert!(said.contains("complete:  yes"), "{said}");
    let (_, json, _) = audit(&app, &["verify", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["unaltered"], &json["complete"]), (&false.into(), &true.into()));
    assert_eq!(json["altered"]["sequence"], 3);
}
