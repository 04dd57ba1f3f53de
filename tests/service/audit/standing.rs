//! Accounts as they stood, compared with a model that knows nothing of events.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil::audit::{AccountStanding, standing_at, steps};
use counterfoil::runtime::clock::Clock as _;
use counterfoil_domain::values::AccountId;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::support::{ApiClient, TestApp};

const IDLE: TimeDelta = TimeDelta::days(30);
const ABSOLUTE: TimeDelta = TimeDelta::days(90);
const DEVICES: usize = 5;

/// A device as its owner would tell of it.
#[derive(Clone, Default)]
struct TrackedDevice {
    refresh_token: String,
    /// When it signed in, and each time it was refreshed.
    used: Vec<DateTime<Utc>>,
    ended: Option<DateTime<Utc>>,
}

impl TrackedDevice {
    fn expires(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last = self.used.iter().filter(|used| **used <= at).max()?;
        Some((*last + IDLE).min(self.used[0] + ABSOLUTE))
    }

    fn is_live(&self, at: DateTime<Utc>) -> bool {
        self.expires(at).is_some_and(|expires| at < expires) && self.ended.is_none_or(|ended| at < ended)
    }
}

#[derive(Default)]
struct TrackedPerson {
    account: Option<AccountId>,
    devices: BTreeMap<String, TrackedDevice>,
    wrong_in_a_row: u32,
}

/// What of a person's account is compared.
#[derive(Debug, PartialEq, Eq)]
struct AccountView {
    devices: BTreeMap<String, u64>,
    wrong_in_a_row: u32,
}

impl TrackedPerson {
    fn live(&self, at: DateTime<Utc>) -> Vec<String> {
        self.devices.iter().filter(|(_, device)| device.is_live(at)).map(|(id, _)| id.clone()).collect()
    }

    fn seen(&self, at: DateTime<Utc>) -> AccountView {
        let devices = self.live(at).into_iter().map(|id| {
            let generation = self.devices[&id].used.len() as u64;
            (id, generation)
        });
        AccountView { devices: devices.collect(), wrong_in_a_row: self.wrong_in_a_row }
    }
}

fn seen(standing: &AccountStanding) -> AccountView {
    let devices = standing.sessions.iter().map(|(id, device)| (id.clone(), u64::from(device.generation.0)));
    let wrong = standing.codes.as_ref().map_or(0, |codes| codes.wrong_in_a_row);
    AccountView { devices: devices.collect(), wrong_in_a_row: wrong }
}

async fn sign_in(app: &TestApp, number: &str, person: &mut TrackedPerson) {
    let sent = app.api.login(number).await;
    if sent.status == 406 {
        return;
    }
    let device = app.api.verify(number, &sent.code()).await.signed_in();
    let request = app.api.request(Method::GET, "/accounts/devices/").bearer_auth(&device.access);
    let devices = ApiClient::send(request).await.ok();
    let current = devices.as_array().unwrap().iter().find(|device| device["current"] == true).unwrap();
    let id = current["id"].as_str().unwrap().to_owned();
    let now = app.clock.now();
    person.account = Some(AccountId(Uuid::parse_str(device.user["id"].as_str().unwrap()).unwrap()));
    person.wrong_in_a_row = 0;
    let mut live = person.live(now);
    live.sort_by_key(|id| person.devices[id].used.last().copied());
    for oldest in live.iter().take((live.len() + 1).saturating_sub(DEVICES)) {
        person.devices.get_mut(oldest).unwrap().ended = Some(now);
    }
    person.devices.insert(id, TrackedDevice { refresh_token: device.refresh, used: vec![now], ended: None });
}

async fn try_a_wrong_code(app: &TestApp, number: &str, person: &mut TrackedPerson) {
    let sent = app.api.login(number).await;
    if sent.status == 406 {
        return;
    }
    let right = sent.code();
    let wrong = if right == "123456" { "654321" } else { "123456" };
    app.api.verify(number, wrong).await.is_problem(400, "invalid_code");
    person.wrong_in_a_row += 1;
}

async fn use_a_device(app: &TestApp, person: &mut TrackedPerson, random: &mut fastrand::Rng) {
    let now = app.clock.now();
    let live = person.live(now);
    let Some(id) = random.choice(&live) else { return };
    let device = person.devices.get_mut(id).unwrap();
    match random.u8(0..10) {
        0..6 => {
            let tokens = app.api.refresh(&device.refresh_token).await.ok();
            device.refresh_token = tokens["refresh_token"].as_str().unwrap().to_owned();
            device.used.push(now);
        }
        6..9 => {
            assert_eq!(app.api.logout(&device.refresh_token).await.status, 204);
            device.ended = Some(now);
        }
        _ => {
            let tokens = app.api.refresh(&device.refresh_token).await.ok();
            device.refresh_token = tokens["refresh_token"].as_str().unwrap().to_owned();
            device.used.push(now);
            let everywhere = app.api.request(Method::POST, "/accounts/logout/all/");
            let everywhere = everywhere.bearer_auth(tokens["access_token"].as_str().unwrap());
            assert_eq!(ApiClient::send(everywhere.json(&json!({}))).await.status, 204);
            for id in live {
                person.devices.get_mut(&id).unwrap().ended = Some(now);
            }
        }
    }
}

#[tokio::test]
async fn a_random_history_replays_to_the_models_state_at_every_event_and_at_random_times() {
    let seed =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let app = TestApp::start().await;
    let began = app.clock.now();
    let mut people: BTreeMap<String, TrackedPerson> =
        (0..50).map(|n| (format!("+9891212345{n:02}"), TrackedPerson::default())).collect();
    let numbers: Vec<String> = people.keys().cloned().collect();
    let mut expected = Vec::new();
    for _ in 0..1_000 {
        app.advance_time(random.i64(61..3 * 3600));
        let number = random.choice(&numbers).unwrap();
        let person = people.get_mut(number).unwrap();
        match random.u8(0..10) {
            0..4 => sign_in(&app, number, person).await,
            4 => try_a_wrong_code(&app, number, person).await,
            _ => use_a_device(&app, person, &mut random).await,
        }
        if let Some(account) = person.account {
            expected.push((account, app.clock.now(), person.seen(app.clock.now())));
        }
    }

    let journal = app.journal();
    for (account, at, expected) in &expected {
        let standing = standing_at(&journal, *account, *at).await.unwrap().unwrap();
        assert_eq!(seen(&standing), *expected, "{account} at {at}, seed {seed}");
    }
    let whole = (app.clock.now() - began).num_seconds();
    for _ in 0..200 {
        let at = began + TimeDelta::seconds(random.i64(0..whole));
        let number = random.choice(&numbers).unwrap();
        let some = [number, &numbers[0], &numbers[49]];
        let (mut live, mut modelled) = (BTreeSet::new(), BTreeSet::new());
        for person in some.map(|number| &people[number]) {
            let Some(account) = person.account else { continue };
            live.extend(standing_at(&journal, account, at).await.unwrap().unwrap().sessions.into_keys());
            modelled.extend(person.live(at));
        }
        assert_eq!(live, modelled, "at {at}, seed {seed}");
    }
}

#[tokio::test]
async fn a_replay_shows_the_use_of_a_stolen_token_step_by_step() {
    let app = TestApp::start().await;
    let device = app.api.sign_in("+989121234567").await;
    app.advance_time(60);
    app.api.refresh(&device.refresh).await.ok();
    app.advance_time(60);
    let thief = app.api.request(Method::POST, "/accounts/refresh/").header("user-agent", "Thief/1.0");
    let refused = ApiClient::send(thief.json(&json!({"refresh_token": device.refresh}))).await;
    refused.is_problem(400, "invalid_token");

    let account = AccountId(Uuid::parse_str(device.user["id"].as_str().unwrap()).unwrap());
    let steps: Vec<_> = steps(&app.journal(), account).await.unwrap().collect();
    let types: Vec<_> = steps.iter().map(|step| step.event.event_type).collect();
    let signed_in = ["OtpRequested", "UserRegistered", "LoggedIn", "TokenRefreshed"];
    assert_eq!(types, [&signed_in[..], &["TokenReuseDetected", "LoggedOut"]].concat());
    let reuse = serde_json::to_value(&steps[4]).unwrap();
    let told = &reuse["event"]["fact"]["TokenReuseDetected"];
    assert_eq!((&told["presented"], &told["newest"]), (&json!(1), &json!(2)));
    assert_eq!(reuse["event"]["client"]["user_agent"], "Thief/1.0");
    assert_eq!(reuse["event"]["client"]["ip"], "127.0.0.1");
    let ended = serde_json::to_value(&steps[5]).unwrap();
    assert_eq!(ended["event"]["fact"]["LoggedOut"]["reason"], "token_reuse");
    let session = told["session"].as_str().unwrap();
    let change = ended["changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|change| change["path"] == format!("/sessions/{session}"));
    assert!(
        change.is_some_and(|change| change["after"].is_null() && change["before"]["generation"] == 2),
        "{ended:#}"
    );
    assert_eq!(ended["state"]["sessions"], json!({}));
    let whole = serde_json::to_string(&steps[0].state).unwrap();
    assert!(!whole.contains("nonce") && steps[0].state.codes.as_ref().unwrap().pending.is_some(), "{whole}");
}
