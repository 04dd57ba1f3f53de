//! The rules of paths, methods and bodies that hold for every endpoint.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{ApiAnswer, ApiClient, TestApp};

pub(super) const PHONE: &str = "+989121234567";
pub(super) const LIMIT: usize = 16 * 1024;

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
    ("/accounts/profile", &["GET", "PATCH", "DELETE"]),
    ("/accounts/profile/update", &["PATCH"]),
    ("/.well-known/jwks.json", &["GET"]),
    ("/healthz", &["GET"]),
    ("/readyz", &["GET"]),
    ("/metrics", &["GET"]),
];

/// A service, and the access token of a user who is signed in on it.
pub(super) async fn start() -> (TestApp, String) {
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

pub(super) fn json_body(request: RequestBuilder, body: impl Into<Vec<u8>>) -> RequestBuilder {
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
