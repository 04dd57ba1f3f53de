//! Which gateways a message goes to, and what is taken at all.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil::delivery::{AcceptedMessage, DeliveryRoute, Gateway, Gateways, Message, NotAccepted};
use counterfoil::runtime::clock::SystemClock;
use counterfoil_domain::values::Identifier;
use reqwest::Method;
use serde_json::json;

use super::{SECRET, email, phone, settings};
use crate::support::{ApiClient, TestApp};

/// The names of a route's gateways, in order.
fn names(gateways: &Gateways, to: &Identifier) -> Vec<String> {
    match gateways.route(to) {
        DeliveryRoute::None => vec![],
        DeliveryRoute::Echo => vec!["echo".to_owned()],
        DeliveryRoute::Through(route) => route.iter().map(|named| named.name.to_string()).collect(),
    }
}

#[tokio::test]
async fn a_number_uses_the_gateways_of_its_country_or_else_the_general_ones() {
    let settings = settings(&format!(
        r#"
        [delivery]
        phone = ["two", "one"]
        [delivery.phone_in]
        IR = ["one"]
        GB = []
        [gateways.one]
        kind = "kavenegar"
        api_key = "{SECRET}"
        [gateways.two]
        kind = "log"
        "#
    ));
    let gateways = Gateways::new(&settings.delivery, [], Arc::new(SystemClock)).unwrap();
    for (to, expected) in [
        (phone("+989121234567"), vec!["one"]),
        (phone("+4915123456789"), vec!["two", "one"]),
        (phone("+447400123456"), vec![]),
        (email(), vec!["echo"]),
    ] {
        assert_eq!(names(&gateways, &to), expected);
        assert_eq!(gateways.echoes(&to), expected == ["echo"]);
    }
}

#[derive(Debug)]
struct ProgramGateway;

#[async_trait]
impl Gateway for ProgramGateway {
    async fn send(&self, _: &Message) -> Result<AcceptedMessage, NotAccepted> {
        Ok(AcceptedMessage::default())
    }
}

#[tokio::test]
async fn a_gateway_of_the_programs_own_needs_its_section_and_the_section_its_gateway() {
    let with = |toml: &str, own: &[&'static str]| {
        let own =
            own.iter().map(|name| (*name, Arc::new(ProgramGateway) as Arc<dyn Gateway>)).collect::<Vec<_>>();
        let settings = settings(toml);
        let gateways = Gateways::new(&settings.delivery, own, Arc::new(SystemClock));
        gateways.map(|gateways| names(&gateways, &email())).map_err(|error| error.to_string())
    };
    let toml = "[delivery]\nemail = \"pigeon\"\n[gateways.pigeon]\nkind = \"own\"";
    assert_eq!(with(toml, &["pigeon"]), Ok(vec!["pigeon".to_owned()]));
    for (toml, own) in [(toml, [].as_slice()), ("", &["pigeon"]), (toml, &["pigeon", "owl"])] {
        let error = with(toml, own).unwrap_err();
        assert!(error.starts_with("gateways."), "{error}");
    }
}

#[tokio::test]
async fn an_identifier_that_no_gateway_serves_is_refused_with_400() {
    let app = TestApp::with_toml(
        "[delivery]\nemail = []\n[delivery.phone_in]\nIR = \"log\"\n[gateways.log]\nkind = \"log\"",
    )
    .await;
    for (body, field) in [
        (json!({"email": "ada@example.com"}), "email"),
        (json!({"phone_number": "+447400123456"}), "phone_number"),
    ] {
        let answer = app.api.post("/accounts/login/", body).await;
        answer.is_problem(400, "invalid_fields");
        assert!(answer.text.contains(field) && answer.text.contains("not taken here"), "{answer:?}");
    }
    let answer = app.api.login("+989121234567").await.ok();
    assert!(answer.get("code").is_none(), "{answer}");

    let app = TestApp::with_toml("[delivery]\nemail = []\nphone = \"echo\"").await;
    let device = app.api.sign_in("+989121234567").await;
    let request = app.api.request(Method::POST, "/accounts/identifiers/").bearer_auth(&device.access);
    let added = ApiClient::send(request.json(&json!({"email": "ada@example.com"}))).await;
    added.is_problem(400, "invalid_fields");
    assert!(added.text.contains("not taken here"), "{added:?}");
}
