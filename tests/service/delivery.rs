//! Messages reach people once, whatever becomes of nodes and gateways meanwhile.

use counterfoil::app::delete_expired;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiClient, NodeProcess, ProviderReply, ProviderServer, TestApp};

const PHONE: &str = "+989121234567";
const EMAIL: &str = "ada@example.com";
const SECRET: &str = "whsec_aHVzaC1odXNoLWh1c2gtaHVzaC1odXNoLWh1c2g=";

/// Settings by which text messages go to that provider, and e-mail to another or the same.
pub(crate) fn by_webhook<'a>(phone: &'a str, email: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        ("delivery.phone", "sms"),
        ("gateways.sms.kind", "webhook"),
        ("gateways.sms.url", phone),
        ("gateways.sms.secret", SECRET),
        ("delivery.email", "mail"),
        ("gateways.mail.kind", "webhook"),
        ("gateways.mail.url", email),
        ("gateways.mail.secret", SECRET),
        ("delivery.prices.default", "0.05"),
        ("delivery.prices.IR", "0.004"),
    ]
}

pub(crate) fn accepting() -> ProviderServer {
    ProviderServer::start(|_| ProviderReply::json(200, &json!({})))
}

/// What a provider was asked to send, in order.
fn sent(provider: &ProviderServer) -> Vec<Value> {
    provider.requests().iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect()
}

/// Waits for something to become true, for as long as that.
async fn eventually(within: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(within, waited).await.unwrap_or_else(|_| panic!("never: {what}"));
}

const SOON: Duration = Duration::from_secs(20);

/// So many messages that the provider was asked to send.
pub(crate) async fn messages(provider: &ProviderServer, count: usize) -> Vec<Value> {
    eventually(SOON, "the messages", async || provider.requests().len() >= count).await;
    sent(provider)
}

/// How many messages there are in each state.
async fn states(app: &TestApp) -> BTreeMap<String, i64> {
    let states = "SELECT coalesce(json_object_agg(state, n), '{}')::text
                    FROM (SELECT state, count(*) AS n FROM outbox GROUP BY state) s";
    serde_json::from_str(&app.database.value::<String>(states).await).unwrap()
}

async fn settled(app: &TestApp, state: &str, count: i64) {
    eventually(SOON, state, async || states(app).await.get(state) == Some(&count)).await;
}

#[tokio::test]
async fn a_code_leaves_the_service_only_through_the_gateway() {
    let provider = accepting();
    let app = TestApp::with_settings(&by_webhook(&provider.url, &provider.url)).await;
    let answer = app.api.login(PHONE).await;
    assert_eq!(answer.names(""), ["detail", "expires_in", "resend_after"]);
    let message = messages(&provider, 1).await.remove(0);
    assert_eq!((&message["to"], &message["kind"]), (&json!(PHONE), &json!("sign_in")));
    let code = message["code"].as_str().unwrap();
    assert!(message["text"].as_str().unwrap().contains(code), "{message}");
    assert!(!answer.text.contains(code));
    app.api.verify(PHONE, code).await.signed_in();

    settled(&app, "sent", 1).await;
    let row = "SELECT json_build_array(gateway, attempts, content, due_at, settled_at >= asked_at)::text FROM outbox";
    let row: Value = serde_json::from_str(&app.database.value::<String>(row).await).unwrap();
    assert_eq!(row, json!(["sms", 1, null, null, true]));
    let ledger = "SELECT json_build_array(gateway, channel, country, prefix, messages, cost)::text FROM message_ledger";
    let ledger: Value = serde_json::from_str(&app.database.value::<String>(ledger).await).unwrap();
    assert_eq!(ledger, json!(["sms", "phone", "IR", "+98912123", 1, 4000]));

    let keyring = app.keyring_file();
    let messages = |arguments: &[&str]| {
        let environment = [
            ("DATABASE_URL", app.database.url.0.as_str()),
            ("COUNTERFOIL_KEYRING", keyring.to_str().unwrap()),
            ("COUNTERFOIL_PROFILE", "development"),
        ];
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let output =
            NodeProcess::command(folder, &environment).args(["limits", "messages"]).args(arguments).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let sums: Value = serde_json::from_str(&messages(&["--json", "--by", "prefix"])).unwrap();
    let sum = &sums[0];
    assert_eq!(
        (&sum["country"], &sum["prefix"], &sum["gateway"]),
        (&json!("IR"), &json!("+98912123"), &json!(""))
    );
    assert_eq!((&sum["messages"], &sum["cost"]), (&json!(1), &json!("0.004")));
    let table = messages(&[]);
    assert!(table.contains("sms") && !table.contains("+98912123"), "{table}");
    assert_eq!(messages(&["--json", "--since", "2100-01-01"]).trim(), "[]");
    std::fs::remove_file(&keyring).unwrap();
}

#[tokio::test]
async fn a_message_is_written_in_the_language_of_the_request_or_else_of_the_account() {
    let provider = accepting();
    let app = TestApp::with_settings(&by_webhook(&provider.url, &provider.url)).await;
    let ask = async |path: &str, body: Value, languages: Option<&str>| {
        let request = app.api.request(Method::POST, path).json(&body);
        let request =
            languages.into_iter().fold(request, |request, it| request.header("accept-language", it));
        ApiClient::send(request).await.ok()
    };
    let login = json!({"phone_number": PHONE});
    let mut languages = Vec::new();
    for (n, wanted) in [(1, Some("fa-IR, en;q=0.5")), (2, None), (3, Some("en")), (4, Some("de")), (5, None)]
    {
        ask("/accounts/login/", login.clone(), wanted).await;
        let message = messages(&provider, n).await.pop().unwrap();
        languages.push(message["language"].clone());
        let verify = json!({"phone_number": PHONE, "code": message["code"]});
        ask("/accounts/verify/", verify, wanted.filter(|_| n != 3)).await;
        app.advance_time(60);
    }
    assert_eq!(languages, [json!("fa"), json!("fa"), json!("en"), json!("fa"), json!("fa")]);
}

#[tokio::test]
async fn a_message_that_one_gateway_refuses_goes_to_the_next_gateway() {
    for status in [503, 401] {
        let broken = ProviderServer::start(move |_| ProviderReply::text(status, "no"));
        let works = accepting();
        let mut settings = by_webhook(&broken.url, &works.url);
        settings[0] = ("delivery.phone", "sms mail");
        let app = TestApp::with_settings(&settings).await;
        app.api.login(PHONE).await.ok();
        messages(&works, 1).await;
        settled(&app, "sent", 1).await;
        assert_eq!(app.database.value::<String>("SELECT gateway FROM outbox").await, "mail");
        assert_eq!(broken.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_message_that_no_gateway_can_deliver_is_not_tried_again() {
    let provider = ProviderServer::start(|_| ProviderReply::text(422, "no such number"));
    let app = TestApp::with_settings(&by_webhook(&provider.url, &provider.url)).await;
    app.api.login(PHONE).await.ok();
    settled(&app, "failed", 1).await;
    let row = "SELECT reason || ' ' || (content IS NULL) || ' ' || (SELECT count(*) FROM message_ledger) FROM outbox";
    assert_eq!(app.database.value::<String>(row).await, "status 422 true 0");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(provider.requests().len(), 1);
}

/// A provider that answers 503 until it is told to work.
fn away_at_first() -> (ProviderServer, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(false));
    let asked = works.clone();
    let provider = ProviderServer::start(move |_| {
        ProviderReply::text(if asked.load(Ordering::SeqCst) { 200 } else { 503 }, "")
    });
    (provider, works)
}

#[tokio::test]
async fn during_an_outage_of_the_gateway_answers_stay_the_same_and_each_code_is_sent_once_afterwards() {
    let (provider, works) = away_at_first();
    let app = TestApp::with_settings(&by_webhook(&provider.url, &provider.url)).await;
    let (other, _proxy) = app.second_node(&by_webhook(&provider.url, &provider.url)).await;
    let first = app.api.login("+989120000000").await;
    for n in 1..20 {
        let node = if n % 2 == 0 { &app } else { &other };
        let answer = node.api.login(&format!("+9891200000{n:02}")).await;
        assert_eq!((answer.status, &answer.text), (first.status, &first.text));
    }
    eventually(SOON, "a refusal", async || !provider.requests().is_empty()).await;
    let refused = provider.requests().len();
    works.store(true, Ordering::SeqCst);
    settled(&app, "sent", 20).await;
    let delivered: Vec<Value> = sent(&provider).split_off(refused);
    let mut numbers: Vec<&str> = delivered.iter().map(|message| message["to"].as_str().unwrap()).collect();
    numbers.sort_unstable();
    // One that was on its way when the provider came back may have been counted among the refused.
    let (all, refused) = (numbers.len(), refused);
    numbers.dedup();
    assert_eq!(all, numbers.len(), "one was sent twice, {refused} were refused before");
    assert!((19..=20).contains(&all), "{all}");
    for message in delivered {
        let phone = message["to"].as_str().unwrap();
        other.api.verify(phone, message["code"].as_str().unwrap()).await.signed_in();
    }
}

#[tokio::test]
async fn during_an_outage_of_the_gateway_one_message_at_a_time_is_tried_and_the_others_wait() {
    let (provider, works) = away_at_first();
    let app = TestApp::with_settings(&by_webhook(&provider.url, &provider.url)).await;
    // Phones and e-mail go by two gateways: one that is away does not keep the other from being tried.
    app.api.login(PHONE).await.ok();
    app.api.post("/accounts/login/", json!({"email": EMAIL})).await.ok();
    eventually(SOON, "both refusals", async || provider.requests().len() >= 2).await;
    for n in 0..20 {
        app.api.login(&format!("+9891200000{n:02}")).await.ok();
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    // Of each gateway, once at first and then after a second or more and two or more.
    let asked = provider.requests().len();
    assert!((3..=6).contains(&asked), "{asked}");
    let untouched = "SELECT count(*) FROM outbox WHERE attempts = 0";
    assert!(app.database.value::<i64>(untouched).await >= 10);
    works.store(true, Ordering::SeqCst);
    settled(&app, "sent", 22).await;
}

#[tokio::test]
async fn a_code_that_has_expired_or_been_replaced_is_not_sent_any_more() {
    let (provider, works) = away_at_first();
    let app = TestApp::with_settings(&by_webhook(&provider.url, &provider.url)).await;
    app.api.login("+989120000001").await.ok();
    app.advance_time(290);
    app.api.login(PHONE).await.ok();
    app.advance_time(60);
    app.api.login(PHONE).await.ok();
    app.api.login("+989120000002").await.ok();
    let before = provider.requests().len();
    works.store(true, Ordering::SeqCst);
    settled(&app, "sent", 2).await;
    settled(&app, "expired", 1).await;
    settled(&app, "replaced", 1).await;
    let mut sent: Vec<Value> = sent(&provider).split_off(before);
    sent.retain(|message| message["to"] == PHONE);
    let code = sent.pop().unwrap()["code"].as_str().unwrap().to_owned();
    app.api.verify(PHONE, &code).await.signed_in();
    let left = "SELECT count(*) FROM outbox WHERE content IS NOT NULL";
    assert_eq!(app.database.value::<i64>(left).await, 0);
}

#[tokio::test]
async fn an_expired_message_loses_its_content_though_no_gateway_is_available() {
    let (provider, _works) = away_at_first();
    let app = TestApp::with_settings(&by_webhook(&provider.url, &provider.url)).await;
    app.api.login(PHONE).await.ok();
    eventually(SOON, "a refusal", async || !provider.requests().is_empty()).await;
    app.advance_time(400);
    delete_expired(&app.state).await;
    let row = "SELECT state || ' ' || (content IS NULL) FROM outbox";
    assert_eq!(app.database.value::<String>(row).await, "expired true");
}

#[tokio::test]
async fn two_nodes_send_each_message_once() {
    let provider = ProviderServer::start(|_| ProviderReply {
        after: Duration::from_millis(30),
        ..ProviderReply::text(200, "")
    });
    let settings = by_webhook(&provider.url, &provider.url);
    let app = TestApp::with_settings(&settings).await;
    let (other, _proxy) = app.second_node(&settings).await;
    let logins = (0..100).map(|n| {
        let api = if n % 2 == 0 { app.api.clone() } else { other.api.clone() };
        tokio::spawn(async move { api.login(&format!("+98912000{n:04}")).await.ok() })
    });
    for login in logins.collect::<Vec<_>>() {
        login.await.unwrap();
    }
    settled(&app, "sent", 100).await;
    let mut numbers: Vec<String> = sent(&provider).iter().map(|message| message["to"].to_string()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((provider.requests().len(), numbers.len()), (100, 100));
    let ledger = "SELECT sum(messages)::bigint FROM message_ledger";
    assert_eq!(app.database.value::<i64>(ledger).await, 100);
}

#[tokio::test]
async fn a_node_without_gateways_takes_no_messages_from_those_that_have_some() {
    let (provider, _works) = away_at_first();
    let app = TestApp::with_settings(&by_webhook(&provider.url, &provider.url)).await;
    app.api.login(PHONE).await.ok();
    eventually(SOON, "a refusal", async || !provider.requests().is_empty()).await;
    app.state.accounts.outbox_worker().stop().await;
    let due = "UPDATE outbox SET due_at = clock_timestamp() - interval '1 second' RETURNING attempts";
    let attempts = app.database.value::<i32>(due).await;
    let (_echoes, _proxy) = app.second_node(&[]).await;
    // Twice as long as any outbox worker waits before it looks again.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(app.database.value::<i32>("SELECT attempts FROM outbox").await, attempts);
}

#[tokio::test]
async fn a_message_that_a_killed_node_was_sending_is_sent_by_another_node_once_more_at_most() {
    // The first message never gets an answer from the provider.
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let provider = ProviderServer::start(move |_| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        ProviderReply {
            after: Duration::from_secs(if first { 3600 } else { 0 }),
            ..ProviderReply::text(200, "")
        }
    });
    let app = TestApp::start().await;
    let settings = by_webhook(&provider.url, &provider.url);
    let keyring = app.keyring_file();
    let names: Vec<(String, &str)> = settings
        .iter()
        .map(|(key, value)| (format!("COUNTERFOIL__{}", key.to_uppercase().replace('.', "__")), *value))
        .collect();
    let mut environment: Vec<(&str, &str)> =
        names.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    environment.push(("DATABASE_URL", &app.database.url.0));
    environment.push(("COUNTERFOIL_KEYRING", keyring.to_str().unwrap()));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("delivery-killed");
    let node = NodeProcess::start(&folder, &environment);
    node.api.login(PHONE).await.ok();
    eventually(SOON, "the first try", async || asked.load(Ordering::SeqCst) == 1).await;
    node.kill();

    let other = NodeProcess::start(&folder, &environment);
    other.api.login("+989120000001").await.ok();
    eventually(Duration::from_secs(60), "the second try", async || provider.requests().len() == 3).await;
    settled(&app, "sent", 2).await;
    let sent = sent(&provider);
    let ids: Vec<&Value> =
        sent.iter().filter(|message| message["to"] == PHONE).map(|message| &message["id"]).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1], "the provider can tell that it is the same");
    assert!(other.stop());
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::remove_file(&keyring).unwrap();
}

#[tokio::test]
async fn the_owner_is_told_of_a_strange_sign_in_and_ends_it_by_the_link() {
    let (phones, mails) = (accepting(), accepting());
    let mut settings = by_webhook(&phones.url, &mails.url);
    settings.push(("server.public_url", "https://auth.example/"));
    let app = TestApp::with_settings(&settings).await;
    let from = async |path: &str, user_agent: &str, body: Value| {
        ApiClient::send(app.api.request(Method::POST, path).header("user-agent", user_agent).json(&body))
            .await
    };
    let sign_in = async |n: usize, user_agent: &str| {
        from("/accounts/login/", user_agent, json!({"phone_number": PHONE})).await.ok();
        let code = messages(&phones, n).await[n - 1]["code"].clone();
        let verify = json!({"phone_number": PHONE, "code": code, "device_name": "Your own phone"});
        from("/accounts/verify/", user_agent, verify).await.signed_in()
    };
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let chrome = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36";
    let own = sign_in(1, firefox).await;
    app.advance_time(60);
    sign_in(2, firefox).await;
    app.advance_time(60);
    let strange = sign_in(3, chrome).await;
    let notice = messages(&phones, 4).await.pop().unwrap();
    assert_eq!(
        (&notice["kind"], &notice["to"], &notice["code"]),
        (&json!("new_device"), &json!(PHONE), &Value::Null)
    );
    let text = notice["text"].as_str().unwrap();
    assert!(
        text.contains("Chrome on Windows") && text.contains("127.0.0.1") && !text.contains("Your own"),
        "{text}"
    );
    let link = text.split_whitespace().find(|word| word.starts_with("https://")).unwrap();
    let path = link.strip_prefix("https://auth.example").unwrap().to_owned();

    // Looking at the page, as a scanner of links does, changes nothing.
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let page = ApiClient::send(app.api.request(method.clone(), &path)).await;
        assert_eq!(
            (page.status.as_u16(), page.header("content-type")),
            (200, Some("text/html; charset=utf-8"))
        );
        assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
        assert!(method == Method::HEAD || page.text.contains("<form method=\"post\">"), "{}", page.text);
        assert!(!page.text.contains("Your own"), "{}", page.text);
        app.api.profile(&strange.access).await.ok();
    }
    let farsi = app.api.request(Method::GET, &path).header("accept-language", "fa");
    assert!(ApiClient::send(farsi).await.text.contains("dir=\"rtl\""));
    for _ in 0..2 {
        let done = ApiClient::send(app.api.request(Method::POST, &path)).await;
        assert!(done.status == 200 && done.text.contains("signed out") && !done.text.contains("<form"));
    }
    app.api.profile(&strange.access).await.is_problem(401, "invalid_access_token");
    app.api.refresh(&strange.refresh).await.is_problem(400, "invalid_token");
    app.api.profile(&own.access).await.ok();
    let reason = "SELECT end_reason FROM user_logins WHERE ended_at IS NOT NULL";
    assert_eq!(app.database.value::<String>(reason).await, "disowned");

    for wrong in [&path[..path.len() - 1], &path.replace("disown/", "disown/A"), "/accounts/devices/disown/x"]
    {
        for method in [Method::GET, Method::POST] {
            assert_eq!(ApiClient::send(app.api.request(method, wrong)).await.status, 404, "{wrong}");
        }
    }
    assert!(mails.requests().is_empty());
}

#[tokio::test]
async fn the_owner_is_told_from_where_a_spent_refresh_token_was_presented() {
    let provider = accepting();
    let app = TestApp::with_settings(&by_webhook(&provider.url, &provider.url)).await;
    app.api.login(PHONE).await.ok();
    let code = messages(&provider, 1).await[0]["code"].as_str().unwrap().to_owned();
    let device = app.api.verify(PHONE, &code).await.signed_in();
    app.api.refresh(&device.refresh).await.ok();
    app.advance_time(60);
    let chrome = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36";
    for _ in 0..2 {
        let refresh = app.api.request(Method::POST, "/accounts/refresh/").header("user-agent", chrome);
        let refused = ApiClient::send(refresh.json(&json!({"refresh_token": device.refresh}))).await;
        refused.is_problem(400, "invalid_token");
    }
    settled(&app, "sent", 2).await;
    let notice = messages(&provider, 2).await.pop().unwrap();
    assert_eq!((&notice["kind"], &notice["to"]), (&json!("token_reused"), &json!(PHONE)));
    let text = notice["text"].as_str().unwrap();
    assert!(text.contains("Chrome on Windows") && text.contains("127.0.0.1"), "{text}");
}

#[tokio::test]
async fn a_test_address_signs_in_with_its_fixed_code_gets_no_message_and_is_flagged() {
    let provider = accepting();
    let toml = format!(
        "[delivery]\nphone = \"sms\"\nemail = \"sms\"\n[gateways.sms]\nkind = \"webhook\"\nurl = \"{}\"\nsecret = \"{SECRET}\"\n
         [[identifiers.test]]\nidentifier = \"{EMAIL}\"\ncode = \"012345\"\nuntil = \"2100-01-01T00:00:00Z\"\n",
        provider.url
    );
    let app = TestApp::with_toml(&toml).await;
    let login = async |email: &str| app.api.post("/accounts/login/", json!({"email": email})).await;
    let verify = async |email: &str, code: &str| {
        app.api.post("/accounts/verify/", json!({"email": email, "code": code})).await
    };
    let listed = login(EMAIL).await;
    assert_eq!(listed.names(""), ["detail", "expires_in", "resend_after"]);
    verify(EMAIL, "012346").await.is_problem(400, "invalid_code");
    verify(EMAIL, "012345").await.signed_in();
    verify(EMAIL, "012345").await.is_problem(400, "invalid_code");
    login("eve@example.com").await.ok();
    verify("eve@example.com", "012345").await.is_problem(400, "invalid_code");
    let sent = messages(&provider, 1).await;
    assert!(sent.len() == 1 && sent[0]["to"] == "eve@example.com", "{sent:?}");
    let flagged = "SELECT string_agg(event_type, ' ' ORDER BY sequence) FROM events
                    WHERE payload::jsonb @? '$.fact.*.test ? (@ == true)'";
    assert_eq!(app.database.value::<String>(flagged).await, "OtpRequested LoggedIn");
}

#[tokio::test]
async fn a_known_device_signs_in_while_its_account_is_under_attack() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    app.api.logout(&device.refresh).await;
    for _ in 0..2 {
        app.advance_time(60);
        app.api.login(PHONE).await.ok();
        for guess in 0..5 {
            app.api.verify(PHONE, &format!("99999{guess}")).await.is_problem(400, "invalid_code");
        }
    }
    app.advance_time(60);
    app.api.login(PHONE).await.is_problem(406, "code_quota_spent");

    let shown = async |path: &str, token: &str, body: Value| {
        ApiClient::send(app.api.request(Method::POST, path).bearer_auth(token).json(&body)).await
    };
    let login = json!({"phone_number": PHONE});
    for useless in ["x", "cfa_1_00000000_AAAA", &app.api.sign_in("+989127654321").await.access] {
        shown("/accounts/login/", useless, login.clone()).await.is_problem(406, "code_quota_spent");
    }
    // The tokens have expired and their session has ended: they open nothing, and say whose device it is.
    app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
    let code = shown("/accounts/login/", &device.access, login.clone()).await.code();
    let verify = json!({"phone_number": PHONE, "code": code});
    app.api.post("/accounts/verify/", verify.clone()).await.is_problem(429, "too_many_tries");
    shown("/accounts/verify/", &device.refresh, verify).await.signed_in();
}
