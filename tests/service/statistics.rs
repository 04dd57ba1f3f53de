//! The statistics are what the log adds up to, whichever node follows it and whatever is rebuilt meanwhile.

use counterfoil::read_models::FOLLOWERS;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};
use counterfoil::journal::sequencer::Sequencer;
use counterfoil::postgres::Database;
use counterfoil::read_models::rebuild::{self, CheckReport};
use counterfoil::read_models::{Projection, RebuildClaim};
use counterfoil::runtime::clock::Clock as _;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{SignedInDevice, TestApp};

/// The same sums, counted by the database over all events.
const COUNTED: &str = "
WITH fact AS (
    SELECT event_type AS name, payload->'fact'->event_type AS said,
           date_trunc($1, (payload->>'at')::timestamptz, 'UTC') AS since
      FROM events
)
SELECT since, json_build_object(
    'sign_ins', count(*) FILTER (WHERE name = 'LoggedIn'),
    'new_accounts', count(*) FILTER (WHERE name = 'UserRegistered'),
    'active_devices', count(DISTINCT said->>'session')
                      FILTER (WHERE name IN ('LoggedIn', 'SignInRepeated', 'TokenRefreshed', 'TokenRefreshRetried')),
    'codes', json_build_object(
        'phone', count(*) FILTER (WHERE name IN ('OtpRequested', 'OtpResent') AND said->>'channel' = 'phone'),
        'email', count(*) FILTER (WHERE name IN ('OtpRequested', 'OtpResent') AND said->>'channel' = 'email')),
    'refusals', json_build_object(
        'code_too_soon', count(*) FILTER (WHERE name = 'OtpRequestRefused' AND said->>'reason' = 'too_soon'),
        'code_quota_spent', count(*) FILTER (WHERE name = 'OtpRequestRefused' AND said->>'reason' = 'quota_spent'),
        'code_paused', count(*) FILTER (WHERE name = 'OtpRequestRefused' AND said->>'reason' = 'paused'),
        'code_locked', count(*) FILTER (WHERE name = 'OtpRequestRefused' AND said->>'reason' = 'locked'),
        'wrong_code', count(*) FILTER (WHERE name = 'OtpRejected' AND said->>'reason' = 'wrong'),
        'expired_code', count(*) FILTER (WHERE name = 'OtpRejected' AND said->>'reason' = 'expired'),
        'tries_paused', count(*) FILTER (WHERE name = 'OtpRejected' AND said->>'reason' = 'paused'),
        'tries_locked', count(*) FILTER (WHERE name = 'OtpRejected' AND said->>'reason' = 'locked'),
        'device_limit', count(*) FILTER (WHERE name = 'OtpRejected' AND said->>'reason' = 'device_limit'),
        'suspended', count(*) FILTER (WHERE name = 'OtpRejected' AND said->>'reason' = 'suspended'),
        'token_reuse', count(*) FILTER (WHERE name = 'TokenReuseDetected'),
        'second_factor', count(*) FILTER (WHERE name = 'SecondFactorRejected'),
        'access_denied', count(*) FILTER (WHERE name = 'AccessDenied'),
        'by_rule', count(*) FILTER (WHERE name = 'SignInRefused')))::text AS counts
  FROM fact
 GROUP BY since";

fn sequencer(app: &TestApp) -> Sequencer {
    Sequencer::new(Database::new(&app.database.url.0, 2).unwrap())
}

async fn checked(app: &TestApp) -> CheckReport {
    rebuild::follower::check(&app.journal(), FOLLOWERS[1], &mut |_| {}).await.unwrap()
}

async fn sum(app: &TestApp, what: &str) -> i64 {
    app.database
        .value(&format!("SELECT coalesce(sum({what}), 0)::bigint FROM statistics WHERE span = 'day'"))
        .await
}

/// People who sign in, mistype, come back too soon, refresh, steal and sign out over some days, while the ledger is followed
/// now and then.
async fn random_history(app: &TestApp, sequencer: &Sequencer, random: &mut fastrand::Rng, steps: usize) {
    let mut devices: Vec<SignedInDevice> = Vec::new();
    for _ in 0..steps {
        let n = random.u8(0..6);
        let identifier = match n {
            0 | 1 => json!({"email": format!("person{n}@example.com")}),
            _ => json!({"phone_number": format!("+98912123456{n}")}),
        };
        let device = (!devices.is_empty()).then(|| devices[random.usize(..devices.len())].clone());
        match (random.u8(0..10), device) {
            (0..=2, _) => {
                let sent = app.api.post("/accounts/login/", identifier.clone()).await;
                if let Some(code) = sent.json()["code"].as_str() {
                    let mut verify = identifier;
                    verify["code"] = json!(if random.u8(0..4) == 0 { "000000" } else { code });
                    let answer = app.api.post("/accounts/verify/", verify).await;
                    if answer.status == 200 {
                        let device = answer.signed_in();
                        if random.u8(0..4) == 0 {
                            // While the access token works, which is seldom in a history of days.
                            app.api.get("/admin/stats/", &device.access).await.is_problem(403, "forbidden");
                        }
                        devices.push(device);
                    }
                }
            }
            (3, _) => drop(app.api.post("/accounts/verify/resend/", identifier).await),
            // With a token that may have been spent: then that is a theft.
            (4..=6, Some(device)) => {
                let answer = app.api.refresh(&device.refresh).await;
                if answer.status == 200 && random.bool() {
                    let refresh = answer.json()["refresh_token"].as_str().unwrap().to_owned();
                    devices.push(SignedInDevice { refresh, ..device });
                }
            }
            (7, Some(device)) => drop(app.api.logout(&device.refresh).await),
            (8, Some(device)) => drop(app.api.get("/admin/stats/", &device.access).await),
            (4..=8, None) => {}
            (9.., _) => app.advance_time(random.i64(1..14_400)),
        }
        if random.u8(0..8) == 0 {
            sequencer.look().await.unwrap();
            app.journal().follow(&FOLLOWERS).await.unwrap();
        }
    }
    sequencer.look().await.unwrap();
    app.journal().follow(&FOLLOWERS).await.unwrap();
}

#[tokio::test]
async fn statistics_agree_with_the_events_after_a_random_history() {
    let app = TestApp::start().await;
    let sequencer = sequencer(&app);
    let (began, seed) = (app.clock.now(), fastrand::u64(..));
    random_history(&app, &sequencer, &mut fastrand::Rng::with_seed(seed), 400).await;
    let admin = app.sign_in_admin("+989130000001").await;
    sequencer.look().await.unwrap();
    app.journal().follow(&FOLLOWERS).await.unwrap();

    let client = app.database.connect().await;
    let since = began.to_rfc3339_opts(SecondsFormat::Secs, true);
    for by in ["hour", "day"] {
        let items =
            app.api.get(&format!("/admin/stats/?by={by}&since={since}"), &admin.access).await.ok()["items"]
                .clone();
        let mut expected = std::collections::BTreeMap::new();
        for row in client.query(COUNTED, &[&by]).await.unwrap() {
            let since: chrono::DateTime<chrono::Utc> = row.get("since");
            let counts: Value = serde_json::from_str(row.get("counts")).unwrap();
            expected.insert(since.to_rfc3339_opts(SecondsFormat::AutoSi, true), counts);
        }
        let nothing = items.as_array().unwrap().iter().filter(|item| item["active_devices"] == 0).count();
        for mut item in items.as_array().unwrap().iter().cloned() {
            let since = item["since"].take();
            let item = item.as_object_mut().unwrap();
            item.retain(|name, _| name != "since" && name != "messages");
            let counts = Value::Object(item.clone());
            match expected.remove(since.as_str().unwrap()) {
                Some(expected) => assert_eq!(counts, expected, "{by} {since}, seed {seed}"),
                None => assert!(is_zero(&counts), "{by} {since}, seed {seed}: {counts}"),
            }
        }
        assert!(expected.is_empty(), "{by}, seed {seed}: {expected:?}");
        assert!(by == "day" || nothing > 0, "seed {seed}: no hour without anything");
    }
    for what in
        ["sign_ins", "codes_email", "refused_wrong_code", "refused_token_reuse", "refused_access_denied"]
    {
        assert!(sum(&app, what).await > 0, "{what}, seed {seed}");
    }
    let active = "SELECT (SELECT sum(active_devices) FROM statistics WHERE span = 'hour')
                       > (SELECT sum(active_devices) FROM statistics WHERE span = 'day')";
    assert!(
        app.database.value::<bool>(active).await,
        "seed {seed}: no device was used in two hours of a day"
    );
    assert_eq!(checked(&app).await.differing, 0, "seed {seed}");
}

fn is_zero(value: &Value) -> bool {
    value.as_object().map_or(*value == 0, |members| members.values().all(is_zero))
}

async fn sign_ins(app: &TestApp, from: usize, count: usize) {
    join_all((from..from + count).map(|n| {
        let api = app.api.clone();
        async move {
            let device = api.sign_in(&format!("+98913{n:07}")).await;
            api.refresh(&device.refresh).await.ok();
        }
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_follow_at_once_count_each_event_once() {
    let app = TestApp::start().await;
    let (sequencer, nodes) = (sequencer(&app), [app.journal(), app.journal(), app.journal()]);
    for round in 0..8 {
        sign_ins(&app, round * 20, 20).await;
        sequencer.look().await.unwrap();
        let followed =
            join_all(nodes.iter().map(|node| async move { node.follow(&FOLLOWERS).await.unwrap() })).await;
        assert!(followed.iter().sum::<u64>() >= 80, "{followed:?}");
    }
    assert_eq!((sum(&app, "sign_ins").await, sum(&app, "active_devices").await), (160, 160));
    assert_eq!(checked(&app).await.differing, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_beside_commands_and_followers_loses_nothing_counts_nothing_twice_and_shows_nothing_else() {
    let app = Arc::new(TestApp::start().await);
    let over = Arc::new(AtomicBool::new(false));
    let following = [(); 2].map(|()| {
        let (app, over, sequencer) = (app.clone(), over.clone(), sequencer(&app));
        tokio::spawn(async move {
            let journal = app.journal();
            while !over.load(Ordering::Relaxed) {
                sequencer.look().await.unwrap();
                journal.follow(&FOLLOWERS).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    });
    let watching = tokio::spawn({
        let (app, over) = (app.clone(), over.clone());
        async move {
            let (mut seen, mut looks) = (0, 0);
            let client = app.database.connect().await;
            while !over.load(Ordering::Relaxed) {
                let sql = "SELECT coalesce(sum(sign_ins), 0)::bigint FROM statistics WHERE span = 'day'";
                let sign_ins: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
                assert!(sign_ins >= seen, "{sign_ins} after {seen}");
                (seen, looks) = (sign_ins, looks + 1);
            }
            looks
        }
    });
    let busy = tokio::spawn({
        let app = app.clone();
        async move {
            for round in 0..25 {
                sign_ins(&app, round * 10, 10).await;
            }
        }
    });
    let (journal, mut rebuilds) = (app.journal(), 0);
    while !busy.is_finished() || rebuilds < 3 {
        let claim =
            RebuildClaim::take(journal.database(), vec![Projection::Following(FOLLOWERS[1])]).await.unwrap();
        claim.begin().await.unwrap();
        claim.rebuild(&journal, &mut |_| {}).await.unwrap();
        rebuilds += 1;
    }
    busy.await.unwrap();
    over.store(true, Ordering::Relaxed);
    for following in following {
        following.await.unwrap();
    }
    assert!(watching.await.unwrap() > rebuilds);

    let client = app.database.connect().await;
    client.execute("UPDATE sequencer SET lease_until = '-infinity'", &[]).await.unwrap();
    sequencer(&app).look().await.unwrap();
    journal.follow(&FOLLOWERS).await.unwrap();
    assert_eq!((sum(&app, "sign_ins").await, sum(&app, "active_devices").await), (250, 250));
    assert_eq!(checked(&app).await.differing, 0);
    let left_over: i64 =
        app.database.value("SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_rebuild%'").await;
    assert_eq!(left_over, 0);
}

#[tokio::test]
async fn a_day_begins_at_midnight_utc_and_a_device_used_before_and_after_is_used_on_both_days() {
    let app = TestApp::start().await;
    let sequencer = sequencer(&app);
    let now = app.clock.now();
    let midnight = counterfoil_projections::statistics::StatisticsSpan::Day.start(now) + TimeDelta::days(1);
    app.clock.advance(midnight - TimeDelta::milliseconds(1) - now);
    let device = app.api.sign_in("+989121234567").await;
    app.clock.advance(TimeDelta::milliseconds(1));
    app.api.refresh(&device.refresh).await.ok();
    sequencer.look().await.unwrap();
    app.journal().follow(&FOLLOWERS).await.unwrap();
    let client = app.database.connect().await;
    let sql = "SELECT since, sign_ins, active_devices FROM statistics WHERE span = $1 ORDER BY since";
    for (span, before) in [("hour", TimeDelta::hours(1)), ("day", TimeDelta::days(1))] {
        let rows = client.query(sql, &[&span]).await.unwrap();
        let found: Vec<(chrono::DateTime<chrono::Utc>, i64, i64)> =
            rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        assert_eq!(found, [(midnight - before, 1, 1), (midnight, 0, 1)], "{span}");
    }
}
