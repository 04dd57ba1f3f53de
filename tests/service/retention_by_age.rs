//! What becomes of data that is older than it is kept: network data and history.

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil::app::delete_expired;
use counterfoil::audit::verify;
use counterfoil::postgres::Database;
use counterfoil::read_models::{FOLLOWERS, Projection, RebuildClaim, rebuild};
use counterfoil::runtime::clock::Clock as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;

use crate::erasure::{Person, follow, found_in, join, proxied, tables};
use crate::erasure_delay::{hold, release};
use crate::support::{ApiClient, SignedInDevice, TestApp};

const ADMIN: &str = "+989130000001";
const DAY: i64 = 24 * 3_600;

/// Where a column stands that tells of the network or the device of a user, in tables of accounts.
const NETWORK_COLUMNS: &str = "SELECT table_name::text, column_name::text FROM information_schema.columns
      WHERE table_schema = 'public' AND (udt_name = 'inet' OR column_name IN ('user_agent', 'device_name'))";

async fn rows(app: &TestApp, table: &str, account: &str) -> i64 {
    app.database.value(&format!("SELECT count(*) FROM {table} WHERE account_id = '{account}'")).await
}

async fn scopes(app: &TestApp, account: &str) -> Vec<String> {
    let sql = format!(
        "SELECT coalesce(array_agg(scope::text ORDER BY scope), '{{}}') FROM account_keys WHERE account_id = '{account}'"
    );
    app.database.value(&sql).await
}

/// The first day of the first quarter whose network data is kept for 90 days.
async fn first_kept_quarter(app: &TestApp) -> DateTime<Utc> {
    app.database
        .value(
            "SELECT date_trunc('quarter', now() AT TIME ZONE 'UTC' - interval '90 days') AT TIME ZONE 'UTC'",
        )
        .await
}

fn set_time(app: &TestApp, at: DateTime<Utc>) {
    app.clock.advance(at - app.clock.now());
}

/// Every read model has the rows that the log comes to.
async fn read_models_agree_with_the_log(app: &TestApp) {
    let (journal, mut silent) = (app.journal(), |_| {});
    let models: Vec<_> = Projection::all().filter_map(|model| model.immediate()).collect();
    let mut checked = rebuild::check(&journal, &models, app.clock.now(), &mut silent).await.unwrap();
    for follower in FOLLOWERS {
        checked.push(rebuild::follower::check(&journal, follower, &mut silent).await.unwrap());
    }
    assert!(checked.iter().all(|model| model.differing == 0), "{checked:?}");
}

async fn rebuild_all(app: &TestApp) {
    let database = Database::new(&app.database.url.0, 2).unwrap();
    let claim = RebuildClaim::take(&database, Projection::all().collect()).await.unwrap();
    claim.begin().await.unwrap();
    claim.rebuild(&app.journal(), &mut |_| {}).await.unwrap();
}

/// What retention has left of a person who was last there two years ago.
async fn assert_forgotten(app: &TestApp, person: &Person) {
    let account = person.device.account().to_string();
    assert_eq!(scopes(app, &account).await, ["person"]);
    for table in ["user_logins", "stays", "login_history", "session_uses"] {
        assert_eq!(rows(app, table, &account).await, 0, "{table}");
    }
    let columns = app.database.connect().await.query(NETWORK_COLUMNS, &[]).await.unwrap();
    assert!(columns.len() >= 8, "{columns:?}");
    for column in &columns {
        let (table, column): (&str, &str) = (column.get(0), column.get(1));
        let sql = format!("SELECT count({column}) FROM {table} WHERE account_id = '{account}'");
        assert_eq!(app.database.value::<i64>(&sql).await, 0, "{table}.{column}");
    }
    for trace in &person.traces[3..] {
        assert_eq!(found_in(app, trace).await, Vec::<String>::new(), "{trace}");
    }
    for trace in &person.traces[..3] {
        assert_eq!(found_in(app, trace).await, ["profiles"], "{trace}");
    }
}

#[tokio::test]
async fn after_two_years_nothing_tells_from_where_a_user_came_but_under_a_legal_hold() {
    let app = TestApp::with_settings(&proxied()).await;
    let present = app.clock.now();
    app.advance_time(-730 * DAY);
    let (forgotten, held) = (join(&app, 1).await, join(&app, 2).await);
    let admin = app.sign_in_admin(ADMIN).await;
    hold(&app, &admin, &forgotten.device, 300).await;
    hold(&app, &admin, &held.device, 760).await;
    set_time(&app, present - TimeDelta::days(2));
    let recent = join(&app, 3).await;
    follow(&app).await;
    let events: i64 = app.database.value("SELECT count(*) FROM events").await;
    for trace in forgotten.traces.iter().chain(&held.traces) {
        assert!(!found_in(&app, trace).await.is_empty(), "{trace} is there before");
    }
    set_time(&app, present);
    let server = app.by_server_role().await;
    delete_expired(&server.state).await;

    for rebuilt in [false, true] {
        assert_forgotten(&app, &forgotten).await;
        let by_staff = format!(
            "SELECT count(actor) FROM event_subjects WHERE account_id = '{}'",
            forgotten.device.account()
        );
        assert_eq!(app.database.value::<i64>(&by_staff).await, 1, "what staff did stays known");
        let kept = held.device.account().to_string();
        assert_eq!(scopes(&app, &kept).await.len(), 2, "under the hold");
        for (table, is_there) in [("event_subjects", true), ("user_logins", false), ("login_history", false)]
        {
            assert_eq!(rows(&app, table, &kept).await > 0, is_there, "{table}: history is in the log");
        }
        for trace in &recent.traces {
            assert!(!found_in(&app, trace).await.is_empty(), "{trace}");
        }
        read_models_agree_with_the_log(&app).await;
        if !rebuilt {
            rebuild_all(&app).await;
        }
    }
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM events").await, events);
    let verified = verify(&app.journal(), &app.trusted_keys(), &mut |_| {}).await.unwrap();
    assert!(verified.is_unaltered() && verified.is_complete(), "{verified:?}");
    let opened = app.journal().history(held.device.account()).await.unwrap();
    assert!(
        opened.iter().any(|(_, event)| event.client.is_some()),
        "the events under the hold can be opened"
    );
    let opened = app.journal().history(forgotten.device.account()).await.unwrap();
    assert!(opened.iter().all(|(_, event)| event.client.is_none()));
    app.api.sign_in(&format!("+{}", forgotten.traces[0])).await;
}

#[tokio::test]
async fn network_data_under_a_hold_goes_when_retention_comes_by_after_its_end() {
    let app = TestApp::with_settings(&proxied()).await;
    let present = app.clock.now();
    app.advance_time(-730 * DAY);
    let person = join(&app, 1).await;
    let admin = app.sign_in_admin(ADMIN).await;
    hold(&app, &admin, &person.device, 760).await;
    follow(&app).await;
    set_time(&app, present);
    delete_expired(&app.state).await;
    let account = person.device.account().to_string();
    let held = scopes(&app, &account).await;
    assert_eq!(held.len(), 2);
    let admin = app.api.sign_in(ADMIN).await;
    app.pass_second_factor(&admin).await;
    assert_eq!(release(&app, &admin, &person.device).await.status, 204);
    follow(&app).await;
    app.advance_time(31 * DAY);
    delete_expired(&app.state).await;
    // Besides that of the person there is the key of the quarter in which the hold was released.
    let left = scopes(&app, &account).await;
    assert!(left.len() == 2 && !left.contains(&held[0]), "{left:?}");
    read_models_agree_with_the_log(&app).await;
}

async fn refresh(app: &TestApp, device: &SignedInDevice, address: &str, user_agent: Option<&str>) {
    let request = app.api.request(Method::POST, "/accounts/refresh/").header("x-forwarded-for", address);
    let request = user_agent.into_iter().fold(request, |request, name| request.header("user-agent", name));
    ApiClient::send(request.json(&json!({"refresh_token": device.refresh}))).await.ok();
}

#[tokio::test]
async fn a_session_that_goes_on_keeps_what_it_told_since_and_the_name_that_its_user_gave() {
    let app = TestApp::with_settings(&proxied()).await;
    let (present, quarter) = (app.clock.now(), first_kept_quarter(&app).await);
    set_time(&app, quarter - TimeDelta::days(5));
    let (moved, named) = (join(&app, 1).await, join(&app, 2).await);
    let list = app.api.get("/accounts/devices/", &named.device.access).await.ok();
    let path = format!("/accounts/devices/{}/", list[0]["id"].as_str().unwrap());
    app.api.patch(&path, &named.device.access, json!({"device_name": "Kitchen"})).await.ok();
    set_time(&app, quarter + TimeDelta::days(5));
    refresh(&app, &moved.device, "192.0.2.1", Some("AnalyticalEngine/2")).await;
    refresh(&app, &named.device, "192.0.2.2", None).await;
    follow(&app).await;
    set_time(&app, present);
    delete_expired(&app.state).await;

    let shown = async |person: &Person| -> Value {
        let account = person.device.account();
        let sql = format!(
            "SELECT jsonb_build_array(device_name, user_agent, ip_address) FROM user_logins WHERE account_id = '{account}'"
        );
        app.database.value(&sql).await
    };
    for _ in 0..2 {
        assert_eq!(shown(&moved).await, json!([null, "AnalyticalEngine/2", "192.0.2.1"]));
        assert_eq!(shown(&named).await, json!(["Kitchen", null, "192.0.2.2"]));
        read_models_agree_with_the_log(&app).await;
        rebuild_all(&app).await;
    }
    // The key of the later quarter is there.
    assert_eq!(scopes(&app, &moved.device.account().to_string()).await.len(), 2);
}

#[tokio::test]
async fn two_nodes_a_rebuild_and_requests_at_the_same_time_do_not_harm_each_other() {
    const PEOPLE: usize = 120;
    let app = TestApp::start().await;
    let present = app.clock.now();
    app.advance_time(-730 * DAY);
    let phone = |n: usize| format!("+989121234{n:03}");
    for n in 0..PEOPLE {
        app.api.sign_in(&phone(n)).await;
    }
    follow(&app).await;
    set_time(&app, present);
    let (beside, _proxy) = app.second_node(&[]).await;
    let requests = async {
        for n in 0..PEOPLE {
            let device = beside.api.sign_in(&phone(n)).await;
            app.api.refresh(&device.refresh).await.ok();
        }
    };
    let retention = async |node: &TestApp| {
        for _ in 0..5 {
            delete_expired(&node.state).await;
        }
    };
    tokio::join!(retention(&app), retention(&beside), requests, rebuild_all(&app));
    // Retention may have stood back for the rebuild.
    delete_expired(&app.state).await;
    follow(&app).await;
    let old = "SELECT count(*) FROM account_keys WHERE scope LIKE 'origin-%'
                  AND scope < 'origin-' || extract(year FROM now() - interval '1 year')";
    assert_eq!(app.database.value::<i64>(old).await, 0);
    for table in ["user_logins", "stays"] {
        let count: i64 = app.database.value(&format!("SELECT count(ip_address) FROM {table}")).await;
        assert!(count >= i64::try_from(PEOPLE).unwrap(), "{table}: {count}");
    }
    read_models_agree_with_the_log(&app).await;
}

#[tokio::test]
async fn the_servers_role_can_delete_no_key_of_a_recent_quarter() {
    let app = TestApp::start().await;
    let (url, _) = app.database.by_server_role().await;
    app.by_server_role().await;
    let account = app.api.sign_in("+989121234567").await.account().to_string();
    let (role, connection) = tokio_postgres::connect(&url.0, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for before in [
        "date_trunc('quarter', now(), 'UTC') + interval '3 months'",
        "now() - interval '29 days'",
        "date_trunc('quarter', now() - interval '200 days', 'UTC') + interval '1 day'",
        "'infinity'",
    ] {
        let sql = format!("SELECT forget_network_data(ARRAY['{account}'::uuid], {before})");
        let refused = role.execute(&sql, &[]).await.unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::RAISE_EXCEPTION), "{before}");
    }
    assert_eq!(scopes(&app, &account).await.len(), 2);
    let refused = role.execute("UPDATE account_keys SET wrapped = ''", &[]).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
}

#[tokio::test]
async fn the_guide_names_every_table_with_how_long_it_is_kept() {
    let app = TestApp::start().await;
    let guide = include_str!("../../docs/retention.md");
    for table in tables(&app).await.into_iter().filter(|table| table != "_sqlx_migrations") {
        assert!(guide.contains(&format!("| `{table}` |")), "docs/retention.md says nothing of {table}");
    }
}
