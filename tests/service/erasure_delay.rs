//! Erasures that wait: for a delay, which a sign-in cancels, and for the end of a legal hold.

use counterfoil::app::delete_expired;
use counterfoil::read_models::{Projection, rebuild};
use counterfoil::runtime::clock::Clock as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const ADMIN: &str = "+989130000001";
const PHONE: &str = "+989121234567";
const WEEK: i64 = 7 * 24 * 3_600;

async fn with_delay() -> TestApp {
    TestApp::with_settings(&[("privacy.erasure_delay", "604800")]).await
}

async fn erase_own(app: &TestApp, device: &SignedInDevice) -> ApiAnswer {
    ApiClient::send(app.api.request(Method::DELETE, "/accounts/profile/").bearer_auth(&device.access)).await
}

async fn erase(app: &TestApp, admin: &SignedInDevice, device: &SignedInDevice) -> ApiAnswer {
    let path = format!("/admin/accounts/{}/erase/", device.account());
    app.api.post_as(admin, &path, json!({"reason": "asked by letter"})).await
}

/// The body of an answer that has to be 202.
fn postponed(answer: &ApiAnswer) -> Value {
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()
}

async fn is_erased(app: &TestApp, device: &SignedInDevice) -> bool {
    let (_, last) = app.journal().history(device.account()).await.unwrap().pop().unwrap();
    last.name() == "AccountErased"
}

async fn read_models_agree_with_the_log(app: &TestApp) {
    let models: Vec<_> = Projection::all().filter_map(|model| model.immediate()).collect();
    let checked = rebuild::check(&app.journal(), &models, app.clock.now(), &mut |_| {}).await.unwrap();
    assert!(checked.iter().all(|model| model.differing == 0), "{checked:?}");
}

#[tokio::test]
async fn a_user_is_signed_out_at_once_and_erased_after_the_delay() {
    let app = with_delay().await;
    let device = app.api.sign_in(PHONE).await;
    let answer = postponed(&erase_own(&app, &device).await);
    let due_at = (app.clock.now() + chrono::TimeDelta::seconds(WEEK)).to_rfc3339();
    let due_at = due_at.replace("+00:00", "Z");
    assert_eq!(answer, json!({"account_id": device.account(), "due_at": due_at, "legal_hold": false}));
    app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
    app.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
    read_models_agree_with_the_log(&app).await;

    app.advance_time(WEEK - 1);
    delete_expired(&app.state).await;
    assert!(!is_erased(&app, &device).await);
    app.advance_time(1);
    let (beside, _proxy) = app.second_node(&[]).await;
    tokio::join!(delete_expired(&app.state), delete_expired(&beside.state));
    assert!(is_erased(&app, &device).await);
    let keys = format!("SELECT count(*) FROM account_keys WHERE account_id = '{}'", device.account());
    assert_eq!(app.database.value::<i64>(&keys).await, 0);
    let erased = "SELECT count(*) FROM events WHERE event_type = 'AccountErased'";
    assert_eq!(app.database.value::<i64>(erased).await, 1);
    assert_ne!(app.api.sign_in(PHONE).await.account(), device.account());
}

#[tokio::test]
async fn a_sign_in_before_its_time_keeps_the_account_and_its_number() {
    let app = with_delay().await;
    let device = app.api.sign_in(PHONE).await;
    postponed(&erase_own(&app, &device).await);
    app.advance_time(WEEK - 60);
    let again = app.api.sign_in(PHONE).await;
    assert_eq!(again.account(), device.account());
    let names: Vec<_> = app.journal().history(device.account()).await.unwrap();
    let names: Vec<&str> = names.iter().rev().take(2).map(|(_, event)| event.name()).collect();
    assert_eq!(names, ["LoggedIn", "ErasureCancelled"]);
    app.advance_time(120);
    delete_expired(&app.state).await;
    app.api.profile(&again.access).await.ok();
    read_models_agree_with_the_log(&app).await;
}

#[tokio::test]
async fn the_number_of_an_account_that_waits_stays_taken() {
    let app = with_delay().await;
    let (device, other) = (app.api.sign_in(PHONE).await, app.api.sign_in("+989121234568").await);
    postponed(&erase_own(&app, &device).await);
    app.advance_time(60);
    let number = json!({"phone_number": PHONE});
    let code = app.api.add_identifier(&other.access, &number).await.code();
    let taken = app.api.verify_identifier(&other.access, &number, &code).await;
    taken.is_problem(409, "identifier_taken");
}

#[tokio::test]
async fn staff_see_when_an_account_is_erased_and_an_order_that_waits_is_not_given_twice() {
    let app = with_delay().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let device = app.api.sign_in(PHONE).await;
    let answer = postponed(&erase(&app, &admin, &device).await);
    app.advance_time(60);
    assert_eq!(postponed(&erase(&app, &admin, &device).await), answer, "the same the second time");
    let page = format!("/admin/accounts/{}/", device.account());
    let shown = app.api.get(&page, &admin.access).await.ok();
    assert_eq!((&shown["erasure_due_at"], &shown["devices"]), (&answer["due_at"], &json!([])));
    app.advance_time(WEEK);
    delete_expired(&app.state).await;
    let (_, last) = app.journal().history(device.account()).await.unwrap().pop().unwrap();
    assert_eq!(last.by(), Some(counterfoil_domain::user_account::ActingStaff::Account(admin.account())));
    let ordered = "SELECT count(*) FROM events WHERE event_type = 'ErasureOrdered'";
    assert_eq!(app.database.value::<i64>(ordered).await, 1);
}

pub async fn hold(app: &TestApp, admin: &SignedInDevice, device: &SignedInDevice, days: i64) -> String {
    let until = (app.clock.now() + chrono::TimeDelta::days(days)).to_rfc3339().replace("+00:00", "Z");
    let path = format!("/admin/accounts/{}/hold/", device.account());
    let body = json!({"reason": "order of the court", "case": "HD-1", "until": until});
    assert_eq!(app.api.post_as(admin, &path, body).await.status, 204);
    until
}

pub async fn release(app: &TestApp, admin: &SignedInDevice, device: &SignedInDevice) -> ApiAnswer {
    let path = format!("/admin/accounts/{}/hold/", device.account());
    app.api.send_json(Method::DELETE, &path, &admin.access, json!({"reason": "closed"})).await
}

#[tokio::test]
async fn a_hold_postpones_the_erasure_of_user_and_staff_and_says_so() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let [by_user, by_staff] = [app.api.sign_in(PHONE).await, app.api.sign_in("+989121234568").await];
    for device in [&by_user, &by_staff] {
        let until = hold(&app, &admin, device, 2).await;
        let page = format!("/admin/accounts/{}/", device.account());
        let shown = app.api.get(&page, &admin.access).await.ok();
        let expected = json!({"until": until, "placed_by": {"account": admin.account()}});
        assert_eq!((&shown["legal_hold"], &shown["erasure_due_at"]), (&expected, &Value::Null));
        app.api.profile(&device.access).await.ok();
        let answer = match device.account() == by_user.account() {
            true => erase_own(&app, device).await,
            false => erase(&app, &admin, device).await,
        };
        let expected = json!({"account_id": device.account(), "due_at": until, "legal_hold": true});
        assert_eq!(postponed(&answer), expected);
        app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
        delete_expired(&app.state).await;
        assert!(!is_erased(&app, device).await);
    }
    // One hold is released, the other one ends.
    assert_eq!(release(&app, &admin, &by_user).await.status, 204);
    delete_expired(&app.state).await;
    assert!(is_erased(&app, &by_user).await && !is_erased(&app, &by_staff).await);
    app.advance_time(2 * 24 * 3_600);
    delete_expired(&app.state).await;
    assert!(is_erased(&app, &by_staff).await);
}

#[tokio::test]
async fn a_hold_keeps_an_account_whose_delay_is_over_until_its_user_signs_in() {
    let app = with_delay().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let device = app.api.sign_in(PHONE).await;
    postponed(&erase_own(&app, &device).await);
    hold(&app, &admin, &device, 30).await;
    app.advance_time(WEEK + 60);
    delete_expired(&app.state).await;
    assert!(!is_erased(&app, &device).await);
    let again = app.api.sign_in(PHONE).await;
    assert_eq!(again.account(), device.account());
    app.advance_time(60 * 24 * 3_600);
    delete_expired(&app.state).await;
    assert!(!is_erased(&app, &device).await);
}

#[tokio::test]
async fn who_holds_or_releases_which_account_is_checked() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let device = app.api.sign_in(PHONE).await;
    let path = format!("/admin/accounts/{}/hold/", device.account());
    let body = |until: &str| json!({"reason": "order of the court", "until": until});
    app.api
        .post_as(&admin, &path, json!({"until": "2100-01-01T00:00:00Z"}))
        .await
        .refuses_fields(&["reason"]);
    app.api.post_as(&admin, &path, json!({"reason": "a court"})).await.refuses_fields(&["until"]);
    app.api.post_as(&admin, &path, body("2020-01-01T00:00:00Z")).await.refuses_fields(&["until"]);
    app.api.post_as(&admin, &path, body("soon")).await.refuses_fields(&["until"]);
    app.api.post_as(&device, &path, body("2100-01-01T00:00:00Z")).await.is_problem(403, "forbidden");
    let own = format!("/admin/accounts/{}/hold/", admin.account());
    app.api.post_as(&admin, &own, body("2100-01-01T00:00:00Z")).await.is_problem(409, "own_account");
    assert_eq!(release(&app, &admin, &device).await.status, 204, "there is none to release");
    hold(&app, &admin, &device, 1).await;
    assert_eq!(release(&app, &admin, &device).await.status, 204);
    let history = app.journal().history(device.account()).await.unwrap();
    let [(_, placed), (_, released)] = &history[history.len() - 2..] else { panic!("{history:?}") };
    assert_eq!((placed.name(), released.name()), ("LegalHoldPlaced", "LegalHoldReleased"));
    for event in [placed, released] {
        assert!(event.by().is_some() && event.person.as_ref().unwrap().reason.is_some(), "{event:?}");
    }
}
