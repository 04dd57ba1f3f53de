//! Tests of POST `/accounts/logout/all/`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const PATH: &str = "/accounts/logout/all/";
const PHONE: &str = "+989121234567";

async fn logout_all(app: &TestApp, device: &SignedInDevice, body: Value) -> ApiAnswer {
    ApiClient::send(app.api.request(Method::POST, PATH).bearer_auth(&device.access).json(&body)).await
}

/// Three devices of one person, and one of another.
async fn start() -> (TestApp, [SignedInDevice; 3], SignedInDevice) {
    let app = TestApp::start().await;
    let foreign = app.api.sign_in("+989121234568").await;
    let mut devices = Vec::new();
    for _ in 0..3 {
        devices.push(app.api.sign_in(PHONE).await);
        app.advance_time(60);
    }
    (app, devices.try_into().unwrap(), foreign)
}

async fn is_signed_in(app: &TestApp, device: &SignedInDevice) -> bool {
    let answers = [
        app.api.profile(&device.access).await.status == 200,
        app.api.token_verify(&device.access).await.status == 200,
        app.api.token_verify(&device.refresh).await.status == 200,
        app.api.refresh(&device.refresh).await.status == 200,
    ];
    assert!(answers.iter().all(|works| *works == answers[0]), "{answers:?}");
    answers[0]
}

#[tokio::test]
async fn logout_all_204_ends_every_session_at_once() {
    for body in [json!({}), json!({"keep_current": false}), json!({"keep_current": null})] {
        let (app, devices, foreign) = start().await;
        let answer = logout_all(&app, &devices[1], body).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
        for device in &devices {
            assert!(!is_signed_in(&app, device).await);
        }
        assert!(is_signed_in(&app, &foreign).await);
        let reasons = "SELECT count(*) FROM user_logins WHERE end_reason = 'signed_out_everywhere'";
        assert_eq!(app.database.value::<i64>(reasons).await, 3);
    }
}

#[tokio::test]
async fn logout_all_204_keeps_the_current_session_where_it_is_asked_to() {
    let (app, devices, foreign) = start().await;
    for _ in 0..2 {
        let answer = logout_all(&app, &devices[1], json!({"keep_current": true})).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    }
    assert_eq!(
        app.database.value::<i64>("SELECT count(*) FROM events WHERE event_type = 'LoggedOut'").await,
        2
    );
    for (device, kept) in devices.iter().zip([false, true, false]) {
        assert_eq!(is_signed_in(&app, device).await, kept);
    }
    assert!(is_signed_in(&app, &foreign).await);
}

#[tokio::test]
async fn logout_all_400_names_each_wrong_field() {
    let (app, devices, _) = start().await;
    for odd in [json!("true"), json!(1), json!([true]), json!({"a": true})] {
        let answer = logout_all(&app, &devices[0], json!({"keep_current": odd})).await;
        answer.refuses_fields(&["keep_current"]);
    }
    logout_all(&app, &devices[0], json!({"keep": "x"})).await.refuses_fields(&["keep"]);
    for device in &devices {
        assert!(is_signed_in(&app, device).await);
    }
}

#[tokio::test]
async fn logout_all_401_without_a_token_and_again_after_it_is_done() {
    let (app, devices, _) = start().await;
    app.api.post(PATH, json!({})).await.is_problem(401, "not_authenticated");
    assert_eq!(logout_all(&app, &devices[0], json!({})).await.status, 204);
    for device in &devices {
        logout_all(&app, device, json!({})).await.is_problem(401, "invalid_access_token");
    }
}

#[tokio::test]
async fn logout_all_403_for_a_cookie_from_another_site() {
    let (app, devices, _) = start().await;
    let request = || {
        let cookie = format!("Authorization=Bearer {}", devices[0].access);
        app.api.request(Method::POST, PATH).header("cookie", cookie).json(&json!({}))
    };
    ApiClient::send(request().header("origin", "https://evil.example"))
        .await
        .is_problem(403, "cross_site_request");
    assert!(is_signed_in(&app, &devices[1]).await);
    assert_eq!(ApiClient::send(request().header("sec-fetch-site", "same-origin")).await.status, 204);
    assert!(!is_signed_in(&app, &devices[1]).await);
}
