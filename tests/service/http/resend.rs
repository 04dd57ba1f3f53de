//! Tests of POST `/accounts/verify/resend/`.

use serde_json::json;

use super::wrong;
use crate::support::TestApp;

const PATH: &str = "/accounts/verify/resend/";
const PHONE: &str = "+989121234567";
const EMAIL: &str = "ada@example.com";

#[tokio::test]
async fn resend_200_sends_the_same_code_while_it_has_a_minute_to_live() {
    let app = TestApp::start().await;
    let sent = app.api.login(PHONE).await;
    for (waited, left) in [(60, 240), (180, 60)] {
        app.advance_time(waited);
        let again = app.api.resend("0912 123 4567").await;
        assert_eq!(again.names(""), sent.names(""));
        assert_eq!(again.code(), sent.code());
        let body = again.ok();
        assert_eq!((&body["expires_in"], &body["resend_after"]), (&json!(left), &json!(60)));
    }
    app.advance_time(59);
    app.api.verify(PHONE, &sent.code()).await.ok();
}

#[tokio::test]
async fn resend_200_sends_a_new_code_in_the_last_minute_of_the_old() {
    let app = TestApp::start().await;
    let old = app.api.login(PHONE).await.code();
    app.advance_time(241);
    let new = app.api.resend(PHONE).await;
    assert_ne!(new.code(), old);
    assert_eq!(new.ok()["expires_in"], 300);
    app.api.verify(PHONE, &old).await.is_problem(400, "invalid_code");
    app.advance_time(299);
    app.api.verify(PHONE, &new.code()).await.ok();
}

#[tokio::test]
async fn resend_200_to_an_email_address() {
    let app = TestApp::start().await;
    let code = app.api.post("/accounts/login/", json!({"email": EMAIL})).await.code();
    app.advance_time(60);
    let again = app.api.post(PATH, json!({"email": "ADA@example.com"})).await;
    assert_eq!(again.code(), code);
}

#[tokio::test]
async fn resend_200_keeps_the_name_of_a_new_account() {
    let app = TestApp::start().await;
    let body = json!({"phone_number": PHONE, "fullname": "Ada"});
    app.api.post("/accounts/login/", body).await.ok();
    app.advance_time(60);
    let code = app.api.resend(PHONE).await.code();
    assert_eq!(app.api.verify(PHONE, &code).await.signed_in().user["fullname"], "Ada");
}

#[tokio::test]
async fn resend_400_names_each_wrong_field() {
    let app = TestApp::start().await;
    for (body, fields) in [
        (json!({}), &["phone_number"][..]),
        (json!({"phone_number": 5}), &["phone_number"]),
        (json!({"phone_number": "+982188776655"}), &["phone_number"]),
        (json!({"email": "ada"}), &["email"]),
        (json!({"phone_number": PHONE, "email": EMAIL}), &["email", "phone_number"]),
        (json!({"phone_number": PHONE, "fullname": "Ada"}), &["fullname"]),
    ] {
        app.api.post(PATH, body).await.refuses_fields(fields);
    }
}

#[tokio::test]
async fn resend_406_without_a_pending_code() {
    let app = TestApp::start().await;
    let never_asked_for = app.api.resend(PHONE).await;

    app.api.sign_in(PHONE).await;
    let redeemed = app.api.resend(PHONE).await;

    app.advance_time(60);
    app.api.login(PHONE).await.ok();
    app.advance_time(300);
    let expired = app.api.resend(PHONE).await;

    let code = app.api.login(PHONE).await.code();
    for _ in 0..5 {
        app.api.verify(PHONE, &wrong(&code)).await.is_problem(400, "invalid_code");
    }
    let used_up = app.api.resend(PHONE).await;

    for answer in [&redeemed, &expired, &used_up] {
        answer.is_problem(406, "no_pending_code");
        assert_eq!(answer.appearance(), never_asked_for.appearance());
    }
}

#[tokio::test]
async fn resend_406_when_asked_again_too_soon() {
    let app = TestApp::start().await;
    app.api.login(PHONE).await.ok();
    for (waited, left) in [(0, 60), (59, 1)] {
        app.advance_time(waited);
        let answer = app.api.resend(PHONE).await;
        answer.is_problem(406, "code_too_soon");
        assert_eq!(answer.retry_after(), Some(left));
    }
    app.advance_time(1);
    app.api.resend(PHONE).await.ok();
    app.api.resend(PHONE).await.is_problem(406, "code_too_soon");
    app.api.login(PHONE).await.is_problem(406, "code_too_soon");
}

#[tokio::test]
async fn resend_406_when_ten_codes_were_sent_in_24_hours() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        app.api.login(PHONE).await.ok();
        app.advance_time(60);
        app.api.resend(PHONE).await.ok();
        app.advance_time(60);
    }
    for answer in [app.api.resend(PHONE).await, app.api.login(PHONE).await] {
        answer.is_problem(406, "code_quota_spent");
        assert_eq!(answer.retry_after(), Some(24 * 3600 - 600));
    }
}

#[tokio::test]
async fn resend_never_resets_the_count_of_wrong_tries() {
    let app = TestApp::with_settings(&[("codes.wrong_per_hour", "100")]).await;
    // Once of the same code, once of a new one.
    for waited in [60, 241] {
        let code = app.api.login(PHONE).await.code();
        for _ in 0..3 {
            app.api.verify(PHONE, &wrong(&code)).await.is_problem(400, "invalid_code");
        }
        app.advance_time(waited);
        let code = app.api.resend(PHONE).await.code();
        for code in [&wrong(&code), &wrong(&code), &code] {
            app.api.verify(PHONE, code).await.is_problem(400, "invalid_code");
        }
        app.advance_time(60);
    }
}
