//! Tests of POST `/accounts/logout/`.

use serde_json::json;

use crate::support::TestApp;

const PHONE: &str = "+989121234567";

#[tokio::test]
async fn logout_ends_the_refresh_token_and_the_access_token_at_once() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    assert_eq!(app.api.logout(&device.refresh).await.status, 204);
    app.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
    app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
    app.api.token_verify(&device.access).await.is_problem(400, "invalid_token");
    app.api.token_verify(&device.refresh).await.is_problem(400, "invalid_token");
}

#[tokio::test]
async fn a_repeated_logout_answers_the_same_and_is_recorded_once() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    for _ in 0..3 {
        assert_eq!(app.api.logout(&device.refresh).await.status, 204);
    }
    let recorded: i64 =
        app.database.value("SELECT count(*) FROM events WHERE event_type = 'LoggedOut'").await;
    assert_eq!(recorded, 1);
}

#[tokio::test]
async fn logout_takes_the_token_under_the_name_that_older_clients_use() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    let answer = app.api.post("/accounts/logout/", json!({"token": device.refresh})).await;
    assert_eq!(answer.status, 204);
    app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
}

#[tokio::test]
async fn logout_takes_a_spent_and_an_expired_refresh_token() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    app.api.refresh(&device.refresh).await.ok();
    app.advance_time(31 * 24 * 3600);
    assert_eq!(app.api.logout(&device.refresh).await.status, 204);
}

#[tokio::test]
async fn logout_of_a_token_that_the_service_never_issued_is_invalid_token() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    for token in ["", "x", "cfr_1_00000000_AAAA", device.access.as_str(), &device.refresh[1..]] {
        app.api.logout(token).await.is_problem(400, "invalid_token");
    }
    app.api.profile(&device.access).await.ok();
}

#[tokio::test]
async fn logout_without_a_token_names_the_field() {
    let app = TestApp::start().await;
    app.api.post("/accounts/logout/", json!({})).await.refuses_fields(&["refresh_token"]);
    app.api.post("/accounts/logout/", json!({"token": 5})).await.refuses_fields(&["token"]);
    let both = json!({"token": "x", "refresh_token": "y"});
    app.api.post("/accounts/logout/", both).await.refuses_fields(&["token"]);
}
