//! The filters of the log, asked after a random history and compared with a model that knows nothing of events as they are
//! stored: a list of what was done, by whom, to whom and from where.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use counterfoil::accounts::StaffAction;
use counterfoil::read_models::{FOLLOWERS, rebuild};
use counterfoil::runtime::clock::Clock as _;
use counterfoil_domain::values::Role;
use fastrand::Rng;
use ipnet::IpNet;
use reqwest::Method;
use serde_json::{Value, json};

use super::number;
use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp, operator};

const AUDITOR: &str = "+989130000001";
const ADMIN: &str = "+989130000002";

/// How many people there are.
const PEOPLE: usize = 6;

/// The address of a request that names no other.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What was done, as those remember who did it.
#[derive(Clone, Debug)]
struct Remembered {
    event: &'static str,
    account: String,
    actor: Option<String>,
    address: Option<IpAddr>,
    at: DateTime<Utc>,
}

#[derive(Default)]
struct Person {
    phone: String,
    account: Option<String>,
    devices: Vec<(SignedInDevice, IpAddr)>,
    wrong_codes: usize,
    was_denied: bool,
}

struct History {
    app: TestApp,
    admin: SignedInDevice,
    people: Vec<Person>,
    remembered: Vec<Remembered>,
}

pub fn proxied() -> Vec<(&'static str, &'static str)> {
    vec![("server.trusted_proxies", "127.0.0.0/8"), ("server.forwarded", "x-forwarded-for")]
}

fn random_address(rng: &mut Rng) -> IpAddr {
    let low = rng.u8(1..=9);
    match rng.u8(..5) {
        0 | 1 => Ipv4Addr::new(10, rng.u8(..2), rng.u8(..3), low).into(),
        2 => Ipv4Addr::new(203, 0, 113, low).into(),
        _ => Ipv6Addr::new(0x2001, 0xdb8, rng.u16(..2), rng.u16(..3), 0, 0, 0, low.into()).into(),
    }
}

/// The network of which a change is on record.
fn network(address: IpAddr) -> IpNet {
    IpNet::new(address, if address.is_ipv4() { 24 } else { 48 }).unwrap().trunc()
}

fn without_refreshes(event: &str) -> bool {
    event != "TokenRefreshed"
}

impl History {
    async fn start(people: usize) -> Self {
        let app = TestApp::with_settings(&proxied()).await;
        let admin = app.sign_in_admin(ADMIN).await;
        let person = |n| Person { phone: format!("+98912123450{n}"), ..Person::default() };
        Self { app, admin, people: (0..people).map(person).collect(), remembered: Vec::new() }
    }

    fn remember(&mut self, event: &'static str, account: &str, actor: Option<String>, from: Option<IpAddr>) {
        let (account, at) = (account.to_owned(), self.app.clock.now());
        self.remembered.push(Remembered { event, account, actor, address: from, at });
    }

    fn own(&mut self, events: &[&'static str], account: &str, from: IpAddr) {
        for event in events {
            self.remember(event, account, None, Some(from));
        }
    }

    async fn post(&self, from: IpAddr, path: &str, body: Value) -> ApiAnswer {
        let request = self.app.api.request(Method::POST, path).header("x-forwarded-for", from.to_string());
        ApiClient::send(request.json(&body)).await
    }

    async fn act(&mut self, rng: &mut Rng) {
        self.app.advance_time(61 + rng.i64(0..120));
        let (who, from) = (rng.usize(..self.people.len()), random_address(rng));
        match (rng.u8(..10), self.people[who].devices.len()) {
            (_, 0) | (0, 1..3) => self.sign_in(who, from).await,
            (1, _) if self.people[who].wrong_codes < 2 => self.try_wrong_code(who, from).await,
            (2, _) => self.sign_out(who, from).await,
            (3, _) => self.rename(who, from).await,
            (4, _) if !self.people[who].was_denied => self.is_denied(who, from).await,
            (5, _) => self.is_signed_out_by_the_admin(who).await,
            (6, _) => self.is_suspended_by_the_operator(who).await,
            (7, _) => self.is_searched_for_by_the_admin(from).await,
            (_, _) => self.refresh(who, from, rng).await,
        }
    }

    async fn sign_in(&mut self, who: usize, from: IpAddr) {
        let phone = self.people[who].phone.clone();
        let asked = self.post(from, "/accounts/login/", json!({"phone_number": phone})).await;
        let verified = json!({"phone_number": phone, "code": asked.code()});
        let device = self.post(from, "/accounts/verify/", verified).await.signed_in();
        let account = device.account().to_string();
        self.own(&["OtpRequested"], &account, from);
        if self.people[who].account.replace(account.clone()).is_none() {
            self.own(&["UserRegistered"], &account, from);
        }
        self.own(&["LoggedIn"], &account, from);
        self.people[who].devices.push((device, from));
    }

    async fn try_wrong_code(&mut self, who: usize, from: IpAddr) {
        let (phone, account) = (self.people[who].phone.clone(), self.account(who));
        let right = self.post(from, "/accounts/login/", json!({"phone_number": phone})).await.code();
        let wrong = if right == "123456" { "123457" } else { "123456" };
        let verified = json!({"phone_number": phone, "code": wrong});
        self.post(from, "/accounts/verify/", verified).await.is_problem(400, "invalid_code");
        self.own(&["OtpRequested", "OtpRejected"], &account, from);
        self.people[who].wrong_codes += 1;
    }

    async fn refresh(&mut self, who: usize, from: IpAddr, rng: &mut Rng) {
        let device = rng.usize(..self.people[who].devices.len());
        let (token, before) = {
            let (device, before) = &self.people[who].devices[device];
            (device.refresh.clone(), *before)
        };
        let from = if rng.bool() { before } else { from };
        let answer = self.post(from, "/accounts/refresh/", json!({"refresh_token": token})).await.ok();
        let account = self.account(who);
        if network(from) != network(before) {
            self.own(&["ClientChanged"], &account, from);
        }
        self.own(&["TokenRefreshed"], &account, from);
        let (device, at) = &mut self.people[who].devices[device];
        answer["refresh_token"].as_str().unwrap().clone_into(&mut device.refresh);
        answer["access_token"].as_str().unwrap().clone_into(&mut device.access);
        *at = from;
    }

    async fn sign_out(&mut self, who: usize, from: IpAddr) {
        let (device, _) = self.people[who].devices.pop().unwrap();
        self.post(from, "/accounts/logout/", json!({"refresh_token": device.refresh})).await;
        let account = self.account(who);
        self.own(&["LoggedOut"], &account, from);
    }

    async fn rename(&mut self, who: usize, from: IpAddr) {
        let access = self.fresh_access(who).await;
        let request = self.app.api.request(Method::PATCH, "/accounts/profile/").bearer_auth(access);
        let name = format!("Person {}", self.remembered.len());
        let request = request.header("x-forwarded-for", from.to_string()).json(&json!({"fullname": name}));
        ApiClient::send(request).await.ok();
        let account = self.account(who);
        self.own(&["ProfileUpdated"], &account, from);
    }

    async fn is_denied(&mut self, who: usize, from: IpAddr) {
        let access = self.fresh_access(who).await;
        let request = self.app.api.request(Method::GET, "/admin/limits/").bearer_auth(access);
        let answer = ApiClient::send(request.header("x-forwarded-for", from.to_string())).await;
        answer.is_problem(403, "forbidden");
        let account = self.account(who);
        self.remember("AccessDenied", &account, Some(account.clone()), Some(from));
        self.people[who].was_denied = true;
    }

    async fn is_signed_out_by_the_admin(&mut self, who: usize) {
        self.prove_the_admin().await;
        let account = self.account(who);
        let path = format!("/admin/accounts/{account}/sign-out/");
        let answer = self.app.api.post_as(&self.admin, &path, json!({"reason": "stolen"})).await;
        assert_eq!(answer.status, 204);
        for _ in std::mem::take(&mut self.people[who].devices) {
            self.remember("LoggedOut", &account, Some(self.admin.account().to_string()), Some(HERE));
        }
    }

    async fn is_suspended_by_the_operator(&mut self, who: usize) {
        let (account, by) = (self.account(who), format!("operator:{}", operator().as_str()));
        let id = counterfoil_domain::values::AccountId(account.parse().unwrap());
        let accounts = &self.app.state.accounts;
        accounts.suspend(id, None, StaffAction::operator(operator(), None)).await.unwrap();
        accounts.reinstate(id, StaffAction::operator(operator(), None)).await.unwrap();
        for _ in std::mem::take(&mut self.people[who].devices) {
            self.remember("LoggedOut", &account, Some(by.clone()), None);
        }
        for event in ["AccountSuspended", "AccountReinstated"] {
            self.remember(event, &account, Some(by.clone()), None);
        }
    }

    async fn is_searched_for_by_the_admin(&mut self, from: IpAddr) {
        self.prove_the_admin().await;
        // Another search each time: the same one is recorded once a window.
        let path = format!("/admin/accounts/?fullname=person{}", self.remembered.len());
        let request = self.app.api.request(Method::GET, &path);
        let request = request.bearer_auth(&self.admin.access).header("x-forwarded-for", from.to_string());
        ApiClient::send(request).await.ok();
        let admin = self.admin.account().to_string();
        self.remember("StaffRead", &admin, Some(admin.clone()), Some(from));
    }

    /// An access token that has not expired, by a refresh from where the device is.
    async fn fresh_access(&mut self, who: usize) -> String {
        let (device, at) = &self.people[who].devices[0];
        let (token, at) = (device.refresh.clone(), *at);
        let answer = self.post(at, "/accounts/refresh/", json!({"refresh_token": token})).await.ok();
        let account = self.account(who);
        self.own(&["TokenRefreshed"], &account, at);
        let device = &mut self.people[who].devices[0].0;
        answer["refresh_token"].as_str().unwrap().clone_into(&mut device.refresh);
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn prove_the_admin(&mut self) {
        let refreshed = json!({"refresh_token": self.admin.refresh});
        let answer = self.post(HERE, "/accounts/refresh/", refreshed).await.ok();
        answer["refresh_token"].as_str().unwrap().clone_into(&mut self.admin.refresh);
        answer["access_token"].as_str().unwrap().clone_into(&mut self.admin.access);
        let admin = self.admin.account().to_string();
        self.own(&["TokenRefreshed"], &admin, HERE);
        self.app.pass_second_factor(&self.admin).await;
        self.own(&["SecondFactorPassed"], &admin, HERE);
    }

    fn account(&self, who: usize) -> String {
        self.people[who].account.clone().unwrap()
    }
}

/// What is asked, in the words of the model.
#[derive(Debug, Default)]
struct Question {
    account: Option<String>,
    types: Vec<&'static str>,
    actor: Option<String>,
    network: Option<IpNet>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    query: String,
}

impl Question {
    fn random(history: &History, rng: &mut Rng) -> Self {
        let mut asked = Self::default();
        let one = |rng: &mut Rng| &history.remembered[rng.usize(..history.remembered.len())];
        if rng.u8(..4) == 0 {
            let person = &history.people[rng.usize(..history.people.len())];
            asked.account = person.account.clone();
            let name = if rng.bool() { person.account.clone() } else { None };
            let by_number = || format!("&phone_number={}", person.phone.replace('+', "%2B"));
            asked.query += &name.map_or_else(by_number, |account| format!("&account_id={account}"));
        }
        if rng.u8(..3) == 0 {
            asked.types = (0..rng.usize(1..4)).map(|_| one(rng).event).collect();
            asked.query += &format!("&type={}", asked.types.join(","));
        }
        if rng.u8(..3) == 0 {
            let mut acted = history.remembered.iter().filter_map(|event| event.actor.as_ref());
            asked.actor = match rng.u8(..3) {
                0 => acted.nth(rng.usize(..4)).cloned(),
                1 => Some(format!("operator:{}", operator().as_str())),
                _ => Some(history.admin.account().to_string()),
            };
            asked.query += &asked.actor.as_ref().map(|actor| format!("&actor={actor}")).unwrap_or_default();
        }
        if rng.u8(..3) > 0 {
            let address = one(rng).address.unwrap_or(HERE);
            let sizes: &[u8] = match address {
                IpAddr::V4(_) => &[0, 7, 8, 15, 16, 20, 23, 24, 25, 29, 32],
                IpAddr::V6(_) => &[0, 16, 32, 40, 48, 63, 64, 96, 127, 128],
            };
            let network = IpNet::new(address, sizes[rng.usize(..sizes.len())]).unwrap().trunc();
            asked.network = Some(network);
            asked.query += &format!("&ip_address={network}");
        }
        if rng.u8(..4) == 0 {
            let (one, other) = (one(rng).at, one(rng).at);
            (asked.since, asked.until) = (Some(one.min(other)), Some(one.max(other)));
            let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
            asked.query += &format!("&since={}&until={}", time(one.min(other)), time(one.max(other)));
        }
        asked
    }

    fn matches(&self, event: &Remembered) -> bool {
        let by_address = |network: IpNet| {
            without_refreshes(event.event) && event.address.is_some_and(|address| network.contains(&address))
        };
        self.account.as_ref().is_none_or(|account| *account == event.account)
            && (self.types.is_empty() || self.types.contains(&event.event))
            && self.actor.as_ref().is_none_or(|actor| event.actor.as_ref() == Some(actor))
            && self.network.is_none_or(by_address)
            && self.since.is_none_or(|since| event.at >= since)
            && self.until.is_none_or(|until| event.at < until)
    }
}

async fn read(app: &TestApp, auditor: &SignedInDevice, query: &str) -> ApiAnswer {
    let request = app.api.request(Method::GET, &format!("/audit/events/?{query}"));
    ApiClient::send(request.bearer_auth(&auditor.access).header("X-Audit-Reason", "a question")).await
}

/// All positions that an answer has, page by page.
async fn positions(app: &TestApp, auditor: &SignedInDevice, query: &str, start: Option<i64>) -> Vec<i64> {
    let (mut found, mut after) = (Vec::new(), start);
    loop {
        let after_it = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let page = read(app, auditor, &format!("{query}{after_it}")).await.ok();
        let items = page["items"].as_array().unwrap();
        found.extend(items.iter().map(|item| item["position"].as_i64().unwrap()));
        after = page["next"].as_i64();
        if after.is_none() {
            return found;
        }
    }
}

/// A short form; `COUNTERFOIL_QUESTIONS=2000` is the long one.
#[tokio::test]
async fn each_filter_finds_what_happened_and_nothing_else_in_both_orders() {
    let count: usize = std::env::var("COUNTERFOIL_QUESTIONS").map_or(200, |text| text.parse().unwrap());
    let seed = std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    let rng = &mut Rng::with_seed(seed);
    let mut history = History::start(PEOPLE).await;
    let auditor = history.app.sign_in_staff(AUDITOR, Role::Auditor).await;
    let before: i64 = history.app.database.value("SELECT count(*) FROM events").await;
    while history.remembered.len() < count.min(600) {
        history.act(rng).await;
    }
    let app = &history.app;
    number(app).await;
    app.journal().follow(&FOLLOWERS).await.unwrap();
    let refreshed = app.api.refresh(&auditor.refresh).await.ok();
    let auditor = SignedInDevice { access: refreshed["access_token"].as_str().unwrap().into(), ..auditor };
    app.pass_second_factor(&auditor).await;
    let mut answered = 0;
    for _ in 0..count {
        let question = Question::random(&history, rng);
        let numbered = history.remembered.iter().zip(before + 1..);
        let mut expected: Vec<i64> =
            numbered.filter(|(event, _)| question.matches(event)).map(|(_, position)| position).collect();
        let limit = rng.u8(1..=40);
        let upwards = format!("limit={limit}{}", question.query);
        let found = positions(app, &auditor, &upwards, Some(before)).await;
        assert_eq!(found, expected, "SEED={seed} {question:?}");
        answered += usize::from(!found.is_empty());
        if rng.u8(..3) == 0 {
            expected.reverse();
            let downwards = format!("order=desc&{upwards}");
            let mut found = positions(app, &auditor, &downwards, None).await;
            found.retain(|position| *position > before);
            assert_eq!(found, expected, "SEED={seed} {question:?}");
        }
    }
    assert!(answered > count / 4, "SEED={seed}: {answered} questions of {count} found something");
    // A rebuild comes to the same rows.
    let subjects = FOLLOWERS.into_iter().find(|follower| follower.name() == "event_subjects").unwrap();
    let journal = app.journal();
    let checked = rebuild::follower::check(&journal, subjects, &mut |_| {}).await.unwrap();
    assert_eq!(checked.differing, 0, "SEED={seed}");
}

#[tokio::test]
async fn a_reading_is_on_record_without_numbers_and_addresses_in_clear() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(AUDITOR, Role::Auditor).await;
    let ada = app.api.sign_in("+989121234561").await;
    number(&app).await;
    app.journal().follow(&FOLLOWERS).await.unwrap();
    for query in [
        "phone_number=%2B989121234561&ip_address=127.0.0.0/8&order=desc&limit=2",
        "phone_number=%2B989121234569",
        "email=unknown%40example.com&actor=operator:ada",
    ] {
        read(&app, &auditor, query).await.ok();
    }
    number(&app).await;
    let page = read(&app, &auditor, "type=AuditRead").await.ok();
    let told = page["items"].as_array().unwrap().iter().map(|item| {
        (item["fact"]["AuditRead"]["what"].clone(), item["person"]["query"].as_str().map(str::to_owned))
    });
    let of_ada = format!("events format=json account_id={} order=desc limit=2", ada.account());
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            (json!(of_ada), Some("ip_address=127.0.0.0/8".to_owned())),
            (json!("events format=json"), Some("phone_number=+989121234569".to_owned())),
            (json!("events format=json actor=operator:ada"), Some("email=unknown@example.com".to_owned())),
        ]
    );
    let clear: i64 = app
        .database
        .value(
            "SELECT count(*) FROM events WHERE payload::text ~ '127[.]0|98912123456|unknown@' \
             OR metadata::text ~ '127[.]0|98912123456|unknown@'",
        )
        .await;
    assert_eq!(clear, 0);
}

#[tokio::test]
async fn no_event_is_found_by_an_identifier_that_is_unknown_or_of_another_account() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(AUDITOR, Role::Auditor).await;
    let ada = app.api.sign_in("+989121234561").await;
    number(&app).await;
    app.journal().follow(&FOLLOWERS).await.unwrap();
    for query in [
        "phone_number=%2B989121234569".to_owned(),
        "email=ada%40example.com".to_owned(),
        format!("phone_number=09130000001&account_id={}", ada.account()),
        "ip_address=192.0.2.1".to_owned(),
        "ip_address=2001:db8::/32".to_owned(),
        "actor=service:billing".to_owned(),
    ] {
        assert_eq!(read(&app, &auditor, &query).await.ok(), json!({"items": [], "next": null}), "{query}");
        let csv = read(&app, &auditor, &format!("{query}&format=csv")).await;
        assert_eq!((csv.status.as_u16(), csv.text.lines().count()), (200, 1), "{query}");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_is_named() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(AUDITOR, Role::Auditor).await;
    number(&app).await;
    let end: i64 = app.database.value("SELECT seq FROM sequencer").await;
    for (query, field) in [
        ("phone_number=x".to_owned(), "phone_number"),
        ("email=x".to_owned(), "email"),
        ("ip_address=localhost".to_owned(), "ip_address"),
        ("ip_address=192.0.2.0/33".to_owned(), "ip_address"),
        ("actor=ada".to_owned(), "actor"),
        ("actor=operator:".to_owned(), "actor"),
        ("actor=service:A%20B".to_owned(), "actor"),
        ("actor=self".to_owned(), "actor"),
        ("actor=admin:ada".to_owned(), "actor"),
        ("order=newest".to_owned(), "order"),
        ("type=LoggedIn,Nothing".to_owned(), "type"),
        ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z".to_owned(), "until"),
        (format!("after={}", end + 1), "after"),
        (format!("after={}&order=desc", end + 2), "after"),
    ] {
        read(&app, &auditor, &query).await.refuses_fields(&[field]);
    }
    let both = read(&app, &auditor, "phone_number=%2B989121234561&email=ada%40example.com").await;
    both.refuses_fields(&["email", "phone_number"]);
    let stream = |query: &str| {
        let path = format!("/audit/events/stream/?reason=x&{query}");
        ApiClient::send(app.api.request(Method::GET, &path).bearer_auth(&auditor.access))
    };
    stream("order=desc").await.refuses_fields(&["order"]);
    stream(&format!("after={}", end + 1)).await.refuses_fields(&["after"]);
    stream("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z").await.refuses_fields(&["until"]);
    // One moment is no span, and nothing happened in it.
    let moment = (app.clock.now() - TimeDelta::days(1)).to_rfc3339_opts(SecondsFormat::Millis, true);
    let answer = read(&app, &auditor, &format!("since={moment}&until={moment}&after={end}")).await.ok();
    assert_eq!(answer["items"], json!([]));
    let read_on_record = "SELECT count(*) FROM events WHERE event_type = 'AuditRead'";
    assert_eq!(app.database.value::<i64>(read_on_record).await, 1);
}
