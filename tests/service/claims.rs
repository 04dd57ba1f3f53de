//! Extra claims of access tokens: of the settings, of the profile, of a program of one's own.

use std::sync::Arc;

use counterfoil::app::{Application, new_state};
use counterfoil::delivery::Gateways;
use counterfoil::runtime::clock::Clock as _;
use counterfoil::settings::Sources;
use counterfoil::tokens::configured_claims::ClaimsSource;
use counterfoil::tokens::{AccessKeys, export_access_keys};
use counterfoil_domain::values::AccountId;
use counterfoil_projections::profile::Profile;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::{ApiClient, TestApp};

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

#[derive(Debug)]
struct NewcomerClaims;

impl ClaimsSource for NewcomerClaims {
    fn reads_profile(&self) -> bool {
        true
    }

    fn claims(&self, account: AccountId, profile: Option<&Profile>) -> Map<String, Value> {
        let profile = profile.expect("it was asked for");
        assert_eq!(profile.id, account);
        Map::from_iter([("newcomer".to_owned(), (profile.last_login == Some(profile.date_joined)).into())])
    }
}

#[tokio::test]
async fn a_program_that_embeds_the_service_adds_its_own_claims() {
    let app = TestApp::start().await;
    let flags =
        [("server.listen", "127.0.0.1:0"), ("server.workers", "1"), ("identifiers.default_region", "IR")];
    let flags = flags.into_iter().map(|(key, value)| (key, value.to_owned()));
    let settings = Sources::read(None, std::iter::empty(), flags).unwrap().check().unwrap();
    let metrics = counterfoil::runtime::telemetry::prometheus().build_recorder().handle();
    let gateways = Gateways::new(&settings.delivery, [], app.clock.clone()).unwrap();
    let mut state =
        new_state(&settings, &app.database.url, &app.keyring, gateways, app.clock.clone(), metrics).unwrap();
    state.accounts.use_claims(Arc::new(NewcomerClaims));
    let embedded = Application::build(&settings, &app.keyring, state).unwrap();
    let api = ApiClient::new(embedded.address());
    tokio::spawn(embedded.run());

    for newcomer in [true, false] {
        let device = api.sign_in(PHONE).await;
        assert_eq!(said(&app, &device.access), Some(json!({"newcomer": newcomer})));
        let refreshed = api.refresh(&device.refresh).await.ok();
        assert_eq!(
            said(&app, refreshed["access_token"].as_str().unwrap()),
            Some(json!({"newcomer": newcomer}))
        );
        app.advance_time(60);
    }
}
