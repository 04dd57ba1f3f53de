//! Listeners that fail, and what an operator sees of it and does about it.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use counterfoil::listeners::overview;
use serde_json::{Value, json};

use super::{ListenerMode, PHONE, TestListener, some_people, wait_until};
use crate::support::{NodeProcess, TestApp};

const ADMIN: &str = "+989121111111";

fn counterfoil(app: &TestApp, arguments: &[&str]) -> Output {
    let keyring = app.keyring_file();
    let environment = [
        ("DATABASE_URL", app.database.url.0.as_str()),
        ("COUNTERFOIL_KEYRING", keyring.to_str().unwrap()),
        ("COUNTERFOIL_PROFILE", "development"),
    ];
    let mut command = NodeProcess::command(Path::new(env!("CARGO_TARGET_TMPDIR")), &environment);
    let output = command.args(arguments).output().unwrap();
    std::fs::remove_file(keyring).unwrap();
    output
}

fn succeeds(app: &TestApp, arguments: &[&str]) -> String {
    let output = counterfoil(app, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// How the listener stands, as the command line says it.
fn status(app: &TestApp, name: &str) -> Value {
    let said = succeeds(app, &["projections", "status", "--json"]);
    let listed: Value = serde_json::from_str(&said).unwrap();
    listed.as_array().unwrap().iter().find(|listed| listed["name"] == name).unwrap().clone()
}

async fn is_in_state(app: &TestApp, state: &str) -> bool {
    let listeners = overview(&app.state.database.connection().await.unwrap()).await.unwrap();
    listeners.iter().any(|listener| serde_json::to_value(listener.state).unwrap() == state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_fails_panics_or_is_late_gets_the_same_event_again_and_no_later_one() {
    let app = TestApp::start().await;
    app.keep_log();
    for (name, mode) in [
        ("failing", ListenerMode::Failing),
        ("panicking", ListenerMode::Panicking),
        ("late", ListenerMode::Slow(Duration::from_secs(60))),
    ] {
        let listener = TestListener { parked_pause: Duration::from_millis(500), ..TestListener::new(name) };
        listener.set_mode(mode);
        let workers = listener.start(&app);
        listener.wait_until_registered(&app).await;
        app.api.login(&format!("+98913000{:04}", name.len())).await.ok();
        app.api.login(&format!("+98913001{:04}", name.len())).await.ok();
        wait_until("the event was handed over again", async || listener.offered_numbers().len() >= 3).await;
        assert!(listener.taken().is_empty());
        listener.set_mode(ListenerMode::Taking);
        listener.wait_until_current(&app).await;
        let (offered, taken) = (listener.offered_numbers(), listener.taken_numbers());
        assert_eq!(taken, [offered[0], offered[0] + 1], "{name}: {offered:?}");
        assert!(offered.is_sorted(), "{name}: {offered:?}");
        workers.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_listener_raises_an_alarm_is_seen_by_operators_and_goes_on_by_their_order() {
    let app = TestApp::start().await;
    app.keep_log();
    let admin = app.sign_in_admin(ADMIN).await;
    let listener = TestListener::new("billing");
    listener.set_mode(ListenerMode::Failing);
    let _workers = listener.start(&app);
    listener.wait_until_registered(&app).await;
    app.api.sign_in(PHONE).await;
    wait_until("it is parked", async || is_in_state(&app, "parked").await).await;

    let stands_at = listener.offered_numbers()[0];
    assert!(listener.offered_numbers().iter().all(|number| *number == stands_at));
    assert_eq!(listener.offered_numbers().len(), 5, "it is left alone then");
    let listed = app.api.get("/admin/projections/", &admin.access).await.ok();
    let billing = &listed["listeners"][0];
    assert_eq!((&billing["name"], &billing["state"]), (&json!("billing"), &json!("parked")));
    assert_eq!((&billing["stands_at"], &billing["failures"]), (&json!(stands_at), &json!(5)));
    assert_eq!(billing["error"], "the billing service is away");
    assert_eq!(billing["position"], stands_at - 1);
    assert!(billing["behind"].as_i64().unwrap() >= 3 && billing["parked_at"].is_string(), "{billing}");
    let alarms = app.api.get("/admin/alarms/", &admin.access).await.ok();
    let alarm = &alarms["items"][0];
    assert_eq!(
        (&alarm["alarm"], &alarm["subject"], &alarm["current"]),
        (&json!("listener_parked"), &json!("billing"), &json!(true))
    );
    let seen = status(&app, "billing");
    assert_eq!((&seen["state"], &seen["stands_at"]), (&json!("parked"), &json!(stands_at)));
    let table = succeeds(&app, &["projections", "status"]);
    let line = format!("parked at event {stands_at} after 5 failures: the billing service is away");
    assert!(table.split_whitespace().collect::<Vec<_>>().join(" ").contains(&line), "{table}");

    // Tried again in vain, it stays where it is, and the alarm of this hour is there already.
    succeeds(&app, &["projections", "resume", "billing"]);
    wait_until("it was tried again", async || listener.offered_numbers().len() == 6).await;
    wait_until("it is parked again", async || {
        app.database.value::<i32>("SELECT failures FROM listeners").await == 6
    })
    .await;
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM alarms").await, 1);
    assert!(listener.taken().is_empty());

    listener.set_mode(ListenerMode::Taking);
    succeeds(&app, &["projections", "resume", "billing"]);
    listener.wait_until_current(&app).await;
    assert_eq!(listener.taken_numbers()[0], stands_at, "no event was passed over");
    let after = status(&app, "billing");
    assert_eq!(
        (&after["state"], &after["failures"], &after["error"]),
        (&json!("current"), &json!(0), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_passes_over_the_event_that_a_listener_stands_at_and_no_other() {
    let app = TestApp::start().await;
    app.keep_log();
    let listener = TestListener::new("billing");
    listener.set_mode(ListenerMode::Failing);
    let _workers = listener.start(&app);
    listener.wait_until_registered(&app).await;
    app.api.sign_in(PHONE).await;
    wait_until("it is parked", async || is_in_state(&app, "parked").await).await;
    let stands_at = listener.offered_numbers()[0];
    let skip = |name: &str, seq: i64| {
        let seq = seq.to_string();
        let arguments =
            ["projections", "resume", name, "--skip-event", &seq, "--reason", "ticket 7: no such plan"];
        counterfoil(&app, &arguments)
    };
    for (name, seq) in [("billing", stands_at + 1), ("billing", stands_at - 1), ("nothing", stands_at)] {
        let refused = skip(name, seq);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(&format!("{name} does not stand at event {seq}")), "{said}");
    }
    let unknown = counterfoil(&app, &["projections", "resume", "nothing"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    let seq = stands_at.to_string();
    let without_reason = counterfoil(&app, &["projections", "resume", "billing", "--skip-event", &seq]);
    assert_eq!(without_reason.status.code(), Some(2), "{without_reason:?}");

    listener.set_mode(ListenerMode::Taking);
    let skipped = skip("billing", stands_at);
    assert!(skipped.status.success(), "{skipped:?}");
    listener.wait_until_current(&app).await;
    let events: i64 = app.database.value("SELECT count(*) FROM events").await;
    assert_eq!(listener.taken_numbers(), (stands_at + 1..=events).collect::<Vec<_>>());
    assert_eq!(status(&app, "billing")["skipped"], 1);
    let reason: String = app.database.value("SELECT reason FROM listener_skips WHERE name = 'billing'").await;
    assert_eq!(reason, "ticket 7: no such plan");
}

#[test]
fn metrics_say_how_far_a_listener_is_behind_and_whether_it_is_parked() {
    let recorder = counterfoil::runtime::telemetry::prometheus().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rendered = || recorder.handle().render();
    let says = |line: &str| rendered().lines().any(|each| each == line);
    let test = async {
        let app = TestApp::start().await;
        app.keep_log();
        let listener = TestListener::new("billing");
        listener.set_mode(ListenerMode::Failing);
        let _workers = listener.start(&app);
        listener.wait_until_registered(&app).await;
        app.api.login(PHONE).await.ok();
        wait_until("the metrics say so", async || {
            says("counterfoil_listener_parked{listener=\"billing\"} 1")
                && says("counterfoil_listener_behind{listener=\"billing\"} 1")
        })
        .await;
        assert!(says("counterfoil_alarms_total{alarm=\"listener_parked\"} 1"), "{}", rendered());
        listener.set_mode(ListenerMode::Taking);
        let connection = app.state.database.connection().await.unwrap();
        assert!(counterfoil::listeners::resume(&connection, "billing").await.unwrap());
        wait_until("the metrics say that it goes on", async || {
            says("counterfoil_listener_parked{listener=\"billing\"} 0")
                && says("counterfoil_listener_behind{listener=\"billing\"} 0")
        })
        .await;
    };
    metrics::with_local_recorder(&recorder, || runtime.block_on(test));
}

/// A node whose lease was taken while its listener was busy neither moves the position nor goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_lost_its_lease_cannot_move_the_position() {
    let app = TestApp::start().await;
    app.keep_log();
    let listener = TestListener::new("billing");
    listener.set_mode(ListenerMode::Slow(Duration::from_millis(600)));
    let _workers = listener.start(&app);
    listener.wait_until_registered(&app).await;
    app.api.login(PHONE).await.ok();
    wait_until("the event is under way", async || listener.offered_numbers().len() == 1).await;
    let client = app.database.connect().await;
    let take =
        "UPDATE listeners SET lease = gen_random_uuid(), lease_until = clock_timestamp() + interval '1 hour'
                RETURNING seq";
    let before: i64 = client.query_one(take, &[]).await.unwrap().get(0);
    wait_until("the call has ended", async || listener.taken().len() == 1).await;
    app.api.login("+989127654321").await.ok();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after: i64 = client.query_one("SELECT seq FROM listeners", &[]).await.unwrap().get(0);
    assert_eq!((after, listener.offered_numbers().len()), (before, 1));

    // The node that took it is gone: the event comes again, since its position was not written.
    client.execute("UPDATE listeners SET lease_until = clock_timestamp()", &[]).await.unwrap();
    listener.wait_until_current(&app).await;
    assert_eq!(listener.taken_numbers(), [before + 1, before + 1, before + 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_is_open_and_no_row_is_locked_while_a_listener_works() {
    let app = TestApp::start().await;
    let listener = TestListener::new("billing");
    listener.set_mode(ListenerMode::Slow(Duration::from_millis(600)));
    let _workers = listener.start(&app);
    listener.wait_until_registered(&app).await;
    app.api.login(PHONE).await.ok();
    let database = counterfoil::postgres::Database::new(&app.database.url.0, 2).unwrap();
    counterfoil::journal::sequencer::Sequencer::new(database).look().await.unwrap();
    wait_until("the event is under way", async || listener.offered_numbers().len() == 1).await;
    let client = app.database.connect().await;
    let open = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
                   AND backend_type = 'client backend' AND state LIKE 'idle in transaction%'";
    assert_eq!(client.query_one(open, &[]).await.unwrap().get::<_, i64>(0), 0);
    client.batch_execute("BEGIN; SELECT FROM listeners FOR UPDATE NOWAIT; ROLLBACK").await.unwrap();
    assert!(listener.taken().is_empty(), "it is still at work");
    wait_until("it has taken the event", async || listener.taken().len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_the_call_that_has_begun_and_begins_no_other() {
    let app = TestApp::start().await;
    app.keep_log();
    let listener = TestListener::new("billing");
    listener.set_mode(ListenerMode::Slow(Duration::from_millis(400)));
    let workers = listener.start(&app);
    listener.wait_until_registered(&app).await;
    app.api.login(PHONE).await.ok();
    app.api.login("+989127654321").await.ok();
    wait_until("the first event is under way", async || listener.offered_numbers().len() == 1).await;
    workers.stop().await;
    assert_eq!((listener.offered_numbers().len(), listener.taken().len()), (1, 1));
    listener.set_mode(ListenerMode::Taking);
    let _workers = listener.start(&app);
    listener.wait_until_current(&app).await;
    assert_eq!(listener.taken().len(), 2, "the position of the first was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_and_a_verification_do_not_mind_listeners() {
    let app = TestApp::start().await;
    app.keep_log();
    let listener = TestListener::from_beginning("billing");
    let _workers = listener.start(&app);
    some_people(&app, 0..5).await;
    succeeds(&app, &["projections", "rebuild"]);
    succeeds(&app, &["projections", "check"]);
    let refused = counterfoil(&app, &["projections", "rebuild", "billing"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    some_people(&app, 5..8).await;
    listener.wait_until_current(&app).await;
    assert!(succeeds(&app, &["audit", "verify"]).contains("unaltered: yes"));
    let events: i64 = app.database.value("SELECT count(*) FROM events").await;
    assert_eq!(listener.taken_numbers(), (1..=events).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_database_role_does_not_own_the_tables_hands_events_over() {
    let owner = TestApp::start().await;
    let node = owner.by_server_role().await;
    owner.keep_log();
    let listener = TestListener::from_beginning("billing");
    let journal = node.state.accounts.journal().clone();
    let _workers = listener.start_on(&journal);
    listener.set_mode(ListenerMode::Failing);
    node.api.login(PHONE).await.ok();
    wait_until("it failed", async || is_in_state(&node, "parked").await).await;
    let database = node.state.database.connection().await.unwrap();
    let stands_at = listener.offered_numbers()[0];
    listener.set_mode(ListenerMode::Taking);
    let skipped =
        counterfoil::listeners::skip_event(&database, "billing", stands_at, "a test").await.unwrap();
    assert_eq!(skipped, counterfoil::listeners::SkipOutcome::Skipped);
    node.api.login("+989127654321").await.ok();
    listener.wait_until_current(&node).await;
    assert_eq!(listener.taken_numbers(), [stands_at + 1]);
}
