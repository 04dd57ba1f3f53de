//! The guard, without the server: tokens are made here by hand, and the stream of ended sessions is told here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, test};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::SessionProof;
use counterfoil_domain::values::{AccountId, AuthenticationMethods, Channel, Generation, SessionId};
use counterfoil_guard::format::{Claims, NONCE_BYTES, signing_input};
use counterfoil_guard::{
    AccessKeys, ExtraClaims, FollowStreamError, Guard, GuardProblem, SignedIn, Token, TokenKind,
    require_signed_in,
};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use uuid::Uuid;
use xsalsa20poly1305::aead::Aead as _;
use xsalsa20poly1305::{KeyInit as _, Nonce, XSalsa20Poly1305};
use zeroize::Zeroizing;

const SEAL_KEY: [u8; 32] = [7; 32];
const ISSUER: &str = "https://auth.example";
const AUDIENCE: &str = "shop";

/// The server's half: it signs and seals.
struct Issuer(Ed25519KeyPair);

impl Issuer {
    fn new() -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap())
    }

    fn keys(&self) -> AccessKeys {
        let opening = std::iter::once(("k1", Zeroizing::new(SEAL_KEY)));
        let verifying = std::iter::once(("s1", self.0.public_key().as_ref().to_vec()));
        let json = AccessKeys::to_json(ISSUER, AUDIENCE, opening, verifying);
        AccessKeys::parse(json.as_bytes()).unwrap()
    }

    fn issue(&self, token: &Token, audience: &str) -> String {
        let claims = Claims::new(token, ISSUER, audience, ExtraClaims::default());
        let message = signing_input(token.kind, Algorithm::EdDSA, "s1", &claims);
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(message.as_bytes()));
        let nonce = [3; NONCE_BYTES];
        let sealed = XSalsa20Poly1305::new((&SEAL_KEY).into())
            .encrypt(Nonce::from_slice(&nonce), format!("{message}.{signature}").as_bytes())
            .unwrap();
        let sealed = URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat());
        format!("{}_1_k1_{sealed}", token.kind.prefix())
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn access_token() -> Token {
    Token {
        kind: TokenKind::Access,
        account: AccountId(Uuid::from_u128(1)),
        session: SessionId(Uuid::from_u128(2)),
        generation: Generation::FIRST,
        issued_at: now(),
        proof: Some(SessionProof {
            at: now(),
            methods: AuthenticationMethods { channel: Channel::Phone, second_factor: false },
        }),
        expires_at: now() + TimeDelta::minutes(10),
    }
}

async fn answer(guard: Guard, authorization: Option<String>) -> (StatusCode, Value) {
    let own = |caller: SignedIn| async move { caller.token.account.to_string() };
    let shared = web::scope("/shared").wrap(from_fn(require_signed_in));
    let shared = shared.route("", web::get().to(|| async { "a file" }));
    let app = App::new().app_data(Data::new(guard)).route("/own", web::get().to(own)).service(shared);
    let app = test::init_service(app).await;
    let mut answers = Vec::new();
    for path in ["/own", "/shared"] {
        let mut request = test::TestRequest::get().uri(path);
        if let Some(value) = &authorization {
            request = request.insert_header(("authorization", value.as_str()));
        }
        let response = test::try_call_service(&app, request.to_request()).await;
        let response = match response {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            Err(error) => error.error_response(),
        };
        let status = response.status();
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        answers.push((status, serde_json::from_slice(&body).unwrap_or(Value::Null)));
    }
    assert_eq!(answers[0], answers[1], "the extractor and the middleware answer alike");
    answers.remove(0)
}

fn code(answer: &(StatusCode, Value)) -> (u16, &str) {
    (answer.0.as_u16(), answer.1["code"].as_str().unwrap_or_default())
}

#[actix_web::test]
async fn a_guard_lets_an_access_token_through_and_refuses_all_others() {
    let issuer = Issuer::new();
    let guard = || Guard::new(issuer.keys()).with_clock(now);
    let good = issuer.issue(&access_token(), AUDIENCE);
    assert_eq!(answer(guard(), Some(format!("bearer {good}"))).await.0, 200);

    let refresh = Token { kind: TokenKind::Refresh, proof: None, ..access_token() };
    let expired = Token { expires_at: now(), ..access_token() };
    let ahead = Token {
        issued_at: now() + TimeDelta::minutes(1),
        expires_at: now() + TimeDelta::minutes(2),
        ..access_token()
    };
    for (what, token) in [
        ("a refresh token", issuer.issue(&refresh, AUDIENCE)),
        ("an expired token", issuer.issue(&expired, AUDIENCE)),
        ("a token of the future", issuer.issue(&ahead, AUDIENCE)),
        ("a token for another audience", issuer.issue(&access_token(), "another")),
        ("a changed token", format!("{good}A")),
        ("no token", "x".to_owned()),
    ] {
        let answer = answer(guard(), Some(format!("Bearer {token}"))).await;
        assert_eq!(code(&answer), (401, "invalid_access_token"), "{what}");
    }
    assert_eq!(code(&answer(guard(), None).await), (401, "not_authenticated"));
    assert_eq!(code(&answer(guard(), Some("Basic eDp5".to_owned())).await), (401, "invalid_access_token"));
}

#[actix_web::test]
async fn a_guard_that_follows_a_stream_refuses_ended_sessions_and_all_tokens_while_the_stream_is_silent() {
    let issuer = Issuer::new();
    // What the server says next; the stream repeats that it is up to date while this says so.
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let silent: Arc<Mutex<bool>> = Arc::default();
    let (lines, is_silent) = (told.clone(), silent.clone());
    let server = HttpServer::new(move || {
        let (lines, is_silent) = (lines.clone(), is_silent.clone());
        let stream = move || {
            let (lines, is_silent) = (lines.clone(), is_silent.clone());
            async move {
                let events = futures_util::stream::unfold((), move |()| {
                    let (lines, is_silent) = (lines.clone(), is_silent.clone());
                    async move {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        let mut text: String = lines.lock().unwrap().drain(..).collect();
                        if !*is_silent.lock().unwrap() {
                            text += "data: {\"age_ms\":0}\n\n";
                        }
                        Some((Ok::<_, actix_web::Error>(Bytes::from(text)), ()))
                    }
                });
                HttpResponse::Ok().content_type("text/event-stream").streaming(events)
            }
        };
        App::new().route("/oauth/ended-sessions/", web::get().to(stream))
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.addrs()[0]);
    let server = server.run();
    let stop = server.handle();
    actix_web::rt::spawn(server);

    let follow = || Guard::following_stream(issuer.keys(), &url, "shop", "secret").unwrap().with_clock(now);
    let token = issuer.issue(&access_token(), AUDIENCE);
    let guard = follow();
    guard.check(&token).await.expect("the session goes on");

    told.lock().unwrap().push(format!(
        "data: {}\n\n",
        json!({"sid": access_token().session, "exp": access_token().expires_at.timestamp()})
    ));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(guard.check(&token).await.unwrap_err(), GuardProblem::InvalidAccessToken);
    let other = Token { session: SessionId(Uuid::from_u128(3)), ..access_token() };
    let other = issuer.issue(&other, AUDIENCE);
    guard.check(&other).await.expect("only that session has ended");

    *silent.lock().unwrap() = true;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(guard.check(&other).await.unwrap_err(), GuardProblem::Unavailable);
    *silent.lock().unwrap() = false;
    tokio::time::sleep(Duration::from_millis(500)).await;
    guard.check(&other).await.expect("the stream goes on");
    stop.stop(false).await;
}

#[actix_web::test]
async fn a_guard_sends_its_secret_over_tls_or_to_this_machine_only() {
    let issuer = Issuer::new();
    for url in ["http://auth.example", "http://192.0.2.1:8000", "ftp://127.0.0.1", "auth.example", ""] {
        let refused = Guard::following_stream(issuer.keys(), url, "shop", "secret");
        assert!(matches!(refused, Err(FollowStreamError::Url)), "{url}: {refused:?}");
    }
    for url in ["https://auth.example", "http://localhost:9", "http://[::1]:9"] {
        Guard::following_stream(issuer.keys(), url, "shop", "secret").expect(url);
    }
}
