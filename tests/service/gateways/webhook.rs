//! The gateway that sends messages to a signed webhook.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use counterfoil::runtime::clock::Clock as _;
use serde_json::{Value, json};

use super::{
    GatewaySender, NUMBER, ProviderReply, ProviderRequest, ProviderServer, code, email, notice, phone, told,
};

const KEY: &[u8] = b"hush-hush-hush-hush-hush-hush";

fn section(url: &str) -> String {
    format!(
        "kind = \"webhook\"\nurl = \"{url}/messages?from=counterfoil\"\nsecret = \"whsec_{}\"\n",
        STANDARD.encode(KEY)
    )
}

/// Whether a request is what the specification has receivers check.
fn is_genuine(asked: &ProviderRequest) -> bool {
    let header = |name: &str| asked.headers[name].clone();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let signed = format!("{id}.{timestamp}.{}", asked.body);
    let signature = header("webhook-signature");
    let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY);
    hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
}

#[tokio::test]
async fn a_webhook_receives_the_whole_message_with_a_valid_signature() {
    let server =
        ProviderServer::start(|asked| ProviderReply::text(if is_genuine(asked) { 204 } else { 401 }, ""));
    let toml = format!("[delivery]\nphone = \"g\"\nemail = \"g\"\n[gateways.g]\n{}", section(&server.url));
    let sender = GatewaySender::new(&toml);
    for (to, content, language) in [(phone(NUMBER), code(), "fa"), (email(), notice(), "en")] {
        let message = sender.message(&to, &content, language);
        sender.hand_over(&message).await.unwrap();
        let asked = server.requests().pop().unwrap();
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/messages?from=counterfoil"));
        assert_eq!(asked.headers["content-type"], "application/json");
        assert_eq!(asked.headers["webhook-id"], message.id.to_string());
        assert_eq!(asked.headers["webhook-timestamp"], sender.clock.now().timestamp().to_string());
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let expected = json!({
            "id": message.id,
            "kind": content.kind(),
            "to": to.as_str(),
            "channel": to.channel().as_str(),
            "language": language,
            "subject": message.subject,
            "text": message.text,
            "code": content.code().map(|code| code.as_str()),
        });
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn the_status_of_the_webhook_decides_which_gateway_is_asked_next() {
    for (status, outcome) in [
        (200, "accepted"),
        (202, "accepted"),
        (422, "undeliverable"),
        (400, "refused"),
        (401, "refused"),
        (410, "refused"),
        (302, "refused"),
        (408, "unavailable"),
        (429, "unavailable"),
        (503, "unavailable"),
    ] {
        let server = ProviderServer::start(move |asked| {
            ProviderReply::text(status, &asked.body).with("location", "https://elsewhere.example/")
        });
        let answer = told(GatewaySender::of_phone(&section(&server.url)).send(&phone(NUMBER), &code()).await);
        let reason = if outcome == "accepted" { String::new() } else { format!("status {status}") };
        assert_eq!(answer, (outcome, reason, None));
        assert_eq!(server.requests().len(), 1);
    }
}
