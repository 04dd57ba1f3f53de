//! Tests of POST `/accounts/verify/`.

use chrono::DateTime;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::wrong;
use crate::support::{ApiClient, SignedInDevice, TestApp};

const PATH: &str = "/accounts/verify/";
const PHONE: &str = "+989121234567";
const OTHER: &str = "+989121234568";
const EMAIL: &str = "ada@example.com";

#[tokio::test]
async fn verify_200_gives_the_profile_and_the_tokens() {
    let app = TestApp::start().await;
    let code = app.api.login(PHONE).await.code();
    let answer = app.api.verify(PHONE, &code).await;
    assert_eq!(answer.names(""), ["token", "user"]);
    assert_eq!(
        answer.names("/user"),
        ["date_joined", "email", "fullname", "id", "is_active", "last_login", "phone_number"]
    );
    assert_eq!(
        answer.names("/token"),
        ["access_token", "expires_in", "refresh_expires_in", "refresh_token", "token_type"]
    );
    let body = answer.ok();
    let (user, token) = (&body["user"], &body["token"]);
    assert_eq!((&user["phone_number"], &user["email"]), (&json!(PHONE), &Value::Null));
    assert_eq!((&user["fullname"], &user["is_active"]), (&Value::Null, &json!(true)));
    assert_eq!(Uuid::parse_str(user["id"].as_str().unwrap()).unwrap().get_version_num(), 7);
    for time in [&user["date_joined"], &user["last_login"]].map(|time| time.as_str().unwrap()) {
        assert!(DateTime::parse_from_rfc3339(time).is_ok() && time.ends_with('Z'), "{time}");
    }
    assert_eq!(token["token_type"], "Bearer");
    assert_eq!((&token["expires_in"], &token["refresh_expires_in"]), (&json!(600), &json!(30 * 24 * 3600)));
    assert_eq!(app.api.profile(&answer.signed_in().access).await.ok(), *user);
}

#[tokio::test]
async fn verify_200_until_the_code_expires() {
    let app = TestApp::start().await;
    for (waited, status) in [(299, 200), (300, 400)] {
        let code = app.api.login(PHONE).await.code();
        app.advance_time(waited);
        assert_eq!(app.api.verify(PHONE, &code).await.status, status, "after {waited} s");
    }
}

#[tokio::test]
async fn verify_200_changes_the_last_login_and_not_the_day_of_joining() {
    let app = TestApp::start().await;
    let first = app.api.sign_in(PHONE).await.user;
    assert_eq!(first["last_login"], first["date_joined"]);
    app.advance_time(3600);
    let second = app.api.sign_in(PHONE).await.user;
    assert_eq!(second["date_joined"], first["date_joined"]);
    let time = |user: &Value| DateTime::parse_from_rfc3339(user["last_login"].as_str().unwrap()).unwrap();
    assert_eq!((time(&second) - time(&first)).num_seconds(), 3600);
}

#[tokio::test]
async fn verify_200_for_digits_of_every_script() {
    let app = TestApp::with_settings(&[("codes.resend_after", "0")]).await;
    for zero in ['0', '۰', '٠', '０'] {
        let code = app.api.login(PHONE).await.code();
        let digits = code.bytes().map(|digit| char::from_u32(u32::from(digit - b'0') + u32::from(zero)));
        let typed: String = digits.map(Option::unwrap).collect();
        app.api.verify(PHONE, &typed).await.ok();
    }
    let code = app.api.login(PHONE).await.code();
    app.api.verify("۰۹۱۲ ۱۲۳ ۴۵۶۷", &format!(" {} {}\u{200f}", &code[..3], &code[3..])).await.ok();
}

#[tokio::test]
async fn verify_200_whatever_tokens_come_with_it() {
    let app = TestApp::with_settings(&[("codes.resend_after", "0")]).await;
    let stranger = app.api.sign_in(OTHER).await;
    for (name, value) in [
        ("authorization", format!("Bearer {}", stranger.access)),
        ("authorization", "Bearer x".to_owned()),
        ("cookie", format!("Authorization=Bearer {}", stranger.access)),
        ("cookie", "Authorization=x; Authorization=y".to_owned()),
    ] {
        let body = json!({"phone_number": PHONE, "code": app.api.login(PHONE).await.code()});
        let request = app.api.request(Method::POST, PATH).header("sec-fetch-site", "cross-site");
        let answer = ApiClient::send(request.header(name, value).json(&body)).await;
        assert_eq!(answer.signed_in().user["phone_number"], PHONE);
    }
}

#[tokio::test]
async fn verify_400_is_the_same_whatever_is_wrong_with_the_code() {
    let app = TestApp::start().await;
    let never_asked_for = app.api.verify(PHONE, "123456").await;

    let code = app.api.login(PHONE).await.code();
    app.advance_time(300);
    let expired = app.api.verify(PHONE, &code).await;

    let code = app.api.login(PHONE).await.code();
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(app.api.verify(PHONE, &wrong(&code)).await);
    }
    let used_up = app.api.verify(PHONE, &code).await;

    app.advance_time(60);
    let code = app.api.login(PHONE).await.code();
    app.api.verify(PHONE, &code).await.ok();
    let reused = app.api.verify(PHONE, &code).await;

    answers.extend([expired, used_up, reused]);
    for answer in &answers {
        answer.is_problem(400, "invalid_code");
        assert_eq!(answer.appearance(), never_asked_for.appearance());
    }
}

#[tokio::test]
async fn verify_400_for_the_code_before_the_newest() {
    let app = TestApp::start().await;
    let old = app.api.login(PHONE).await.code();
    app.advance_time(60);
    let new = app.api.login(PHONE).await.code();
    app.api.verify(PHONE, &old).await.is_problem(400, "invalid_code");
    app.api.verify(PHONE, &new).await.ok();
}

#[tokio::test]
async fn verify_400_for_a_code_that_was_sent_to_another_identifier() {
    let app = TestApp::start().await;
    let to_phone = app.api.login(PHONE).await.code();
    let to_other = app.api.login(OTHER).await.code();
    let to_email = app.api.post("/accounts/login/", json!({"email": EMAIL})).await.code();
    for (name, place, code) in
        [("phone_number", PHONE, &to_email), ("email", EMAIL, &to_phone), ("phone_number", PHONE, &to_other)]
    {
        let answer = app.api.post(PATH, json!({name: place, "code": code})).await;
        answer.is_problem(400, "invalid_code");
    }
    app.api.verify(PHONE, &to_phone).await.ok();
    app.api.post(PATH, json!({"email": EMAIL, "code": to_email})).await.ok();
}

#[tokio::test]
async fn verify_400_names_each_wrong_field_and_counts_no_try() {
    let app = TestApp::start().await;
    let code = app.api.login(PHONE).await.code();
    for odd in [
        json!(""),
        json!("12345"),
        json!("1234567"),
        json!("12345a"),
        json!("²23456"),
        json!("Ⅷ23456"),
        json!("12345\0"),
        json!("-12345"),
        json!("1e5"),
        json!("1".repeat(10_000)),
        json!(123_456),
        json!(null),
        json!(["123456"]),
    ] {
        let body = json!({"phone_number": PHONE, "code": odd});
        app.api.post(PATH, body).await.refuses_fields(&["code"]);
    }
    for (body, fields) in [
        (json!({}), &["code", "phone_number"][..]),
        (json!({"phone_number": PHONE}), &["code"]),
        (json!({"code": code}), &["phone_number"]),
        (json!({"phone_number": "1", "code": code}), &["phone_number"]),
        (json!({"email": "ada", "code": "x"}), &["code", "email"]),
        (json!({"phone_number": PHONE, "email": EMAIL, "code": code}), &["email", "phone_number"]),
        (json!({"phone_number": PHONE, "code": code, "fullname": "Ada"}), &["fullname"]),
    ] {
        app.api.post(PATH, body).await.refuses_fields(fields);
    }
    app.api.verify(PHONE, &code).await.ok();
}

#[tokio::test]
async fn verify_takes_a_device_name_of_one_line_and_100_characters() {
    let app = TestApp::with_settings(&[("codes.resend_after", "0")]).await;
    let code = app.api.login(PHONE).await.code();
    let verify = async |code: &str, name: Value| {
        app.api.post(PATH, json!({"phone_number": PHONE, "code": code, "device_name": name})).await
    };
    for odd in ["", " ", "a\nb", "a\0b", "a\u{1b}[2Jb", "a\u{202e}b", &"x".repeat(101)].map(Value::from) {
        verify(&code, odd).await.refuses_fields(&["device_name"]);
    }
    verify(&code, json!(5)).await.refuses_fields(&["device_name"]);
    verify(&code, json!(null)).await.ok();

    let newest = "SELECT device_name FROM user_logins ORDER BY session_id DESC LIMIT 1";
    for (name, kept) in
        [("گوشی آدا 🌙", "گوشی آدا 🌙"), (" Pixel ", "Pixel"), (&"ü".repeat(100), &"ü".repeat(100))]
    {
        app.advance_time(1);
        verify(&app.api.login(PHONE).await.code(), json!(name)).await.ok();
        assert_eq!(app.database.value::<String>(newest).await, kept);
    }
}

#[tokio::test]
async fn verify_429_after_ten_wrong_codes_in_an_hour_however_many_codes_were_asked_for() {
    let app = TestApp::start().await;
    for _ in 0..2 {
        let code = app.api.login(PHONE).await.code();
        for _ in 0..5 {
            app.api.verify(PHONE, &wrong(&code)).await.is_problem(400, "invalid_code");
        }
        app.advance_time(60);
    }
    for (waited, left) in [(0, 3540), (1, 3539), (3538, 1)] {
        app.advance_time(waited);
        let answer = app.api.verify(PHONE, "123456").await;
        answer.is_problem(429, "too_many_tries");
        assert_eq!(answer.retry_after(), Some(left));
    }
    app.api.sign_in(OTHER).await;
    app.advance_time(1);
    app.api.sign_in(PHONE).await;
}

#[tokio::test]
async fn verify_429_for_the_right_code_too() {
    let app = TestApp::with_settings(&[("codes.wrong_per_hour", "3")]).await;
    let code = app.api.login(PHONE).await.code();
    for _ in 0..3 {
        app.api.verify(PHONE, &wrong(&code)).await.is_problem(400, "invalid_code");
    }
    for code in [&code, &wrong(&code), &code] {
        app.api.verify(PHONE, code).await.is_problem(429, "too_many_tries");
    }
}

#[tokio::test]
async fn verify_signs_the_least_recently_used_of_six_devices_out() {
    let app = TestApp::start().await;
    let mut devices: Vec<SignedInDevice> = Vec::new();
    for _ in 0..5 {
        devices.push(app.api.sign_in(PHONE).await);
        app.advance_time(61);
    }
    let refreshed = app.api.refresh(&devices[0].refresh).await.ok();
    devices[0].refresh = refreshed["refresh_token"].as_str().unwrap().to_owned();
    devices.push(app.api.sign_in(PHONE).await);

    let out = devices.remove(1);
    app.api.profile(&out.access).await.is_problem(401, "invalid_access_token");
    for token in [&out.access, &out.refresh] {
        app.api.token_verify(token).await.is_problem(400, "invalid_token");
    }
    app.api.refresh(&out.refresh).await.is_problem(400, "invalid_token");
    for device in devices {
        app.api.profile(&device.access).await.ok();
        app.api.refresh(&device.refresh).await.ok();
    }
}

#[tokio::test]
async fn verify_409_where_the_device_limit_denies_and_200_once_a_device_has_signed_out() {
    let app =
        TestApp::with_settings(&[("sessions.device_limit", "1"), ("sessions.device_limit_policy", "deny")])
            .await;
    let first = app.api.sign_in(PHONE).await;
    app.advance_time(60);
    let code = app.api.login(PHONE).await.code();
    for _ in 0..3 {
        app.api.verify(PHONE, &code).await.is_problem(409, "device_limit_reached");
        app.api.verify(PHONE, &wrong(&code)).await.is_problem(400, "invalid_code");
    }
    app.api.profile(&first.access).await.ok();
    let recorded = "SELECT count(*) FROM events WHERE payload::text LIKE '%device_limit%'";
    assert_eq!(app.database.value::<i64>(recorded).await, 1);
    app.api.logout(&first.refresh).await;
    app.api.verify(PHONE, &code).await.signed_in();
    app.api.verify(PHONE, &code).await.is_problem(400, "invalid_code");
}

#[tokio::test]
async fn verify_200_for_any_number_of_devices_where_there_is_no_limit() {
    let app =
        TestApp::with_settings(&[("sessions.device_limit", "1"), ("sessions.device_limit_policy", "off")])
            .await;
    let mut devices = Vec::new();
    for _ in 0..4 {
        devices.push(app.api.sign_in(PHONE).await);
        app.advance_time(60);
    }
    for device in devices {
        app.api.profile(&device.access).await.ok();
    }
}

/// Signs in from a browser that presents that token along with its requests, or none.
async fn sign_in_again(app: &TestApp, user_agent: &str, token: Option<&str>) -> SignedInDevice {
    let prepare = |path: &str| {
        let request = app.api.request(Method::POST, path).header("user-agent", user_agent);
        token.into_iter().fold(request, RequestBuilder::bearer_auth)
    };
    app.advance_time(61);
    let login = prepare("/accounts/login/").json(&json!({"phone_number": PHONE}));
    let code = ApiClient::send(login).await.code();
    ApiClient::send(prepare(PATH).json(&json!({"phone_number": PHONE, "code": code}))).await.signed_in()
}

#[tokio::test]
async fn a_browser_that_signs_in_again_presenting_its_last_token_has_one_session_and_the_phone_stays() {
    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36";
    const PHONE_APP: &str = "Phone/2.0";
    // Of either kind, in force, expired and spent.
    for refresh in [false, true] {
        let app = TestApp::with_settings(&[("codes.per_day", "20")]).await;
        let phone = sign_in_again(&app, PHONE_APP, None).await;
        let mut browser = vec![sign_in_again(&app, CHROME, None).await];
        for nth in 1..5 {
            let last = &browser[nth - 1];
            if nth == 2 {
                app.advance_time(601);
            }
            if nth == 3 {
                let refresh =
                    app.api.request(Method::POST, "/accounts/refresh/").header("user-agent", CHROME);
                ApiClient::send(refresh.json(&json!({"refresh_token": last.refresh}))).await.ok();
            }
            let token = if refresh { &last.refresh } else { &last.access };
            browser.push(sign_in_again(&app, CHROME, Some(token)).await);
        }
        let newest = browser.pop().unwrap();
        let devices = app.api.get("/accounts/devices/", &newest.access).await.ok();
        let of = |device: &Value| device["user_agent"].as_str().unwrap().to_owned();
        let devices: Vec<String> = devices.as_array().unwrap().iter().map(of).collect();
        assert_eq!(devices, [CHROME, PHONE_APP]);
        for replaced in &browser {
            app.api.refresh(&replaced.refresh).await.is_problem(400, "invalid_token");
            app.api.profile(&replaced.access).await.is_problem(401, "invalid_access_token");
        }
        app.api.refresh(&phone.refresh).await.ok();
        let replaced = "SELECT count(*) FROM user_logins WHERE end_reason = 'signed_in_again'";
        assert_eq!(app.database.value::<i64>(replaced).await, 4);
        // What another device presents ends nothing.
        sign_in_again(&app, "Thief/1.0", Some(&phone.access)).await;
        app.api.token_verify(&newest.refresh).await.ok();
        assert_eq!(app.database.value::<i64>(replaced).await, 4);
    }
}
