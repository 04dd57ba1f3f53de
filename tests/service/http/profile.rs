//! GET `/accounts/profile/`, PATCH `/accounts/profile/update/` and `/accounts/profile/`

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const PROFILE: &str = "/accounts/profile/";
const UPDATE: &str = "/accounts/profile/update/";
const PHONE: &str = "+989121234567";

/// Each way to the profile.
const WAYS: [(Method, &str); 3] = [(Method::GET, PROFILE), (Method::PATCH, PROFILE), (Method::PATCH, UPDATE)];

/// A request for the profile; one that changes it, changes the name.
fn ask(app: &TestApp, (method, path): (Method, &str)) -> RequestBuilder {
    let changes = method == Method::PATCH;
    let request = app.api.request(method, path);
    if changes { request.json(&json!({"fullname": "Ada"})) } else { request }
}

async fn start() -> (TestApp, SignedInDevice) {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    (app, device)
}

#[tokio::test]
async fn profile_200_has_the_documented_facts_and_no_others() {
    let (app, device) = start().await;
    let answer = app.api.profile(&device.access).await;
    assert_eq!(
        answer.names(""),
        ["date_joined", "email", "fullname", "id", "is_active", "last_login", "phone_number"]
    );
    assert_eq!(answer.ok(), device.user);
}

#[tokio::test]
async fn profile_update_200_changes_the_name_and_nothing_else() {
    let (app, device) = start().await;
    for (path, name) in [(UPDATE, "Ada"), (PROFILE, "Ada Lovelace"), (UPDATE, "Ada Lovelace")] {
        app.advance_time(1);
        let mut expected = device.user.clone();
        expected["fullname"] = json!(name);
        assert_eq!(app.api.patch(path, &device.access, json!({"fullname": name})).await.ok(), expected);
        assert_eq!(app.api.profile(&device.access).await.ok(), expected);
    }
}

#[tokio::test]
async fn profile_update_200_keeps_a_name_in_any_script() {
    let (app, device) = start().await;
    let (longest, decomposed) = ("🌙".repeat(100), "x".repeat(99) + "e\u{301}");
    for (typed, kept) in [
        ("آدا لاولیس", "آدا لاولیس"),
        ("می\u{200c}خواهم", "می\u{200c}خواهم"),
        ("阿达·洛芙莱斯", "阿达·洛芙莱斯"),
        ("O’Neil-Smith, Jr. <b>\"&\\", "O’Neil-Smith, Jr. <b>\"&\\"),
        ("👩\u{200d}👩\u{200d}👧", "👩\u{200d}👩\u{200d}👧"),
        ("  Ame\u{301}lie\u{a0}", "Amélie"),
        ("x", "x"),
        (&longest, &longest),
        (&decomposed, &("x".repeat(99) + "é")),
    ] {
        assert_eq!(app.api.rename(&device.access, typed).await.ok()["fullname"], kept);
        assert_eq!(app.api.profile(&device.access).await.ok()["fullname"], kept);
    }
}

#[tokio::test]
async fn profile_update_400_for_a_name_that_is_empty_too_long_or_unprintable() {
    let (app, device) = start().await;
    let names = ["", " ", "\t\n", "\u{3000}", "a\0b", "\0", "a\nb", "a\r\nb", "a\tb", "a\u{7f}b", "a\u{85}b"];
    let marks = ["a\u{1b}[2Jb", "a\u{202e}b", "a\u{2066}b", "a\u{2028}b", "a\u{2029}b"];
    let long = ["x".repeat(101), "🌙".repeat(101), "x".repeat(10_000)];
    let not_text = [json!(null), json!(5), json!(false), json!(["Ada"]), json!({"first": "Ada"})];
    let odd = names.into_iter().chain(marks).map(Value::from).chain(long.map(Value::from)).chain(not_text);
    for name in odd {
        for path in [UPDATE, PROFILE] {
            let answer = app.api.patch(path, &device.access, json!({"fullname": name})).await;
            answer.refuses_fields(&["fullname"]);
        }
    }
    app.api.patch(UPDATE, &device.access, json!({})).await.refuses_fields(&["fullname"]);
    assert_eq!(app.api.profile(&device.access).await.ok(), device.user);
}

#[tokio::test]
async fn profile_update_400_for_any_other_field_and_nothing_is_changed() {
    let (app, device) = start().await;
    for (field, value) in [
        ("phone_number", json!("+989121234568")),
        ("email", json!("eve@example.com")),
        ("id", json!("01890000-0000-7000-8000-000000000000")),
        ("is_active", json!(false)),
        ("date_joined", json!("2000-01-01T00:00:00Z")),
        ("last_login", json!(null)),
        ("is_staff", json!(true)),
        ("role", json!("admin")),
    ] {
        for path in [UPDATE, PROFILE] {
            let body = json!({"fullname": "Eve", field: value});
            app.api.patch(path, &device.access, body).await.refuses_fields(&[field]);
        }
        let alone = json!({field: value});
        let mut refused = ["fullname", field];
        refused.sort_unstable();
        app.api.patch(UPDATE, &device.access, alone).await.refuses_fields(&refused);
    }
    assert_eq!(app.api.profile(&device.access).await.ok(), device.user);
}

#[tokio::test]
async fn profile_401_without_a_token() {
    let (app, device) = start().await;
    for way in WAYS {
        let nothing = ask(&app, way.clone());
        let query = ["access_token", "token", "authorization"]
            .map(|name| ask(&app, (way.0.clone(), &format!("{}?{name}={}", way.1, device.access))));
        let other_headers = ask(&app, way.clone())
            .header("x-authorization", format!("Bearer {}", device.access))
            .header("cookie", format!("access_token={0}; authorization=Bearer {0}", device.access));
        for request in query.into_iter().chain([nothing, other_headers]) {
            let answer = ApiClient::send(request).await;
            answer.is_problem(401, "not_authenticated");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    for path in [UPDATE, PROFILE] {
        let body = json!({"fullname": "Ada", "access_token": device.access, "token": device.access});
        let answer = ApiClient::send(app.api.request(Method::PATCH, path).json(&body)).await;
        answer.is_problem(401, "not_authenticated");
    }
}

fn is_invalid_token(answer: &ApiAnswer) {
    answer.is_problem(401, "invalid_access_token");
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer error="invalid_token""#));
}

#[tokio::test]
async fn profile_401_with_a_token_that_is_not_valid() {
    let (app, device) = start().await;
    let elsewhere = TestApp::start().await;
    let foreign = elsewhere.api.sign_in(PHONE).await.access;
    let valid = &device.access;
    for way in WAYS {
        for token in [
            "x",
            "null",
            &device.refresh,
            &device.refresh.replacen("cfr", "cfa", 1),
            &foreign,
            &valid[..valid.len() - 1],
            &format!("{valid}A"),
            &format!("{valid},{valid}"),
            &format!("Bearer {valid}"),
        ] {
            is_invalid_token(&ApiClient::send(ask(&app, way.clone()).bearer_auth(token)).await);
            let cookie = format!("Authorization=Bearer {token}");
            is_invalid_token(&ApiClient::send(ask(&app, way.clone()).header("cookie", cookie)).await);
        }
        for header in [valid.clone(), format!("Basic {valid}"), format!("Token {valid}")] {
            is_invalid_token(&ApiClient::send(ask(&app, way.clone()).header("authorization", header)).await);
        }
    }
    assert_eq!(app.api.profile(valid).await.ok(), device.user);
}

#[tokio::test]
async fn profile_401_when_the_access_token_has_expired() {
    let (app, device) = start().await;
    app.advance_time(599);
    app.api.profile(&device.access).await.ok();
    app.advance_time(101);
    for way in WAYS {
        is_invalid_token(&ApiClient::send(ask(&app, way).bearer_auth(&device.access)).await);
    }
    let refreshed = app.api.refresh(&device.refresh).await.ok();
    app.api.profile(refreshed["access_token"].as_str().unwrap()).await.ok();
}

#[tokio::test]
async fn profile_401_after_logout() {
    let (app, device) = start().await;
    app.api.logout(&device.refresh).await;
    for way in WAYS {
        is_invalid_token(&ApiClient::send(ask(&app, way).bearer_auth(&device.access)).await);
    }
}

#[tokio::test]
async fn profile_200_with_the_token_in_the_cookie_raw_quoted_or_percent_encoded() {
    let (app, device) = start().await;
    let token = &device.access;
    for cookie in [
        format!("Authorization=Bearer {token}"),
        format!("Authorization=\"Bearer {token}\""),
        format!("Authorization=Bearer%20{token}"),
        format!("Authorization=\"Bearer%20{token}\""),
        format!("theme=dark; Authorization=Bearer {token}; lang=fa"),
    ] {
        for way in WAYS {
            ApiClient::send(ask(&app, way).header("cookie", &cookie)).await.ok();
        }
    }
}

#[tokio::test]
async fn profile_200_for_a_scheme_in_any_case_and_one_token_in_both_places() {
    let (app, device) = start().await;
    let token = &device.access;
    for way in WAYS {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let request = ask(&app, way.clone()).header("authorization", format!("{scheme} {token}"));
            ApiClient::send(request).await.ok();
        }
        let request = ask(&app, way).bearer_auth(token);
        ApiClient::send(request.header("cookie", format!("Authorization=Bearer {token}"))).await.ok();
    }
}

#[tokio::test]
async fn profile_update_403_for_a_cookie_from_another_site() {
    let (app, device) = start().await;
    let own = format!("http://{}", app.api.address());
    let other_port = "http://127.0.0.1:1".to_owned();
    for (header, value, allowed) in [
        ("sec-fetch-site", "cross-site", false),
        ("sec-fetch-site", "same-site", false),
        ("sec-fetch-site", "", false),
        ("sec-fetch-site", "same-origin", true),
        ("sec-fetch-site", "none", true),
        ("origin", "https://evil.example", false),
        ("origin", "null", false),
        ("origin", "", false),
        ("origin", &other_port, false),
        ("origin", &format!("{own}.evil.example"), false),
        ("origin", &own, true),
    ] {
        for way in WAYS {
            let by_header = ask(&app, way.clone()).header(header, value).bearer_auth(&device.access);
            ApiClient::send(by_header).await.ok();
            let by_cookie = ask(&app, way.clone()).header(header, value);
            let cookie = format!("Authorization=Bearer {}", device.access);
            let answer = ApiClient::send(by_cookie.header("cookie", cookie)).await;
            if allowed || way.0 == Method::GET {
                answer.ok();
            } else {
                answer.is_problem(403, "cross_site_request");
            }
        }
    }
}

#[tokio::test]
async fn profile_400_for_two_credentials() {
    let (app, device) = start().await;
    app.advance_time(60);
    let (one, two) = (&device.access, &app.api.sign_in(PHONE).await.access);
    let [bearer_one, bearer_two] = [one, two].map(|token| format!("Bearer {token}"));
    let [cookie_one, cookie_two] = [&bearer_one, &bearer_two].map(|value| format!("Authorization={value}"));
    for way in WAYS {
        for headers in [
            [("authorization", &bearer_one), ("authorization", &bearer_two)],
            [("authorization", &bearer_one), ("cookie", &cookie_two)],
            [("cookie", &cookie_one), ("cookie", &cookie_two)],
            [("cookie", &format!("{cookie_one}; {cookie_two}")), ("x-nothing", one)],
        ] {
            let request = headers
                .iter()
                .fold(ask(&app, way.clone()), |request, (name, value)| request.header(*name, *value));
            ApiClient::send(request).await.is_problem(400, "invalid_request");
        }
    }
    assert_eq!(app.api.profile(two).await.ok()["fullname"], Value::Null);
}
