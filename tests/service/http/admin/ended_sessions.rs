//! Tests of `DELETE /admin/device-sessions/`, which ends many sessions at once.

use counterfoil::runtime::clock::Clock as _;
use counterfoil_domain::user_account::{AccountFact, ActingStaff, SessionFact};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADMIN, PHONE, all, events_of};
use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const PATH: &str = "/admin/device-sessions/";

/// Asks with these parameters, already encoded.
async fn end(app: &TestApp, admin: &SignedInDevice, parameters: &str) -> ApiAnswer {
    let request = app.api.request(Method::DELETE, &format!("{PATH}?{parameters}"));
    ApiClient::send(request.bearer_auth(&admin.access)).await
}

/// Signs so many users in, each on one device.
async fn users(app: &TestApp, count: usize) -> Vec<SignedInDevice> {
    let mut devices = Vec::new();
    for n in 0..count {
        devices.push(app.api.sign_in(&format!("+98912123{n:04}")).await);
    }
    devices
}

fn counts(answer: &Value) -> [&Value; 5] {
    ["matched", "skipped", "ended", "already_ended", "failed"].map(|name| &answer[name])
}

#[tokio::test]
async fn a_dry_run_200_says_what_matches_and_the_same_request_then_ends_it() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let devices = users(&app, 3).await;
    let dry = end(&app, &admin, "ip_address=127.0.0.0%2F8&dry_run=true").await.ok();
    assert_eq!((&dry["dry_run"], &dry["and_more"]), (&json!(true), &json!(false)));
    assert_eq!(counts(&dry), [&json!(3), &json!(1), &json!(0), &json!(0), &json!(0)]);
    assert_eq!(dry["items"].as_array().unwrap().len(), 3);
    for device in &devices {
        app.api.profile(&device.access).await.ok();
    }
    // What an administrator is shown of others is on record.
    let history = app.journal().history(admin.account()).await.unwrap();
    assert_eq!(history.last().unwrap().1.name(), "StaffRead");

    let act = "ip_address=127.0.0.0%2F8&expected=3&reason=a%20copied%20image&case=HD-7";
    let done = end(&app, &admin, act).await.ok();
    assert_eq!(counts(&done), [&json!(3), &json!(1), &json!(3), &json!(0), &json!(0)]);
    assert_eq!((&done["dry_run"], &done["items"]), (&json!(false), &json!([])));
    for device in &devices {
        app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
        let (_, event) = app.journal().history(device.account()).await.unwrap().pop().unwrap();
        let AccountFact::Session(SessionFact::LoggedOut { by, .. }) = event.fact else { panic!("{event:?}") };
        assert_eq!(by, Some(ActingStaff::Account(admin.account())));
        let person = event.person.unwrap();
        assert_eq!(person.reason.unwrap().as_str(), "a copied image");
        assert_eq!(person.case.unwrap().as_str(), "HD-7");
    }
    app.api.profile(&admin.access).await.ok();
    let again = end(&app, &admin, act).await.ok();
    assert_eq!(counts(&again), [&json!(0), &json!(1), &json!(0), &json!(0), &json!(0)]);
}

#[tokio::test]
async fn every_filter_of_the_list_selects_what_is_ended() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let devices = users(&app, 2).await;
    app.advance_time(120);
    let other = app.api.sign_in(PHONE).await;
    let account = other.account();
    let list = all(&app, &admin, &format!("{PATH}?account_id={account}")).await;
    let since = list[0]["signed_in_at"].as_str().unwrap().replace('+', "%2B");
    let matched = async |filter: &str| {
        end(&app, &admin, &format!("{filter}&dry_run=true")).await.ok()["matched"].as_u64().unwrap()
    };
    assert_eq!(matched(&format!("account_id={account}")).await, 1);
    assert_eq!(matched("phone_number=%2B989121234567").await, 1);
    assert_eq!(
        matched(&format!("phone_number=%2B989121234567&account_id={}", devices[0].account())).await,
        0
    );
    assert_eq!(matched("phone_number=%2B989129999999").await, 0);
    assert_eq!(matched("email=stranger%40example.com").await, 0);
    assert_eq!(matched("ip_address=192.0.2.0%2F24").await, 0);
    assert_eq!(matched(&format!("since={since}")).await, 1);
    assert_eq!(matched(&format!("until={since}")).await, 2);
    assert_eq!(matched(&format!("at={since}&active=true")).await, 3);
    assert_eq!(matched("device_name=no-such-device").await, 0);
    let answer = end(&app, &admin, &format!("until={since}&expected=2&reason=x")).await.ok();
    assert_eq!(answer["ended"], 2);
    app.api.profile(&other.access).await.ok();
}

#[tokio::test]
async fn nothing_is_ended_without_a_filter_a_reason_and_the_number_or_where_more_match() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    let account = format!("account_id={}", device.account());
    for (parameters, fields) in [
        ("expected=9&reason=x".to_owned(), vec!["account_id"]),
        ("dry_run=true".to_owned(), vec!["account_id"]),
        (account.clone(), vec!["expected", "reason"]),
        (format!("{account}&dry_run=false&expected=1"), vec!["reason"]),
        (format!("{account}&reason=x"), vec!["expected"]),
        (format!("{account}&reason=x&expected=-1"), vec!["expected"]),
        (format!("{account}&reason=x&expected=5001"), vec!["expected"]),
        (format!("{account}&reason=x&expected=1&active=false"), vec!["active"]),
        (format!("{account}&reason=x&expected=1&dry_run=maybe"), vec!["dry_run"]),
        (format!("{account}&reason=x&expected=1&name=x"), vec!["name"]),
        (format!("{account}&reason=x&expected=1&expected=2"), vec!["expected"]),
        (format!("{account}&reason=x&expected=1&ip_address=localhost"), vec!["ip_address"]),
        (format!("{account}&reason=x&expected=1&case={}", "x".repeat(65)), vec!["case"]),
    ] {
        end(&app, &admin, &parameters).await.refuses_fields(&fields);
    }
    let more = end(&app, &admin, &format!("{account}&reason=x&expected=0")).await;
    more.is_problem(409, "more_matched");
    assert_eq!(more.json()["matched"], 1);
    app.api.profile(&device.access).await.ok();
}

/// Each of two administrators on two nodes is told what they ended; no session is ended twice, and none is left.
#[tokio::test(flavor = "multi_thread")]
async fn two_bulk_ends_at_once_on_two_nodes_end_each_session_once() {
    let app = TestApp::start().await;
    let (other_node, _proxy) = app.second_node(&[]).await;
    let (admin, colleague) = (app.sign_in_admin(ADMIN).await, app.sign_in_admin("+989130000002").await);
    // The two do not match each other's request.
    app.advance_time(60);
    let since = app.clock.now().to_rfc3339().replace('+', "%2B");
    let devices = users(&app, 40).await;
    let act = format!("ip_address=127.0.0.0%2F8&since={since}&expected=40&reason=both");
    let (one, two) = tokio::join!(end(&app, &admin, &act), end(&other_node, &colleague, &act));
    let (one, two) = (one.ok(), two.ok());
    let sum = |name: &str| one[name].as_u64().unwrap() + two[name].as_u64().unwrap();
    assert_eq!((sum("ended"), sum("failed")), (40, 0), "{one} {two}");
    assert_eq!(sum("matched"), 40 + sum("already_ended"), "{one} {two}");
    for device in &devices {
        app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
        let ends = events_of(&app, device).await.iter().filter(|name| *name == "LoggedOut").count();
        assert_eq!(ends, 1);
    }
}
