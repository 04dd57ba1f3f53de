//! Tests of POST `/accounts/login/`.

use reqwest::Method;
use serde_json::{Value, json};

use super::wrong;
use crate::support::{ApiAnswer, ApiClient, TestApp};

const PATH: &str = "/accounts/login/";
const PHONE: &str = "+989121234567";
const EMAIL: &str = "ada@example.com";
const DAY: i64 = 24 * 3600;

const SPELLINGS: [&str; 20] = [
    "+989121234567",
    "09121234567",
    "9121234567",
    "989121234567",
    "00989121234567",
    "0912 123 4567",
    "0912-123-4567",
    "0912.123.4567",
    "(0912) 123-4567",
    "+98 (912) 123 45 67",
    "+98\u{a0}912\u{a0}1234567",
    "0912\u{2013}123\u{2011}4567",
    "\u{200e}+98 912 123 4567\u{200f}",
    "  09121234567  ",
    "tel:+98-912-123-4567",
    "۰۹۱۲۱۲۳۴۵۶۷",
    "٠٩١٢١٢٣٤٥٦٧",
    "０９１２１２３４５６７",
    "+۹۸۹۱۲۱۲۳۴۵۶۷",
    "۰۰۹۸ ۹۱۲ ۱۲۳ ۴۵۶۷",
];

#[tokio::test]
async fn login_200_says_how_long_the_code_works_and_when_to_ask_again() {
    let app = TestApp::start().await;
    let answer = app.api.login(PHONE).await;
    assert_eq!(answer.names(""), ["code", "detail", "expires_in", "resend_after"]);
    let body = answer.ok();
    assert_eq!((&body["expires_in"], &body["resend_after"]), (&json!(300), &json!(60)));
    assert!(answer.code().len() == 6 && answer.code().bytes().all(|b| b.is_ascii_digit()));
}

#[tokio::test]
async fn login_200_tells_the_configured_times() {
    let app = TestApp::with_settings(&[("codes.lifetime", "120"), ("codes.resend_after", "30")]).await;
    let body = app.api.login(PHONE).await.ok();
    assert_eq!((&body["expires_in"], &body["resend_after"]), (&json!(120), &json!(30)));
    app.advance_time(30);
    app.api.login(PHONE).await.ok();
}

#[tokio::test]
async fn login_200_and_406_are_alike_for_sign_up_and_sign_in() {
    let app = TestApp::start().await;
    let seen = async || {
        let (sent, refused) = (app.api.login(PHONE).await, app.api.login(PHONE).await);
        let code = sent.code();
        ([sent.appearance().replace(&code, ""), refused.appearance()], code)
    };
    let (sign_up, code) = seen().await;
    app.api.verify(PHONE, &code).await.ok();
    app.advance_time(60);
    let (sign_in, _) = seen().await;
    assert_eq!(sign_up, sign_in);
}

#[tokio::test]
async fn login_takes_twenty_spellings_of_a_number_as_one_account() {
    let app = TestApp::with_settings(&[("codes.resend_after", "0"), ("codes.per_day", "100")]).await;
    let first = app.api.sign_in(PHONE).await.user;
    for spelling in SPELLINGS {
        let user = app.api.sign_in(spelling).await.user;
        assert_eq!((&user["id"], &user["phone_number"]), (&first["id"], &json!(PHONE)), "{spelling:?}");
    }
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM identifiers").await, 1);
}

#[tokio::test]
async fn login_takes_an_email_address_in_any_spelling() {
    let app = TestApp::with_settings(&[("codes.resend_after", "0")]).await;
    let mut ids = Vec::new();
    for spelling in [EMAIL, " Ada@Example.COM ", "ada＠example.com", "ａｄａ@example.com"] {
        let code = app.api.post(PATH, json!({"email": spelling})).await.code();
        let body = json!({"email": spelling, "code": code});
        let user = app.api.post("/accounts/verify/", body).await.signed_in().user;
        assert_eq!((&user["email"], &user["phone_number"]), (&json!(EMAIL), &Value::Null));
        ids.push(user["id"].clone());
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn login_passes_over_a_null_for_what_is_not_given() {
    let app = TestApp::start().await;
    app.api.post(PATH, json!({"phone_number": PHONE, "email": null, "fullname": null})).await.ok();
    app.api.post(PATH, json!({"phone_number": null, "email": EMAIL})).await.ok();
}

#[tokio::test]
async fn login_uses_the_name_for_a_new_account_only() {
    let app = TestApp::start().await;
    let sign_in_as = async |name: &str| {
        let code = app.api.post(PATH, json!({"phone_number": PHONE, "fullname": name})).await.code();
        app.advance_time(60);
        app.api.verify(PHONE, &code).await.signed_in().user
    };
    assert_eq!(sign_in_as("  Ada Lovelace ").await["fullname"], "Ada Lovelace");
    assert_eq!(sign_in_as("Eve").await["fullname"], "Ada Lovelace");
}

#[tokio::test]
async fn login_uses_the_name_of_the_request_whose_code_is_redeemed() {
    let app = TestApp::with_settings(&[("codes.resend_after", "0")]).await;
    for (phone, names, kept) in [
        ("+989121234561", [json!("Eve"), json!("Ada")], json!("Ada")),
        ("+989121234562", [json!(null), json!("Ada")], json!("Ada")),
        // A stranger who typed the number before its owner gives the owner's account no name.
        ("+989121234563", [json!("Eve"), json!(null)], json!(null)),
    ] {
        let mut code = String::new();
        for name in names {
            code = app.api.post(PATH, json!({"phone_number": phone, "fullname": name})).await.code();
        }
        assert_eq!(app.api.verify(phone, &code).await.signed_in().user["fullname"], kept);
    }
}

#[tokio::test]
async fn login_400_names_each_wrong_field_in_both_languages_and_writes_nothing() {
    let app = TestApp::start().await;
    let written = "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM heads)
                        + (SELECT count(*) FROM identifiers) + (SELECT count(*) FROM account_keys)
                        + (SELECT count(*) FROM outbox) + (SELECT count(*) FROM profiles)";
    app.api.login("+989121234560").await.ok();
    let before: i64 = app.database.value(written).await;

    for (body, fields) in wrong_bodies() {
        for (language, is_its_script) in
            [("en", (|c| c.is_ascii_alphabetic()) as fn(char) -> bool), ("fa", |c| matches!(c, 'ا'..='ی'))]
        {
            let request = app.api.request(Method::POST, PATH).header("accept-language", language);
            let answer = ApiClient::send(request.json(&body)).await;
            answer.refuses_fields(&fields);
            let problem = answer.json();
            let complaints = problem["errors"].as_object().unwrap().values().map(|texts| &texts[0]);
            for text in complaints.chain([&problem["detail"], &problem["title"]]) {
                assert!(text.as_str().unwrap().chars().any(is_its_script), "{language} {body}: {text}");
            }
        }
    }
    assert_eq!(app.database.value::<i64>(written).await, before);
}

/// Bodies with the fields that are wrong in them.
fn wrong_bodies() -> Vec<(Value, Vec<&'static str>)> {
    let odd = || [json!(5), json!(true), json!([PHONE]), json!({"a": 1}), json!("\0")].into_iter();
    let phones = [
        "",
        " ",
        "1",
        "abc",
        "+98",
        "0912123456",
        "091212345678",
        "+9891212345678901234567890",
        "++989121234567",
        "0912123456x",
        "0912123\u{0}4567",
        "09121234567;ext=9",
        "1-800-FLOWERS",
        "²9121234567",
        "+982188776655",
        "02188776655",
        "+18002345678",
        "ada@example.com",
    ];
    let emails = [
        "",
        " ",
        "ada",
        "ada@",
        "@example.com",
        "ada@localhost",
        "ada@example..com",
        "a b@example.com",
        "ada@[127.0.0.1]",
        "Ada <ada@example.com>",
        "ada@example.com,eve@example.com",
        "ada@example.com\nBcc: eve@example.com",
        "ada\u{0}@example.com",
        PHONE,
    ];
    let names = ["", " \t ", "a\u{0}b", "a\nb", "a\u{1b}[2Jb", "a\u{202e}b", "a\u{2066}b", "a\u{2028}b"];
    let long = "x".repeat(101);

    let phones = phones.map(Value::from).into_iter().chain(odd());
    let emails = emails.map(Value::from).into_iter().chain(odd());
    let names = names.map(Value::from).into_iter().chain([json!(long)]).chain(odd());
    let mut bodies = vec![
        (json!({}), vec!["phone_number"]),
        (json!({"phone_number": null, "email": null}), vec!["phone_number"]),
        (json!({"phone_number": PHONE, "email": EMAIL}), vec!["email", "phone_number"]),
        (json!({"phone_number": PHONE, "name": "Ada"}), vec!["name"]),
        (json!({"phone": PHONE}), vec!["phone", "phone_number"]),
        (json!({"email": "ada", "fullname": "", "x": 1}), vec!["email", "fullname", "x"]),
    ];
    bodies.extend(phones.map(|phone| (json!({"phone_number": phone}), vec!["phone_number"])));
    bodies.extend(emails.map(|email| (json!({"email": email}), vec!["email"])));
    bodies.extend(names.map(|name| (json!({"phone_number": PHONE, "fullname": name}), vec!["fullname"])));
    bodies
}

#[tokio::test]
async fn login_400_for_a_national_number_where_no_region_is_configured() {
    let app = TestApp::with_settings(&[("identifiers.default_region", "")]).await;
    app.api.login("09121234567").await.refuses_fields(&["phone_number"]);
    app.api.login("00989121234567").await.ok();
}

#[tokio::test]
async fn login_406_when_asked_again_too_soon() {
    let app = TestApp::start().await;
    let code = app.api.login(PHONE).await.code();
    for (waited, left) in [(0, 60), (1, 59), (58, 1)] {
        app.advance_time(waited);
        let answer = app.api.login(PHONE).await;
        answer.is_problem(406, "code_too_soon");
        assert_eq!(answer.retry_after(), Some(left));
    }
    app.api.login("+989121234568").await.ok();
    app.api.verify(PHONE, &code).await.ok();
    app.advance_time(1);
    app.api.login(PHONE).await.ok();
}

#[tokio::test]
async fn login_406_is_recorded_once_for_repeated_requests() {
    let app = TestApp::start().await;
    app.api.login(PHONE).await.ok();
    for _ in 0..5 {
        app.api.login(PHONE).await.is_problem(406, "code_too_soon");
    }
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM events").await, 2);
}

#[tokio::test]
async fn login_406_when_ten_codes_were_sent_in_24_hours() {
    let app = TestApp::start().await;
    for _ in 0..10 {
        app.api.login(PHONE).await.ok();
        app.advance_time(61);
    }
    let is_spent = |answer: &ApiAnswer, left| {
        answer.is_problem(406, "code_quota_spent");
        assert_eq!(answer.retry_after(), Some(left));
    };
    is_spent(&app.api.login("0912 123 4567").await, DAY - 610);
    app.api.login("+989121234568").await.ok();
    app.advance_time(DAY - 611);
    is_spent(&app.api.login(PHONE).await, 1);
    app.advance_time(1);
    app.api.login(PHONE).await.ok();
    // The other nine are still within their day.
    app.advance_time(60);
    is_spent(&app.api.login(PHONE).await, 1);
    app.advance_time(1);
    app.api.login(PHONE).await.ok();
}

#[tokio::test]
async fn login_406_while_wrong_codes_have_paused_the_account() {
    let app = TestApp::with_settings(&[("codes.wrong_per_hour", "3")]).await;
    let code = app.api.login(PHONE).await.code();
    for _ in 0..3 {
        app.api.verify(PHONE, &wrong(&code)).await.is_problem(400, "invalid_code");
    }
    app.advance_time(600);
    let answer = app.api.login(PHONE).await;
    answer.is_problem(406, "code_quota_spent");
    assert_eq!(answer.retry_after(), Some(3000));
    app.advance_time(3000);
    app.api.sign_in(PHONE).await;
}
