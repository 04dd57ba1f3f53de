//! Tests of `/admin/projections/…`.

use counterfoil::app::delete_expired;
use std::time::Duration;

use counterfoil::postgres::Database;
use counterfoil::read_models::{Projection, RebuildClaim};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADMIN, PHONE, all, each, events_of, follow_ledger};
use crate::support::{ApiAnswer, SignedInDevice, TestApp};

const LIST: &str = "/admin/projections/";

async fn standing(app: &TestApp, admin: &SignedInDevice, name: &str) -> Value {
    let items = all(app, admin, LIST).await;
    items.into_iter().find(|item| item["name"] == name).unwrap()
}

async fn rebuild(app: &TestApp, admin: &SignedInDevice, name: &str, body: Value) -> ApiAnswer {
    app.api.send_json(Method::POST, &format!("{LIST}{name}/rebuild/"), &admin.access, body).await
}

/// Waits until the last rebuild has ended; how it stands then.
async fn ended(app: &TestApp, admin: &SignedInDevice, name: &str) -> Value {
    for _ in 0..400 {
        let standing = standing(app, admin, name).await;
        if standing["state"] != "rebuilding" {
            return standing;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the rebuild of {name} goes on after 20 seconds");
}

/// Claims a read model, as another node does.
async fn claim(app: &TestApp, name: &str) -> RebuildClaim {
    let database = Database::new(&app.database.url.0, 1).unwrap();
    RebuildClaim::take(&database, vec![Projection::named(name).unwrap()]).await.unwrap()
}

#[tokio::test]
async fn projections_200_says_how_far_each_read_model_has_come() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    app.api.sign_in(PHONE).await;
    let items = all(&app, &admin, LIST).await;
    let names = ["profiles", "user_logins", "revoked_tokens", "stays", "login_history", "statistics"];
    assert_eq!(each(&items, "name")[..6], names);
    assert_eq!(each(&items, "name")[6..], ["event_subjects"]);
    let expected = json!({"name": "user_logins", "state": "current", "position": null, "behind": 0,
        "seconds_behind": 0.0, "rows": 2, "format": 2, "rebuild": null});
    assert_eq!(items[1], expected);
    // No sequencer numbers events here, so no follower reads them.
    let events: i64 = app.database.value("SELECT count(*) FROM events").await;
    for follower in &items[4..] {
        assert_eq!((&follower["position"], &follower["behind"]), (&json!(0), &json!(events)));
        assert!(follower["seconds_behind"].as_f64().unwrap() > 0.0, "{follower}");
    }
    follow_ledger(&app).await;
    for follower in &all(&app, &admin, LIST).await[4..] {
        assert_eq!((&follower["position"], &follower["behind"]), (&json!(events), &json!(0)));
        assert_eq!(follower["seconds_behind"], 0.0);
    }
}

#[tokio::test]
async fn rebuild_202_rebuilds_the_read_model_in_the_background_and_is_recorded() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    app.api.rename(&device.access, "Ada").await.ok();
    let client = app.database.connect().await;
    assert_eq!(client.execute("UPDATE profiles SET fullname = 'Eve'", &[]).await.unwrap(), 2);

    let answer = rebuild(&app, &admin, "profiles", json!({"reason": "An operator wrote into it"})).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (202, Some(LIST)), "{answer:?}");
    assert_eq!(answer.json()["name"], "profiles");
    let standing = ended(&app, &admin, "profiles").await;
    assert_eq!((&standing["state"], &standing["rebuild"]["progress"]), (&json!("current"), &json!(1.0)));
    assert_eq!(standing["rebuild"]["error"], Value::Null);
    assert!(
        standing["rebuild"]["ended_at"].as_str() > standing["rebuild"]["began_at"].as_str(),
        "{standing}"
    );
    assert_eq!(app.api.profile(&device.access).await.ok()["fullname"], "Ada");

    let history = app.journal().history(admin.account()).await.unwrap();
    let (_, event) = history.into_iter().rfind(|(_, event)| event.name() == "RebuildOrdered").unwrap();
    assert_eq!(
        serde_json::to_value(&event.fact).unwrap(),
        json!({"RebuildOrdered": {"projection": "profiles", "by": {"account": admin.account()}}})
    );
    assert_eq!(event.person.unwrap().reason.unwrap().as_str(), "An operator wrote into it");
    assert_eq!(event.client.unwrap().ip.to_string(), "127.0.0.1");
}

#[tokio::test]
async fn each_read_model_can_be_rebuilt_and_is_then_in_the_form_of_this_version() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    follow_ledger(&app).await;
    app.database.connect().await.batch_execute("UPDATE read_models SET format = 0").await.unwrap();
    for name in each(&all(&app, &admin, LIST).await, "name") {
        let name = name.as_str().unwrap();
        let before = standing(&app, &admin, name).await;
        assert_eq!((&before["state"], &before["format"]), (&json!("outdated"), &json!(0)));
        assert_eq!(rebuild(&app, &admin, name, json!({})).await.status, 202);
        let after = ended(&app, &admin, name).await;
        let format = if ["profiles", "user_logins"].contains(&name) { 2 } else { 1 };
        assert_eq!((&after["state"], &after["format"]), (&json!("current"), &json!(format)), "{after}");
        assert_eq!(after["rows"], before["rows"]);
    }
}

#[tokio::test]
async fn rebuild_409_while_one_is_under_way_on_any_node() {
    let here = TestApp::start().await;
    let (there, _proxy) = here.second_node(&[]).await;
    let admin = here.sign_in_admin(ADMIN).await;
    let claim = claim(&here, "login_history").await;
    claim.begin().await.unwrap();
    for node in [&here, &there] {
        let standing = standing(node, &admin, "login_history").await;
        assert_eq!(
            (&standing["state"], &standing["rebuild"]["progress"]),
            (&json!("rebuilding"), &json!(0.0))
        );
        for name in ["login_history", "statistics"] {
            rebuild(node, &admin, name, json!({})).await.is_problem(409, "rebuild_running");
        }
    }
    assert!(!events_of(&here, &admin).await.contains(&"RebuildOrdered".to_owned()));

    // The node that ran the rebuild is gone: the status says so, and another rebuild may begin.
    drop(claim);
    let standing = ended(&there, &admin, "login_history").await;
    assert_eq!(
        (&standing["state"], &standing["rebuild"]["error"]),
        (&json!("current"), &json!("interrupted"))
    );
    assert_eq!(rebuild(&there, &admin, "login_history", json!({})).await.status, 202);
    assert_eq!(ended(&here, &admin, "login_history").await["rebuild"]["error"], Value::Null);
}

#[tokio::test]
async fn rebuild_409_says_what_to_do_where_the_servers_role_does_not_own_the_tables() {
    let app = TestApp::start().await;
    let server = app.by_server_role().await;
    let admin = app.sign_in_admin(ADMIN).await;
    for name in ["profiles", "statistics"] {
        let answer = rebuild(&server, &admin, name, json!({})).await;
        answer.is_problem(409, "rebuild_needs_owner");
        assert!(answer.text.contains("counterfoil projections rebuild"), "{answer:?}");
    }
    assert!(!events_of(&app, &admin).await.contains(&"RebuildOrdered".to_owned()));
    // It tells of them all the same, and counts messages.
    assert_eq!(all(&server, &admin, LIST).await.len(), 7);
    server.api.get("/admin/stats/", &admin.access).await.ok();
    delete_expired(&server.state).await;
    // The two events are the administrator's code and the enrolment of the authenticator.
    assert_eq!(app.database.value::<i64>("SELECT sum(sent)::bigint FROM message_outcomes").await, 2);
}

#[tokio::test]
async fn rebuild_404_for_what_is_no_read_model_and_400_names_wrong_fields() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    for name in ["events", "user_logins_rebuild", "x;drop%20table%20events"] {
        rebuild(&app, &admin, name, json!({})).await.is_problem(404, "not_found");
    }
    rebuild(&app, &admin, "profiles", json!({"reason": "x".repeat(301)})).await.refuses_fields(&["reason"]);
    rebuild(&app, &admin, "profiles", json!({"name": "profiles"})).await.refuses_fields(&["name"]);
    app.api
        .get(&format!("{LIST}profiles/rebuild/"), &admin.access)
        .await
        .is_problem(405, "method_not_allowed");
    app.api.get(&format!("{LIST}profiles/"), &admin.access).await.is_problem(404, "not_found");
}
