//! Tests of DELETE `/accounts/identifiers/{identifier}/`.

use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::{EmailAddress, Identifier};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const PHONE: &str = "+989121234567";
const EMAIL: &str = "ada@example.com";

async fn remove(app: &TestApp, device: &SignedInDevice, identifier: &str) -> ApiAnswer {
    let path = format!("/accounts/identifiers/{identifier}/");
    ApiClient::send(app.api.request(Method::DELETE, &path).bearer_auth(&device.access)).await
}

async fn add_email(app: &TestApp, device: &SignedInDevice) {
    let email = json!({"email": EMAIL});
    let code = app.api.add_identifier(&device.access, &email).await.code();
    app.api.verify_identifier(&device.access, &email, &code).await.ok();
}

async fn count(app: &TestApp, of: &str) -> i64 {
    app.database.value(&format!("SELECT count(*) FROM {of}")).await
}

/// Another device of the account and the one that asks, with an address beside the number.
async fn two_devices(app: &TestApp) -> [SignedInDevice; 2] {
    let other = app.api.sign_in(PHONE).await;
    app.advance_time(60);
    let device = app.api.sign_in(PHONE).await;
    add_email(app, &device).await;
    app.advance_time(60);
    [other, device]
}

#[tokio::test]
async fn removal_204_takes_the_number_in_any_spelling_and_lets_another_account_have_it() {
    for spelling in ["+989121234567", "%2B98%20912%20123-4567", "0912%20123%204567", "%DB%B0%DB%B9121234567"]
    {
        let app = TestApp::start().await;
        let [other, device] = two_devices(&app).await;
        assert_eq!(remove(&app, &device, spelling).await.status, 204, "{spelling}");
        let profile = app.api.profile(&device.access).await.ok();
        assert_eq!((&profile["phone_number"], &profile["email"]), (&Value::Null, &json!(EMAIL)));
        app.api.profile(&other.access).await.is_problem(401, "invalid_access_token");
        assert_eq!(count(&app, "user_logins WHERE end_reason = 'identifier_removed'").await, 1);
        assert_eq!(count(&app, "identifiers").await, 1);
        remove(&app, &device, spelling).await.is_problem(404, "not_found");

        app.advance_time(60);
        let stranger = app.api.sign_in(PHONE).await;
        assert_ne!(stranger.account(), device.account());
        let code = app.api.post("/accounts/login/", json!({"email": EMAIL})).await.code();
        let again =
            app.api.post("/accounts/verify/", json!({"email": EMAIL, "code": code})).await.signed_in();
        assert_eq!(again.account(), device.account());
    }
}

#[tokio::test]
async fn a_removal_tells_both_identifiers_and_keeps_the_former_one_sealed() {
    let app = TestApp::start().await;
    let [_, device] = two_devices(&app).await;
    assert_eq!(remove(&app, &device, "Ada@Example.com").await.status, 204);
    for channel in ["phone", "email"] {
        let told = format!("outbox WHERE kind = 'identifier_removed' AND channel = '{channel}'");
        assert_eq!(count(&app, &told).await, 1, "{channel}");
    }
    let history = app.journal().history(device.account()).await.unwrap();
    let former = |(_, event): &(i64, UserAccountEvent)| {
        event.released()?;
        event.person.clone()
    };
    let person = history.iter().find_map(former).unwrap();
    let email = Identifier::Email(EmailAddress::parse(EMAIL).unwrap());
    assert_eq!((person.identifier, person.former), (None, Some(email)));
    let plain =
        "SELECT count(*) FROM events WHERE payload::text LIKE '%ada@%' OR metadata::text LIKE '%ada@%'";
    assert_eq!(app.database.value::<i64>(plain).await, 0);

    // It can be added again, and removed again.
    add_email(&app, &device).await;
    assert_eq!(remove(&app, &device, EMAIL).await.status, 204);
}

#[tokio::test]
async fn a_removal_voids_the_code_that_was_sent_to_the_identifier() {
    let app = TestApp::start().await;
    let [_, device] = two_devices(&app).await;
    let code = app.api.post("/accounts/login/", json!({"email": EMAIL})).await.code();
    assert_eq!(remove(&app, &device, EMAIL).await.status, 204);
    let verify = json!({"email": EMAIL, "code": code});
    app.api.post("/accounts/verify/", verify).await.is_problem(400, "invalid_code");
}

#[tokio::test]
async fn removal_409_for_the_last_identifier_and_404_for_any_that_is_not_the_caller_s() {
    let app = TestApp::start().await;
    let (device, other) = (app.api.sign_in(PHONE).await, app.api.sign_in("+989121234568").await);
    let written = count(&app, "events").await;
    remove(&app, &device, PHONE).await.is_problem(409, "last_identifier");
    for foreign in ["+989121234568", "+989121234569", EMAIL, "ada%40", "x", "%00", "12", "%2E%2E"] {
        remove(&app, &device, foreign).await.is_problem(404, "not_found");
    }
    assert_eq!(count(&app, "events").await, written);
    app.api.profile(&other.access).await.ok();
}

#[tokio::test]
async fn removal_401_without_a_session_that_was_proved_within_ten_minutes() {
    let app = TestApp::with_settings(&[("tokens.access_lifetime", "3600")]).await;
    let [other, device] = two_devices(&app).await;
    app.advance_time(10 * 60);
    for device in [&device, &other] {
        for identifier in [EMAIL, "+989121234569"] {
            let refused = remove(&app, device, identifier).await;
            refused.is_problem(401, "fresh_proof_required");
            let challenge = r#"Bearer error="insufficient_user_authentication", max_age=600"#;
            assert_eq!(refused.header("www-authenticate"), Some(challenge));
        }
    }
    let path = format!("/accounts/identifiers/{EMAIL}/");
    ApiClient::send(app.api.request(Method::DELETE, &path)).await.is_problem(401, "not_authenticated");
    app.api.logout(&device.refresh).await;
    remove(&app, &device, EMAIL).await.is_problem(401, "invalid_access_token");
    assert_eq!(count(&app, "identifiers").await, 2);
}
