//! Twilio, as its Messages resource behaves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{
    GatewaySender, NUMBER, ProviderReply, ProviderRequest, ProviderServer, SECRET, code, phone, told,
};

/// Takes messages of an account with our secret, or answers with an error of its dictionary.
fn twilio(error: Option<(u16, u32)>) -> ProviderServer {
    ProviderServer::start(move |asked: &ProviderRequest| {
        let fail = |status: u16, code: u32| {
            let to = asked.form().get("To").cloned().unwrap_or_default();
            let message = format!("The 'To' number {to} is not right.");
            let more_info = format!("https://www.twilio.com/docs/errors/{code}");
            ProviderReply::json(
                status,
                &json!({"code": code, "message": message, "more_info": more_info, "status": status}),
            )
        };
        if asked.method != "POST" || asked.path != "/2010-04-01/Accounts/AC1/Messages.json" {
            return fail(404, 20404);
        }
        let login = format!("Basic {}", STANDARD.encode(format!("AC1:{SECRET}")));
        if asked.headers.get("authorization") != Some(&login) {
            return fail(401, 20003);
        }
        let form = asked.form();
        if form.contains_key("From") == form.contains_key("MessagingServiceSid") {
            return fail(400, 21603);
        }
        if form.get("Body").is_none_or(String::is_empty) {
            return fail(400, 21602);
        }
        if let Some((status, code)) = error {
            return fail(status, code).with("retry-after", "7");
        }
        let made = json!({"sid": "SM123", "to": form["To"], "status": "queued", "error_code": null});
        ProviderReply::json(201, &made)
    })
}

fn section(url: &str, sender: &str) -> String {
    format!("kind = \"twilio\"\naccount_sid = \"AC1\"\nauth_token = \"{SECRET}\"\nurl = \"{url}\"\n{sender}")
}

#[tokio::test]
async fn a_message_goes_out_by_a_number_or_by_a_messaging_service() {
    for (sender, field) in [
        ("from = \"+15005550006\"", ("From", "+15005550006")),
        ("messaging_service_sid = \"MG1\"", ("MessagingServiceSid", "MG1")),
    ] {
        let server = twilio(None);
        let twilio = GatewaySender::of_phone(&section(&server.url, sender));
        let message = twilio.message(&phone(NUMBER), &code(), "fa");
        assert_eq!(told(twilio.hand_over(&message).await), ("accepted", "SM123".to_owned(), None));
        let form = server.requests()[0].form();
        let expected = [("To", NUMBER), field, ("Body", &message.text)];
        assert_eq!(form.len(), expected.len());
        for (name, value) in expected {
            assert_eq!(form[name], value);
        }
        assert!(form["Body"].contains("000042") && form["Body"].contains("کد"), "{form:?}");
    }
}

#[tokio::test]
async fn the_error_codes_of_twilio_decide_which_gateway_is_asked_next() {
    for (status, code_of_error, outcome) in [
        (400, 21211, "undeliverable"),
        (400, 21610, "undeliverable"),
        (400, 21614, "undeliverable"),
        (400, 30003, "undeliverable"),
        (400, 21408, "refused"),
        (400, 21606, "refused"),
        (403, 30002, "refused"),
        (400, 21611, "unavailable"),
        (429, 20429, "unavailable"),
        (500, 20500, "unavailable"),
        (503, 99999, "unavailable"),
    ] {
        let server = twilio(Some((status, code_of_error)));
        let twilio = GatewaySender::of_phone(&section(&server.url, "from = \"+15005550006\""));
        let answer = told(twilio.send(&phone(NUMBER), &code()).await);
        let wait = (outcome == "unavailable").then_some(7);
        assert_eq!(answer, (outcome, format!("twilio {code_of_error}"), wait));
    }
}

#[tokio::test]
async fn wrong_credentials_are_a_refusal_by_name() {
    let server = twilio(None);
    let other = section(&server.url, "from = \"+15005550006\"").replace(SECRET, "hush");
    let answer = GatewaySender::of_phone(&other).send(&phone(NUMBER), &code()).await;
    assert_eq!(told(answer), ("refused", "twilio 20003".to_owned(), None));
}

#[tokio::test]
async fn a_message_that_twilio_fails_at_once_was_not_accepted() {
    let server = ProviderServer::start(|_| {
        ProviderReply::json(201, &json!({"sid": "SM123", "status": "failed", "error_code": 30006}))
    });
    let twilio = GatewaySender::of_phone(&section(&server.url, "from = \"+15005550006\""));
    let answer = told(twilio.send(&phone(NUMBER), &code()).await);
    assert_eq!(answer, ("undeliverable", "twilio 30006".to_owned(), None));
}
