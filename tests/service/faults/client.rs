//! A client that signs in, uses its tokens, and signs out, on whichever node answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use counterfoil::crypto::keyring::Keyring;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockWriteGuard};

use super::checker::AccountTally;
use super::cluster::{ClusterApis, session_of};
use crate::support::{ApiAnswer, ApiClient};

/// What all clients share.
pub struct FaultClients {
    pub apis: Mutex<[ApiClient; 2]>,
    keyring: Keyring,
    gate: RwLock<()>,
    next: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
    tallies: Mutex<BTreeMap<String, AccountTally>>,
}

impl FaultClients {
    pub fn new((apis, keyring): ClusterApis) -> Self {
        Self {
            apis: Mutex::new(apis),
            keyring,
            gate: RwLock::default(),
            next: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            tallies: Mutex::default(),
        }
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Lets no client begin an operation until the guard is dropped.
    pub async fn pause(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// What was done so far, by what names an account.
    pub fn tallies(&self, name: impl Fn(&str) -> Vec<u8>) -> BTreeMap<Vec<u8>, AccountTally> {
        let tallies = self.tallies.lock().unwrap();
        tallies.iter().map(|(phone, tally)| (name(phone), tally.clone())).collect()
    }

    pub fn counts(&self) -> String {
        let mut text = String::new();
        for (name, count) in
            [("acknowledged", &self.acknowledged), ("refused", &self.refused), ("unknown", &self.unknown)]
        {
            write!(text, "{} {name}, ", count.load(Ordering::Relaxed)).unwrap();
        }
        text + &format!("{} accounts", self.tallies.lock().unwrap().len())
    }

    /// Sends a request that leaves an event if it is done; the body where it was.
    async fn ask(
        &self,
        phone: &str,
        node: usize,
        event: &'static str,
        request: ClientRequest,
    ) -> RequestOutcome {
        let _gate = self.gate.read().await;
        let api = self.apis.lock().unwrap()[node].clone();
        let sent = tokio::time::timeout(Duration::from_secs(5), request.send(&api)).await;
        let answer = sent.ok().flatten().filter(|answer| answer.status != 503);
        let mut tallies = self.tallies.lock().unwrap();
        let count = tallies.entry(phone.to_owned()).or_default().counts.entry(event).or_default();
        let Some(answer) = answer else {
            count.unknown += 1;
            self.unknown.fetch_add(1, Ordering::Relaxed);
            return RequestOutcome::Unknown;
        };
        assert!(answer.status.as_u16() < 500, "{answer:?}");
        let done = answer.status.is_success() || event == "OtpRejected";
        if !done {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return RequestOutcome::Refused;
        }
        count.acknowledged += 1;
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        RequestOutcome::Done(if answer.text.is_empty() { Value::Null } else { answer.json() })
    }

    fn note(&self, phone: &str, note: impl FnOnce(&mut AccountTally)) {
        note(self.tallies.lock().unwrap().entry(phone.to_owned()).or_default());
    }

    /// Notes whose tokens these are.
    fn note_tokens(&self, phone: &str, token: &Value) -> ClientTokens {
        let text = |name: &str| token[name].as_str().unwrap().to_owned();
        let device = ClientTokens { access: text("access_token"), refresh: text("refresh_token") };
        let session = session_of(&self.keyring, &device.refresh);
        self.note(phone, |tally| tally.tokens.push(session));
        device
    }
}

enum RequestOutcome {
    Done(Value),
    Refused,
    Unknown,
}

struct ClientTokens {
    access: String,
    refresh: String,
}

struct ClientRequest {
    method: Method,
    path: &'static str,
    body: Value,
    bearer: Option<String>,
}

impl ClientRequest {
    fn post(path: &'static str, body: Value) -> Self {
        Self { method: Method::POST, path, body, bearer: None }
    }

    async fn send(self, api: &ApiClient) -> Option<ApiAnswer> {
        let request = api.request(self.method, self.path).json(&self.body);
        let request = match self.bearer {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        ApiClient::try_send(request).await.ok()
    }
}

/// Lives one life after the other.
pub async fn live(lives: Arc<FaultClients>, mut random: fastrand::Rng) {
    loop {
        let phone = format!("+98913{:07}", lives.next.fetch_add(1, Ordering::Relaxed));
        life(&lives, &phone, &mut random).await;
        // A node that is away refuses at once; the client waits a moment before it calls again.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn life(lives: &FaultClients, phone: &str, random: &mut fastrand::Rng) {
    let login = ClientRequest::post("/accounts/login/", json!({"phone_number": phone}));
    let RequestOutcome::Done(sent) = lives.ask(phone, random.usize(..2), "OtpRequested", login).await else {
        return;
    };
    let code = sent["code"].as_str().unwrap();
    let verify =
        |code: &str| ClientRequest::post("/accounts/verify/", json!({"phone_number": phone, "code": code}));
    if random.u8(..4) == 0 {
        let wrong = if code == "000000" { "000001" } else { "000000" };
        let RequestOutcome::Done(_) = lives.ask(phone, random.usize(..2), "OtpRejected", verify(wrong)).await
        else {
            return;
        };
    }
    // Now and then the same code on both nodes at once.
    let here = random.usize(..2);
    let mut outcomes = vec![];
    if random.u8(..3) == 0 {
        let both = [0, 1].map(|node| lives.ask(phone, node, "LoggedIn", verify(code)));
        outcomes.extend(futures_util::future::join_all(both).await);
    } else {
        outcomes.push(lives.ask(phone, here, "LoggedIn", verify(code)).await);
    }
    let mut signed_in = outcomes.into_iter().filter_map(|outcome| match outcome {
        RequestOutcome::Done(body) => Some(body),
        RequestOutcome::Refused | RequestOutcome::Unknown => None,
    });
    let Some(body) = signed_in.next() else { return };
    assert!(signed_in.next().is_none(), "a code was redeemed twice");
    let mut device = lives.note_tokens(phone, &body["token"]);

    for step in 0..random.usize(1..8) {
        let node = random.usize(..2);
        if random.u8(..3) == 0 {
            let rename = ClientRequest {
                method: Method::PATCH,
                path: "/accounts/profile/",
                body: json!({"fullname": format!("Person {step}")}),
                bearer: Some(device.access.clone()),
            };
            lives.ask(phone, node, "ProfileUpdated", rename).await;
            continue;
        }
        let refresh = ClientRequest::post("/accounts/refresh/", json!({"refresh_token": device.refresh}));
        let RequestOutcome::Done(token) = lives.ask(phone, node, "TokenRefreshed", refresh).await else {
            return;
        };
        device = lives.note_tokens(phone, &token);
    }
    let logout = ClientRequest::post("/accounts/logout/", json!({"refresh_token": device.refresh}));
    if let RequestOutcome::Done(_) = lives.ask(phone, random.usize(..2), "LoggedOut", logout).await {
        let (session, _) = session_of(&lives.keyring, &device.refresh);
        lives.note(phone, |tally| tally.ended.push(session));
    }
}
