//! The read models come from the log and can be made from it again.

use counterfoil::app::delete_expired;
use counterfoil::read_models::FOLLOWERS;
use std::process::Output;

use counterfoil::read_models::{Projection, RebuildClaim};
use reqwest::Method;
use serde_json::json;

use crate::support::{ApiClient, NodeProcess, TestApp};

const PHONE: &str = "+989121234567";

fn counterfoil(app: &TestApp, arguments: &[&str]) -> Output {
    let keyring = app.keyring_file();
    let environment = [
        ("DATABASE_URL", app.database.url.0.as_str()),
        ("COUNTERFOIL_KEYRING", keyring.to_str().unwrap()),
        ("COUNTERFOIL_PROFILE", "development"),
    ];
    let output = NodeProcess::command(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")), &environment)
        .args(arguments)
        .output()
        .unwrap();
    std::fs::remove_file(keyring).unwrap();
    output
}

/// A few accounts with something of everything.
async fn some_history(app: &TestApp) {
    for n in 0..30 {
        let phone = format!("+9891212345{n:02}");
        let device = app.api.sign_in(&phone).await;
        app.api.rename(&device.access, &format!("Person {n}")).await.ok();
        let list = app.api.request(Method::GET, "/accounts/devices/").bearer_auth(&device.access);
        let id = ApiClient::send(list).await.ok()[0]["id"].as_str().unwrap().to_owned();
        let path = format!("/accounts/devices/{id}/");
        app.api.patch(&path, &device.access, json!({"device_name": format!("Device {n}")})).await.ok();
        let device = app.api.refresh(&device.refresh).await.ok();
        if n % 3 == 0 {
            app.api.logout(device["refresh_token"].as_str().unwrap()).await;
        }
    }
    app.api.login(PHONE).await.ok();
    app.api.verify(PHONE, "000000").await;
}

/// Lets what follows the ledger come to its end.
async fn follow(app: &TestApp) {
    let database = counterfoil::postgres::Database::new(&app.database.url.0, 2).unwrap();
    counterfoil::journal::sequencer::Sequencer::new(database).look().await.unwrap();
    app.journal().follow(&FOLLOWERS).await.unwrap();
}

fn check(app: &TestApp) -> (bool, serde_json::Value) {
    let output = counterfoil(app, &["projections", "check", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), serde_json::from_str(&text).unwrap_or_else(|_| panic!("{output:?}")))
}

#[tokio::test]
async fn live_and_rebuilt_rows_are_equal() {
    let app = TestApp::start().await;
    some_history(&app).await;
    let (equal, checked) = check(&app);
    assert!(equal, "{checked}");
    let rows: Vec<i64> =
        checked.as_array().unwrap().iter().map(|model| model["rows"].as_i64().unwrap()).collect();
    assert_eq!(rows, [31, 30, 10, 30, 0, 0, 0]);
}

#[tokio::test]
async fn a_check_tells_which_rows_were_tampered_with_and_a_rebuild_mends_them() {
    let app = TestApp::start().await;
    some_history(&app).await;
    follow(&app).await;
    let client = app.database.connect().await;
    for (tamper, model) in [
        ("UPDATE profiles SET fullname = 'Eve' WHERE fullname = 'Person 7'", "profiles"),
        ("UPDATE user_logins SET device_name = 'Eve' WHERE device_name = 'Device 7'", "user_logins"),
        ("DELETE FROM user_logins WHERE ended_at IS NOT NULL", "user_logins"),
        ("DELETE FROM revoked_tokens", "revoked_tokens"),
        ("UPDATE stays SET ip_address = '192.0.2.66' WHERE since = (SELECT max(since) FROM stays)", "stays"),
        ("UPDATE login_history SET event = 'Eve'", "login_history"),
        ("UPDATE statistics SET sign_ins = sign_ins + 1", "statistics"),
        ("UPDATE statistics_devices SET hour = hour + interval '1 hour'", "statistics"),
    ] {
        assert!(client.execute(tamper, &[]).await.unwrap() > 0);
        let (equal, checked) = check(&app);
        assert!(!equal, "{checked}");
        for found in checked.as_array().unwrap() {
            assert_eq!(found["differing"].as_i64().unwrap() > 0, found["name"] == model, "{checked}");
        }
        let rebuilt = counterfoil(&app, &["projections", "rebuild", model]);
        assert!(rebuilt.status.success(), "{rebuilt:?}");
        let follows = model == "statistics" || model == "login_history";
        let all = if follows { "192 of 192 events" } else { "31 of 31 accounts" };
        assert!(String::from_utf8_lossy(&rebuilt.stderr).contains(all), "{rebuilt:?}");
        assert!(check(&app).0);
    }
}

#[tokio::test]
async fn a_rebuilt_table_has_the_indexes_and_the_room_that_it_had() {
    let app = TestApp::start().await;
    let client = app.database.connect().await;
    let form = async || -> Vec<String> {
        let sql = "SELECT indexdef FROM pg_indexes WHERE tablename IN ('profiles', 'user_logins', 'stays')
                   UNION ALL SELECT relname || reloptions::text FROM pg_class WHERE relname IN ('profiles', 'user_logins')
                   ORDER BY 1";
        client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    };
    let before = form().await;
    assert!(before.iter().any(|text| text.contains("fillfactor")), "{before:?}");
    let rebuilt = counterfoil(&app, &["projections", "rebuild"]);
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    assert_eq!(form().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_beside_running_commands_loses_no_event() {
    let app = TestApp::start().await;
    some_history(&app).await;
    let busy = tokio::spawn({
        let api = app.api.clone();
        async move {
            for n in 0..200 {
                api.sign_in(&format!("+98913{n:07}")).await;
            }
        }
    });
    while !busy.is_finished() {
        let rebuilt = tokio::task::block_in_place(|| counterfoil(&app, &["projections", "rebuild"]));
        assert!(rebuilt.status.success(), "{rebuilt:?}");
    }
    busy.await.unwrap();
    let (equal, checked) = check(&app);
    assert!(equal, "{checked}");
    assert_eq!(checked[1]["rows"], 230);
}

#[tokio::test]
async fn expired_rows_are_deleted_and_do_not_count_as_differences() {
    let app = TestApp::start().await;
    some_history(&app).await;
    let kept = async || {
        let rows = "SELECT (SELECT count(*) FROM outbox) || '/' || (SELECT count(*) FROM revoked_tokens)";
        app.database.value::<String>(rows).await
    };
    delete_expired(&app.state).await;
    assert_eq!(kept().await, "31/10");
    app.advance_time(3600);
    delete_expired(&app.state).await;
    assert_eq!(kept().await, "31/10");
    app.advance_time(120);
    delete_expired(&app.state).await;
    assert_eq!(kept().await, "31/0");
    app.advance_time(29 * 24 * 3600);
    delete_expired(&app.state).await;
    assert_eq!(kept().await, "31/0");
    app.advance_time(2 * 24 * 3600);
    delete_expired(&app.state).await;
    assert_eq!(kept().await, "0/0");
    let models = counterfoil_projections::ALL;
    let now = counterfoil::runtime::clock::Clock::now(&*app.clock);
    let checked =
        counterfoil::read_models::rebuild::check(&app.journal(), &models, now, &mut |_| {}).await.unwrap();
    assert!(checked.iter().all(|model| model.differing == 0), "{checked:?}");
}

#[tokio::test]
async fn the_status_says_how_far_each_read_model_has_come() {
    let app = TestApp::start().await;
    some_history(&app).await;
    let status = || {
        let output = counterfoil(&app, &["projections", "status", "--json"]);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    };
    assert_eq!(
        status()[0],
        json!({"name": "profiles", "state": "current", "position": null, "behind": 0, "seconds_behind": 0.0, "rows": 31,
            "format": 2, "rebuild": null})
    );
    assert_eq!(
        (&status()[4]["position"], &status()[4]["behind"]),
        (&0.into(), &192.into()),
        "without a number"
    );
    let database = counterfoil::postgres::Database::new(&app.database.url.0, 2).unwrap();
    counterfoil::journal::sequencer::Sequencer::new(database).look().await.unwrap();
    assert_eq!(status()[4]["behind"], 192);
    app.journal().follow(&FOLLOWERS).await.unwrap();
    assert_eq!((&status()[4]["position"], &status()[4]["behind"]), (&192.into(), &0.into()));
}

#[tokio::test]
async fn a_second_rebuild_is_refused_while_another_is_under_way() {
    let app = TestApp::start().await;
    let claim = RebuildClaim::take(app.journal().database(), Projection::all().collect()).await.unwrap();
    let refused = counterfoil(&app, &["projections", "rebuild", "profiles"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("under way"), "{refused:?}");
    drop(claim);
}

#[tokio::test]
async fn a_projection_that_does_not_exist_is_named_with_those_that_do() {
    let app = TestApp::start().await;
    let output = counterfoil(&app, &["projections", "rebuild", "nothing"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("user_logins"), "{output:?}");
}
