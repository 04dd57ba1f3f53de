//! The command `counterfoil limits`, beside a node that serves.

use std::path::Path;

use serde_json::Value;

use super::{PROXIED, address, is_refused, login_from, number};
use crate::support::{NodeProcess, TestApp};

fn run(app: &TestApp, keyring: &Path, arguments: &[&str]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("limits-cli");
    let environment = [
        ("DATABASE_URL", app.database.url.0.as_str()),
        ("COUNTERFOIL_KEYRING", keyring.to_str().unwrap()),
        ("COUNTERFOIL_PROFILE", "development"),
        ("COUNTERFOIL__LIMITS__SHARED", "on"),
        ("COUNTERFOIL__LIMITS__MESSAGES_PER_DAY", "40"),
    ];
    let output = NodeProcess::command(&folder, &environment).arg("limits").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn limits_are_shown_without_personal_data_and_lifted() {
    let app = TestApp::with_settings(&[&PROXIED[..], &[("limits.messages_per_day", "40")]].concat()).await;
    let keyring = app.keyring_file();
    for n in 0..20 {
        login_from(&app.api, &address(n / 5), &number(1, n)).await.ok();
    }
    super::comes_to(&app, "SELECT count(*) FROM alarms", 1).await;

    let shown = run(&app, &keyring, &["show", "--json"]);
    let overview: Value = serde_json::from_str(&shown).unwrap();
    let limits = |part: &str| -> Vec<String> {
        let meters = overview[part].as_array().unwrap().iter();
        meters
            .map(|meter| format!("{} {}/{}", meter["kind"].as_str().unwrap(), meter["count"], meter["limit"]))
            .collect()
    };
    assert!(limits("service").contains(&"messages 20/40".to_owned()), "{shown}");
    let near = limits("near");
    assert_eq!(near.iter().filter(|near| *near == "codes_per_address 5/5").count(), 4, "{shown}");
    assert!(near.contains(&"codes_per_prefix 20/20".to_owned()), "{shown}");
    assert!(near.contains(&"stopped_prefix 1/1".to_owned()), "{shown}");
    assert_eq!(overview["alarms"][0]["alarm"], "conversion", "{shown}");
    let table = run(&app, &keyring, &["show"]);
    for text in [&shown, &table] {
        assert!(text.contains("IR.+98910001"), "{text}");
        assert!(!text.contains("198.51") && !text.contains(&number(1, 0)), "{text}");
    }

    is_refused(&login_from(&app.api, &address(0), &number(2, 1)).await);
    run(&app, &keyring, &["lift", &address(0), "--reason", "ticket 7"]);
    login_from(&app.api, &address(0), &number(2, 1)).await.ok();

    is_refused(&login_from(&app.api, &address(50), &number(1, 50)).await);
    run(&app, &keyring, &["lift", "+98910001", "--reason", "ticket 7"]);
    login_from(&app.api, &address(50), &number(1, 50)).await.ok();
    super::comes_to(&app, "SELECT count(*) FROM limits WHERE key LIKE '2/sent_per_prefix/%'", 2).await;
    assert_eq!(
        run(&app, &keyring, &["lift", &number(1, 3), "--reason", "ticket 7"]),
        format!("What was counted against {} is lifted.\n", number(1, 3))
    );

    run(&app, &keyring, &["lift", "service", "--reason", "ticket 7"]);
    assert!(!run(&app, &keyring, &["show"]).contains("messages "), "nothing is used");
}

#[tokio::test]
async fn an_account_that_wrong_codes_have_paused_is_let_through_again() {
    let app = TestApp::start().await;
    let keyring = app.keyring_file();
    let phone = number(1, 1);
    for _ in 0..2 {
        app.api.login(&phone).await.ok();
        for guess in 0..5 {
            app.api.verify(&phone, &format!("99999{guess}")).await;
        }
        app.advance_time(60);
    }
    app.api.login(&phone).await.is_problem(406, "code_quota_spent");
    run(&app, &keyring, &["lift", &phone, "--reason", "ticket 7"]);
    app.api.sign_in(&phone).await;
    let by = "SELECT payload->'fact'->'LimitsLifted'->'by'->>'operator' FROM events WHERE event_type = 'LimitsLifted'";
    assert!(!app.database.value::<String>(by).await.is_empty());
}
