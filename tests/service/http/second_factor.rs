//! Staff prove a second factor before they have the rights of their roles.

use counterfoil::runtime::clock::Clock as _;
use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, AuthenticatorApp, SignedInDevice, TestApp};

const PHONE: &str = "+989121234567";
const PATH: &str = "/accounts/second-factor/";

async fn verify(api: &ApiClient, device: &SignedInDevice, code: &str) -> ApiAnswer {
    api.post_as(device, "/accounts/second-factor/verify/", json!({"code": code})).await
}

async fn status(app: &TestApp, device: &SignedInDevice) -> Value {
    app.api.get(PATH, &device.access).await.ok()
}

async fn admin_without_factor(app: &TestApp) -> SignedInDevice {
    let device = app.api.sign_in(PHONE).await;
    app.give_roles(&device, [Role::Admin]).await;
    device
}

async fn refreshed(app: &TestApp, device: &SignedInDevice) -> SignedInDevice {
    let tokens = app.api.refresh(&device.refresh).await.ok();
    let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
    SignedInDevice {
        user: device.user.clone(),
        access: token("access_token"),
        refresh: token("refresh_token"),
    }
}

/// The events of an account, in the order in which they happened.
async fn events(app: &TestApp, device: &SignedInDevice) -> Vec<&'static str> {
    let history = app.journal().history(device.account()).await.unwrap();
    history.iter().map(|(_, event)| event.name()).collect()
}

#[tokio::test]
async fn a_one_time_code_alone_gives_no_access_to_paths_that_need_a_role() {
    let app = TestApp::start().await;
    let device = admin_without_factor(&app).await;
    let none = json!({"enrolled": false, "passed_at": null, "recovery_codes_left": 0});
    assert_eq!(status(&app, &device).await, none);
    app.api.get("/admin/accounts/", &device.access).await.is_problem(403, "second_factor_required");
    app.api.get("/audit/events/?reason=x", &device.access).await.is_problem(403, "forbidden");
    verify(&app.api, &device, "123456").await.is_problem(409, "no_second_factor");

    let offered = app.api.post_as(&device, PATH, json!({})).await;
    assert_eq!(offered.names(""), ["qr_code", "secret", "uri"]);
    let offered = offered.ok();
    let secret = offered["secret"].as_str().unwrap();
    let uri = format!("otpauth://totp/Counterfoil:%2B989121234567?secret={secret}&issuer=Counterfoil");
    assert_eq!(offered["uri"], json!(uri));
    assert!(offered["qr_code"].as_str().unwrap().ends_with("</svg>"));
    app.api.get("/admin/accounts/", &device.access).await.is_problem(403, "second_factor_required");

    let authenticator_app = AuthenticatorApp::from_offer(&offered);
    let confirm = async |code: &str| {
        app.api.post_as(&device, "/accounts/second-factor/confirm/", json!({"code": code})).await
    };
    confirm("12345").await.refuses_fields(&["code"]);
    let wrong = if authenticator_app.code(app.clock.now()) == "000000" { "000001" } else { "000000" };
    confirm(wrong).await.is_problem(400, "invalid_code");
    let recovery = confirm(&authenticator_app.code(app.clock.now())).await.ok();
    assert_eq!(recovery["recovery_codes"].as_array().unwrap().len(), 10);
    app.api.get("/admin/accounts/", &device.access).await.ok();
    let status = status(&app, &device).await;
    assert_eq!((&status["enrolled"], &status["recovery_codes_left"]), (&json!(true), &json!(10)));

    let recorded = events(&app, &device).await.split_off(4);
    let expected = ["AccessDenied", "AccessDenied", "SecondFactorOffered", "SecondFactorRejected"];
    assert_eq!(recorded, [expected.as_slice(), &["SecondFactorEnrolled", "StaffRead"]].concat());
}

/// Proves the user of the session again, by a code to their number.
async fn reauthenticate(app: &TestApp, device: &SignedInDevice) {
    let code = app.api.post_as(device, "/accounts/reauthenticate/", json!({})).await.code();
    app.api.post_as(device, "/accounts/reauthenticate/verify/", json!({"code": code})).await.ok();
}

#[tokio::test]
async fn each_change_of_the_second_factor_needs_a_recent_reauthentication_and_a_new_authenticator_does_not_count()
 {
    let app = TestApp::with_settings(&[("tokens.access_lifetime", "3600")]).await;
    let device = admin_without_factor(&app).await;
    let ask = async |path: &str, body: Value| app.api.post_as(&device, path, body).await;
    app.advance_time(601);
    ask(PATH, json!({})).await.is_problem(401, "fresh_proof_required");
    reauthenticate(&app, &device).await;
    app.advance_time(300);
    let authenticator = AuthenticatorApp::from_offer(&ask(PATH, json!({})).await.ok());

    app.advance_time(301);
    let confirm = "/accounts/second-factor/confirm/";
    let code = || json!({"code": authenticator.code(app.clock.now())});
    let written = events(&app, &device).await;
    for code in [code(), json!({"code": "000000"})] {
        ask(confirm, code).await.is_problem(401, "fresh_proof_required");
    }
    assert_eq!(events(&app, &device).await, written, "neither counts");
    reauthenticate(&app, &device).await;
    app.advance_time(200);
    ask(confirm, code()).await.ok();

    // The second factor counts as passed for six minutes; the user was proved ten minutes ago.
    app.advance_time(401);
    let renew = "/accounts/second-factor/recovery-codes/";
    for path in [PATH, renew] {
        ask(path, json!({})).await.is_problem(401, "fresh_proof_required");
    }
    verify(&app.api, &device, &authenticator.code(app.clock.now())).await.ok();
    ask(renew, json!({})).await.ok();
    ask(PATH, json!({})).await.ok();
    app.advance_time(600);
    ask(renew, json!({})).await.is_problem(403, "second_factor_required");
}

#[tokio::test]
async fn the_second_factor_is_asked_for_at_every_sign_in_and_every_ten_minutes_for_changes() {
    let app = TestApp::start().await;
    let device = app.sign_in_admin(PHONE).await;
    let victim = app.api.sign_in("+989130000001").await;
    let sign_out = format!("/admin/accounts/{}/sign-out/", victim.account());
    let answer = app.api.post_as(&device, &sign_out, json!({})).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    app.advance_time(600);
    let device = refreshed(&app, &device).await;
    app.api.post_as(&device, &sign_out, json!({})).await.is_problem(403, "second_factor_required");
    app.api.get("/admin/accounts/", &device.access).await.ok();
    app.pass_second_factor(&device).await;
    assert_eq!(app.api.post_as(&device, &sign_out, json!({})).await.status, 204);

    let elsewhere = app.api.sign_in(PHONE).await;
    app.api.get("/admin/accounts/", &elsewhere.access).await.is_problem(403, "second_factor_required");
    app.pass_second_factor(&elsewhere).await;
    app.api.get("/admin/accounts/", &elsewhere.access).await.ok();

    app.advance_time(30 * 60);
    let elsewhere = refreshed(&app, &elsewhere).await;
    app.api.get("/admin/accounts/", &elsewhere.access).await.ok();
    app.advance_time(12 * 3600);
    let elsewhere = refreshed(&app, &elsewhere).await;
    app.api.get("/admin/accounts/", &elsewhere.access).await.is_problem(403, "second_factor_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_code_is_accepted_once_across_nodes() {
    let here = TestApp::start().await;
    let (there, _proxy) = here.second_node(&[]).await;
    let device = admin_without_factor(&here).await;
    let (authenticator, recovery) =
        AuthenticatorApp::enrol_in_app(&here.api, &device, here.clock.now()).await;
    for code in [authenticator.code(here.clock.now()), recovery[7].to_lowercase()] {
        let tries = (0..6).map(|n| {
            let api = if n % 2 == 0 { here.api.clone() } else { there.api.clone() };
            let (device, code) = (device.clone(), code.clone());
            tokio::spawn(async move { verify(&api, &device, &code).await })
        });
        let mut statuses = Vec::new();
        for answer in tries.collect::<Vec<_>>() {
            statuses.push(answer.await.unwrap().status.as_u16());
        }
        // A node that loses every race for a second says 503.
        assert!(statuses.iter().all(|status| [200, 400, 503].contains(status)), "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    }
    assert_eq!(status(&here, &device).await["recovery_codes_left"], 9);
    let renewed = here.api.post_as(&device, "/accounts/second-factor/recovery-codes/", json!({})).await.ok();
    verify(&there.api, &device, &recovery[0]).await.is_problem(400, "invalid_code");
    let new = renewed["recovery_codes"][0].as_str().unwrap();
    let status = verify(&there.api, &device, new).await.ok();
    assert_eq!(status["recovery_codes_left"], 9);
}

#[tokio::test]
async fn wrong_second_factor_codes_pause_the_check() {
    let app = TestApp::start().await;
    let device = app.sign_in_admin(PHONE).await;
    for _ in 0..10 {
        verify(&app.api, &device, "AAAA-AAAA-AAAA-AAAA").await.is_problem(400, "invalid_code");
    }
    let paused = verify(&app.api, &device, "AAAA-AAAA-AAAA-AAAA").await;
    paused.is_problem(429, "too_many_tries");
    assert_eq!(paused.retry_after(), Some(3600));
    verify(&app.api, &device, "1234567").await.refuses_fields(&["code"]);
}

#[tokio::test]
async fn the_owner_is_told_of_a_new_authenticator_a_used_recovery_code_and_a_removal() {
    let app = TestApp::start().await;
    let device = admin_without_factor(&app).await;
    let (_, recovery) = AuthenticatorApp::enrol_in_app(&app.api, &device, app.clock.now()).await;
    verify(&app.api, &device, &recovery[0]).await.ok();
    let by = counterfoil::accounts::StaffAction::operator(crate::support::operator(), None);
    app.state.accounts.remove_second_factor(device.account(), by).await.unwrap();
    app.api.get("/admin/accounts/", &device.access).await.is_problem(403, "second_factor_required");
    let told = "SELECT string_agg(kind, ' ' ORDER BY sequence) FROM outbox WHERE kind !~ 'sign_in'";
    let told: String = app.database.value(told).await;
    assert_eq!(told, "second_factor_enrolled recovery_code_used second_factor_removed");
}

#[tokio::test]
async fn a_user_without_a_role_needs_no_second_factor_and_every_path_answers_401_without_a_token() {
    let app = TestApp::start().await;
    let user = app.api.sign_in(PHONE).await;
    app.api.post_as(&user, PATH, json!({})).await.is_problem(403, "forbidden");
    let confirm = "/accounts/second-factor/confirm/";
    app.api.post_as(&user, confirm, json!({"code": "123456"})).await.is_problem(400, "invalid_code");
    let renew = "/accounts/second-factor/recovery-codes/";
    app.api.post_as(&user, renew, json!({})).await.is_problem(409, "no_second_factor");
    for (method, path) in [
        (Method::GET, PATH),
        (Method::POST, PATH),
        (Method::POST, confirm),
        (Method::POST, renew),
        (Method::POST, "/accounts/second-factor/verify/"),
    ] {
        ApiClient::send(app.api.request(method, path).json(&json!({})))
            .await
            .is_problem(401, "not_authenticated");
    }
}
