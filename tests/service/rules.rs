//! Access rules of a program that embeds the service: at each stage, at every door, on two nodes, and when they fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use counterfoil::rules::{
    AccessRule, CodeRuleRequest, RefreshRuleRequest, RuleDecision, RuleFault, RuleSet, SignInRuleRequest,
};
use counterfoil_domain::user_account::RuleStage;
use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, METRICS, SignedInDevice, TestApp};

const PHONE: &str = "+989121234567";
const OTHER: &str = "+989127654321";
const EMAIL: &str = "ada@example.com";

/// What a rule does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Behaviour {
    Allow,
    Refuse,
    Fail,
    Panic,
    BeLate,
}

const FAULTS: [(Behaviour, &str); 3] =
    [(Behaviour::Fail, "failed"), (Behaviour::Panic, "panicked"), (Behaviour::BeLate, "late")];

/// A rule that does at one stage what the test says, and notes what it was asked.
#[derive(Debug)]
struct ScriptedRule {
    name: &'static str,
    stage: RuleStage,
    behaviour: Mutex<Behaviour>,
    asked: Mutex<Vec<String>>,
}

impl ScriptedRule {
    fn new(name: &'static str, stage: RuleStage, behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self { name, stage, behaviour: Mutex::new(behaviour), asked: Mutex::default() })
    }

    fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    async fn decide(&self, stage: RuleStage, request: String) -> Result<RuleDecision, RuleFault> {
        if stage != self.stage {
            return Ok(RuleDecision::Allow);
        }
        self.asked.lock().unwrap().push(request);
        let behaviour = *self.behaviour.lock().unwrap();
        match behaviour {
            Behaviour::Allow => Ok(RuleDecision::Allow),
            Behaviour::Refuse => Ok(RuleDecision::Refuse),
            Behaviour::Fail => Err(RuleFault::new("the register is away")),
            Behaviour::Panic => panic!("a rule with a fault"),
            Behaviour::BeLate => {
                tokio::time::sleep(RuleSet::TIME_LIMIT + Duration::from_millis(50)).await;
                Ok(RuleDecision::Allow)
            }
        }
    }
}

#[async_trait]
impl AccessRule for ScriptedRule {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn code(&self, request: &CodeRuleRequest) -> Result<RuleDecision, RuleFault> {
        let CodeRuleRequest { identifier, purpose, client, at: _ } = request;
        let asked = format!("{} {} {}", identifier.as_str(), purpose.as_str(), client.ip);
        self.decide(RuleStage::Code, asked).await
    }

    async fn sign_in(&self, request: &SignInRuleRequest) -> Result<RuleDecision, RuleFault> {
        let SignInRuleRequest { account, identifier, is_new_account, roles, client, at: _ } = request;
        let (identifier, ip) = (identifier.as_str(), client.ip);
        let asked = format!("{} {identifier} {is_new_account} {roles:?} {ip}", account.0);
        self.decide(RuleStage::SignIn, asked).await
    }

    async fn refresh(&self, request: &RefreshRuleRequest) -> Result<RuleDecision, RuleFault> {
        let RefreshRuleRequest { account, session: _, roles, client, at: _ } = request;
        self.decide(RuleStage::Refresh, format!("{} {roles:?} {}", account.0, client.ip)).await
    }
}

/// A node with that rule.
fn node_with(app: &TestApp, rule: &Arc<ScriptedRule>) -> ApiClient {
    node_with_settings(app, rule, &[])
}

fn node_with_settings(
    app: &TestApp,
    rule: &Arc<ScriptedRule>,
    settings: &[(&'static str, &str)],
) -> ApiClient {
    let rules = RuleSet::new([Arc::clone(rule) as Arc<dyn AccessRule>]).unwrap();
    app.embed(&app.database.url, settings, |state| state.accounts.use_rules(rules))
}

/// How many events there are.
async fn events(app: &TestApp) -> i64 {
    app.database.value("SELECT count(*) FROM events").await
}

/// The refusals by rules on record, in the order of their accounts.
async fn refusals(app: &TestApp) -> Vec<Value> {
    let sql = "SELECT coalesce(jsonb_agg(payload::jsonb -> 'fact' -> 'SignInRefused' ORDER BY aggregate_id, sequence), '[]')::text
                 FROM events WHERE event_type = 'SignInRefused'";
    let text: String = app.database.value(sql).await;
    serde_json::from_str(&text).unwrap()
}

/// How often a counter was raised, of all its series with these labels.
fn counted(name: &str, labels: &[(&str, &str)]) -> u64 {
    let text = METRICS.render();
    let has = |line: &str, (key, value): &(&str, &str)| line.contains(&format!("{key}=\"{value}\""));
    let series = text.lines().filter(|line| line.starts_with(name));
    let series = series.filter(|line| labels.iter().all(|label| has(line, label)));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[track_caller]
fn is_refused(answer: &ApiAnswer, rule: &str) {
    answer.is_problem(403, "refused_by_rule");
    assert_eq!(answer.json()["rule"], rule);
}

/// Asks for a code at each door where one can be asked for, of an account that has [`PHONE`] and a pending code.
async fn ask_for_codes(api: &ApiClient, device: &SignedInDevice) -> Vec<ApiAnswer> {
    vec![
        api.login(PHONE).await,
        api.resend(PHONE).await,
        api.add_identifier(&device.access, &json!({"email": EMAIL})).await,
        api.post_as(device, "/accounts/reauthenticate/", json!({})).await,
    ]
}

#[tokio::test]
async fn a_rule_refuses_codes_at_every_door_in_the_language_of_the_caller_and_on_record_once_an_hour() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    app.advance_time(61);
    app.api.login(PHONE).await.ok();
    app.advance_time(61);
    let rule = ScriptedRule::new("no_codes", RuleStage::Code, Behaviour::Refuse);
    let api = node_with(&app, &rule);
    let before = events(&app).await;

    for answer in ask_for_codes(&api, &device).await {
        is_refused(&answer, "no_codes");
        assert!(answer.json()["detail"].as_str().unwrap().starts_with("A rule"), "{answer:?}");
    }
    let asked = rule.asked();
    let expected = [
        format!("{PHONE} sign_in 127.0.0.1"),
        format!("{PHONE} sign_in 127.0.0.1"),
        format!("{EMAIL} add_identifier 127.0.0.1"),
        format!("{PHONE} reauthenticate 127.0.0.1"),
    ];
    assert_eq!(asked, expected);
    let until = refusals(&app).await[0]["until"].clone();
    let to_phone = json!({"rule": "no_codes", "stage": "code", "channel": "phone", "until": until});
    let to_email = json!({
        "rule": "no_codes", "stage": "code", "channel": "email", "purpose": "add_identifier", "until": until,
    });
    assert_eq!(refusals(&app).await, [to_phone, to_email], "once for each kind of identifier");
    assert_eq!(events(&app).await, before + 2, "no code was sent");
    let labels = [("rule", "no_codes"), ("stage", "code")];
    assert_eq!(counted("counterfoil_rule_refusals_total", &labels), 4);

    let request = api.request(Method::POST, "/accounts/login/").header("accept-language", "fa");
    let answer = ApiClient::send(request.json(&json!({"phone_number": PHONE}))).await;
    is_refused(&answer, "no_codes");
    assert_eq!(answer.header("content-language"), Some("fa"));
    assert!(answer.json()["detail"].as_str().unwrap().contains("قاعده"), "{answer:?}");

    app.advance_time(3_600);
    is_refused(&api.login(PHONE).await, "no_codes");
    assert_eq!(refusals(&app).await.len(), 3, "the window is over");

    rule.set(Behaviour::Allow);
    let device = api.sign_in(PHONE).await;
    api.add_identifier(&device.access, &json!({"email": EMAIL})).await.ok();
}

#[tokio::test]
async fn a_refused_code_looks_the_same_for_known_and_unknown_numbers_and_begins_no_account() {
    let app = TestApp::start().await;
    app.api.sign_in(PHONE).await;
    app.advance_time(61);
    let rule = ScriptedRule::new("same_for_all", RuleStage::Code, Behaviour::Refuse);
    let api = node_with(&app, &rule);
    for (n, behaviour) in [Behaviour::Refuse, Behaviour::Fail].into_iter().enumerate() {
        rule.set(behaviour);
        let [known, unknown] = [api.login(PHONE).await, api.login(OTHER).await];
        assert_eq!(known.appearance(), unknown.appearance());
        let [known, unknown] = [api.resend(PHONE).await, api.resend(OTHER).await];
        assert_eq!(known.appearance(), unknown.appearance());
        assert_eq!(known.status, [403, 503][n]);
    }
    let accounts: i64 = app.database.value("SELECT count(*) FROM heads").await;
    let identifiers: i64 = app.database.value("SELECT count(*) FROM identifiers").await;
    assert_eq!((accounts, identifiers), (1, 1));
    assert_eq!(refusals(&app).await.len(), 1);
}

#[tokio::test]
async fn a_refused_sign_in_spends_its_code_and_begins_neither_session_nor_account() {
    let app = TestApp::start().await;
    let rule = ScriptedRule::new("members_only", RuleStage::SignIn, Behaviour::Refuse);
    let api = node_with(&app, &rule);
    let code = api.login(PHONE).await.code();
    api.verify(PHONE, if code == "000000" { "000001" } else { "000000" })
        .await
        .is_problem(400, "invalid_code");
    assert_eq!(rule.asked(), Vec::<String>::new(), "a wrong code is refused as always");

    is_refused(&api.verify(PHONE, &code).await, "members_only");
    let refused = json!({"rule": "members_only", "stage": "sign_in", "channel": "phone"});
    assert_eq!(refusals(&app).await, [refused]);
    let account: uuid::Uuid = app.database.value("SELECT aggregate_id::uuid FROM events LIMIT 1").await;
    assert_eq!(rule.asked(), [format!("{account} {PHONE} true {{}} 127.0.0.1")]);
    let kinds: Vec<String> =
        app.database.value("SELECT array_agg(event_type ORDER BY sequence) FROM events").await;
    assert_eq!(kinds, ["OtpRequested", "OtpRejected", "SignInRefused"]);
    let labels = [("rule", "members_only"), ("stage", "sign_in")];
    assert_eq!(counted("counterfoil_rule_refusals_total", &labels), 1);

    rule.set(Behaviour::Allow);
    api.verify(PHONE, &code).await.is_problem(400, "invalid_code");
    app.advance_time(61);
    let device = api.sign_in(PHONE).await;
    assert_eq!(device.account().0, account);
    rule.asked();

    app.give_roles(&device, [Role::Admin]).await;
    app.advance_time(61);
    rule.set(Behaviour::Refuse);
    let code = api.login(PHONE).await.code();
    is_refused(&api.verify(PHONE, &code).await, "members_only");
    assert_eq!(rule.asked(), [format!("{account} {PHONE} false {{Admin}} 127.0.0.1")]);
    assert_eq!(api.get("/accounts/devices/", &device.access).await.ok().as_array().unwrap().len(), 1);

    // The user reads of it, and administrators see how many there were.
    app.keep_log();
    let told = async || {
        let page = api.get("/accounts/history/", &device.access).await.ok();
        let first = page["items"][0].clone();
        let sum = "SELECT coalesce(sum(refused_by_rule), 0)::bigint FROM statistics WHERE span = 'day'";
        let refused: i64 = app.database.value(sum).await;
        (first["event"].as_str().map(str::to_owned), first["reason"].clone(), refused)
    };
    let expected = (Some("SignInRefused".to_owned()), json!("members_only"), 2);
    let in_time = async {
        while told().await != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), in_time).await.expect("the read models follow the log");
}

#[tokio::test]
async fn a_refused_refresh_spends_no_token_and_ends_no_session() {
    let app = TestApp::start().await;
    let rule = ScriptedRule::new("closed_at_night", RuleStage::Refresh, Behaviour::Refuse);
    let api = node_with(&app, &rule);
    let device = api.sign_in(PHONE).await;
    for _ in 0..3 {
        is_refused(&api.refresh(&device.refresh).await, "closed_at_night");
    }
    assert_eq!(rule.asked(), [(); 3].map(|()| format!("{} {{}} 127.0.0.1", device.account().0)));
    let [refused] = &refusals(&app).await[..] else { panic!("once an hour") };
    assert_eq!((&refused["stage"], &refused["rule"]), (&json!("refresh"), &json!("closed_at_night")));
    let devices = api.get("/accounts/devices/", &device.access).await.ok();
    assert_eq!(refused["session"], devices[0]["id"]);
    let labels = [("rule", "closed_at_night"), ("stage", "refresh")];
    assert_eq!(counted("counterfoil_rule_refusals_total", &labels), 3);

    rule.set(Behaviour::Allow);
    let next = api.refresh(&device.refresh).await.ok();
    rule.set(Behaviour::Refuse);
    is_refused(&api.refresh(&device.refresh).await, "closed_at_night");
    is_refused(&api.refresh(next["refresh_token"].as_str().unwrap()).await, "closed_at_night");

    // A rule does not hide that a token was copied.
    rule.set(Behaviour::Allow);
    let last = api.refresh(next["refresh_token"].as_str().unwrap()).await.ok();
    rule.set(Behaviour::Refuse);
    api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
    api.refresh(last["refresh_token"].as_str().unwrap()).await.is_problem(400, "invalid_token");
    api.profile(last["access_token"].as_str().unwrap()).await.is_problem(401, "invalid_access_token");
}

#[tokio::test]
async fn a_rule_that_fails_panics_or_is_late_lets_nothing_happen_and_spends_nothing() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    app.advance_time(61);
    app.api.login(PHONE).await.ok();
    app.advance_time(61);
    let is_unavailable = |answer: &ApiAnswer, rule: &str| {
        answer.is_problem(503, "rule_unavailable");
        assert_eq!((&answer.json()["rule"], answer.retry_after()), (&json!(rule), Some(1)));
    };
    let codes = ScriptedRule::new("faulty_codes", RuleStage::Code, Behaviour::Allow);
    let sign_ins = ScriptedRule::new("faulty_sign_ins", RuleStage::SignIn, Behaviour::Allow);
    let refreshes = ScriptedRule::new("faulty_refreshes", RuleStage::Refresh, Behaviour::Allow);
    let [for_codes, for_sign_ins, for_refreshes] =
        [&codes, &sign_ins, &refreshes].map(|rule| node_with(&app, rule));
    let code = for_sign_ins.login(PHONE).await.code();
    let before = events(&app).await;
    for (behaviour, outcome) in FAULTS {
        [&codes, &sign_ins, &refreshes].into_iter().for_each(|rule| rule.set(behaviour));
        for answer in ask_for_codes(&for_codes, &device).await {
            is_unavailable(&answer, "faulty_codes");
        }
        is_unavailable(&for_codes.login(OTHER).await, "faulty_codes");
        is_unavailable(&for_sign_ins.verify(PHONE, &code).await, "faulty_sign_ins");
        is_unavailable(&for_refreshes.refresh(&device.refresh).await, "faulty_refreshes");
        for (rule, stage, times) in [
            ("faulty_codes", "code", 5),
            ("faulty_sign_ins", "sign_in", 1),
            ("faulty_refreshes", "refresh", 1),
        ] {
            let labels = [("rule", rule), ("stage", stage), ("outcome", outcome)];
            assert_eq!(counted("counterfoil_rule_faults_total", &labels), times, "{labels:?}");
        }
    }
    assert_eq!(events(&app).await, before, "nothing has changed");
    [&codes, &sign_ins, &refreshes].into_iter().for_each(|rule| rule.set(Behaviour::Allow));
    for_refreshes.refresh(&device.refresh).await.ok();
    for_sign_ins.verify(PHONE, &code).await.ok();
    for_codes.login(OTHER).await.ok();
}

#[tokio::test]
async fn on_two_nodes_a_code_is_refused_once_and_a_refusal_is_on_record_once() {
    let app = TestApp::start().await;
    let sign_ins = ScriptedRule::new("refused_twice", RuleStage::SignIn, Behaviour::Refuse);
    let nodes = [node_with(&app, &sign_ins), node_with(&app, &sign_ins)];
    let code = nodes[0].login(PHONE).await.code();
    let answers = futures_util::future::join_all(nodes.iter().map(|node| node.verify(PHONE, &code))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [400, 403], "{answers:?}");
    assert_eq!(refusals(&app).await.len(), 1);

    let device = app.api.sign_in(OTHER).await;
    let refreshes = ScriptedRule::new("refreshed_twice", RuleStage::Refresh, Behaviour::Refuse);
    let nodes = [node_with(&app, &refreshes), node_with(&app, &refreshes)];
    let answers =
        futures_util::future::join_all([0, 1, 0, 1, 0, 1].map(|n| nodes[n].refresh(&device.refresh))).await;
    answers.iter().for_each(|answer| is_refused(answer, "refreshed_twice"));
    assert_eq!(refusals(&app).await.len(), 2, "each node sees what the other has on record");

    // A node that remembers the account as it was refuses and allows by what it is.
    refreshes.set(Behaviour::Allow);
    let next = nodes[0].refresh(&device.refresh).await.ok();
    app.give_roles(&device, [Role::Admin]).await;
    refreshes.asked();
    nodes[1].refresh(next["refresh_token"].as_str().unwrap()).await.ok();
    let asked = refreshes.asked();
    assert_eq!(asked.last().unwrap(), &format!("{} {{Admin}} 127.0.0.1", device.account().0));
}

#[tokio::test]
async fn an_address_puts_no_more_refusals_on_record_than_it_may_write() {
    let app = TestApp::start().await;
    let phones: Vec<String> = (0..6).map(|n| format!("+98912000000{n}")).collect();
    for phone in &phones {
        app.api.sign_in(phone).await;
    }
    app.advance_time(61);
    let rule = ScriptedRule::new("bounded", RuleStage::Code, Behaviour::Refuse);
    let settings = [
        ("limits.address_writes_burst", "2"),
        ("limits.address_writes_per_minute", "2"),
        ("server.trusted_proxies", "127.0.0.0/8"),
        ("server.forwarded", "x-forwarded-for"),
    ];
    let api = node_with_settings(&app, &rule, &settings);
    let login_from = async |address: &str, phone: &str| {
        let request = api.request(Method::POST, "/accounts/login/").header("x-forwarded-for", address);
        is_refused(&ApiClient::send(request.json(&json!({"phone_number": phone}))).await, "bounded");
    };
    for phone in &phones {
        login_from("192.0.2.1", phone).await;
    }
    assert_eq!(refusals(&app).await.len(), 2, "of one address");
    login_from("192.0.2.2", &phones[5]).await;
    assert_eq!(refusals(&app).await.len(), 3, "another address has room");
    app.advance_time(60);
    login_from("192.0.2.1", &phones[3]).await;
    assert_eq!(refusals(&app).await.len(), 4, "and so has the first a minute later");
}
