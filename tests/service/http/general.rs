//! The rules that hold for every endpoint.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uuid::Uuid;

use crate::support::{ApiAnswer, ApiClient, TestApp};

const PHONE: &str = "+989121234567";
const LIMIT: usize = 16 * 1024;

/// The one that takes a body in which nothing has to stand.
const LOGOUT_ALL: &str = "/accounts/logout/all";

/// Every path, without its slash, and its methods.
const PATHS: [(&str, &[&str]); 17] = [
    ("/accounts/login", &["POST"]),
    ("/accounts/verify", &["POST"]),
    ("/accounts/verify/resend", &["POST"]),
    ("/accounts/refresh", &["POST"]),
    ("/accounts/token/verify", &["POST"]),
    ("/accounts/logout", &["POST"]),
    (LOGOUT_ALL, &["POST"]),
    ("/accounts/identifiers", &["POST"]),
    ("/accounts/identifiers/verify", &["POST"]),
    ("/accounts/devices", &["GET"]),
    ("/accounts/devices/00000000-0000-7000-8000-000000000000", &["PATCH", "DELETE"]),
    ("/accounts/profile", &["GET", "PATCH"]),
    ("/accounts/profile/update", &["PATCH"]),
    ("/.well-known/jwks.json", &["GET"]),
    ("/healthz", &["GET"]),
    ("/readyz", &["GET"]),
    ("/metrics", &["GET"]),
];

/// A service, and the access token of a user who is signed in on it.
async fn start() -> (TestApp, String) {
    let app = TestApp::start().await;
    let access = app.api.sign_in("+989121234560").await.access;
    (app, access)
}

fn endpoints() -> impl Iterator<Item = (Method, &'static str)> {
    PATHS
        .into_iter()
        .flat_map(|(path, methods)| methods.iter().map(move |name| (name.parse().unwrap(), path)))
}

/// The endpoints that take a body in which something has to stand.
fn writing() -> impl Iterator<Item = (Method, &'static str)> {
    endpoints()
        .filter(|(method, path)| ![Method::GET, Method::DELETE].contains(method) && *path != LOGOUT_ALL)
}

/// Sends a body to each endpoint that takes one, signed in.
async fn send_everywhere(
    app: &TestApp,
    access: &str,
    complete: impl Fn(RequestBuilder) -> RequestBuilder,
    check: impl Fn(&ApiAnswer),
) {
    for (method, path) in writing() {
        let request = app.api.request(method, path).bearer_auth(access);
        check(&ApiClient::send(complete(request)).await);
    }
}

fn json_body(request: RequestBuilder, body: impl Into<Vec<u8>>) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.into())
}

#[tokio::test]
async fn a_path_answers_with_and_without_its_slash_and_never_by_a_redirect() {
    let (app, access) = start().await;
    let reading = endpoints().filter(|(method, _)| *method == Method::GET);
    for (method, path) in reading.chain(writing()) {
        let send = async |path: &str| {
            let request = app.api.request(method.clone(), path).bearer_auth(&access);
            let request = if method == Method::GET { request } else { request.json(&json!({})) };
            ApiClient::send(request).await.appearance()
        };
        let bare = send(path).await;
        assert_eq!(send(&format!("{path}/")).await, bare, "{method} {path}");
        assert_eq!(send(&format!("{path}/?a=b")).await, bare, "{method} {path}");
        let expected = if method == Method::GET { "200" } else { "400" };
        assert!(bare.starts_with(expected), "{method} {path}: {bare}");
    }
}

/// Bodies that are no JSON object, a line each.
const NO_OBJECT: &str = r#"
null
5
"x"
true
[]
[{}]
[{"phone_number":"+989121234567"}]
{
{}}
{}{}
{"fullname":"a",}
{'fullname':'a'}
{fullname:"a"}
{"fullname":NaN}
{"fullname":1e999}
{"fullname":"a"} // a
{"fullname":"\ud800"}
fullname=a"#;

#[tokio::test]
async fn a_body_that_is_no_single_object_is_400() {
    let (app, access) = start().await;
    let deep = |open: &str, close: &str| format!("{{\"a\":{}1{}}}", open.repeat(2_000), close.repeat(2_000));
    let deep = [deep("[", "]"), deep("{\"a\":", "}")].map(String::into_bytes);
    let bytes: [&[u8]; 3] = [b"{\"fullname\":\"\xff\"}", b"{\"fullname\":\"a\0b\"}", b"\xef\xbb\xbf{}"];
    let bodies =
        NO_OBJECT.lines().skip(1).map(str::as_bytes).chain(bytes).chain(deep.iter().map(Vec::as_slice));
    for body in bodies {
        send_everywhere(&app, &access, |r| json_body(r, body), |a| a.is_problem(400, "malformed_body")).await;
    }
}

#[tokio::test]
async fn an_absent_body_has_no_fields_and_is_enough_where_none_is_required() {
    let (app, access) = start().await;
    // Those that need a field say which.
    for (admin, names_its_type) in [("+989130000001", false), ("+989130000002", true)] {
        let absent = |request| if names_its_type { json_body(request, "") } else { request };
        send_everywhere(&app, &access, absent, |a| a.is_problem(400, "invalid_fields")).await;
        let (admin, other) = (app.sign_in_admin(admin).await, app.api.sign_in("+989121234562").await);
        let path = |act: &str| format!("/admin/accounts/{}/{act}/", other.account());
        for path in [path("sign-out"), path("reinstate"), format!("{LOGOUT_ALL}/")] {
            let request = app.api.request(Method::POST, &path).bearer_auth(&admin.access);
            assert_eq!(ApiClient::send(absent(request)).await.status, 204, "{path}");
        }
        app.api.profile(&other.access).await.is_problem(401, "invalid_access_token");
        app.advance_time(61);
    }
    // A form names its type, so that no page of another site can send what is taken.
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let request = app.api.request(Method::POST, LOGOUT_ALL).bearer_auth(&access);
        let answer = ApiClient::send(request.header("content-type", media_type)).await;
        answer.is_problem(415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_field_named_twice_is_400() {
    let (app, access) = start().await;
    for name in ["phone_number", "code", "token", "refresh_token", "fullname", "unknown"] {
        for body in
            [format!(r#"{{"{name}":"x","{name}":"x"}}"#), format!(r#"{{"{name}":null,"{name}":null}}"#)]
        {
            send_everywhere(&app, &access, |r| json_body(r, &*body), |a| a.is_problem(400, "malformed_body"))
                .await;
        }
    }
    let escaped = format!(r#"{{"phone_number":"{PHONE}","phone\u005fnumber":"{PHONE}"}}"#);
    let request = json_body(app.api.request(Method::POST, "/accounts/login/"), escaped);
    ApiClient::send(request).await.is_problem(400, "malformed_body");
}

#[tokio::test]
async fn an_unknown_field_is_400_and_named() {
    let (app, access) = start().await;
    for (name, value, shown) in [
        ("extra", json!("x"), "extra"),
        ("extra", json!(null), "extra"),
        ("extra", json!([[[]]]), "extra"),
        ("Phone_Number", json!(PHONE), "Phone_Number"),
        ("__proto__", json!({}), "__proto__"),
        ("نام", json!("x"), "نام"),
        ("a\0b", json!("\0"), "ab"),
        (&"x".repeat(10_000), json!(1), &"x".repeat(64)),
    ] {
        let body = json!({name: value});
        send_everywhere(
            &app,
            &access,
            |request| request.json(&body),
            |answer| {
                answer.is_problem(400, "invalid_fields");
                let complaint = &answer.json()["errors"][shown][0];
                assert_eq!(complaint, "There is no such field.", "{answer:?}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_nul_in_a_text_is_400() {
    let (app, access) = start().await;
    for body in [
        json!({"phone_number": "\0"}),
        json!({"email": "ada\0@example.com"}),
        json!({"fullname": "a\0b"}),
        json!({"code": "12345\0"}),
        json!({"token": "\0"}),
        json!({"refresh_token": "\0"}),
    ] {
        send_everywhere(&app, &access, |request| request.json(&body), |a| assert_eq!(a.status, 400)).await;
    }
}

#[tokio::test]
async fn a_body_over_16_kib_is_413() {
    let (app, access) = start().await;
    let of_size = |size: usize| format!("{{{}}}", " ".repeat(size - 2));
    send_everywhere(&app, &access, |r| json_body(r, of_size(LIMIT)), |a| a.is_problem(400, "invalid_fields"))
        .await;
    for size in [LIMIT + 1, 10 * LIMIT, 1 << 20] {
        send_everywhere(
            &app,
            &access,
            |r| json_body(r, of_size(size)),
            |a| a.is_problem(413, "body_too_large"),
        )
        .await;
    }
}

#[tokio::test]
async fn a_chunked_body_over_16_kib_is_413() {
    let (app, access) = start().await;
    for (method, path) in writing() {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {access}\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        let answer =
            app.api.send_raw(format!("{head}{}1\r\n \r\n0\r\n\r\n", chunk.repeat(4)).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
        let answer =
            app.api.send_raw(format!("{head}{}2\r\n{{}}\r\n0\r\n\r\n", chunk.repeat(3)).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("invalid_fields"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn the_connection_is_closed_after_a_413_and_the_rest_of_the_body_is_not_read() {
    let app = TestApp::start().await;
    for framing in ["transfer-encoding: chunked", "content-length: 1073741824"] {
        let mut stream = tokio::net::TcpStream::connect(app.api.address()).await.unwrap();
        let head = format!(
            "POST /accounts/login/ HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let began = Instant::now();
        // Without an end, and slowly.
        let sending = tokio::spawn(async move {
            let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
            while writing.write_all(chunk.as_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let mut answer = Vec::new();
        // Closing with bytes unread resets the connection.
        drop(tokio::time::timeout(Duration::from_secs(20), reading.read_to_end(&mut answer)).await.unwrap());
        let answer = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(answer.starts_with("http/1.1 413 ") && answer.contains("connection: close"), "{answer}");
        tokio::time::timeout(Duration::from_secs(10), sending).await.expect("nothing more is taken").unwrap();
        assert!(began.elapsed() < Duration::from_secs(10), "{framing}: after {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_slow_body_is_cut_with_408() {
    let app = TestApp::start().await;
    let started = Instant::now();
    let head = "POST /accounts/login/ HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 100\r\nconnection: close\r\n\r\n{\"phone_number\":";
    let answer = app.api.send_raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_too_slow"), "{answer}");
    assert!((5..=12).contains(&started.elapsed().as_secs()), "after {:?}", started.elapsed());
}

#[tokio::test]
async fn a_body_of_another_type_is_415() {
    let (app, access) = start().await;
    for (name, value) in [
        ("x-nothing", ""),
        ("content-type", ""),
        ("content-type", "json"),
        ("content-type", "text/plain"),
        ("content-type", "text/json"),
        ("content-type", "application/jsonp"),
        ("content-type", "application/problem+json"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-type", "multipart/form-data; boundary=x"),
        ("content-type", "application/json; charset=utf-16"),
        ("content-type", "application/json; charset=iso-8859-1"),
    ] {
        let complete = |request: RequestBuilder| request.header(name, value).body("{}");
        send_everywhere(&app, &access, complete, |a| a.is_problem(415, "unsupported_media_type")).await;
    }
    for encoding in ["gzip", "deflate", "br", "x"] {
        let complete =
            |request: RequestBuilder| json_body(request, "{}").header("content-encoding", encoding);
        send_everywhere(&app, &access, complete, |a| a.is_problem(415, "unsupported_media_type")).await;
    }
}

#[tokio::test]
async fn a_json_body_is_accepted_with_every_spelling_of_its_content_type() {
    let (app, access) = start().await;
    for mime in [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "application/json; odata.metadata=none",
    ] {
        let complete = |request: RequestBuilder| request.header("content-type", mime).body("{}");
        send_everywhere(&app, &access, complete, |a| a.is_problem(400, "invalid_fields")).await;
    }
}

#[tokio::test]
async fn another_method_is_405_and_the_answer_names_the_allowed_methods() {
    let (app, access) = start().await;
    for (path, methods) in PATHS {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if methods.contains(&method) {
                continue;
            }
            let request = app.api.request(method.parse().unwrap(), path).bearer_auth(&access);
            let answer = ApiClient::send(request.json(&json!({}))).await;
            answer.is_problem(405, "method_not_allowed");
            let allowed: BTreeSet<&str> = answer.header("allow").unwrap().split(", ").collect();
            let head = methods.contains(&"GET").then_some("HEAD");
            let expected: BTreeSet<&str> = methods.iter().copied().chain(head).collect();
            assert_eq!(allowed, expected, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let (app, access) = start().await;
    for (path, _) in PATHS.iter().filter(|(_, methods)| methods.contains(&"GET")) {
        let ask = async |method| ApiClient::send(app.api.request(method, path).bearer_auth(&access)).await;
        let (head, get) = (ask(Method::HEAD).await, ask(Method::GET).await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_404() {
    let app = TestApp::start().await;
    for path in [
        "/",
        "/accounts",
        "/accounts/",
        "/accounts/login/x",
        "/accounts/devices/x/y",
        "/%00",
        "/%ff",
        "/.env",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            ApiClient::send(app.api.request(method, path).json(&json!({})))
                .await
                .is_problem(404, "not_found");
        }
    }
}

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
