//! Tests of `/admin/stats/`.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use counterfoil::app::delete_expired;
use counterfoil::runtime::clock::Clock as _;
use counterfoil_projections::statistics::StatisticsSpan;
use serde_json::{Value, json};

use super::{ADMIN, PHONE, each, follow_ledger};
use crate::http::wrong;
use crate::support::{SignedInDevice, TestApp};

async fn stats(app: &TestApp, admin: &SignedInDevice, query: &str) -> Vec<Value> {
    let answer = app.api.get(&format!("/admin/stats/{query}"), &admin.access).await.ok();
    answer["items"].as_array().unwrap().clone()
}

fn in_url(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// What an hour or day is like in which that happened and nothing else.
fn of(since: DateTime<Utc>, happened: &[(&str, i64)]) -> Value {
    let mut bucket = json!({
        "since": in_url(since), "sign_ins": 0, "new_accounts": 0, "active_devices": 0,
        "codes": {"phone": 0, "email": 0},
        "refusals": {"code_too_soon": 0, "code_quota_spent": 0, "code_paused": 0, "code_locked": 0,
            "wrong_code": 0, "expired_code": 0, "tries_paused": 0, "tries_locked": 0, "device_limit": 0,
            "suspended": 0, "token_reuse": 0, "second_factor": 0,
            "access_denied": 0, "by_rule": 0},
        "messages": {"sent": 0, "failed": 0, "expired": 0, "replaced": 0},
    });
    for (what, times) in happened {
        *bucket.pointer_mut(what).unwrap() = json!(times);
    }
    bucket
}

#[tokio::test]
async fn stats_200_has_the_last_24_hours_or_30_days_with_zeros_where_nothing_happened() {
    let app = TestApp::start().await;
    app.api.sign_in("+989121234568").await;
    app.advance_time(2 * 3600);
    let admin = app.sign_in_admin(ADMIN).await;
    let code = app.api.login(PHONE).await.code();
    app.api.verify(PHONE, &wrong(&code)).await.is_problem(400, "invalid_code");
    app.api.login(PHONE).await.is_problem(406, "code_too_soon");
    let device = app.api.verify(PHONE, &code).await.signed_in();
    app.api.refresh(&device.refresh).await.ok();
    app.api.get("/admin/stats/", &device.access).await.is_problem(403, "forbidden");
    follow_ledger(&app).await;

    let now = app.clock.now();
    let (this_hour, today) = (StatisticsSpan::Hour.start(now), StatisticsSpan::Day.start(now));
    let expected: Vec<Value> = (0..24)
        .rev()
        .map(|ago| {
            let since = this_hour - TimeDelta::hours(ago);
            match ago {
                0 => of(
                    since,
                    &[
                        ("/sign_ins", 2),
                        ("/new_accounts", 2),
                        ("/active_devices", 2),
                        ("/codes/phone", 2),
                        ("/refusals/code_too_soon", 1),
                        ("/refusals/wrong_code", 1),
                        ("/refusals/access_denied", 1),
                    ],
                ),
                2 => of(
                    since,
                    &[("/sign_ins", 1), ("/new_accounts", 1), ("/active_devices", 1), ("/codes/phone", 1)],
                ),
                _ => of(since, &[]),
            }
        })
        .collect();
    assert_eq!(stats(&app, &admin, "").await, expected);

    let days = stats(&app, &admin, "?by=day").await;
    assert_eq!(days.len(), 30);
    assert_eq!(
        (&days[0], &days[29]["since"]),
        (&of(today - TimeDelta::days(29), &[]), &json!(in_url(today)))
    );
    let sign_ins: i64 = each(&days, "sign_ins").iter().map(|day| day.as_i64().unwrap()).sum();
    assert_eq!(sign_ins, 3);
}

#[tokio::test]
async fn stats_200_has_the_whole_hours_and_days_of_the_requested_time() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    for (query, first, last, count) in [
        (
            "since=2026-03-29T10:30:00Z&until=2026-03-29T12:00:00Z",
            "2026-03-29T10:00:00Z",
            "2026-03-29T11:00:00Z",
            2,
        ),
        (
            "since=2026-03-29T12:00:00%2B02:00&until=2026-03-29T10:00:01Z",
            "2026-03-29T10:00:00Z",
            "2026-03-29T10:00:00Z",
            1,
        ),
        ("until=2026-03-29T10:00:00Z", "2026-03-28T10:00:00Z", "2026-03-29T09:00:00Z", 24),
        ("until=0000-01-01T00:00:00Z", "-0001-12-31T00:00:00Z", "-0001-12-31T23:00:00Z", 24),
        (
            "since=9999-12-31T23:00:00Z&until=9999-12-31T23:59:59Z",
            "9999-12-31T23:00:00Z",
            "9999-12-31T23:00:00Z",
            1,
        ),
        (
            "by=hour&since=2026-01-01T00:00:00Z&until=2026-02-01T00:00:00Z",
            "2026-01-01T00:00:00Z",
            "2026-01-31T23:00:00Z",
            744,
        ),
        (
            "by=day&since=2024-02-29T23:59:59Z&until=2024-03-01T00:00:01Z",
            "2024-02-29T00:00:00Z",
            "2024-03-01T00:00:00Z",
            2,
        ),
        (
            "by=day&since=2026-01-01T00:00:00Z&until=2027-02-05T00:00:00Z",
            "2026-01-01T00:00:00Z",
            "2027-02-04T00:00:00Z",
            400,
        ),
    ] {
        let items = stats(&app, &admin, &format!("?{query}")).await;
        let found = (items.len(), &items[0]["since"], &items[items.len() - 1]["since"]);
        assert_eq!(found, (count, &json!(first), &json!(last)), "{query}");
    }
}

#[tokio::test]
async fn stats_400_names_the_parameter_that_is_wrong() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    for (query, fields) in [
        ("by=week", vec!["by"]),
        ("by=", vec!["by"]),
        ("since=yesterday", vec!["since"]),
        ("until=2026-02-30T00:00:00Z&by=minute", vec!["by", "until"]),
        ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", vec!["since"]),
        ("since=2026-01-01T00:00:00Z&until=2026-01-01T00:00:00Z", vec!["since"]),
        ("since=2100-01-01T00:00:00Z", vec!["since"]),
        ("since=2026-01-01T00:00:00Z&until=2026-02-01T01:00:01Z", vec!["since"]),
        ("by=day&since=2025-01-01T00:00:00Z&until=2026-02-07T00:00:00Z", vec!["since"]),
        ("since=0000-01-01T00:00:00Z", vec!["since"]),
        ("limit=10", vec!["limit"]),
        ("by=day&by=hour", vec!["by"]),
    ] {
        app.api.get(&format!("/admin/stats/?{query}"), &admin.access).await.refuses_fields(&fields);
    }
}

#[tokio::test]
async fn messages_are_counted_by_outcome_and_stay_counted_after_the_outbox_has_deleted_them() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    for n in 0..4 {
        app.api.login(&format!("+98912123450{n}")).await.ok();
    }
    let client = app.database.connect().await;
    // So that each account has one message.
    client.batch_execute("DELETE FROM outbox WHERE kind = 'second_factor_enrolled'").await.unwrap();
    let settle = |state: &str, hours_ago: i64| {
        format!(
            "UPDATE outbox SET state = '{state}', settled_at = date_trunc('hour', now()) - interval '{hours_ago} hours'
              WHERE account_id IN (SELECT account_id FROM outbox WHERE state = 'sent' ORDER BY account_id LIMIT 1)"
        )
    };
    for (state, hours_ago) in [("failed", 30), ("expired", 1), ("replaced", 1)] {
        client.batch_execute(&settle(state, hours_ago)).await.unwrap();
    }
    let messages = async || {
        let mut counted = json!({"sent": 0, "failed": 0, "expired": 0, "replaced": 0});
        // The times are the database's own.
        let until = in_url(app.clock.now() + TimeDelta::hours(1));
        let since = in_url(app.clock.now() - TimeDelta::days(3));
        for hour in stats(&app, &admin, &format!("?since={since}&until={until}")).await {
            for (state, total) in counted.as_object_mut().unwrap() {
                *total = json!(total.as_i64().unwrap() + hour["messages"][state].as_i64().unwrap());
            }
        }
        counted
    };
    let expected = json!({"sent": 2, "failed": 1, "expired": 1, "replaced": 1});
    for _ in 0..2 {
        delete_expired(&app.state).await;
        assert_eq!(messages().await, expected);
    }
    client.batch_execute("DELETE FROM outbox WHERE state <> 'sent'").await.unwrap();
    delete_expired(&app.state).await;
    assert_eq!(messages().await, expected);
}
