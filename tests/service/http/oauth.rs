//! POST `/oauth/introspect` (RFC 7662) and `/oauth/revoke` (RFC 7009)

use counterfoil::runtime::clock::Clock as _;
use counterfoil::tokens::{AccessKeys, MAX_TOKEN_BYTES, export_access_keys};
use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const PHONE: &str = "+989121234567";
const SECRET: &str = "s3cret:with a colon";

/// What `printf %s "$secret" | sha256sum` prints of the secret.
const SETTINGS: &str = "
[[oauth.clients]]
id = \"orders\"
secret_sha256 = \"HASH\"
scopes = [\"tokens:introspect\", \"tokens:revoke\", \"sessions:read\"]
";

async fn start() -> TestApp {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SECRET.as_bytes());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    TestApp::with_toml(&SETTINGS.replace("HASH", &hash)).await
}

/// As the service `orders` asks, whose secret has to be form-encoded before it goes into the header.
async fn ask(api: &ApiClient, path: &str, form: &[(&str, &str)]) -> ApiAnswer {
    let request = api.request(Method::POST, path).basic_auth("orders", Some("s3cret%3Awith+a+colon"));
    ApiClient::send(request.form(form)).await
}

async fn introspect(api: &ApiClient, token: &str) -> ApiAnswer {
    ask(api, "/oauth/introspect", &[("token", token)]).await
}

#[tokio::test]
async fn introspect_200_tells_a_service_the_claims_of_a_working_token_and_nothing_personal() {
    let app = start().await;
    let device = app.api.sign_in(PHONE).await;
    let access = introspect(&app.api, &device.access).await;
    let said = access.ok();
    assert_eq!(
        access.names(""),
        ["active", "amr", "aud", "auth_time", "exp", "iat", "iss", "jti", "nbf", "sid", "sub", "token_type"]
    );
    assert_eq!((&said["active"], &said["token_type"]), (&json!(true), &json!("Bearer")));
    assert_eq!(said["sub"], device.user["id"]);
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 600);
    assert!(!access.text.contains("9121234567"), "{access:?}");
    let refresh = introspect(&app.api, &device.refresh).await.ok();
    assert_eq!((&refresh["token_type"], &refresh["sid"]), (&json!("refresh_token"), &said["sid"]));
}

#[tokio::test]
async fn tokens_say_when_and_how_the_user_was_authenticated_and_a_refresh_keeps_both() {
    let app = start().await;
    let mut device = app.api.sign_in(PHONE).await;
    let now = || app.clock.now().timestamp();
    let signed_in = now();
    // What another service reads of both tokens, by asking and by itself.
    let said = async |device: &SignedInDevice| {
        let [access, refresh] = [&device.access, &device.refresh].map(|token| introspect(&app.api, token));
        let (access, refresh) = (access.await.ok(), refresh.await.ok());
        let keys = export_access_keys(&app.keyring, app.state.tokens.policy()).unwrap();
        let keys = AccessKeys::parse(keys.as_bytes()).unwrap();
        let (token, _) = keys.open(&device.access, app.clock.now()).unwrap();
        assert_eq!(refresh["active"], true);
        assert!(refresh.get("auth_time").is_none() && refresh.get("amr").is_none(), "{refresh}");
        let proof = token.proof.unwrap();
        assert_eq!(access["auth_time"], proof.at.timestamp());
        assert_eq!(access["amr"], json!(proof.methods.names()));
        (access["auth_time"].as_i64().unwrap(), access["iat"].as_i64().unwrap(), access["amr"].clone())
    };
    let refreshed = async |device: &SignedInDevice| {
        let tokens = app.api.refresh(&device.refresh).await.ok();
        let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
        SignedInDevice { access: token("access_token"), refresh: token("refresh_token"), ..device.clone() }
    };
    assert_eq!(said(&device).await, (signed_in, signed_in, json!(["otp", "sms"])));
    for _ in 0..2 {
        app.advance_time(300);
        device = refreshed(&device).await;
        assert_eq!(said(&device).await, (signed_in, now(), json!(["otp", "sms"])));
    }
    let code = app.api.post_as(&device, "/accounts/reauthenticate/", json!({})).await.code();
    app.advance_time(5);
    app.api.post_as(&device, "/accounts/reauthenticate/verify/", json!({"code": code})).await.ok();
    let proved = now();
    // A token says what held when it was issued, and the next one what holds now.
    assert_eq!(said(&device).await, (signed_in, proved - 5, json!(["otp", "sms"])));
    app.advance_time(60);
    device = refreshed(&device).await;
    assert_eq!(said(&device).await, (proved, now(), json!(["otp", "sms"])));

    app.give_roles(&device, [Role::Auditor]).await;
    app.enrol_second_factor(&device).await;
    app.pass_second_factor(&device).await;
    let passed = now();
    app.advance_time(60);
    device = refreshed(&device).await;
    assert_eq!(said(&device).await, (passed, now(), json!(["otp", "sms", "mfa"])));
    // So do both answers to a refresh that is repeated.
    for answer in [refreshed(&device).await, refreshed(&device).await] {
        assert_eq!(said(&answer).await.0, passed);
    }
}

#[tokio::test]
async fn introspect_200_is_one_answer_for_every_token_that_does_not_work() {
    let app = start().await;
    let (spent, ended) = (app.api.sign_in(PHONE).await, app.api.sign_in("+989127654321").await);
    app.api.refresh(&spent.refresh).await.ok();
    app.api.logout(&ended.refresh).await;
    let altered = format!("{}A", spent.access);
    let huge = "x".repeat(MAX_TOKEN_BYTES + 1);
    for token in [&spent.refresh, &ended.access, &ended.refresh, &altered, "x", "cfa_1_", "\0", &huge] {
        let answer = introspect(&app.api, token).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, r#"{"active":false}"#), "{token}");
    }
    app.advance_time(601);
    assert_eq!(introspect(&app.api, &spent.access).await.text, r#"{"active":false}"#);
}

#[tokio::test]
async fn revoke_200_ends_the_session_by_either_token_and_is_the_same_for_any_other_text() {
    let app = start().await;
    for by_access in [true, false] {
        let device = app.api.sign_in(PHONE).await;
        let token = if by_access { &device.access } else { &device.refresh };
        for _ in 0..2 {
            let hint = [("token", token.as_str()), ("token_type_hint", "whatever"), ("more", "")];
            let answer = ask(&app.api, "/oauth/revoke", &hint).await;
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
        }
        app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
        app.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
        app.advance_time(61);
    }
    for token in ["x", "cfr_1_00000000_AAAA", "\0", "🙂"] {
        assert_eq!(ask(&app.api, "/oauth/revoke", &[("token", token)]).await.status, 200, "{token}");
    }
}

#[tokio::test]
async fn oauth_401_unless_a_configured_client_proves_itself() {
    let (app, without_clients) = (start().await, TestApp::start().await);
    let device = app.api.sign_in(PHONE).await;
    let plain = |api: &ApiClient, path: &str| {
        api.request(Method::POST, path).form(&[("token", device.access.as_str())])
    };
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        for request in [
            plain(&app.api, path),
            plain(&app.api, path).basic_auth("orders", Some("s3cret")),
            plain(&app.api, path).basic_auth("orders", Some("")),
            plain(&app.api, path).basic_auth("unknown", Some("s3cret%3Awith+a+colon")),
            plain(&app.api, path).bearer_auth(&device.access),
            plain(&app.api, path).header("authorization", "Basic"),
            plain(&app.api, path).header("authorization", "Basic ####"),
            plain(&app.api, path).header("authorization", "Basic b3JkZXJz"),
            plain(&app.api, path)
                .basic_auth("orders", Some("s3cret%3Awith+a+colon"))
                .header("authorization", "Basic x"),
            plain(&without_clients.api, path).basic_auth("orders", Some("s3cret%3Awith+a+colon")),
        ] {
            let answer = ApiClient::send(request).await;
            answer.is_problem(401, "invalid_client");
            assert_eq!(answer.json()["error"], "invalid_client");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "), "{answer:?}");
        }
    }
    app.api.profile(&device.access).await.ok();
}

#[tokio::test]
async fn oauth_400_and_415_for_a_body_that_is_no_form_with_one_token() {
    let app = start().await;
    for form in [&[][..], &[("token", "")], &[("token", "a"), ("token", "b")], &[("Token", "a")]] {
        let answer = ask(&app.api, "/oauth/introspect", form).await;
        answer.is_problem(400, "malformed_form");
        assert_eq!(answer.json()["error"], "invalid_request");
    }
    let json = app.api.request(Method::POST, "/oauth/introspect");
    let json = json.basic_auth("orders", Some("s3cret%3Awith+a+colon")).json(&json!({"token": "a"}));
    ApiClient::send(json).await.is_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn an_oauth_client_may_do_what_its_scopes_name_and_nothing_else() {
    const ALL: [&str; 3] = ["tokens:introspect", "tokens:revoke", "sessions:read"];
    for (scopes, allowed) in [
        (None, &ALL[..1]),
        (Some("[]"), &[]),
        (Some("[\"tokens:revoke\"]"), &ALL[1..2]),
        (Some("[\"sessions:read\"]"), &ALL[2..]),
    ] {
        let line = scopes.map(|scopes| format!("scopes = {scopes}")).unwrap_or_default();
        let kept = SETTINGS.lines().filter(|line| !line.starts_with("scopes"));
        let settings = kept.map(|line| format!("{line}\n")).collect::<String>() + &line;
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SECRET.as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let app = TestApp::with_toml(&settings.replace("HASH", &hash)).await;
        let device = app.api.sign_in(PHONE).await;
        for (path, scope) in [("/oauth/introspect", ALL[0]), ("/oauth/revoke", ALL[1])] {
            let answer = ask(&app.api, path, &[("token", &device.access)]).await;
            if allowed.contains(&scope) {
                assert_eq!(answer.status, 200, "{scope}: {answer:?}");
            } else {
                answer.is_problem(403, "unauthorized_client");
                assert_eq!(answer.json()["error"], "unauthorized_client");
            }
        }
        let works = app.api.profile(&device.access).await.status == 200;
        assert_eq!(works, !allowed.contains(&ALL[1]), "a refused service ends nothing: {scopes:?}");
        let stream = app.api.request(Method::GET, "/oauth/ended-sessions/");
        let stream = stream.basic_auth("orders", Some("s3cret%3Awith+a+colon")).send().await.unwrap();
        let expected = if allowed.contains(&ALL[2]) { 200 } else { 403 };
        assert_eq!(stream.status(), expected, "{scopes:?}");
    }
}
