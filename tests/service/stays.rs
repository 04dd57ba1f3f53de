//! Which sessions were at an address at a time, and who ended them since: asked of the service after many random lives, and
//! compared with a model that knows nothing of events or rows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use counterfoil::accounts::StaffAction;
use counterfoil::runtime::clock::Clock as _;
use counterfoil::tokens::TokenKind;
use counterfoil_domain::values::{AccountId, Reason, Role, ServiceName, SessionId};
use fastrand::Rng;
use ipnet::IpNet;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ApiAnswer, ApiClient, NodeProcess, SignedInDevice, TestApp, operator};

const ADMIN: &str = "+989121111111";
const AUDITOR: &str = "+989121111112";

/// How long a session lives that is not refreshed.
const IDLE: TimeDelta = TimeDelta::hours(6);

/// How many sessions there are at a time.
const AT_ONCE: usize = 20;

/// A session, as those who use it know it.
struct TrackedSession {
    id: SessionId,
    account: String,
    refresh: String,
    /// From when on it was at which address.
    stays: Vec<(DateTime<Utc>, IpAddr)>,
    expires_at: DateTime<Utc>,
    end: Option<TrackedEnd>,
}

/// How a session was ended, and by whom of the staff.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TrackedEnd {
    at: DateTime<Utc>,
    reason: &'static str,
    by: Value,
}

impl TrackedSession {
    fn began_at(&self) -> DateTime<Utc> {
        self.stays[0].0
    }

    fn is_live(&self, at: DateTime<Utc>) -> bool {
        self.began_at() <= at
            && at < self.end.as_ref().map_or(self.expires_at, |end| end.at.min(self.expires_at))
    }

    /// Where it was at that time, if it was live.
    fn address_at(&self, at: DateTime<Utc>) -> Option<IpAddr> {
        let stays = self.stays.iter().rev();
        stays
            .clone()
            .find(|(since, _)| *since <= at)
            .filter(|_| self.is_live(at))
            .map(|(_, address)| *address)
    }
}

/// A session of an answer: its address, and how it was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FoundSession {
    address: Option<String>,
    ended_at: Value,
    end_reason: Value,
    ended_by: Value,
}

/// Answers by who it is and when it signed in.
type FoundSessions = BTreeMap<(String, String), FoundSession>;

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn random_address(rng: &mut Rng) -> IpAddr {
    let low = rng.u8(1..=250);
    match rng.u8(..5) {
        0 => Ipv4Addr::new(192, 0, 2, low).into(),
        1 => Ipv4Addr::new(203, 0, 113, low).into(),
        2 | 3 => Ipv4Addr::new(10, rng.u8(..3), rng.u8(..3), low).into(),
        _ => Ipv6Addr::new(0x2001, 0xdb8, rng.u16(..3), rng.u16(..3), 0, 0, 0, low.into()).into(),
    }
}

/// The network of an address, of a random size.
fn network_around(address: IpAddr, rng: &mut Rng) -> IpNet {
    let sizes: &[u8] =
        if address.is_ipv4() { &[0, 8, 16, 24, 25, 28, 32] } else { &[0, 32, 48, 64, 127, 128] };
    let size = sizes[rng.usize(..sizes.len())];
    IpNet::new(address, size).unwrap().trunc()
}

async fn from(api: &ApiClient, address: IpAddr, path: &str, body: Value) -> ApiAnswer {
    let request = api.request(Method::POST, path).header("x-forwarded-for", address.to_string());
    ApiClient::send(request.json(&body)).await
}

async fn begin(app: &TestApp, number: usize, address: IpAddr) -> TrackedSession {
    // Two sessions of each account, one after the other.
    app.advance_time(61);
    let phone = format!("+98912{:07}", number / 2);
    let code = from(&app.api, address, "/accounts/login/", json!({"phone_number": phone})).await.code();
    let verified = json!({"phone_number": phone, "code": code});
    let device = from(&app.api, address, "/accounts/verify/", verified).await.signed_in();
    let now = app.clock.now();
    let token = app.state.tokens.open(TokenKind::Refresh, &device.refresh, now).unwrap();
    TrackedSession {
        id: token.session,
        account: device.account().to_string(),
        refresh: device.refresh,
        stays: vec![(now, address)],
        expires_at: now + IDLE,
        end: None,
    }
}

/// Has it ended by its owner, by an administrator, by the operator or by a program. One that is over already stays as it is.
async fn end(app: &TestApp, life: &mut TrackedSession, administrators: &mut u32, rng: &mut Rng) {
    let now = app.clock.now();
    let account = AccountId(life.account.parse().unwrap());
    let (accounts, reason) = (&app.state.accounts, Reason::parse("stolen").unwrap());
    let (reason, by) = match rng.u8(..4) {
        0 => {
            app.api.logout(&life.refresh).await;
            ("signed_out", Value::Null)
        }
        1 => {
            *administrators += 1;
            let admin = app.sign_in_admin(&format!("+98935{administrators:07}")).await;
            let path = format!("/admin/device-sessions/{}/", life.id);
            let body = json!({"reason": "stolen"});
            let ended = app.api.send_json(Method::DELETE, &path, &admin.access, body).await;
            assert_eq!(ended.status, 204);
            ("ended_by_admin", json!({"account": admin.account()}))
        }
        2 => {
            let who = StaffAction::operator(operator(), Some(reason));
            accounts.end_session(account, life.id, who).await.unwrap();
            ("ended_by_admin", json!({"operator": operator()}))
        }
        _ => {
            let program = ServiceName::parse("billing").unwrap();
            let who = StaffAction::service(program.clone(), reason);
            accounts.end_session(account, life.id, who).await.unwrap();
            ("ended_by_admin", json!({"service": program}))
        }
    };
    life.end = life.is_live(now).then_some(TrackedEnd { at: now, reason, by });
}

/// Refreshes it, mostly from where it was and else from elsewhere.
async fn go_on(app: &TestApp, life: &mut TrackedSession, rng: &mut Rng) {
    let now = app.clock.now();
    let (_, latest) = life.stays[life.stays.len() - 1];
    let address = match rng.u8(..3) {
        0 => latest,
        1 => life.stays[rng.usize(..life.stays.len())].1,
        _ => random_address(rng),
    };
    let answer = from(&app.api, address, "/accounts/refresh/", json!({"refresh_token": life.refresh})).await;
    if !life.is_live(now) {
        answer.is_problem(400, "invalid_token");
        return;
    }
    answer.ok()["refresh_token"].as_str().unwrap().clone_into(&mut life.refresh);
    life.stays.push((now, address));
    life.expires_at = now + IDLE;
}

/// As many lives, some of them at a time.
async fn lives(app: &TestApp, count: usize, rng: &mut Rng) -> Vec<TrackedSession> {
    let (mut over, mut going_on, mut administrators) = (Vec::new(), Vec::new(), 0);
    while over.len() < count {
        app.advance_time(rng.i64(0..600) * rng.i64(0..=1));
        if going_on.len() < AT_ONCE && over.len() + going_on.len() < count {
            going_on.push(begin(app, over.len() + going_on.len(), random_address(rng)).await);
        }
        let chosen = rng.usize(..going_on.len());
        match rng.u8(..8) {
            0 => end(app, &mut going_on[chosen], &mut administrators, rng).await,
            _ => go_on(app, &mut going_on[chosen], rng).await,
        }
        if !going_on[chosen].is_live(app.clock.now()) {
            over.push(going_on.swap_remove(chosen));
        }
    }
    over
}

fn expected(
    lives: &[TrackedSession],
    at: DateTime<Utc>,
    network: Option<IpNet>,
    account: Option<&str>,
) -> FoundSessions {
    let of_account = lives.iter().filter(|life| account.is_none_or(|account| life.account == account));
    let found = of_account.filter_map(|life| Some((life, life.address_at(at)?)));
    let found = found.filter(|(_, address)| network.is_none_or(|network| network.contains(address)));
    let described = found.map(|(life, address)| {
        let end = life.end.as_ref();
        let session = FoundSession {
            address: Some(address.to_string()),
            ended_at: end.map_or(Value::Null, |end| json!(end.at)),
            end_reason: end.map_or(Value::Null, |end| json!(end.reason)),
            ended_by: end.map_or(Value::Null, |end| end.by.clone()),
        };
        ((life.account.clone(), time(life.began_at())), session)
    });
    described.collect()
}

fn found(items: &[Value]) -> FoundSessions {
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    let pairs = items.iter().map(|item| {
        let signed_in_at: DateTime<Utc> = text(item, "signed_in_at").parse().unwrap();
        let key = (text(item, "account_id"), time(signed_in_at));
        let session = FoundSession {
            address: item["ip_address"].as_str().map(str::to_owned),
            ended_at: item["ended_at"].clone(),
            end_reason: item["end_reason"].clone(),
            ended_by: item["ended_by"].clone(),
        };
        (key, session)
    });
    let found: FoundSessions = pairs.collect();
    assert_eq!(found.len(), items.len(), "each once: {items:?}");
    found
}

async fn by_api(app: &TestApp, admin: &SignedInDevice, query: &str, limit: u8) -> FoundSessions {
    found(&items(app, admin, &format!("/admin/device-sessions/?limit={limit}&{query}")).await)
}

/// As auditors are answered, with the number of each account beside.
async fn by_audit(app: &TestApp, auditor: &SignedInDevice, query: &str, limit: u8) -> FoundSessions {
    let path = format!("/audit/device-sessions/?limit={limit}&reason=a+question&{query}");
    let items = items(app, auditor, &path).await;
    for item in &items {
        let profile = "SELECT phone_number FROM profiles WHERE account_id::text = $1";
        let db = app.database.connect().await;
        let row = db.query_one(profile, &[&item["account_id"].as_str().unwrap()]).await.unwrap();
        assert_eq!(item["phone_number"], row.get::<_, String>(0), "{item}");
        assert_eq!((&item["fullname"], &item["email"]), (&Value::Null, &Value::Null), "{item}");
    }
    found(&items)
}

async fn items(app: &TestApp, who: &SignedInDevice, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("{path}{cursor}");
        let page = app.api.get(&path, &who.access).await.ok();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return items };
        cursor = format!("&cursor={next}");
    }
}

fn by_command(app: &TestApp, arguments: &[&str]) -> FoundSessions {
    let keyring = app.keyring_file();
    let environment =
        [("DATABASE_URL", app.database.url.0.as_str()), ("COUNTERFOIL_KEYRING", keyring.to_str().unwrap())];
    let output = NodeProcess::command(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")), &environment)
        .env("COUNTERFOIL_PROFILE", "development")
        .args(["sessions", "list", "--json", "--limit", "1000000"])
        .args(arguments)
        .output()
        .unwrap();
    std::fs::remove_file(keyring).unwrap();
    assert!(output.status.success(), "{output:?}");
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list["next"], Value::Null, "the list is complete");
    found(list["items"].as_array().unwrap())
}

fn proxied() -> Vec<(&'static str, &'static str)> {
    vec![
        ("server.trusted_proxies", "127.0.0.0/8"),
        ("server.forwarded", "x-forwarded-for"),
        ("sessions.idle", "21600"),
    ]
}

/// A short form; `COUNTERFOIL_LIVES=1000` is the long one, with twice as many questions, each by both ways.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_found_at_the_address_that_it_had_at_a_time_and_at_no_other() {
    let count = std::env::var("COUNTERFOIL_LIVES").map_or(40, |text| text.parse().unwrap());
    let seed = std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    let rng = &mut Rng::with_seed(seed);
    let app = TestApp::with_settings(&proxied()).await;
    let began = app.clock.now();
    let lives = lives(&app, count, rng).await;
    let mut admin = app.sign_in_admin(ADMIN).await;
    let mut auditor = app.sign_in_staff(AUDITOR, Role::Auditor).await;
    let span = (app.clock.now() - began).num_milliseconds();
    let people: BTreeSet<&str> = lives.iter().map(|life| &*life.account).collect();
    // The administrators who ended sessions had sessions as well.
    let of_people = |mut found: FoundSessions| {
        found.retain(|(account, _), _| people.contains(&**account));
        found
    };

    let mut moved = 0;
    for n in 0..2 * count {
        if n % 40 == 39 {
            // Staff read so many pages in a window, and no more.
            app.advance_time(601);
            for device in [&mut admin, &mut auditor] {
                let renewed = app.api.refresh(&device.refresh).await.ok();
                renewed["access_token"].as_str().unwrap().clone_into(&mut device.access);
                renewed["refresh_token"].as_str().unwrap().clone_into(&mut device.refresh);
            }
        }
        let life = &lives[rng.usize(..count)];
        let (since, address) = life.stays[rng.usize(..life.stays.len())];
        // At any time; or when a stay began, and just before that.
        let at = match rng.u8(..4) {
            0 => since,
            1 => since - TimeDelta::milliseconds(1),
            _ => began + TimeDelta::milliseconds(rng.i64(-3_600_000..span)),
        };
        let network = (rng.u8(..8) > 0).then(|| network_around(address, rng));
        let account = (rng.u8(..4) == 0).then_some(&*life.account);
        let is_one = |found: &FoundSessions| account.is_none() && !found.is_empty() && network.is_some();
        let expected = expected(&lives, at, network, account);
        let now = time(at);
        let mut query = format!("at={now}");
        let mut arguments = vec!["--at".to_owned(), now];
        if let Some(network) = network {
            query += &format!("&ip_address={network}");
            arguments.extend(["--address".to_owned(), network.to_string()]);
        }
        if let Some(account) = account {
            query += &format!("&account_id={account}");
            arguments.extend(["--account".to_owned(), account.to_owned()]);
        }
        moved += usize::from(is_one(&expected));
        let answer = of_people(by_api(&app, &admin, &query, rng.u8(1..=200)).await);
        assert_eq!(answer, expected, "{query}, SEED={seed}");
        let answer = of_people(by_audit(&app, &auditor, &query, rng.u8(1..=200)).await);
        assert_eq!(answer, expected, "{query} of an auditor, SEED={seed}");
        if count > 40 || n % 8 == 0 {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let answer = of_people(tokio::task::block_in_place(|| by_command(&app, &arguments)));
            assert_eq!(answer, expected, "{query}, SEED={seed}");
        }
    }
    assert!(moved > count / 8, "questions that find something: {moved}");
    let by_staff =
        lives.iter().filter(|life| life.end.as_ref().is_some_and(|end| end.by != Value::Null)).count();
    assert!(by_staff > count / 8, "sessions that staff ended: {by_staff}");

    let (models, now) = ([counterfoil_projections::stay::READ_MODEL], app.clock.now());
    let checked =
        counterfoil::read_models::rebuild::check(&app.journal(), &models, now, &mut |_| {}).await.unwrap();
    assert_eq!(checked[0].differing, 0, "SEED={seed}");
}

/// Without a time it is the address that a session was last used from, and none before.
#[tokio::test]
async fn an_address_without_a_time_is_the_one_last_used() {
    let app = TestApp::with_settings(&proxied()).await;
    let (first, second): (IpAddr, IpAddr) = ("192.0.2.44".parse().unwrap(), "203.0.113.9".parse().unwrap());
    let life = begin(&app, 1, first).await;
    app.advance_time(600);
    let refreshed = json!({"refresh_token": life.refresh});
    from(&app.api, second, "/accounts/refresh/", refreshed).await.ok();
    let admin = app.sign_in_admin(ADMIN).await;
    let key = (life.account.clone(), time(life.began_at()));
    let session_at = |address: IpAddr| FoundSession {
        address: Some(address.to_string()),
        ended_at: Value::Null,
        end_reason: Value::Null,
        ended_by: Value::Null,
    };
    let at_second = FoundSessions::from([(key.clone(), session_at(second))]);
    assert_eq!(by_api(&app, &admin, "ip_address=192.0.2.0/24", 50).await, FoundSessions::new());
    assert_eq!(by_api(&app, &admin, "ip_address=203.0.113.0/24", 50).await, at_second);
    let before = time(life.began_at() + TimeDelta::seconds(599));
    let at_first = FoundSessions::from([(key, session_at(first))]);
    assert_eq!(by_api(&app, &admin, &format!("ip_address=192.0.2.0/24&at={before}"), 50).await, at_first);
    assert_eq!(
        by_api(&app, &admin, &format!("ip_address=203.0.113.0/24&at={before}"), 50).await,
        FoundSessions::new()
    );
}

/// What is kept of stays grows with moves, not with refreshes.
#[tokio::test]
async fn a_refresh_that_does_not_move_writes_no_stay() {
    let app = TestApp::with_settings(&proxied()).await;
    let home: IpAddr = "2001:db8::7".parse().unwrap();
    let mut life = begin(&app, 1, home).await;
    let stays = async || app.database.value::<i64>("SELECT count(*) FROM stays").await;
    for (address, expected) in
        [(home, 1), (home, 1), ("2001:db8::8".parse().unwrap(), 2), (home, 3), (home, 3)]
    {
        app.advance_time(60);
        let body = json!({"refresh_token": life.refresh});
        let answer = from(&app.api, address, "/accounts/refresh/", body).await.ok();
        answer["refresh_token"].as_str().unwrap().clone_into(&mut life.refresh);
        assert_eq!(stays().await, expected, "{address}");
    }
}
