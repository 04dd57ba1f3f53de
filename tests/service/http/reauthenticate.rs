//! POST `/accounts/reauthenticate/` and `/accounts/reauthenticate/verify/`

use counterfoil_domain::values::{AccountId, Role};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::wrong;
use crate::support::{ApiAnswer, ApiClient, AuthenticatorApp, SignedInDevice, TestApp};

const PATH: &str = "/accounts/reauthenticate/";
const VERIFY: &str = "/accounts/reauthenticate/verify/";
const PHONE: &str = "+989121234567";
const OTHER_PHONE: &str = "+989121234568";
const EMAIL: &str = "ada@example.com";

/// Access tokens that outlive a proof.
const LASTING: &[(&str, &str)] = &[("tokens.access_lifetime", "3600")];

/// Eleven minutes: a proof is not fresh any more.
const LATE: i64 = 11 * 60;

async fn ask(app: &TestApp, device: &SignedInDevice) -> ApiAnswer {
    app.api.post_as(device, PATH, json!({})).await
}

async fn prove(app: &TestApp, device: &SignedInDevice, code: &str) -> ApiAnswer {
    app.api.post_as(device, VERIFY, json!({"code": code})).await
}

/// Adds an address, which takes fresh proof.
async fn change(app: &TestApp, device: &SignedInDevice) -> ApiAnswer {
    app.api.add_identifier(&device.access, &json!({"email": EMAIL})).await
}

async fn count(app: &TestApp, of: &str) -> i64 {
    app.database.value(&format!("SELECT count(*) FROM {of}")).await
}

/// The events of an account, in the order in which they happened.
async fn events(app: &TestApp, device: &SignedInDevice) -> Vec<&'static str> {
    let history = app.journal().history(device.account()).await.unwrap();
    history.iter().map(|(_, event)| event.name()).collect()
}

#[tokio::test]
async fn an_old_access_token_changes_no_identifier_until_the_user_reauthenticates() {
    let app = TestApp::with_settings(LASTING).await;
    let device = app.api.sign_in(PHONE).await;
    app.advance_time(LATE);
    change(&app, &device).await.is_problem(401, "fresh_proof_required");

    let asked = ask(&app, &device).await;
    assert_eq!(asked.names(""), ["code", "detail", "expires_in", "resend_after"]);
    assert_eq!((&asked.ok()["expires_in"], &asked.ok()["resend_after"]), (&json!(300), &json!(60)));
    change(&app, &device).await.is_problem(401, "fresh_proof_required");
    let proved = prove(&app, &device, &asked.code()).await.ok();
    let now = counterfoil::runtime::clock::Clock::now(&*app.clock);
    assert_eq!(proved["auth_time"].as_str().unwrap().parse(), Ok(now));
    assert_eq!((&proved["expires_in"], proved.as_object().unwrap().len()), (&json!(600), 2));

    let code = change(&app, &device).await.code();
    app.advance_time(60);
    app.api.verify_identifier(&device.access, &json!({"email": EMAIL}), &code).await.ok();
    app.advance_time(600);
    change(&app, &device).await.is_problem(401, "fresh_proof_required");
    let happened = events(&app, &device).await.split_off(3);
    let expected = ["OtpRequested", "SessionReauthenticated", "IdentifierRequested", "IdentifierAdded"];
    assert_eq!(happened, expected);
}

#[tokio::test]
async fn a_copied_access_token_proves_nothing_without_the_code() {
    let app = TestApp::with_settings(LASTING).await;
    let device = app.api.sign_in(PHONE).await;
    app.advance_time(60);
    let other = app.api.sign_in(PHONE).await;
    app.advance_time(LATE);
    let never_asked = prove(&app, &device, "123456").await;
    never_asked.is_problem(400, "invalid_code");
    let code = ask(&app, &device).await.code();
    // Not by a guess, not by the code of another session, and not for another account.
    let stranger = app.api.sign_in(OTHER_PHONE).await;
    for (device, code) in [(&device, wrong(&code)), (&other, code.clone()), (&stranger, code.clone())] {
        let refused = prove(&app, device, &code).await;
        assert_eq!(refused.appearance(), never_asked.appearance());
        if device.account() != stranger.account() {
            change(&app, device).await.is_problem(401, "fresh_proof_required");
        }
    }
    for _ in 0..4 {
        prove(&app, &device, &wrong(&code)).await.is_problem(400, "invalid_code");
    }
    assert_eq!(
        prove(&app, &device, &code).await.appearance(),
        never_asked.appearance(),
        "its tries are spent"
    );
    app.advance_time(60);
    let code = ask(&app, &device).await.code();
    app.advance_time(300);
    assert_eq!(prove(&app, &device, &code).await.appearance(), never_asked.appearance(), "it has expired");
    let code = ask(&app, &device).await.code();
    prove(&app, &device, &code).await.ok();
    assert_eq!(prove(&app, &device, &code).await.appearance(), never_asked.appearance(), "it is used up");
}

#[tokio::test]
async fn a_sign_in_code_proves_no_session_and_a_reauthentication_code_signs_no_user_in() {
    let app = TestApp::with_settings(LASTING).await;
    let device = app.api.sign_in(PHONE).await;
    app.advance_time(LATE);
    let to_prove = ask(&app, &device).await.code();
    let to_sign_in = app.api.login(PHONE).await.code();
    assert_ne!(to_prove, to_sign_in, "one pair in a million is equal by chance");
    app.api.verify(PHONE, &to_prove).await.is_problem(400, "invalid_code");
    prove(&app, &device, &to_sign_in).await.is_problem(400, "invalid_code");
    prove(&app, &device, &to_prove).await.ok();
    app.api.verify(PHONE, &to_sign_in).await.ok();
}

#[tokio::test]
async fn the_code_goes_to_an_identifier_of_the_account_and_to_no_other() {
    let app = TestApp::with_settings(LASTING).await;
    let device = app.api.sign_in(PHONE).await;
    let code = change(&app, &device).await.code();
    app.api.verify_identifier(&device.access, &json!({"email": EMAIL}), &code).await.ok();
    app.api.sign_in(OTHER_PHONE).await;
    app.advance_time(LATE);
    let written = [count(&app, "events").await, count(&app, "outbox").await];
    for (body, field) in [
        (json!({"phone_number": OTHER_PHONE}), "phone_number"),
        (json!({"phone_number": "+989121234599"}), "phone_number"),
        (json!({"email": "eve@example.com"}), "email"),
        (json!({"email": "eve@"}), "email"),
        (json!({"replaces": PHONE}), "replaces"),
    ] {
        app.api.post_as(&device, PATH, body.clone()).await.refuses_fields(&[field]);
    }
    let both = json!({"email": EMAIL, "phone_number": PHONE});
    app.api.post_as(&device, PATH, both).await.refuses_fields(&["email", "phone_number"]);
    assert_eq!([count(&app, "events").await, count(&app, "outbox").await], written);

    // The one that is named, in any spelling; without a name the one that proved the session last.
    let last = "SELECT (SELECT payload->'fact'->'OtpRequested'->>'channel' FROM events
        WHERE event_type = 'OtpRequested' ORDER BY (payload->>'at')::timestamptz DESC LIMIT 1)";
    for (body, channel) in [
        (json!({}), "phone"),
        (json!({"email": " Ada@Example.com"}), "email"),
        (json!({}), "email"),
        (json!({"phone_number": "0912 123 4567"}), "phone"),
        (json!({}), "phone"),
    ] {
        let code = app.api.post_as(&device, PATH, body.clone()).await.code();
        assert_eq!(app.database.value::<String>(last).await, channel, "{body}");
        app.advance_time(1);
        prove(&app, &device, &code).await.ok();
        app.advance_time(60);
    }
    let code = app.api.post_as(&device, PATH, json!({"email": EMAIL})).await.code();
    let named = json!({"phone_number": PHONE, "code": code});
    app.api.post_as(&device, VERIFY, named).await.is_problem(400, "invalid_code");
    let foreign = json!({"phone_number": OTHER_PHONE, "code": code});
    app.api.post_as(&device, VERIFY, foreign).await.refuses_fields(&["phone_number"]);
    app.api.post_as(&device, VERIFY, json!({"email": EMAIL, "code": code})).await.ok();
}

#[tokio::test]
async fn a_request_needs_no_body_and_a_proof_one_code() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    let request = |path: &str| app.api.request(Method::POST, path).bearer_auth(&device.access);
    ApiClient::send(request(PATH)).await.code();
    for (body, fields) in [
        (json!({}), &["code"][..]),
        (json!({"code": "12345"}), &["code"]),
        (json!({"totp": "12345"}), &["totp"]),
        (json!({"code": "123456", "totp": "123456"}), &["code", "totp"]),
    ] {
        ApiClient::send(request(VERIFY).json(&body)).await.refuses_fields(fields);
    }
    for path in [PATH, VERIFY] {
        app.api.post(path, json!({"code": "123456"})).await.is_problem(401, "not_authenticated");
        let foreign = app.api.request(Method::POST, path).json(&json!({}));
        let foreign = foreign.header("cookie", format!("Authorization=Bearer {}", device.access));
        ApiClient::send(foreign.header("origin", "https://evil.example"))
            .await
            .is_problem(403, "cross_site_request");
    }
    app.api.logout(&device.refresh).await;
    for path in [PATH, VERIFY] {
        ApiClient::send(request(path).json(&json!({"code": "123456"})))
            .await
            .is_problem(401, "invalid_access_token");
    }
}

#[tokio::test]
async fn reauthentication_codes_and_wrong_tries_count_within_the_limits_of_sign_in() {
    let app =
        TestApp::with_settings(&[LASTING, &[("codes.per_day", "3"), ("codes.wrong_per_hour", "4")]].concat())
            .await;
    let device = app.api.sign_in(PHONE).await;
    let login = async || {
        let request = app.api.request(Method::POST, "/accounts/login/").bearer_auth(&device.access);
        ApiClient::send(request.json(&json!({"phone_number": PHONE}))).await
    };
    login().await.ok();
    let too_soon = ask(&app, &device).await;
    too_soon.is_problem(406, "code_too_soon");
    assert_eq!(too_soon.retry_after(), Some(60));
    app.advance_time(60);
    let code = ask(&app, &device).await.code();
    login().await.is_problem(406, "code_too_soon");
    for _ in 0..4 {
        prove(&app, &device, &wrong(&code)).await.is_problem(400, "invalid_code");
    }
    let paused = prove(&app, &device, &code).await;
    paused.is_problem(429, "too_many_tries");
    assert_eq!(paused.retry_after(), Some(3600));
    app.advance_time(60);
    ask(&app, &device).await.is_problem(406, "code_quota_spent");
    login().await.is_problem(406, "code_quota_spent");
}

#[tokio::test]
async fn requests_for_reauthentication_codes_count_within_the_limits_of_the_address() {
    let app = TestApp::with_settings(&[("limits.shared", "on"), ("codes.resend_after", "0")]).await;
    let device = app.api.sign_in(PHONE).await;
    for _ in 0..4 {
        ask(&app, &device).await.ok();
    }
    ask(&app, &device).await.is_problem(429, "too_many_requests");
    app.api.login(OTHER_PHONE).await.is_problem(429, "too_many_requests");
}

#[tokio::test]
async fn an_authenticator_code_reauthenticates_the_user_once_and_passes_the_second_factor() {
    let app = TestApp::with_settings(LASTING).await;
    let device = app.api.sign_in(PHONE).await;
    let totp = async |code: &str| app.api.post_as(&device, VERIFY, json!({"totp": code})).await;
    totp("123456").await.is_problem(409, "no_second_factor");
    app.give_roles(&device, [Role::Admin]).await;
    let (authenticator, recovery) = AuthenticatorApp::enrol_in_app(
        &app.api,
        &device,
        counterfoil::runtime::clock::Clock::now(&*app.clock),
    )
    .await;
    app.advance_time(LATE);
    change(&app, &device).await.is_problem(401, "fresh_proof_required");
    totp(&recovery[0]).await.refuses_fields(&["totp"]);
    let now = counterfoil::runtime::clock::Clock::now(&*app.clock);
    let code = authenticator.code(now);
    totp(&wrong(&code)).await.is_problem(400, "invalid_code");
    let proved = totp(&code).await.ok();
    assert_eq!(proved["auth_time"].as_str().unwrap().parse(), Ok(now));
    totp(&code).await.is_problem(400, "invalid_code");
    change(&app, &device).await.ok();
    let passed = app.api.get("/accounts/second-factor/", &device.access).await.ok();
    assert_eq!(passed["passed_at"], proved["auth_time"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reauthentication_code_redeemed_on_two_nodes_at_once_is_accepted_once() {
    let here = TestApp::with_settings(LASTING).await;
    let (there, _proxy) = here.second_node(LASTING).await;
    let device = here.api.sign_in(PHONE).await;
    here.advance_time(LATE);
    for round in 1..=3 {
        let code = ask(&here, &device).await.code();
        let tries = (0..8).map(|n| {
            let api = if n % 2 == 0 { here.api.clone() } else { there.api.clone() };
            let (device, body) = (device.clone(), json!({"code": code}));
            tokio::spawn(async move { api.post_as(&device, VERIFY, body).await })
        });
        let mut statuses = Vec::new();
        for answer in tries.collect::<Vec<_>>() {
            statuses.push(answer.await.unwrap().status.as_u16());
        }
        // A node that loses every race for a second says 503.
        assert!(statuses.iter().all(|status| [200, 400, 503].contains(status)), "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(count(&here, "events WHERE event_type = 'SessionReauthenticated'").await, round);
        here.advance_time(60);
    }
    // The node that did not see the proof goes by it all the same.
    change(&there, &device).await.ok();
}

#[tokio::test]
async fn a_replay_shows_the_reauthentication_and_the_read_models_agree_with_the_log() {
    let app = TestApp::with_settings(LASTING).await;
    let device = app.api.sign_in(PHONE).await;
    app.advance_time(LATE);
    let code = ask(&app, &device).await.code();
    prove(&app, &device, &code).await.ok();

    let account: AccountId = device.account();
    let steps: Vec<_> = counterfoil::audit::steps(&app.journal(), account).await.unwrap().collect();
    let proof = serde_json::to_value(steps.last().unwrap()).unwrap();
    let fact = &proof["event"]["fact"]["SessionReauthenticated"];
    assert_eq!(fact["channel"], "phone", "{proof:#}");
    assert_eq!(proof["event"]["person"]["identifier"]["phone"], PHONE);
    let session = fact["session"].as_str().unwrap();
    let changes = proof["changes"].as_array().unwrap();
    let path = format!("/sessions/{session}/proved_at");
    assert!(changes.iter().any(|change| change["path"] == path), "{proof:#}");
    assert!(!proof.to_string().contains("nonce"), "{proof:#}");

    let history = app.api.get("/accounts/history/", &device.access).await;
    assert_eq!(history.status, StatusCode::OK);
    let now = counterfoil::runtime::clock::Clock::now(&*app.clock);
    let models = counterfoil_projections::ALL;
    let checked =
        counterfoil::read_models::rebuild::check(&app.journal(), &models, now, &mut |_| {}).await.unwrap();
    assert!(checked.iter().all(|model| model.differing == 0), "{checked:?}");
    let journal = app.journal();
    let store = counterfoil::journal::replay::stock_store(journal.database()).await.unwrap();
    use cqrs_es::EventStore as _;
    let address = counterfoil::journal::AccountRef::Account(account);
    let head = journal.load_anew(&address, now).await.unwrap();
    let replayed = store.load_aggregate(&account.to_string()).await.unwrap().aggregate;
    assert_eq!(replayed, head.head.state);
    let value: Value = serde_json::to_value(&head.head.state).unwrap();
    assert!(value.to_string().contains("proved_at"));
}
