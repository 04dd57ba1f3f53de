//! Another service checks access tokens by itself, and follows which sessions end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use chrono::{DateTime, Utc};
use counterfoil::runtime::clock::Clock as _;
use counterfoil::tokens::{AccessKeys, export_access_keys};
use counterfoil_guard::{FollowStreamError, Guard, SignedIn, require_signed_in};
use reqwest::Method;

use crate::support::{ApiAnswer, ApiClient, TestApp};

const PHONE: &str = "+989121234567";

/// A service that answers the caller's account at `/own`, and serves a file to every signed-in caller at `/shared/file`.
fn serve(guard: Guard) -> ApiClient {
    let guard = web::Data::new(guard);
    let app = move || {
        let own = |caller: SignedIn| async move { caller.token.account.to_string() };
        let shared = web::scope("/shared").wrap(from_fn(require_signed_in));
        let shared = shared.route("/file", web::get().to(|| async { "a file" }));
        App::new().app_data(guard.clone()).route("/own", web::get().to(own)).service(shared)
    };
    let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = server.addrs()[0];
    tokio::spawn(server.run());
    ApiClient::new(address)
}

/// The clock of the service, for a guard.
fn clock_of(app: &TestApp) -> impl Fn() -> DateTime<Utc> + Send + Sync + 'static {
    let clock = app.clock.clone();
    move || clock.now()
}

/// The keys as the command writes them for another service.
fn keys(app: &TestApp) -> AccessKeys {
    AccessKeys::parse(export_access_keys(&app.keyring, app.state.tokens.policy()).unwrap().as_bytes())
        .unwrap()
}

async fn get(service: &ApiClient, path: &str, token: &str) -> ApiAnswer {
    ApiClient::send(service.request(Method::GET, path).bearer_auth(token)).await
}

#[tokio::test]
async fn a_guarded_service_knows_its_caller_and_refuses_every_other_request() {
    let app = TestApp::start().await;
    let service = serve(Guard::new(keys(&app)).with_clock(clock_of(&app)));
    let device = app.api.sign_in(PHONE).await;
    let own = get(&service, "/own", &device.access).await;
    assert_eq!((own.status.as_u16(), own.text.as_str()), (200, device.user["id"].as_str().unwrap()));
    assert_eq!(get(&service, "/shared/file", &device.access).await.text, "a file");

    let altered = format!("{}A", device.access);
    for path in ["/own", "/shared/file"] {
        for token in [&device.refresh, &altered, "x", "cfa_1_00000000_AAAA"] {
            get(&service, path, token).await.is_problem(401, "invalid_access_token");
        }
        let without = ApiClient::send(service.request(Method::GET, path)).await;
        without.is_problem(401, "not_authenticated");
        let in_query = format!("{path}?access_token={}", device.access);
        ApiClient::send(service.request(Method::GET, &in_query)).await.is_problem(401, "not_authenticated");
    }
    app.advance_time(600);
    get(&service, "/own", &device.access).await.is_problem(401, "invalid_access_token");
}

#[tokio::test]
async fn keys_for_others_open_and_verify_and_hold_no_master_key() {
    let app = TestApp::start().await;
    let exported = export_access_keys(&app.keyring, app.state.tokens.policy()).unwrap();
    for key in app.keyring.all() {
        use base64::Engine as _;
        let secret = base64::engine::general_purpose::STANDARD.encode(key.secret());
        assert!(!exported.contains(&secret), "{}", key.purpose);
    }
    for (what, malformed) in [
        ("nothing", String::new()),
        ("another version", exported.replace("\"version\": 1", "\"version\": 2")),
        ("a key too short", exported.replacen("\"key\": \"", "\"key\": \"AAAA", 1)),
        ("more", exported.replacen('{', "{\"more\": 1,", 1)),
    ] {
        assert!(AccessKeys::parse(malformed.as_bytes()).is_err(), "{what}");
    }
    let by_hmac = counterfoil::crypto::keyring::Keyring::signing_access_by(
        counterfoil::crypto::keyring::SigningAlgorithm::Hs256,
    );
    assert!(export_access_keys(&by_hmac, app.state.tokens.policy()).is_err());
}

/// A guard that follows the stream of the service instead of its database.
fn following_stream(app: &TestApp, url: &str) -> ApiClient {
    let guard = Guard::following_stream(keys(app), url, "orders", SECRET).unwrap();
    serve(guard.with_clock(clock_of(app)))
}

const SECRET: &str = "s3cret: with a colon";

async fn with_client() -> TestApp {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SECRET.as_bytes());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    TestApp::with_toml(&format!(
        "[[oauth.clients]]\nid = \"orders\"\nsecret_sha256 = \"{hash}\"\nscopes = [\"sessions:read\"]\n"
    ))
    .await
}

async fn is_served(service: &ApiClient, token: &str) {
    let began = Instant::now();
    while get(service, "/own", token).await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(10), "never served");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_guard_without_the_database_follows_the_stream_and_refuses_within_two_seconds() {
    let app = with_client().await;
    let before = app.api.sign_in("+989127654321").await;
    app.api.logout(&before.refresh).await;
    let service = following_stream(&app, &format!("http://{}/", app.api.address()));
    for _ in 0..10 {
        let device = app.api.sign_in(PHONE).await;
        is_served(&service, &device.access).await;
        app.api.logout(&device.refresh).await;
        let ended = Instant::now();
        while get(&service, "/own", &device.access).await.status != 401 {
            assert!(ended.elapsed() < Duration::from_secs(2), "still served");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        app.advance_time(61);
    }
    // What had ended before it began to follow.
    let late = app.api.sign_in("+989127654322").await;
    app.api.logout(&late.refresh).await;
    let another = following_stream(&app, &format!("http://{}", app.api.address()));
    let device = app.api.sign_in("+989127654323").await;
    is_served(&another, &device.access).await;
    get(&another, "/own", &late.access).await.is_problem(401, "invalid_access_token");
}

#[tokio::test]
async fn a_guard_whose_stream_is_silent_serves_no_caller() {
    let app = with_client().await;
    let device = app.api.sign_in(PHONE).await;
    // One stream has no server, and the other has a server that refuses the guard.
    let nowhere = following_stream(&app, "http://127.0.0.1:9");
    let stranger = TestApp::start().await;
    let refused = following_stream(&app, &format!("http://{}", stranger.api.address()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    for service in [nowhere, refused] {
        get(&service, "/own", &device.access).await.is_problem(503, "unavailable");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_would_carry_the_secret_in_clear_is_not_followed() {
    let app = TestApp::start().await;
    for url in ["http://auth.example", "http://192.0.2.1:8000", "ftp://127.0.0.1", "auth.example", ""] {
        let refused = Guard::following_stream(keys(&app), url, "orders", SECRET);
        assert!(matches!(refused, Err(FollowStreamError::Url)), "{url}: {refused:?}");
    }
    for url in ["https://auth.example", "http://localhost:9", "http://[::1]:9"] {
        Guard::following_stream(keys(&app), url, "orders", SECRET).expect(url);
    }
}
