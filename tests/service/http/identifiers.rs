//! POST `/accounts/identifiers/` and `/accounts/identifiers/verify/`

use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::{Identifier, PhoneNumber};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::wrong;
use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const PATH: &str = "/accounts/identifiers/";
const VERIFY: &str = "/accounts/identifiers/verify/";
const PHONE: &str = "+989121234567";
const NEW_PHONE: &str = "+989121234568";
const EMAIL: &str = "ada@example.com";

fn phone(number: &str) -> Value {
    json!({"phone_number": number})
}

fn email() -> Value {
    json!({"email": EMAIL})
}

/// Asks for a code to that identifier, and redeems it.
async fn add(app: &TestApp, device: &SignedInDevice, identifier: &Value) -> ApiAnswer {
    let code = app.api.add_identifier(&device.access, identifier).await.code();
    app.api.verify_identifier(&device.access, identifier, &code).await
}

/// Signs in by that identifier.
async fn sign_in(app: &TestApp, identifier: &Value) -> SignedInDevice {
    let mut body = identifier.clone();
    body["code"] = json!(app.api.post("/accounts/login/", identifier.clone()).await.code());
    app.api.post("/accounts/verify/", body).await.signed_in()
}

async fn is_signed_in(app: &TestApp, device: &SignedInDevice) -> bool {
    app.api.profile(&device.access).await.status == StatusCode::OK
        && app.api.token_verify(&device.refresh).await.status == StatusCode::OK
}

async fn count(app: &TestApp, of: &str) -> i64 {
    app.database.value(&format!("SELECT count(*) FROM {of}")).await
}

#[tokio::test]
async fn identifiers_200_adds_an_address_beside_the_number_and_either_signs_in() {
    let app = TestApp::start().await;
    let [device, other] = [sign_in(&app, &phone(PHONE)).await, {
        app.advance_time(60);
        sign_in(&app, &phone(PHONE)).await
    }];
    let asked = app.api.add_identifier(&device.access, &json!({"email": " Ada@Example.com"})).await;
    assert_eq!(asked.names(""), ["code", "detail", "expires_in", "resend_after"]);
    assert_eq!((&asked.ok()["expires_in"], &asked.ok()["resend_after"]), (&json!(300), &json!(60)));
    let mut profile = app.api.verify_identifier(&device.access, &email(), &asked.code()).await.ok();
    assert_eq!((&profile["phone_number"], &profile["email"]), (&json!(PHONE), &json!(EMAIL)));
    assert_eq!(profile, app.api.profile(&other.access).await.ok());
    profile["email"] = Value::Null;
    assert_eq!(profile, other.user, "nothing else has changed");

    app.advance_time(60);
    for identifier in [email(), phone(PHONE)] {
        assert_eq!(sign_in(&app, &identifier).await.user["id"], device.user["id"]);
        app.advance_time(60);
    }
    assert!(is_signed_in(&app, &other).await && is_signed_in(&app, &device).await);
}

#[tokio::test]
async fn identifiers_200_replaces_the_number_and_signs_every_other_device_out() {
    let app = TestApp::start().await;
    let [other, device] = [sign_in(&app, &phone(PHONE)).await, {
        app.advance_time(60);
        sign_in(&app, &phone(PHONE)).await
    }];
    add(&app, &device, &email()).await.ok();
    app.advance_time(60);
    let profile = add(&app, &device, &phone("0912 123 4568")).await.ok();
    assert_eq!((&profile["phone_number"], &profile["email"]), (&json!(NEW_PHONE), &json!(EMAIL)));
    assert!(is_signed_in(&app, &device).await && !is_signed_in(&app, &other).await);
    let reason = "user_logins WHERE end_reason = 'identifier_replaced'";
    assert_eq!(count(&app, reason).await, 1);

    app.advance_time(60);
    for identifier in [phone(NEW_PHONE), email()] {
        assert_eq!(sign_in(&app, &identifier).await.user["id"], device.user["id"]);
        app.advance_time(60);
    }
    let newcomer = sign_in(&app, &phone(PHONE)).await.user;
    assert_ne!(newcomer["id"], device.user["id"]);
    assert_eq!((&newcomer["phone_number"], &newcomer["email"]), (&json!(PHONE), &Value::Null));
    assert!(is_signed_in(&app, &device).await);
}

#[tokio::test]
async fn identifiers_401_for_a_token_whose_session_was_proved_more_than_ten_minutes_ago() {
    let app = TestApp::with_settings(&[("tokens.access_lifetime", "3600")]).await;
    let device = sign_in(&app, &phone(PHONE)).await;
    app.advance_time(10 * 60);
    let code = app.api.add_identifier(&device.access, &email()).await.code();
    app.advance_time(60);
    let refreshed = app.api.refresh(&device.refresh).await.ok();
    let written = count(&app, "events").await;
    for access in [device.access.as_str(), refreshed["access_token"].as_str().unwrap()] {
        for identifier in [phone(NEW_PHONE), email()] {
            let refused = app.api.add_identifier(access, &identifier).await;
            refused.is_problem(401, "fresh_proof_required");
            let challenge = r#"Bearer error="insufficient_user_authentication", max_age=600"#;
            assert_eq!(refused.header("www-authenticate"), Some(challenge));
        }
    }
    assert_eq!(count(&app, "events").await, written);
    // A code that was asked for in time is redeemed in its own, and a new sign-in is proof.
    app.api.verify_identifier(&device.access, &email(), &code).await.ok();
    let again = sign_in(&app, &phone(PHONE)).await;
    add(&app, &again, &phone(NEW_PHONE)).await.ok();
}

#[tokio::test]
async fn identifiers_401_comes_before_any_check_that_reveals_or_costs_something() {
    let app = TestApp::with_settings(&[("tokens.access_lifetime", "3600"), ("limits.shared", "on")]).await;
    let device = sign_in(&app, &phone(PHONE)).await;
    app.advance_time(11 * 60);
    app.api.login(NEW_PHONE).await.ok();
    let written = count(&app, "events").await;
    let ask = async |body: Value| app.api.add_identifier(&device.access, &body).await;
    // The number that has to wait, one that has not, the account's own, and what is no request at all; more often than an
    // address may ask for codes.
    for body in [phone(NEW_PHONE), email(), phone(PHONE), json!({}), json!({"email": "ada@"})] {
        for _ in 0..2 {
            ask(body.clone()).await.is_problem(401, "fresh_proof_required");
        }
    }
    assert_eq!(count(&app, "events").await, written);
    for n in 0..4 {
        app.api.login(&format!("+9891312345{n:02}")).await.ok();
    }
    app.api.login("+989131234599").await.is_problem(429, "too_many_requests");
}

#[tokio::test]
async fn a_replacement_keeps_the_former_number_in_the_sealed_part_of_its_event() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    add(&app, &device, &phone(NEW_PHONE)).await.ok();
    let account = device.user["id"].as_str().unwrap().parse().unwrap();
    let history = app.journal().history(counterfoil_domain::values::AccountId(account)).await.unwrap();
    let person = |(_, event): &(i64, UserAccountEvent)| {
        event.released()?;
        event.person.clone()
    };
    let person = history.iter().find_map(person).unwrap();
    let number = |number| Some(Identifier::Phone(PhoneNumber::parse(number, None).unwrap()));
    assert_eq!((person.identifier, person.former), (number(NEW_PHONE), number(PHONE)));
}

#[tokio::test]
async fn identifiers_200_again_replaces_the_address_by_the_next() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    for address in ["a@example.com", "b@example.com", "a@example.com"] {
        let profile = add(&app, &device, &json!({"email": address})).await.ok();
        assert_eq!((&profile["email"], &profile["phone_number"]), (&json!(address), &json!(PHONE)));
        app.advance_time(60);
    }
    assert_eq!(count(&app, "identifiers WHERE channel = 'email'").await, 1);
}

#[tokio::test]
async fn identifiers_answers_alike_for_free_pending_and_taken_identifiers_until_one_is_proved() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    let (free, pending, taken) = ("+989121234501", "+989121234502", "+989121234503");
    app.api.login(pending).await.ok();
    sign_in(&app, &phone(taken)).await;
    let mut seen = Vec::new();
    for number in [free, pending, taken] {
        app.advance_time(60);
        let asked = app.api.add_identifier(&device.access, &phone(number)).await;
        let too_soon = app.api.add_identifier(&device.access, &phone(number)).await;
        let code = asked.code();
        let refused = app.api.verify_identifier(&device.access, &phone(number), &wrong(&code)).await;
        refused.is_problem(400, "invalid_code");
        seen.push([asked.appearance().replace(&code, ""), too_soon.appearance(), refused.appearance()]);
    }
    assert!(seen.iter().all(|answers| *answers == seen[0]), "{seen:#?}");
}

#[tokio::test]
async fn identifiers_409_once_it_is_proved_to_be_another_account_s_and_nothing_changes() {
    let app = TestApp::start().await;
    let (device, owner) = (sign_in(&app, &phone(PHONE)).await, sign_in(&app, &phone(NEW_PHONE)).await);
    app.advance_time(60);
    let code = app.api.add_identifier(&device.access, &phone(NEW_PHONE)).await.code();
    let written = count(&app, "events").await;
    for _ in 0..2 {
        let answer = app.api.verify_identifier(&device.access, &phone(NEW_PHONE), &code).await;
        answer.is_problem(409, "identifier_taken");
    }
    assert_eq!(count(&app, "events").await, written);
    for device in [&device, &owner] {
        assert_eq!(app.api.profile(&device.access).await.ok(), device.user);
    }
    app.advance_time(60);
    assert_eq!(sign_in(&app, &phone(NEW_PHONE)).await.user["id"], owner.user["id"]);
}

#[tokio::test]
async fn identifiers_409_for_an_identifier_that_the_account_already_has() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    let written = count(&app, "events").await;
    app.api.add_identifier(&device.access, &phone("0912 123 4567")).await.is_problem(409, "identifier_taken");
    assert_eq!((count(&app, "events").await, count(&app, "outbox").await), (written, 1));
}

#[tokio::test]
async fn an_identifier_that_no_account_has_proved_goes_to_the_account_that_proves_it() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    let typed = app.api.post("/accounts/login/", json!({"phone_number": NEW_PHONE, "fullname": "Eve"})).await;
    app.advance_time(60);
    assert_eq!(add(&app, &device, &phone(NEW_PHONE)).await.ok()["fullname"], Value::Null);
    app.api.verify(NEW_PHONE, &typed.code()).await.is_problem(400, "invalid_code");
    assert_eq!(count(&app, "events WHERE event_type = 'IdentifierReleased'").await, 1);
    assert_eq!(count(&app, &format!("profiles WHERE phone_number = '{NEW_PHONE}'")).await, 1);
    app.advance_time(60);
    assert_eq!(sign_in(&app, &phone(NEW_PHONE)).await.user["id"], device.user["id"]);
    app.api.verify(PHONE, &typed.code()).await.is_problem(400, "invalid_code");
}

#[tokio::test]
async fn a_code_works_only_for_the_purpose_that_it_was_asked_for() {
    let app = TestApp::start().await;
    let (device, stranger) =
        (sign_in(&app, &phone(PHONE)).await, sign_in(&app, &phone("+989121234500")).await);
    let code = app.api.add_identifier(&device.access, &phone(NEW_PHONE)).await.code();
    // Not to sign in with, on either account; not for another identifier; not on another account.
    app.api.verify(NEW_PHONE, &code).await.is_problem(400, "invalid_code");
    app.api.verify(PHONE, &code).await.is_problem(400, "invalid_code");
    for (device, identifier) in
        [(&device, phone("+989121234569")), (&device, email()), (&stranger, phone(NEW_PHONE))]
    {
        let answer = app.api.verify_identifier(&device.access, &identifier, &code).await;
        answer.is_problem(400, "invalid_code");
    }
    // Nor is a code to sign in with good for this.
    app.advance_time(60);
    let to_sign_in = app.api.login(NEW_PHONE).await.code();
    let answer = app.api.verify_identifier(&device.access, &phone(NEW_PHONE), &to_sign_in).await;
    answer.is_problem(400, "invalid_code");
    app.api.verify_identifier(&device.access, &phone(NEW_PHONE), &code).await.ok();
}

#[tokio::test]
async fn identifiers_400_for_any_code_but_the_pending_one() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    let verify = async |code: &str| app.api.verify_identifier(&device.access, &email(), code).await;
    let never_asked = verify("123456").await;
    never_asked.is_problem(400, "invalid_code");
    let code = app.api.add_identifier(&device.access, &email()).await.code();
    for _ in 0..5 {
        assert_eq!(verify(&wrong(&code)).await.appearance(), never_asked.appearance());
    }
    assert_eq!(verify(&code).await.appearance(), never_asked.appearance(), "its five tries are spent");
    app.advance_time(60);
    let code = app.api.add_identifier(&device.access, &email()).await.code();
    app.advance_time(300);
    assert_eq!(verify(&code).await.appearance(), never_asked.appearance(), "it has expired");
    let code = app.api.add_identifier(&device.access, &email()).await.code();
    verify(&code).await.ok();
    assert_eq!(verify(&code).await.appearance(), never_asked.appearance(), "it is used up");
}

#[tokio::test]
async fn identifiers_429_after_too_many_wrong_codes_of_a_known_device_for_either_purpose() {
    let app = TestApp::with_settings(&[("codes.wrong_per_hour", "4")]).await;
    let device = sign_in(&app, &phone(PHONE)).await;
    app.advance_time(60);
    let known = async |path: &str, body: Value| {
        ApiClient::send(app.api.request(Method::POST, path).bearer_auth(&device.access).json(&body)).await
    };
    let adding = app.api.add_identifier(&device.access, &phone(NEW_PHONE)).await.code();
    let codes = [known("/accounts/login/", phone(PHONE)).await.code(), adding];
    let verify =
        async |code: &str| known("/accounts/verify/", json!({"phone_number": PHONE, "code": code})).await;
    for _ in 0..2 {
        verify(&wrong(&codes[0])).await.is_problem(400, "invalid_code");
        let answer = app.api.verify_identifier(&device.access, &phone(NEW_PHONE), &wrong(&codes[1])).await;
        answer.is_problem(400, "invalid_code");
    }
    for _ in 0..2 {
        let answer = app.api.verify_identifier(&device.access, &phone(NEW_PHONE), &codes[1]).await;
        answer.is_problem(429, "too_many_tries");
        assert_eq!(answer.retry_after(), Some(3600));
    }
    verify(&codes[0]).await.is_problem(429, "too_many_tries");
    app.advance_time(60);
    app.api.add_identifier(&device.access, &phone(NEW_PHONE)).await.is_problem(406, "code_quota_spent");
}

#[tokio::test]
async fn identifiers_406_within_a_minute_of_the_last_code_to_the_same_identifier() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    let code = app.api.add_identifier(&device.access, &email()).await.code();
    for _ in 0..2 {
        app.advance_time(10);
        app.api.add_identifier(&device.access, &email()).await.is_problem(406, "code_too_soon");
    }
    app.api.verify_identifier(&device.access, &email(), &code).await.ok();
}

#[tokio::test]
async fn identifiers_406_when_the_account_has_asked_ten_times_in_24_hours() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    let sent = count(&app, "outbox").await;
    for n in 0..10 {
        app.api.add_identifier(&device.access, &phone(&format!("+9891212345{n:02}"))).await.ok();
        app.advance_time(60);
    }
    let device = app.api.refresh(&device.refresh).await.ok();
    let access = device["access_token"].as_str().unwrap();
    let answer = app.api.add_identifier(access, &phone("+989121234599")).await;
    answer.is_problem(406, "code_quota_spent");
    assert_eq!(answer.retry_after(), Some(24 * 3600 - 600));
    assert_eq!(count(&app, "outbox").await, sent + 10);
    // Its own number gets codes as before.
    app.api.login(PHONE).await.ok();
}

#[tokio::test]
async fn a_number_gets_no_more_codes_than_its_limit_for_all_callers_together() {
    let app = TestApp::with_settings(&[("tokens.access_lifetime", "3600")]).await;
    let mut devices = Vec::new();
    for n in 0..3 {
        devices.push(sign_in(&app, &phone(&format!("+9891212345{n:02}"))).await);
    }
    let sent = count(&app, "outbox").await;
    // Three accounts and a caller who is not signed in take turns, a minute apart.
    let ask = async |n: usize| match devices.get(n % 4) {
        Some(device) => app.api.add_identifier(&device.access, &phone(NEW_PHONE)).await,
        None => app.api.login(NEW_PHONE).await,
    };
    for n in 0..10 {
        ask(n).await.ok();
        ask(n + 1).await.is_problem(406, "code_too_soon");
        app.advance_time(60);
    }
    for n in 0..4 {
        ask(n).await.is_problem(406, "code_quota_spent");
    }
    assert_eq!(count(&app, "outbox").await, sent + 10);
}

#[tokio::test]
async fn identifiers_400_names_each_wrong_field() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    let send = async |path: &str, body: Value| {
        ApiClient::send(app.api.request(Method::POST, path).bearer_auth(&device.access).json(&body)).await
    };
    for (body, fields) in [
        (json!({}), &["phone_number"][..]),
        (json!({"phone_number": "x"}), &["phone_number"]),
        (json!({"email": "ada@"}), &["email"]),
        (json!({"email": EMAIL, "phone_number": PHONE}), &["email", "phone_number"]),
        (json!({"email": EMAIL, "replaces": PHONE}), &["replaces"]),
    ] {
        send(PATH, body).await.refuses_fields(fields);
    }
    for (body, fields) in [
        (json!({}), &["code", "phone_number"][..]),
        (json!({"email": EMAIL}), &["code"]),
        (json!({"email": EMAIL, "code": "12345"}), &["code"]),
        (json!({"code": "123456"}), &["phone_number"]),
    ] {
        send(VERIFY, body).await.refuses_fields(fields);
    }
}

#[tokio::test]
async fn identifiers_401_without_a_session() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    let code = app.api.add_identifier(&device.access, &email()).await.code();
    let proof = json!({"email": EMAIL, "code": code});
    for (path, body) in [(PATH, email()), (VERIFY, proof.clone())] {
        app.api.post(path, body).await.is_problem(401, "not_authenticated");
    }
    app.api.logout(&device.refresh).await;
    for (path, body) in [(PATH, email()), (VERIFY, proof)] {
        let request = app.api.request(Method::POST, path).bearer_auth(&device.access).json(&body);
        ApiClient::send(request).await.is_problem(401, "invalid_access_token");
    }
    assert_eq!(count(&app, "events WHERE event_type = 'IdentifierAdded'").await, 0);
}

#[tokio::test]
async fn identifiers_403_for_a_cookie_from_another_site() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    let request = |path: &str, body: &Value| {
        let cookie = format!("Authorization=Bearer {}", device.access);
        app.api.request(Method::POST, path).header("cookie", cookie).json(body)
    };
    let proof = |code: &str| json!({"email": EMAIL, "code": code});
    for (path, body) in [(PATH, email()), (VERIFY, proof("123456"))] {
        let foreign = request(path, &body).header("origin", "https://evil.example");
        ApiClient::send(foreign).await.is_problem(403, "cross_site_request");
    }
    let same_site = ("sec-fetch-site", "same-origin");
    let asked = ApiClient::send(request(PATH, &email()).header(same_site.0, same_site.1)).await;
    let proved = request(VERIFY, &proof(&asked.code())).header(same_site.0, same_site.1);
    assert_eq!(ApiClient::send(proved).await.ok()["email"], EMAIL);
}

#[tokio::test]
async fn the_read_models_and_the_states_agree_with_the_log_after_changes_of_identifiers() {
    let app = TestApp::start().await;
    for n in 0..4 {
        let device = sign_in(&app, &phone(&format!("+9891212345{n:02}"))).await;
        app.api.login(NEW_PHONE).await;
        app.advance_time(60);
        add(&app, &device, &json!({"email": format!("ada{n}@example.com")})).await.ok();
        app.advance_time(60);
        add(&app, &device, &phone(&format!("+9891312345{n:02}"))).await.ok();
        app.advance_time(60);
        // From account to account, as each lets it go.
        let code = app.api.add_identifier(&device.access, &phone(NEW_PHONE)).await.code();
        app.api.verify_identifier(&device.access, &phone(NEW_PHONE), &code).await.ok();
        app.advance_time(60);
        add(&app, &device, &phone(&format!("+9891512345{n:02}"))).await.ok();
    }
    let now = counterfoil::runtime::clock::Clock::now(&*app.clock);
    let models = counterfoil_projections::ALL;
    let checked =
        counterfoil::read_models::rebuild::check(&app.journal(), &models, now, &mut |_| {}).await.unwrap();
    assert!(checked.iter().all(|model| model.differing == 0), "{checked:?}");

    let journal = app.journal();
    let store = counterfoil::journal::replay::stock_store(journal.database()).await.unwrap();
    let heads = "SELECT array_agg(account_id::text) FROM heads";
    for account in app.database.value::<Vec<String>>(heads).await {
        use cqrs_es::EventStore as _;
        let address = counterfoil::journal::AccountRef::Account(counterfoil_domain::values::AccountId(
            account.parse().unwrap(),
        ));
        let head = journal.load_anew(&address, now).await.unwrap();
        assert_eq!(store.load_aggregate(&account).await.unwrap().aggregate, head.head.state);
    }
    // Four numbers and four addresses.
    assert_eq!(count(&app, "identifiers").await, 8);
}

#[tokio::test]
async fn a_mistyped_number_does_not_hold_up_the_right_one() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    app.api.add_identifier(&device.access, &phone("+989121234586")).await.ok();
    let code = app.api.add_identifier(&device.access, &phone(NEW_PHONE)).await.code();
    // The same number again has to wait, and its code goes on working.
    let again = app.api.add_identifier(&device.access, &phone(NEW_PHONE)).await;
    again.is_problem(406, "code_too_soon");
    app.api.verify_identifier(&device.access, &phone(NEW_PHONE), &code).await.ok();
}

#[tokio::test]
async fn two_requests_for_a_code_at_once_leave_the_code_that_was_sent_working() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    let ask = async || app.api.add_identifier(&device.access, &email()).await;
    let mut answers = [ask(), ask()].map(Box::pin);
    let [first, second] = &mut answers;
    let (first, second) = tokio::join!(first, second);
    let (sent, refused) = if first.status == StatusCode::OK { (first, second) } else { (second, first) };
    refused.is_problem(406, "code_too_soon");
    app.api.verify_identifier(&device.access, &email(), &sent.code()).await.ok();
}

#[tokio::test]
async fn a_code_to_the_number_does_not_make_the_address_wait() {
    let app = TestApp::start().await;
    let device = sign_in(&app, &phone(PHONE)).await;
    add(&app, &device, &email()).await.ok();
    app.advance_time(60);
    for identifier in [phone(PHONE), email()] {
        app.api.post("/accounts/login/", identifier).await.ok();
    }
}
