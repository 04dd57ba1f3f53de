//! Extra claims of access tokens: of the settings, of the profile, of a program of one's own.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use counterfoil::runtime::clock::Clock as _;
use counterfoil::tokens::claims_source::{ClaimsFault, ClaimsRequest, ClaimsSource};
use counterfoil::tokens::{AccessKeys, TokenKind, export_access_keys};
use counterfoil_domain::values::{Role, UserAgent};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const PHONE: &str = "+989121234567";

const SETTINGS: &str = "
[tokens]
profile_claims = [\"phone_number\", \"fullname\", \"email\"]

[tokens.claims]
tenant = \"acme\"
plan = { name = \"basic\", seats = 3 }

[[oauth.clients]]
id = \"orders\"
secret_sha256 = \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"
";

/// What an access token says, as another service reads it.
fn said(app: &TestApp, access: &str) -> Option<Value> {
    let keys = export_access_keys(&app.keyring, app.state.tokens.policy()).unwrap();
    let (_, claims) = AccessKeys::parse(keys.as_bytes()).unwrap().open(access, app.clock.now()).unwrap();
    claims.read()
}

#[tokio::test]
async fn access_tokens_hold_the_claims_of_the_settings_and_of_the_profile_and_no_others() {
    let app = TestApp::with_toml(SETTINGS).await;
    let device = app.api.sign_in(PHONE).await;
    let expected = |name: Value| {
        json!({
            "tenant": "acme", "plan": {"name": "basic", "seats": 3},
            "phone_number": PHONE, "fullname": name, "email": null,
        })
    };
    assert_eq!(said(&app, &device.access), Some(expected(Value::Null)));
    app.api.rename(&device.access, "Ada").await.ok();
    assert_eq!(said(&app, &device.access), Some(expected(Value::Null)), "a token is as it was made");
    let refreshed = app.api.refresh(&device.refresh).await.ok();
    let access = refreshed["access_token"].as_str().unwrap();
    assert_eq!(said(&app, access), Some(expected(json!("Ada"))));
    app.api.profile(access).await.ok();

    let introspect = async |token: &str| {
        let request = app.api.request(Method::POST, "/oauth/introspect").basic_auth("orders", Some("secret"));
        ApiClient::send(request.form(&[("token", token)])).await.ok()
    };
    assert_eq!(introspect(access).await["ext"], expected(json!("Ada")));
    let refresh = introspect(refreshed["refresh_token"].as_str().unwrap()).await;
    assert!(refresh["active"] == true && refresh.get("ext").is_none(), "{refresh}");

    let plain = TestApp::start().await;
    let device = plain.api.sign_in(PHONE).await;
    assert_eq!(said(&plain, &device.access), None);
}

/// A node of the service in a program of one's own, which adds these claims.
fn embedded(app: &TestApp, settings: &[(&'static str, &str)], source: Arc<dyn ClaimsSource>) -> ApiClient {
    app.embed(&app.database.url, settings, |state| state.accounts.use_claims(source).unwrap())
}

/// How a source answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum SourceMode {
    Answering,
    Failing,
    Late,
    Panicking,
}

/// Says what it was asked, in the mode that the test sets.
#[derive(Debug)]
struct TestClaims {
    names: &'static [&'static str],
    needs: bool,
    mode: Mutex<SourceMode>,
}

impl TestClaims {
    fn new(names: &'static [&'static str], needs: bool) -> Arc<Self> {
        Arc::new(Self { names, needs, mode: Mutex::new(SourceMode::Answering) })
    }

    fn set_mode(&self, mode: SourceMode) {
        *self.mode.lock().unwrap() = mode;
    }
}

#[async_trait]
impl ClaimsSource for TestClaims {
    fn claim_names(&self) -> &[&'static str] {
        self.names
    }

    fn needs_profile(&self) -> bool {
        self.needs
    }

    fn needs_roles(&self) -> bool {
        self.needs
    }

    async fn claims(&self, request: &ClaimsRequest) -> Result<Map<String, Value>, ClaimsFault> {
        let mode = *self.mode.lock().unwrap();
        match mode {
            SourceMode::Answering => {}
            SourceMode::Failing => return Err(ClaimsFault::new("the directory is away")),
            SourceMode::Late => tokio::time::sleep(Duration::from_secs(5)).await,
            SourceMode::Panicking => panic!("a fault of the program"),
        }
        let asked = json!({
            "session": request.session.to_string(),
            "occasion": format!("{:?}", request.occasion),
            "roles": request.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
            "fullname": request.profile.as_ref().map(|profile| profile.fullname.clone()),
            "ip": request.client.ip.to_string(),
            "user_agent": request.client.user_agent.as_ref().map(UserAgent::as_str),
            "at": request.at.timestamp(),
        });
        let claims = [("asked", asked), ("account", json!(request.account.to_string())), ("extra", json!(1))];
        Ok(claims.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())
    }
}

#[tokio::test]
async fn a_program_adds_claims_by_account_session_roles_profile_client_and_occasion() {
    let app = TestApp::start().await;
    let api = embedded(&app, &[("tokens.profile_claims", "fullname")], TestClaims::new(&["asked"], true));
    let device = sign_in_as(&api, PHONE).await;
    app.give_roles(&device, [Role::Auditor]).await;
    api.rename(&device.access, "Ada").await.ok();
    let refreshed = refresh_as(&api, &device.refresh).await.ok();
    let session =
        app.state.tokens.open(TokenKind::Refresh, &device.refresh, app.clock.now()).unwrap().session;
    let asked = |occasion: &str, roles: Value, fullname: Value| {
        json!({
            "asked": {
                "session": session.to_string(), "occasion": occasion, "roles": roles, "fullname": fullname,
                "ip": "127.0.0.1", "user_agent": "Phone/2.0", "at": app.clock.now().timestamp(),
            },
            "fullname": fullname,
        })
    };
    assert_eq!(said(&app, &device.access), Some(asked("SignIn", json!([]), Value::Null)));
    let access = refreshed["access_token"].as_str().unwrap();
    assert_eq!(said(&app, access), Some(asked("Refresh", json!(["auditor"]), json!("Ada"))));
}

/// Signs in with a user agent of its own.
async fn sign_in_as(api: &ApiClient, phone: &str) -> SignedInDevice {
    let code = api.login(phone).await.code();
    verify_as(api, phone, &code).await.signed_in()
}

async fn verify_as(api: &ApiClient, phone: &str, code: &str) -> ApiAnswer {
    let body = json!({"phone_number": phone, "code": code});
    ApiClient::send(
        api.request(Method::POST, "/accounts/verify/").header("user-agent", "Phone/2.0").json(&body),
    )
    .await
}

async fn refresh_as(api: &ApiClient, refresh_token: &str) -> ApiAnswer {
    let body = json!({"refresh_token": refresh_token});
    let request = api.request(Method::POST, "/accounts/refresh/").header("user-agent", "Phone/2.0");
    ApiClient::send(request.json(&body)).await
}

#[tokio::test]
async fn a_source_that_asks_for_nothing_gets_neither_profile_nor_roles() {
    let app = TestApp::start().await;
    let api = embedded(&app, &[], TestClaims::new(&["asked", "account"], false));
    let device = sign_in_as(&api, PHONE).await;
    app.give_roles(&device, [Role::Admin]).await;
    let refreshed = refresh_as(&api, &device.refresh).await.ok();
    let claims = said(&app, refreshed["access_token"].as_str().unwrap()).unwrap();
    assert_eq!(claims["account"], device.user["id"]);
    assert_eq!((&claims["asked"]["roles"], &claims["asked"]["fullname"]), (&json!([]), &Value::Null));
    assert!(claims.get("extra").is_none(), "it was not declared: {claims}");
}

/// A retry of a sign-in or a refresh that got no claims gives the tokens, however long the source was away.
#[tokio::test]
async fn a_source_that_fails_is_late_or_panics_leaves_503_and_a_retry_gives_the_tokens() {
    let app = TestApp::start().await;
    let source = TestClaims::new(&["account"], false);
    let api = embedded(&app, &[], source.clone());
    for (mode, phone) in [
        (SourceMode::Failing, "+989120000001"),
        (SourceMode::Late, "+989120000002"),
        (SourceMode::Panicking, "+989120000003"),
    ] {
        let code = api.login(phone).await.code();
        source.set_mode(mode);
        let asked = Instant::now();
        verify_as(&api, phone, &code).await.is_problem(503, "unavailable");
        assert!(asked.elapsed() < Duration::from_secs(3), "{mode:?}: {:?}", asked.elapsed());
        source.set_mode(SourceMode::Answering);
        let device = verify_as(&api, phone, &code).await.signed_in();
        assert_eq!(said(&app, &device.access).unwrap()["account"], device.user["id"]);

        // Each minute a retry, for longer than a spent token is repeated without an outage.
        source.set_mode(mode);
        for _ in 0..4 {
            refresh_as(&api, &device.refresh).await.is_problem(503, "unavailable");
            app.advance_time(45);
        }
        source.set_mode(SourceMode::Answering);
        let refreshed = refresh_as(&api, &device.refresh).await.ok();
        let next = refreshed["refresh_token"].as_str().unwrap();
        let generation =
            |token| app.state.tokens.open(TokenKind::Refresh, token, app.clock.now()).unwrap().generation;
        assert_eq!(generation(next), generation(&device.refresh).next(), "{mode:?}: one generation further");
        assert_eq!(
            said(&app, refreshed["access_token"].as_str().unwrap()).unwrap()["account"],
            device.user["id"]
        );
        refresh_as(&api, next).await.ok();
    }
    let reused = "SELECT count(*) FROM events WHERE event_type = 'TokenReuseDetected'";
    assert_eq!(app.database.value::<i64>(reused).await, 0, "no outage of a source is taken for theft");
}

#[tokio::test]
async fn a_claim_that_is_taken_is_refused_at_the_start_by_its_name() {
    let app = TestApp::start().await;
    let settings = [("tokens.profile_claims", "fullname")];
    for (names, expected) in [
        (&["department", "sub"][..], "\"sub\" is a standard claim"),
        (&["ext"], "\"ext\" is a standard claim"),
        (&["department", "fullname"], "\"fullname\" is set by tokens.claims"),
        (&["department", "department"], "\"department\" is declared twice"),
        (&[""], "\"\" is declared twice, or has no name"),
    ] {
        let names: &'static [&'static str] = names;
        app.embed(&app.database.url, &settings, |state| {
            let refused = state.accounts.use_claims(TestClaims::new(names, false)).unwrap_err();
            assert!(refused.to_string().contains(expected), "{refused}");
        });
    }
}
