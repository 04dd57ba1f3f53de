//! Tests of POST `/accounts/refresh/`.

use counterfoil::runtime::clock::Clock as _;
use counterfoil::tokens::{Token, TokenKind};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, TestApp};

const PATH: &str = "/accounts/refresh/";
const PHONE: &str = "+989121234567";
const DAY: i64 = 24 * 3600;

fn refresh_token(answer: &ApiAnswer) -> String {
    answer.ok()["refresh_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn refresh_200_gives_the_next_pair() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    app.advance_time(1);
    let answer = app.api.refresh(&device.refresh).await;
    assert_eq!(
        answer.names(""),
        ["access_token", "expires_in", "refresh_expires_in", "refresh_token", "token_type"]
    );
    let body = answer.ok();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!((&body["expires_in"], &body["refresh_expires_in"]), (&json!(600), &json!(30 * DAY)));
    assert!(body["access_token"] != device.access && body["refresh_token"] != device.refresh);
    // Until it expires by itself, the access token that the device had goes on working.
    for access in [&device.access, body["access_token"].as_str().unwrap()] {
        assert_eq!(app.api.profile(access).await.ok(), device.user);
        app.api.token_verify(access).await.ok();
    }
}

#[tokio::test]
async fn refresh_200_works_for_each_next_token_in_turn() {
    let app = TestApp::start().await;
    let mut token = app.api.sign_in(PHONE).await.refresh;
    for _ in 0..20 {
        app.advance_time(DAY);
        token = refresh_token(&app.api.refresh(&token).await);
    }
}

/// What a refresh token says, whenever it expires.
fn opened(app: &TestApp, token: &str) -> Token {
    app.state.tokens.open_expired(TokenKind::Refresh, token, app.clock.now()).unwrap()
}

#[tokio::test]
async fn refresh_200_gives_the_same_generation_again_when_the_answer_was_lost() {
    let app = TestApp::start().await;
    let first = app.api.sign_in(PHONE).await.refresh;
    let second = refresh_token(&app.api.refresh(&first).await);
    for _ in 0..3 {
        app.advance_time(3);
        let again = refresh_token(&app.api.refresh(&first).await);
        assert_eq!(opened(&app, &again), opened(&app, &second));
        app.api.token_verify(&again).await.ok();
    }
    app.api.refresh(&second).await.ok();
}

#[tokio::test]
async fn refresh_400_for_a_stolen_token_ends_the_session_of_both() {
    for (wait, used) in [(60, 1), (0, 2)] {
        let app = TestApp::start().await;
        let device = app.api.sign_in(PHONE).await;
        app.advance_time(60);
        let other = app.api.sign_in(PHONE).await;
        let mut newest = app.api.refresh(&device.refresh).await;
        for _ in 1..used {
            newest = app.api.refresh(&refresh_token(&newest)).await;
        }
        app.advance_time(wait);
        // The owner or the thief: the second caller to present the same token.
        app.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
        app.api.refresh(&refresh_token(&newest)).await.is_problem(400, "invalid_token");
        for access in [&device.access, newest.ok()["access_token"].as_str().unwrap()] {
            app.api.profile(access).await.is_problem(401, "invalid_access_token");
        }
        app.api.profile(&other.access).await.ok();
        app.api.refresh(&other.refresh).await.ok();
        let detected = "SELECT count(*) FROM events WHERE event_type = 'TokenReuseDetected'";
        assert_eq!(app.database.value::<i64>(detected).await, 1);
        let reason = "SELECT end_reason FROM user_logins WHERE ended_at IS NOT NULL";
        assert_eq!(app.database.value::<String>(reason).await, "token_reuse");
    }
}

#[tokio::test]
async fn refresh_400_for_an_expired_token() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    app.advance_time(30 * DAY - 1);
    let next = refresh_token(&app.api.refresh(&device.refresh).await);
    app.advance_time(30 * DAY);
    app.api.refresh(&next).await.is_problem(400, "invalid_token");
}

#[tokio::test]
async fn refresh_400_for_a_session_past_its_idle_lifetime() {
    let app = TestApp::with_settings(&[("sessions.idle", "60"), ("sessions.absolute", "120")]).await;
    let code = app.api.login(PHONE).await.code();
    let signed_in = app.api.verify(PHONE, &code).await;
    let token = &signed_in.ok()["token"];
    assert_eq!((&token["expires_in"], &token["refresh_expires_in"]), (&json!(60), &json!(60)));
    app.advance_time(60);
    app.api.refresh(&signed_in.signed_in().refresh).await.is_problem(400, "invalid_token");
}

#[tokio::test]
async fn refresh_400_for_a_session_past_its_absolute_lifetime_though_it_was_refreshed() {
    let app = TestApp::with_settings(&[("sessions.idle", "60"), ("sessions.absolute", "120")]).await;
    let mut token = app.api.sign_in(PHONE).await.refresh;
    for left in [60, 20, 1] {
        app.advance_time(if left == 1 { 19 } else { 50 });
        let answer = app.api.refresh(&token).await;
        let body = answer.ok();
        assert_eq!((&body["expires_in"], &body["refresh_expires_in"]), (&json!(left), &json!(left)));
        token = refresh_token(&answer);
    }
    app.advance_time(1);
    app.api.refresh(&token).await.is_problem(400, "invalid_token");
}

#[tokio::test]
async fn refresh_400_is_the_same_for_every_text_that_is_no_refresh_token_of_this_service() {
    let (app, elsewhere) = (TestApp::start().await, TestApp::start().await);
    let device = app.api.sign_in(PHONE).await;
    let foreign = elsewhere.api.sign_in(PHONE).await.refresh;
    let other_kind = device.refresh.replacen("cfr", "cfa", 1);
    let access_renamed = device.access.replacen("cfa", "cfr", 1);
    let seen = app.api.refresh("").await.appearance();
    for token in [
        "x",
        "\0",
        "🙂",
        "null",
        "cfr_1_00000000_AAAA",
        &"x".repeat(10_000),
        &device.access,
        &access_renamed,
        &other_kind,
        &foreign,
        &device.refresh[1..],
        &device.refresh[..device.refresh.len() - 1],
        &format!("{}A", device.refresh),
        &format!("{}=", device.refresh),
        &format!(" {}", device.refresh),
        &format!("Bearer {}", device.refresh),
    ] {
        let answer = app.api.refresh(token).await;
        answer.is_problem(400, "invalid_token");
        assert_eq!(answer.appearance(), seen, "{token}");
    }
    app.api.refresh(&device.refresh).await.ok();
}

#[tokio::test]
async fn refresh_400_names_each_wrong_field() {
    let app = TestApp::start().await;
    for odd in [Value::Null, json!(5), json!(true), json!(["x"]), json!({"a": 1})] {
        app.api.post(PATH, json!({"refresh_token": odd})).await.refuses_fields(&["refresh_token"]);
    }
    app.api.post(PATH, json!({})).await.refuses_fields(&["refresh_token"]);
    let device = app.api.sign_in(PHONE).await;
    let with_more = json!({"refresh_token": device.refresh, "access_token": device.access});
    app.api.post(PATH, with_more).await.refuses_fields(&["access_token"]);
    app.api.refresh(&device.refresh).await.ok();
}

/// Refreshes on a device that sends such a `User-Agent` header.
async fn refresh_from(app: &TestApp, token: &str, user_agent: &str) -> ApiAnswer {
    let request = app.api.request(Method::POST, PATH).header("user-agent", user_agent);
    ApiClient::send(request.json(&json!({"refresh_token": token}))).await
}

#[tokio::test]
async fn refresh_200_from_another_device_is_on_record() {
    let app = TestApp::start().await;
    let first = app.api.sign_in(PHONE).await.refresh;
    let second = refresh_token(&refresh_from(&app, &first, "Notes/1.0").await);
    let third = refresh_token(&refresh_from(&app, &second, "Notes/1.1").await);
    let changed = "SELECT count(*) FROM events WHERE event_type = 'ClientChanged'";
    assert_eq!(app.database.value::<i64>(changed).await, 1);
    refresh_from(&app, &third, "curl/8.5.0").await.ok();
    assert_eq!(app.database.value::<i64>(changed).await, 2);
    let apart = "SELECT count(*) FROM events c JOIN events r USING (aggregate_id, transaction_id)
                  WHERE c.event_type = 'ClientChanged' AND r.event_type = 'TokenRefreshed'";
    assert_eq!(app.database.value::<i64>(apart).await, 2, "in the commit of the refresh");
}

#[tokio::test]
async fn refresh_400_from_another_device_ends_a_session_that_is_bound_to_its_own() {
    for binding in ["device", "device_and_ip"] {
        let app = TestApp::with_settings(&[("sessions.binding", binding)]).await;
        let device = app.api.sign_in(PHONE).await;
        let next = refresh_token(&app.api.refresh(&device.refresh).await);
        let refused = refresh_from(&app, &next, "Notes/1.0").await;
        refused.is_problem(400, "invalid_token");
        assert_eq!(refused.appearance(), app.api.refresh("x").await.appearance());
        app.api.refresh(&next).await.is_problem(400, "invalid_token");
        app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
        let reason: String = app.database.value("SELECT end_reason FROM user_logins").await;
        assert_eq!(reason, "client_changed");
    }
}

#[tokio::test]
async fn refresh_200_again_and_again_with_the_first_token_where_rotation_is_off() {
    let app = TestApp::with_settings(&[("sessions.rotation", "off")]).await;
    let device = app.api.sign_in(PHONE).await;
    for _ in 0..3 {
        app.advance_time(DAY);
        let answer = app.api.refresh(&device.refresh).await;
        app.api.profile(answer.ok()["access_token"].as_str().unwrap()).await.ok();
        // Who does take the new one may.
        app.api.refresh(&refresh_token(&answer)).await.ok();
    }
    // It works until it expires by itself.
    app.advance_time(27 * DAY);
    app.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
}
