//! The same from the command line.

use serde_json::Value;

use super::verify::some_log;
use crate::support::{NodeProcess, TestApp};

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
    let output = NodeProcess::command(folder, &environment).arg("audit").args(arguments).output().unwrap();
    std::fs::remove_file(&keyring).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_events_command_prints_a_table_json_csv_and_ndjson() {
    let (app, _) = some_log().await;
    let (status, table, _) = audit(&app, &["events", "--account", "+989121234561", "--type", "LoggedIn"]);
    assert_eq!(status, Some(0));
    assert_eq!(table.matches("LoggedIn").count(), 1, "{table}");

    let (_, json, _) = audit(&app, &["events", "--after", "3", "--limit", "2", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let positions: Vec<i64> =
        json["items"].as_array().unwrap().iter().map(|event| event["position"].as_i64().unwrap()).collect();
    assert_eq!((positions, json["next"].as_i64()), (vec![4, 5], Some(5)));
    assert_eq!(json["items"][1]["person"]["identifier"]["phone"], "+989121234561");
    let (_, rest, said) = audit(&app, &["events", "--after", "5", "--json"]);
    let rest: Value = serde_json::from_str(&rest).unwrap();
    assert_eq!((rest["items"].as_array().unwrap().len(), rest["next"].is_null()), (15, true));
    assert_eq!(said, "");

    let (_, lines, said) = audit(&app, &["events", "--ndjson"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 20);
    assert_eq!(said, "20 events\n");

    let (_, csv, _) = audit(&app, &["events", "--csv", "--limit", "5"]);
    assert!(csv.lines().count() == 6 && csv.starts_with("position,"), "{csv}");
    assert!(audit(&app, &["events", "--csv", "--bom"]).1.starts_with("\u{feff}position,"));
    assert_eq!(audit(&app, &["events", "--bom"]).0, Some(2));
    let (status, _, said) = audit(&app, &["events", "--account", "+989121239999"]);
    assert_eq!((status, said.as_str()), (Some(0), "no event matches\n"));
    let (status, _, said) = audit(&app, &["replay", "+989121239999"]);
    assert_eq!((status, said.contains("no account is known")), (Some(1), true), "{said}");
    assert_eq!(audit(&app, &["events", "--since", "noon"]).0, Some(2));
    let since = |time: &str| audit(&app, &["events", "--since", time, "--ndjson"]).1.lines().count();
    assert_eq!((since("yesterday"), since("2h"), since("2100-01-01")), (20, 20, 0));
    let (_, last, _) = audit(&app, &["events", "--last", "2"]);
    let rows: Vec<&str> = last.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(rows, ["19", "20"], "{last}");
    let (_, verbose, _) = audit(&app, &["events", "--type", "OtpRequested", "--limit", "1", "-v"]);
    assert!(verbose.contains("nonce: ") && !table.contains("nonce"), "{verbose}");
    assert_eq!(audit(&app, &["events", "--csv", "--json"]).0, Some(2));
}

#[tokio::test]
async fn the_events_table_shows_the_newest_first_and_says_where_it_is_cut() {
    let (app, _) = some_log().await;
    let numbers = |arguments: &[&str]| {
        let (_, table, said) = audit(&app, &[&["events"], arguments].concat());
        let first =
            |line: &str| line.trim_matches(['│', '|', ' ']).split_whitespace().next()?.parse::<i64>().ok();
        (table.lines().filter_map(first).collect::<Vec<i64>>(), said)
    };
    let all: Vec<i64> = (1..=20).rev().collect();
    assert_eq!(numbers(&[]), (all.clone(), String::new()));
    let (shown, said) = numbers(&["--limit", "3"]);
    assert!(shown == [20, 19, 18] && said.contains("3 of more; --limit N or --all prints more"), "{said}");
    assert_eq!(numbers(&["--limit", "20"]), (all, String::new()));
    let signed_in = numbers(&["--type", "LoggedIn,UserRegistered"]).0;
    assert!(signed_in.len() == 10 && signed_in.is_sorted_by(|a, b| a > b), "{signed_in:?}");
    let of_one = numbers(&["--account", "+989121234561", "--after", "1"]).0;
    assert!(of_one.len() > 2 && of_one.is_sorted(), "{of_one:?}");
}

#[tokio::test]
async fn verify_counts_the_numbered_events_while_others_wait_for_their_numbers() {
    let (app, client) = some_log().await;
    client
        .batch_execute("DELETE FROM ledger; DELETE FROM ledger_spans; UPDATE sequencer SET seq = 0")
        .await
        .unwrap();
    let (_, _, progress) = audit(&app, &["verify"]);
    assert!(progress.contains("20 of 20") && !progress.contains("of 0"), "{progress}");
}

#[tokio::test]
async fn the_replay_command_shows_an_account_as_it_was_at_a_time() {
    let (app, _) = some_log().await;
    let (_, table, _) = audit(&app, &["replay", "+989121234561"]);
    assert!(table.contains("TokenRefreshed") && table.contains("generation: 1 → 2"), "{table}");
    let (_, step, _) = audit(&app, &["replay", "+989121234561", "--step", "3", "--json"]);
    let step: Value = serde_json::from_str(&step).unwrap();
    assert_eq!((&step["event"]["type"], &step["step"]), (&"LoggedIn".into(), &3.into()));
    assert_eq!(audit(&app, &["replay", "+989121234561", "--step", "5"]).0, Some(1));

    let (_, before, _) = audit(&app, &["at", "+989121234561", "2020-01-01T00:00:00Z", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&before).unwrap()["state"], "unknown");
    let (_, now, _) = audit(&app, &["at", "+989121234561", "2100-01-01T00:00:00Z"]);
    assert!(now.contains("active") && !now.contains("nonce"), "{now}");
}

#[tokio::test]
async fn verify_fails_and_names_the_first_altered_event() {
    let (app, client) = some_log().await;
    let (status, said, progress) = audit(&app, &["verify"]);
    assert_eq!(status, Some(0));
    assert!(said.starts_with("unaltered: yes\ncomplete:  yes\nwitnessed: by 0 of 0; signed up to number 0, 0 checkpoints\n20 events of 5 accounts"), "{said}");
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
