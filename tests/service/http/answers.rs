//! The headers, the problems and the request ids that every endpoint answers with.

use std::collections::BTreeSet;

use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::general::{LIMIT, PHONE, json_body, start};
use crate::support::{ApiAnswer, ApiClient, TestApp};

/// One answer of each status that a request can bring about.
async fn answers_of_all_kinds(
    app: &TestApp,
    with: impl Fn(RequestBuilder) -> RequestBuilder,
) -> Vec<ApiAnswer> {
    let send = async |request: RequestBuilder| ApiClient::send(with(request)).await;
    let request = |method, path: &str| app.api.request(method, path);
    let login = || request(Method::POST, "/accounts/login/").json(&json!({"phone_number": PHONE}));
    let cookie = "Authorization=Bearer x";
    let device = app.api.sign_in("+989121234561").await;
    let answers = vec![
        send(login()).await,
        send(request(Method::POST, "/accounts/logout/").json(&json!({"refresh_token": device.refresh})))
            .await,
        send(request(Method::POST, "/accounts/refresh/").json(&json!({"refresh_token": "x"}))).await,
        send(request(Method::POST, "/accounts/login/").json(&json!({}))).await,
        send(request(Method::GET, "/accounts/profile/")).await,
        send(request(Method::GET, "/accounts/profile/").bearer_auth("x")).await,
        send(request(Method::PATCH, "/accounts/profile/").header("cookie", cookie).header("origin", "null"))
            .await,
        send(request(Method::GET, "/nothing/")).await,
        send(request(Method::GET, "/accounts/login/")).await,
        send(login()).await,
        send(json_body(request(Method::POST, "/accounts/login/"), vec![b' '; LIMIT + 1])).await,
        send(request(Method::POST, "/accounts/login/").body("{}")).await,
        send(request(Method::GET, "/healthz")).await,
        send(request(Method::GET, "/readyz")).await,
        send(request(Method::GET, "/metrics")).await,
    ];
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [200, 204, 400, 400, 401, 401, 403, 404, 405, 406, 413, 415, 200, 200, 200]);
    answers
}

#[tokio::test]
async fn every_answer_has_the_same_security_headers_and_a_request_id() {
    let app = TestApp::start().await;
    app.keep_log();
    let answers = answers_of_all_kinds(&app, |request| request).await;
    for answer in &answers {
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            let values: Vec<_> = answer.headers.get_all(name).iter().collect();
            assert_eq!(values, [value], "{name}: {answer:?}");
        }
        for name in ["set-cookie", "server", "x-powered-by", "access-control-allow-origin"] {
            assert_eq!(answer.header(name), None, "{answer:?}");
        }
    }
    let ids: BTreeSet<&str> = answers.iter().map(|answer| answer.header("x-request-id").unwrap()).collect();
    assert_eq!(ids.len(), answers.len());
    for id in ids {
        assert_eq!(Uuid::parse_str(id).unwrap().get_version_num(), 7);
    }
}

#[tokio::test]
async fn every_problem_follows_rfc_9457_in_the_language_of_the_request() {
    for (wanted, tag) in
        [("fa-IR,fa;q=0.9,en;q=0.8", "fa"), ("en-GB", "en"), ("de", "en"), ("*;;q=, x-y-z-1,", "en")]
    {
        let app = TestApp::start().await;
        app.keep_log();
        let with = |request: RequestBuilder| request.header("accept-language", wanted);
        let is_persian = |text: &Value| text.as_str().unwrap().chars().any(|c| matches!(c, 'ا'..='ی'));
        let answers = answers_of_all_kinds(&app, with).await;
        assert_eq!(is_persian(&answers[0].json()["detail"]), tag == "fa");
        for answer in answers.iter().filter(|answer| answer.status.as_u16() >= 400) {
            let problem = answer.json();
            answer.is_problem(answer.status.as_u16(), problem["code"].as_str().unwrap());
            let with_errors = problem["code"] == "invalid_fields";
            let expected: &[&str] = if with_errors {
                &["code", "detail", "errors", "status", "title", "type"]
            } else {
                &["code", "detail", "status", "title", "type"]
            };
            assert_eq!(answer.names(""), expected);
            assert_eq!(answer.header("content-language"), Some(tag));
            assert_eq!([is_persian(&problem["title"]), is_persian(&problem["detail"])], [tag == "fa"; 2]);
        }
    }
}

#[tokio::test]
async fn a_well_formed_request_id_is_echoed_and_any_other_is_replaced() {
    let app = TestApp::start().await;
    let answered = async |id: &[u8]| {
        let id = HeaderValue::from_bytes(id).unwrap();
        let request = app.api.request(Method::GET, "/nothing").header("x-request-id", id);
        ApiClient::send(request).await.header("x-request-id").unwrap().to_owned()
    };
    let traced = "4bf92f3577b34da6a3ce929d0e0e4736";
    for sane in ["0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b", traced, "4BF92F3577B34DA6", &"a".repeat(64)] {
        assert_eq!(answered(sane.as_bytes()).await, sane);
    }
    let long = "a".repeat(65);
    for insane in [
        "",
        PHONE,
        &PHONE[1..],
        "user-989121234567",
        "0123456789012345",
        "ada.lovelace@example.com",
        "Ada.Lovelace-of-Baker-Street",
        "req-42_AB.c",
        "x",
        "ada",
        "deadbeef",
        "{0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b}",
        "urn:uuid:0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b",
        "00989121-2345-6700-9891-2123456700989",
        "0123456789abcdef 0123456789abcdef",
        "<script>alert(1)</script>",
        "0123456789abcdef;drop",
        "0123456789abcdefü",
        &long,
    ] {
        let id = answered(insane.as_bytes()).await;
        assert!(Uuid::parse_str(&id).is_ok_and(|id| id.get_version_num() == 7), "{insane:?}: {id}");
    }
    assert!(Uuid::parse_str(&answered(b"\xff\xfe0123456789abcdef").await).is_ok());
}

#[tokio::test]
async fn every_event_records_the_request_id() {
    let app = TestApp::start().await;
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = app.api.request(Method::POST, "/accounts/login/").header("x-request-id", id);
    ApiClient::send(request.json(&json!({"phone_number": PHONE}))).await.ok();
    assert_eq!(app.database.value::<String>("SELECT metadata->>'request' FROM events").await, id);
}

/// What may stand in an `Authorization` header or cookie and is no token, separated by bars.
const NO_CREDENTIALS: &str = "| |,|=|Bearer|Bearer |Bearer  |Bearer=|bearer|Bearer\tx|Bearer x y|Bearer \"|Bearer ''\
    |Bearer null|Bearer undefined|Bearer {}|Bearer %00|Bearer ../..|Bearer cfa|Bearer cfa_|Bearer cfa_1|Bearer cfa_1_\
    |Bearer cfa_1__|Bearer cfa_1_00000000_|Bearer cfa_1_00000000_!!!|Bearer cfr_1_00000000_AAAA|Bearer cfa____\
    |Bearer cfa_2_00000000_AAAA|Bearer eyJhbGciOiJub25lIn0.e30.|Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA|Bearer ..\
    |Bearer a.b.c|Basic|Basic YTpi|Basic ====|Digest username=\"a\"|Negotiate abc|Token x|AWS4-HMAC-SHA256 x\
    |' OR 1=1 --|${jndi:ldap://x}|Bearer آدا|Bearer 🌙";

#[tokio::test]
async fn no_malformed_credentials_are_answered_with_500() {
    let (app, access) = start().await;
    let texts = NO_CREDENTIALS.split('|').map(|text| text.as_bytes().to_vec());
    let bytes = [&b"Bearer \xff\xfe"[..], b"\x80", b"Bearer \xc3\x28"].map(<[u8]>::to_vec);
    let long = [1_000, 4_096, 4_097, 8_000].map(|length| [b"Bearer ".to_vec(), vec![b'a'; length]].concat());
    let long_box = [&b"Bearer cfa_1_00000000_"[..], &[b'A'; 5_000]].concat();
    for value in texts.chain(bytes).chain(long).chain([long_box]) {
        let cookie = [b"Authorization=", &value[..]].concat();
        for (name, value) in [("authorization", &value), ("cookie", &cookie)] {
            let value = HeaderValue::from_bytes(value).unwrap();
            for (method, path) in
                [(Method::GET, "/accounts/profile"), (Method::PATCH, "/accounts/profile/update")]
            {
                let request = app.api.request(method, path).header(name, &value);
                let answer = ApiClient::send(request.json(&json!({"fullname": "x"}))).await;
                assert_eq!(answer.status, 401, "{name}: {value:?}: {answer:?}");
            }
        }
    }
    app.api.profile(&access).await.ok();
}

#[tokio::test]
async fn liveness_and_readiness_are_answered_at_their_paths() {
    let app = TestApp::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = ApiClient::send(app.api.request(Method::GET, path)).await;
        assert!(answer.ok()["status"].is_string());
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let metrics = ApiClient::send(app.api.request(Method::GET, "/metrics")).await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
}

#[tokio::test]
async fn the_operator_listener_serves_the_metrics_and_the_public_one_serves_the_api() {
    let app = TestApp::with_settings(&[("server.metrics_listen", "127.0.0.1:0")]).await;
    let operators = app.operators.clone().unwrap();
    for path in ["/metrics", "/metrics/", "/healthz", "/readyz"] {
        let answer = ApiClient::send(operators.request(Method::GET, path)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("cache-control")),
            (200, Some("no-store")),
            "{path}"
        );
    }
    for path in ["/accounts/login/", "/admin/accounts/", "/openapi.json", "/docs/", "/oauth/introspect"] {
        let (host, path) = (operators.address(), path);
        let answer = reqwest::get(format!("http://{host}{path}")).await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
    ApiClient::send(app.api.request(Method::GET, "/metrics")).await.is_problem(404, "not_found");
    for path in ["/healthz", "/readyz"] {
        ApiClient::send(app.api.request(Method::GET, path)).await.ok();
    }
}

#[tokio::test]
async fn a_403_names_what_is_missing_in_www_authenticate() {
    let (app, access) = start().await;
    let admin = app.sign_in_admin("+989130000001").await;
    let refused = app.api.get("/admin/accounts/", &access).await;
    refused.is_problem(403, "forbidden");
    assert_eq!(refused.header("www-authenticate"), Some(r#"Bearer error="insufficient_scope""#));
    app.advance_time(601);
    let access = app.api.refresh(&admin.refresh).await.ok()["access_token"].as_str().unwrap().to_owned();
    let refused =
        app.api.send_json(Method::POST, "/admin/projections/profiles/rebuild/", &access, json!({})).await;
    refused.is_problem(403, "second_factor_required");
    let expected = r#"Bearer error="insufficient_user_authentication""#;
    assert_eq!(refused.header("www-authenticate"), Some(expected));
}

#[tokio::test]
async fn a_service_whose_schema_is_not_current_is_alive_and_not_ready() {
    let app = TestApp::start().await;
    app.database.connect().await.batch_execute("DELETE FROM _sqlx_migrations").await.unwrap();
    ApiClient::send(app.api.request(Method::GET, "/healthz")).await.ok();
    let answer = ApiClient::send(app.api.request(Method::GET, "/readyz")).await;
    answer.is_problem(503, "unavailable");
    assert!(answer.retry_after().is_some());
}
