//! Kavenegar, as its REST API behaves.

use serde_json::{Value, json};

use super::{
    GatewaySender, NUMBER, ProviderReply, ProviderRequest, ProviderServer, SECRET, code, notice, phone, told,
};

/// Takes messages by our key, or answers with a status of its list.
fn kavenegar(status: u16, entry: i64) -> ProviderServer {
    ProviderServer::start(move |asked: &ProviderRequest| {
        let answer = |status: u16, entries: Value| {
            let receptor = asked.form().get("receptor").cloned().unwrap_or_default();
            let said = json!({"status": status, "message": format!("{receptor}: ...")});
            ProviderReply::json(status, &json!({"return": said, "entries": entries}))
        };
        let form = asked.form();
        let fields = match asked.path.strip_prefix(&format!("/v1/{SECRET}/")) {
            Some("verify/lookup.json") => ["receptor", "token", "template"].as_slice(),
            Some("sms/send.json") => &["receptor", "message"],
            Some(_) => return answer(404, Value::Null),
            None => return answer(403, Value::Null),
        };
        if !fields.iter().all(|field| form.contains_key(*field)) {
            return answer(400, Value::Null);
        }
        if form.get("token").is_some_and(|token| token.contains([' ', '_', '\n'])) {
            return answer(431, Value::Null);
        }
        if status != 200 {
            return answer(status, Value::Null);
        }
        answer(
            200,
            json!([{"messageid": 8_792_343, "status": entry, "receptor": form["receptor"], "cost": 120}]),
        )
    })
}

fn section(url: &str, more: &str) -> String {
    format!("kind = \"kavenegar\"\napi_key = \"{SECRET}\"\nurl = \"{url}\"\n{more}")
}

#[tokio::test]
async fn a_code_goes_by_the_template_where_there_is_one_and_a_notice_as_text() {
    let server = kavenegar(200, 5);
    let sender =
        GatewaySender::of_phone(&section(&server.url, "template = \"signin\"\nsender = \"10004346\""));
    for content in [code(), notice()] {
        let answer = sender.send(&phone(NUMBER), &content).await;
        assert_eq!(told(answer), ("accepted", "8792343".to_owned(), None));
    }
    let asked = server.requests();
    assert!(asked[0].path.ends_with("/verify/lookup.json"), "{asked:?}");
    let form = asked[0].form();
    let given = ["receptor", "token", "template"].map(|name| form[name].as_str());
    assert_eq!((form.len(), given), (3, ["09121234567", "000042", "signin"]));
    assert!(asked[1].path.ends_with("/sms/send.json"), "{asked:?}");
    let form = asked[1].form();
    assert_eq!((form["receptor"].as_str(), form["sender"].as_str()), ("09121234567", "10004346"));
    assert!(form["message"].contains("too many wrong codes"), "{form:?}");
}

#[tokio::test]
async fn without_a_template_a_code_goes_as_text_and_abroad_by_its_country_code() {
    let server = kavenegar(200, 1);
    let sender = GatewaySender::of_phone(&section(&server.url, ""));
    sender.send(&phone("+447400123456"), &code()).await.unwrap();
    let form = server.requests()[0].form();
    assert_eq!((form.len(), form["receptor"].as_str()), (2, "00447400123456"));
    assert!(form["message"].contains("000042"), "{form:?}");
}

#[tokio::test]
async fn the_statuses_of_kavenegar_decide_which_gateway_is_asked_next() {
    for (status, outcome) in [
        (411, "undeliverable"),
        (401, "refused"),
        (403, "refused"),
        (407, "refused"),
        (412, "refused"),
        (418, "refused"),
        (424, "refused"),
        (501, "refused"),
        (409, "unavailable"),
        (429, "unavailable"),
        (451, "unavailable"),
        (500, "unavailable"),
        (503, "unavailable"),
    ] {
        let server = kavenegar(status, 1);
        let answer = GatewaySender::of_phone(&section(&server.url, "")).send(&phone(NUMBER), &code()).await;
        assert_eq!(told(answer), (outcome, format!("kavenegar {status}"), None));
    }
    let server = kavenegar(200, 1);
    let other = section(&server.url, "").replace(SECRET, "another");
    let answer = GatewaySender::of_phone(&other).send(&phone(NUMBER), &code()).await;
    assert_eq!(told(answer), ("refused", "kavenegar 403".to_owned(), None));
}

#[tokio::test]
async fn a_message_that_kavenegar_blocks_at_once_was_not_accepted() {
    for (entry, outcome) in [(14, "undeliverable"), (6, "refused"), (11, "refused"), (13, "refused")] {
        let server = kavenegar(200, entry);
        let answer = GatewaySender::of_phone(&section(&server.url, "")).send(&phone(NUMBER), &code()).await;
        assert_eq!(told(answer), (outcome, format!("kavenegar 200/{entry}"), None));
    }
}
