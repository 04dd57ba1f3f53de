//! A server at its most talkative log level writes no secret and no personal data.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use counterfoil::crypto::message_links::{ChangeNumber, SessionLinks, UndoLinks};
use counterfoil_domain::values::{Role, SessionId};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{
    ApiAnswer, ApiClient, NodeProcess, ProviderReply, ProviderRequest, ProviderServer, SignedInDevice,
    TestApp,
};

const DOCUMENT: &str = include_str!("../../docs/never-logged.md");

const NUMBER: &str = "+989351234876";
const NATIONAL: &str = "09351234876";
/// What no gateway takes.
const UNREACHED: &str = "+989351234877";
const EMAIL: &str = "grace.hopper@cobol.example";
const NAME: &str = "Grace Brewster Murray";
const RENAMED: &str = "گریس هاپر";
const DEVICE: &str = "Mark-I-Console";
const RENAMED_DEVICE: &str = "Univac-Terminal";
const USER_AGENT: &str = "FlowMatic/0.9 (Remington Rand)";
const ADDRESS: &str = "203.0.113.177";
const REASON: &str = "neighbour reported the moth";
const SECRET: &str = "a-service-keeps-this-to-itself";
const WEBHOOK_KEY: &[u8] = b"the webhook is signed with this one";
const PASSWORD: &str = "correct-horse-battery";

/// A server that says all it has to say, and what it must not have said.
struct TraceLogServer {
    app: TestApp,
    node: NodeProcess,
    provider: ProviderServer,
    needles: Vec<String>,
    folder: PathBuf,
}

impl TraceLogServer {
    async fn start() -> Self {
        let app = TestApp::start().await;
        // Gives back what it was sent, as some do.
        let provider = ProviderServer::start(|asked| {
            ProviderReply::text(if asked.body.contains(UNREACHED) { 503 } else { 200 }, &asked.body)
        });
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("never-logged");
        std::fs::create_dir_all(&folder).unwrap();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SECRET.as_bytes());
        let hash = hash.as_ref().iter().fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
        let signing = format!("whsec_{}", STANDARD.encode(WEBHOOK_KEY));
        let settings = format!(
            "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\nforwarded = \"x-forwarded-for\"\n\
             public_url = \"https://auth.example\"\n\
             [delivery]\nphone = \"own\"\nemail = \"own\"\n\
             [gateways.own]\nkind = \"webhook\"\nurl = \"{}/messages\"\nsecret = \"{signing}\"\n\
             [[oauth.clients]]\nid = \"orders\"\nsecret_sha256 = \"{hash}\"\nscopes = [\"tokens:introspect\", \"tokens:revoke\", \"sessions:read\"]\n\
             [codes]\nresend_after = 0\n[sessions]\nrefresh_grace = 0\n",
            provider.url
        );
        std::fs::write(folder.join("counterfoil.toml"), settings).unwrap();
        let keyring = app.keyring_file();
        let database = format!("{}&password={PASSWORD}", app.database.url.0);
        let environment = [
            ("DATABASE_URL", database.as_str()),
            ("COUNTERFOIL_KEYRING", keyring.to_str().unwrap()),
            ("COUNTERFOIL__LOG__FILTER", "trace"),
        ];
        let node = NodeProcess::start(&folder, &environment);
        let mut needles: Vec<String> =
            [NUMBER, &NUMBER[1..], NATIONAL, "1234876", UNREACHED, "1234877", EMAIL, "hopper", "cobol"]
                .into_iter()
                .chain([NAME, "Brewster", RENAMED, DEVICE, RENAMED_DEVICE, USER_AGENT, "FlowMatic", ADDRESS])
                .chain([REASON, "moth", SECRET, PASSWORD, &signing[6..]])
                .map(str::to_owned)
                .collect();
        let keys: Value = serde_json::from_str(&std::fs::read_to_string(&keyring).unwrap()).unwrap();
        let secrets = secrets_of(&keys);
        assert!(secrets.len() >= 4, "a keyring has a key for each purpose");
        needles.extend(secrets);
        std::fs::remove_file(&keyring).unwrap();
        Self { app, node, provider, needles, folder }
    }

    /// From a device and an address of its own.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.node.api.request(method, path).header("user-agent", USER_AGENT);
        request.header("x-forwarded-for", ADDRESS)
    }

    /// What is wrong with a request may be said, and not with what it was made.
    async fn send(&self, request: RequestBuilder) -> ApiAnswer {
        let answer = ApiClient::send(request).await;
        if !answer.status.is_success() {
            self.holds_nothing("an answer", &answer.text);
        }
        answer
    }

    async fn post(&self, path: &str, body: Value) -> ApiAnswer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    async fn ask(&self, method: Method, path: &str, access: &str, body: Value) -> ApiAnswer {
        let request = self.request(method, path).bearer_auth(access).header("x-audit-reason", REASON);
        self.send(if body.is_null() { request } else { request.json(&body) }).await
    }

    /// The code in the last message to there that the provider was sent.
    async fn code_to(&mut self, to: &str, after: usize) -> String {
        for _ in 0..100 {
            let is_it = |asked: &ProviderRequest| -> Option<String> {
                let message: Value = serde_json::from_str(&asked.body).ok()?;
                let code = message["code"].as_str().filter(|_| message["to"] == to)?;
                Some(code.to_owned())
            };
            if let Some(code) = self.provider.requests().iter().skip(after).filter_map(is_it).next_back() {
                self.needles.push(code.clone());
                return code;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no code came within 5 seconds");
    }

    /// Asks for a code, and signs in with it at the second try.
    async fn sign_in(&mut self, name: &str, value: &str) -> SignedInDevice {
        let after = self.provider.requests().len();
        let login = json!({name: value, "fullname": NAME});
        assert_eq!(self.post("/accounts/login/", login).await.status, 200);
        let code = self.code_to(value, after).await;
        let wrong = format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
        let verify = |code: &str| json!({name: value, "code": code, "device_name": DEVICE});
        self.post("/accounts/verify/", verify(&wrong)).await.is_problem(400, "invalid_code");
        let device = self.post("/accounts/verify/", verify(&code)).await.signed_in();
        self.needles.extend([wrong, device.access.clone(), device.refresh.clone()]);
        device
    }

    fn holds_nothing(&self, what: &str, text: &str) {
        for needle in &self.needles {
            assert!(!text.contains(needle), "{what} tells {needle}: {text}");
        }
    }
}

impl Drop for TraceLogServer {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Every text of a keyring that is long enough for a key.
fn secrets_of(keys: &Value) -> Vec<String> {
    match keys {
        Value::String(text) if text.len() >= 40 => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(secrets_of).collect(),
        Value::Object(members) => members.values().flat_map(secrets_of).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// All that a person does, and what a thief does with that person's token.
async fn a_person_lives(at: &mut TraceLogServer) -> SignedInDevice {
    let device = at.sign_in("phone_number", NUMBER).await;
    let spent = device.refresh.clone();
    let refreshed = at.post("/accounts/refresh/", json!({"refresh_token": spent})).await.ok();
    for name in ["access_token", "refresh_token"] {
        at.needles.push(refreshed[name].as_str().unwrap().to_owned());
    }
    at.post("/accounts/refresh/", json!({"refresh_token": spent})).await.is_problem(400, "invalid_token");

    let device = at.sign_in("phone_number", NUMBER).await;
    let access = device.access.clone();
    let devices = at.ask(Method::GET, "/accounts/devices/", &access, Value::Null).await.ok();
    let session = devices[0]["id"].as_str().unwrap().to_owned();
    let of_device = format!("/accounts/devices/{session}/");
    for (method, path, body) in [
        (Method::GET, "/accounts/profile/", Value::Null),
        (Method::PATCH, "/accounts/profile/", json!({"fullname": RENAMED})),
        (Method::PATCH, of_device.as_str(), json!({"device_name": RENAMED_DEVICE})),
        (Method::GET, "/accounts/history/", Value::Null),
        (Method::POST, "/accounts/token/verify/", json!({"token": access})),
    ] {
        assert_eq!(at.ask(method, path, &access, body).await.status, 200, "{path}");
    }
    let after = at.provider.requests().len();
    at.ask(Method::POST, "/accounts/identifiers/", &access, json!({"email": EMAIL})).await.ok();
    let code = at.code_to(EMAIL, after).await;
    let proof = json!({"email": EMAIL, "code": code});
    at.ask(Method::POST, "/accounts/identifiers/verify/", &access, proof).await.ok();
    let session: SessionId = serde_json::from_value(json!(session)).unwrap();
    let link = SessionLinks::new(&at.app.keyring, None).token(device.account(), session);
    at.needles.push(link.clone());
    let page = at.send(at.request(Method::GET, &format!("/accounts/devices/disown/{link}"))).await;
    assert_eq!(page.status, 200);
    let link = UndoLinks::new(&at.app.keyring, None).token(device.account(), ChangeNumber(1));
    at.needles.push(link.clone());
    let page = at.send(at.request(Method::GET, &format!("/accounts/identifiers/undo/{link}"))).await;
    assert_eq!(page.status, 200);
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        for secret in [SECRET, "wrong-secret-of-a-service"] {
            let request = at.request(Method::POST, path).basic_auth("orders", Some(secret));
            at.send(request.form(&[("token", &access)])).await;
        }
    }
    at.needles.push("wrong-secret-of-a-service".to_owned());
    at.sign_in("email", EMAIL).await
}

/// All that staff do about that person.
async fn staff_look_into_it(at: &TraceLogServer, person: &SignedInDevice) {
    let admin = at.app.sign_in_admin("+989130000001").await;
    let auditor = at.app.sign_in_staff("+989130000002", Role::Auditor).await;
    let account = person.account();
    let number = NUMBER.replace('+', "%2B");
    for (who, path) in [
        (&admin, format!("/admin/accounts/?phone_number={number}")),
        (&admin, "/admin/accounts/?fullname=Brewster".to_owned()),
        (&admin, format!("/admin/accounts/{account}/")),
        (&admin, format!("/admin/device-sessions/?ip_address={ADDRESS}&device_name={DEVICE}")),
        (&auditor, "/audit/events/?format=ndjson".to_owned()),
        (&auditor, "/audit/events/?format=csv".to_owned()),
        (&auditor, format!("/audit/accounts/{account}/?step=2")),
    ] {
        assert_eq!(at.ask(Method::GET, &path, &who.access, Value::Null).await.status, 200, "{path}");
        at.ask(Method::GET, &path, &person.access, Value::Null).await.is_problem(403, "forbidden");
    }
    for (act, status) in [("suspend", 204), ("erase", 200)] {
        let path = format!("/admin/accounts/{account}/{act}/");
        let done = at.ask(Method::POST, &path, &admin.access, json!({"reason": REASON})).await;
        assert_eq!(done.status, status, "{act}");
    }
}

/// Requests that put things where they do not belong.
async fn a_caller_errs(at: &mut TraceLogServer, person: &SignedInDevice) {
    let access = &person.access;
    for path in [
        format!("/accounts/devices/{NUMBER}/"),
        format!("/admin/accounts/{EMAIL}/"),
        format!("/{NATIONAL}"),
        format!("/accounts/devices/?token={access}"),
        format!("/accounts/history/?after={NATIONAL}"),
        format!("/accounts/devices/disown/{access}"),
        format!("/accounts/identifiers/undo/{access}"),
        format!("/accounts/identifiers/{UNREACHED}/"),
    ] {
        at.ask(Method::DELETE, &path, access, Value::Null).await;
        at.ask(Method::GET, &path, &access[..access.len() - 1], Value::Null).await;
    }
    for (name, value) in [
        ("x-request-id", NATIONAL),
        ("x-request-id", access),
        ("referer", "https://app.example/?email=grace.hopper@cobol.example"),
        ("cookie", "Authorization=FlowMatic"),
        ("accept-language", NAME),
        ("origin", "https://cobol.example"),
        ("authorization", NATIONAL),
    ] {
        let request = at.request(Method::POST, "/accounts/logout/").header(name, value);
        at.send(request.json(&json!({"refresh_token": NATIONAL}))).await.is_problem(400, "invalid_token");
    }
    let method = Method::from_bytes(NATIONAL.as_bytes()).unwrap();
    at.send(at.request(method, "/accounts/login/")).await.is_problem(405, "method_not_allowed");
    for body in [
        format!("{{\"phone_number\": \"{NUMBER}\", \"code\": 123"),
        format!("{{\"phone_number\": \"{NUMBER}\", \"phone_number\": \"{EMAIL}\"}}"),
        format!("\"{EMAIL}\""),
        format!("{NAME}{}", " ".repeat(17 * 1024)),
    ] {
        let request = at.request(Method::POST, "/accounts/login/").header("content-type", "application/json");
        at.send(request.body(body)).await;
    }
    let forged = format!(
        "POST /accounts/login/ HTTP/1.1\r\nhost: x\r\nuser-agent: {USER_AGENT}\x1b[2J{{\"level\":\"ERROR\"}}\r\n\
         x-request-id: {EMAIL}\u{2028}\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
    );
    at.node.api.send_raw(forged.as_bytes()).await;

    // No gateway takes it, and then the database refuses a statement.
    assert_eq!(at.post("/accounts/login/", json!({"phone_number": UNREACHED})).await.status, 200);
    for _ in 0..100 {
        if at.node.log_lines().iter().any(|line| line.contains("a gateway is away")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let database = at.app.database.connect().await;
    database.batch_execute("ALTER TABLE user_logins RENAME TO gone").await.unwrap();
    at.post("/accounts/login/", json!({"email": "rear.admiral@cobol.example"})).await;
    at.ask(Method::GET, "/accounts/devices/", access, Value::Null).await;
    database.batch_execute("ALTER TABLE gone RENAME TO user_logins").await.unwrap();
}

/// The first cells of the table below that heading, without their marks.
fn listed(heading: &str) -> BTreeSet<&'static str> {
    let (_, table) = DOCUMENT.split_once(heading).unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cells = rows.take_while(|line| line.starts_with('|')).map(|row| row.split('|').nth(1).unwrap());
    cells.flat_map(|cell| cell.split(',')).map(|name| name.trim().trim_matches('`')).collect()
}

fn names(object: &Value) -> impl Iterator<Item = &str> {
    object.as_object().into_iter().flatten().map(|(name, _)| name.as_str())
}

/// The id of the last request, whose line is waited for.
const LAST_ID: &str = "fedcba9876543210";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_at_its_most_talkative_log_level_writes_no_secret_and_no_personal_data() {
    let mut at = TraceLogServer::start().await;
    let person = a_person_lives(&mut at).await;
    a_caller_errs(&mut at, &person).await;
    staff_look_into_it(&at, &person).await;
    let marked = at.request(Method::GET, "/metrics").header("x-request-id", LAST_ID);
    let metrics = ApiClient::send(marked).await.text;

    let mut said = at.node.log_lines();
    while !said.last().is_some_and(|line| line.contains(LAST_ID)) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        said = at.node.log_lines();
    }
    for expected in ["a gateway is away", "the database refused a statement", "\"status\":403"] {
        assert!(said.iter().any(|line| line.contains(expected)), "{expected}: {said:#?}");
    }
    let fields = listed("\n## What a log line says");
    for line in &said {
        at.holds_nothing("a log line", line);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        let of_us = line["target"].as_str().is_some_and(|target| target.starts_with("counterfoil"));
        let unlisted = names(&line["fields"]).chain(names(&line["span"])).find(|name| !fields.contains(name));
        assert!(!of_us || unlisted.is_none(), "{unlisted:?} is not in docs/never-logged.md: {line}");
    }

    at.holds_nothing("a metric", &metrics);
    let labels = listed("\n## What a metric says");
    for series in metrics.lines().filter(|line| !line.starts_with('#')) {
        let Some((_, rest)) = series.split_once('{') else { continue };
        for label in rest.rsplit_once('}').unwrap().0.split("\",") {
            let (name, value) = label.split_once("=\"").unwrap();
            assert!(labels.contains(name), "{name} is not in docs/never-logged.md: {series}");
            assert!(name != "method" || !value.starts_with('0'), "{series}");
        }
    }

    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("service-tests/postgres.log");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("user_logins"), "the statement that failed is in PostgreSQL's log");
    at.holds_nothing("PostgreSQL's log", &log);
}
