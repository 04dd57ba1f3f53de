//! Whatever staff read and do, in any order, is in the log: with the member of staff, the reason, and nothing beside it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use actix_web::body::to_bytes;
use actix_web::http::{Method, Uri, header::HeaderName, header::HeaderValue};
use actix_web::rt::System;
use actix_web::web::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use counterfoil::app::LocalService;
use counterfoil::runtime::clock::Clock as _;
use counterfoil::settings::Sources;
use counterfoil_domain::user_account::{ActingStaff, UserAccountEvent};
use counterfoil_domain::values::{AccountId, Role};
use fastrand::Rng;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{ApiClient, SignedInDevice, TestApp, operator};

/// How many operations the short form makes; `COUNTERFOIL_STAFF_WALK=1000` makes the long one.
const SHORT: usize = 120;

/// The events that the operations of the walk leave.
const ALL_KINDS: [&str; 15] = [
    "AccountReinstated",
    "AccountSuspended",
    "AlarmAcknowledged",
    "AuditRead",
    "BlockLifted",
    "BlockSet",
    "IdentifierChangeConfirmed",
    "IdentifierChangeProposed",
    "IdentifierChangeWithdrawn",
    "LimitsLifted",
    "LoggedOut",
    "RolesChanged",
    "SecondFactorRemoved",
    "StaffRead",
    "SharedLimitsLifted",
];

/// The shared limits that the walk would run into.
const WIDE_LIMITS: [&str; 16] = [
    "limits.codes_burst",
    "limits.codes_per_minute",
    "limits.tries_burst",
    "limits.tries_per_minute",
    "limits.network_codes_burst",
    "limits.network_codes_per_minute",
    "limits.network_tries_burst",
    "limits.network_tries_per_minute",
    "limits.codes_per_prefix",
    "limits.codes_per_mailbox",
    "limits.codes_per_mail_domain",
    "limits.country_codes_per_minute",
    "limits.country_codes_per_hour",
    "limits.service_codes_per_minute",
    "limits.service_codes_per_hour",
    "limits.wrong_codes_per_hour",
];

/// After how many seconds a page is recorded again.
const WINDOW: i64 = 600;

/// How long an administrator acts by one second factor and one access token.
const PROOF_LASTS: TimeDelta = TimeDelta::minutes(3);

/// At which door a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StaffEntrance {
    Server,
    Http,
}

/// A request of a member of staff, and the event that it has to leave.
struct StaffOperation {
    method: Method,
    path: String,
    body: Option<Value>,
    event: &'static str,
    /// Of a reading by an administrator, what is read: it is recorded once a window.
    page: Option<String>,
    /// Where only one of the entrances can do it.
    at: Option<StaffEntrance>,
    /// What follows from the answer.
    then: FollowUp,
}

/// What an operation leaves for later ones.
enum FollowUp {
    Nothing,
    /// A block that can be lifted.
    Block,
    /// A proposal for this account that can be confirmed or withdrawn.
    Proposal(usize),
}

fn reading(path: String, event: &'static str) -> StaffOperation {
    let page = (event == "StaffRead").then(|| path.clone());
    StaffOperation { method: Method::GET, path, body: None, event, page, at: None, then: FollowUp::Nothing }
}

fn acting(method: Method, path: String, event: &'static str, fields: Value) -> StaffOperation {
    StaffOperation { method, path, body: Some(fields), event, page: None, at: None, then: FollowUp::Nothing }
}

/// A person, and what staff have done to their account.
struct Person {
    account: AccountId,
    phone_number: String,
    is_suspended: bool,
    is_auditor: bool,
    /// The address that staff gave them.
    email: Option<String>,
    /// The change that is open, and at which entrance it was proposed.
    proposal: Option<(Value, StaffEntrance)>,
}

/// The service, the administrator, and what there is to act on.
struct Walk {
    app: TestApp,
    staff: SignedInDevice,
    proved_at: DateTime<Utc>,
    service: LocalService,
    people: Vec<Person>,
    blocks: Vec<Value>,
    /// What has a number in its name so far.
    named: u32,
    rng: Rng,
}

impl Walk {
    async fn start(rng: Rng) -> Self {
        let wide = WIDE_LIMITS.map(|limit| (limit, "1000000"));
        let settings =
            [("codes.per_day", "100"), ("limits.shared", "on"), ("limits.conversion_percent", "0")];
        let app = TestApp::with_settings(&[&settings[..], &wide[..]].concat()).await;
        let staff = app.sign_in_admin("+989130000001").await;
        app.give_roles(&staff, [Role::Admin, Role::Auditor]).await;
        let mut people = Vec::new();
        for n in 0..12 {
            let phone_number = format!("+9891212345{n:02}");
            let account = app.api.sign_in(&phone_number).await.account();
            people.push(Person {
                account,
                phone_number,
                is_suspended: false,
                is_auditor: false,
                email: None,
                proposal: None,
            });
        }
        let settings = Sources::read(None, std::iter::empty(), std::iter::empty()).unwrap();
        let settings = settings.check().unwrap();
        let service = LocalService::new(&app.state, &settings, operator()).await;
        let proved_at = app.clock.now();
        Self { app, staff, proved_at, service, people, blocks: Vec::new(), named: 0, rng }
    }

    /// Has time pass now and then. The administrator has a token that works and a fresh proof.
    async fn go_on(&mut self) {
        if self.rng.u8(..8) == 0 {
            self.app.advance_time(self.rng.i64(1..200));
        }
        if self.app.clock.now() - self.proved_at > PROOF_LASTS {
            let renewed = self.app.api.refresh(&self.staff.refresh).await.ok();
            renewed["access_token"].as_str().unwrap().clone_into(&mut self.staff.access);
            renewed["refresh_token"].as_str().unwrap().clone_into(&mut self.staff.refresh);
            self.app.pass_second_factor(&self.staff).await;
            self.proved_at = self.app.clock.now();
        }
    }

    fn next_name(&mut self) -> u32 {
        self.named += 1;
        self.named
    }

    /// The id of a new session of a person.
    async fn new_session(&mut self, who: usize) -> Uuid {
        self.app.advance_time(61);
        let person = &self.people[who];
        let device = self.app.api.sign_in(&person.phone_number).await;
        self.go_on().await;
        let newest =
            "SELECT session_id FROM user_logins WHERE account_id = $1 ORDER BY signed_in_at DESC LIMIT 1";
        let database = self.app.database.connect().await;
        database.query_one(newest, &[&device.account().0]).await.unwrap().get(0)
    }

    /// Any operation on any of the people, which there is a cause for.
    async fn random_operation(&mut self) -> StaffOperation {
        let who = self.rng.usize(..self.people.len());
        let account = self.people[who].account;
        let at = |what: &str| format!("/admin/accounts/{account}/{what}");
        let n = self.rng.u8(..9);
        match self.rng.u8(..30) {
            0 => reading(format!("/admin/accounts/?fullname=Person{n}"), "StaffRead"),
            1 => reading(at(""), "StaffRead"),
            2 => reading(format!("/admin/device-sessions/?account_id={account}"), "StaffRead"),
            3 => reading(format!("/admin/device-sessions/?ip_address=127.0.0.{n}"), "StaffRead"),
            4 => reading("/admin/limits/".to_owned(), "StaffRead"),
            5 => reading("/admin/alarms/".to_owned(), "StaffRead"),
            6 => reading("/admin/blocks/".to_owned(), "StaffRead"),
            7 => reading(format!("/admin/messages/?gateway=gateway{n}"), "StaffRead"),
            8 => reading(format!("/admin/identifiers/?email=unknown{n}@example.com"), "StaffRead"),
            9 => reading(format!("/admin/device-sessions/?account_id={account}&dry_run=true"), "StaffRead")
                .tried(),
            10 if n < 4 => self.lift_shared_limits().await,
            10 => acting(Method::POST, at("unlock/"), "LimitsLifted", json!({})),
            11 => self.roles(who),
            12 => self.block(),
            13 if !self.blocks.is_empty() => self.lift_block(),
            14 => self.acknowledge().await,
            15 => self.remove_second_factor(who).await,
            16..19 => self.end_sessions(who).await,
            19..21 => self.suspend_or_reinstate(who),
            21..25 => self.propose_or_decide(who),
            25 => reading(format!("/audit/accounts/{account}/"), "AuditRead"),
            26 => reading(format!("/audit/accounts/{account}/steps/?limit=1"), "AuditRead"),
            27 => reading(format!("/audit/device-sessions/?limit={}", n + 1), "AuditRead"),
            28 => self.read_whole_log(),
            _ => reading(format!("/audit/events/?account_id={account}&limit=1"), "AuditRead"),
        }
    }

    fn roles(&mut self, who: usize) -> StaffOperation {
        let person = &mut self.people[who];
        person.is_auditor = !person.is_auditor;
        let roles = if person.is_auditor { json!(["auditor"]) } else { json!([]) };
        let path = format!("/admin/accounts/{}/roles/", person.account);
        acting(Method::POST, path, "RolesChanged", json!({"roles": roles}))
    }

    fn block(&mut self) -> StaffOperation {
        let n = self.next_name();
        let subject = match n % 4 {
            0 => json!({"prefix": format!("+4520{n:04}")}),
            1 => json!({"mail_domain": format!("domain{n}.example")}),
            2 => json!({"ip_address": format!("198.51.{}.0/24", n % 250)}),
            _ => json!({"email": format!("blocked{n}@example.com")}),
        };
        let block = acting(Method::POST, "/admin/blocks/".to_owned(), "BlockSet", subject);
        StaffOperation { then: FollowUp::Block, ..block }
    }

    fn lift_block(&mut self) -> StaffOperation {
        let block = self.blocks.swap_remove(self.rng.usize(..self.blocks.len()));
        let path = format!("/admin/blocks/{}/", block.as_str().unwrap());
        acting(Method::DELETE, path, "BlockLifted", json!({}))
    }

    /// Of the country in which a code has just been sent.
    async fn lift_shared_limits(&mut self) -> StaffOperation {
        let n = self.next_name();
        self.app.api.login(&format!("+98935{n:07}")).await.ok();
        acting(Method::DELETE, "/admin/limits/IR/".to_owned(), "SharedLimitsLifted", json!({}))
    }

    async fn acknowledge(&mut self) -> StaffOperation {
        let (n, now) = (self.next_name(), self.app.clock.now());
        let raise = "INSERT INTO alarms (at, alarm, subject) VALUES ($1, 'listener', $2) RETURNING id";
        let database = self.app.database.connect().await;
        let alarm: Uuid = database.query_one(raise, &[&now, &n.to_string()]).await.unwrap().get(0);
        let path = format!("/admin/alarms/{alarm}/acknowledge/");
        acting(Method::POST, path, "AlarmAcknowledged", json!({}))
    }

    async fn remove_second_factor(&mut self, who: usize) -> StaffOperation {
        if self.people[who].is_suspended {
            return reading("/admin/projections/".to_owned(), "StaffRead");
        }
        self.app.advance_time(61);
        let device = self.app.api.sign_in(&self.people[who].phone_number).await;
        // Only staff have one.
        self.app.give_roles(&device, [Role::Auditor]).await;
        self.people[who].is_auditor = true;
        self.app.enrol_second_factor(&device).await;
        self.go_on().await;
        let path = format!("/admin/accounts/{}/second-factor/", device.account());
        acting(Method::DELETE, path, "SecondFactorRemoved", json!({}))
    }

    /// One session, those that match, or all of an account.
    async fn end_sessions(&mut self, who: usize) -> StaffOperation {
        if self.people[who].is_suspended {
            return reading("/admin/stats/".to_owned(), "StaffRead");
        }
        let (account, session) = (self.people[who].account, self.new_session(who).await);
        match self.rng.u8(..3) {
            0 => acting(Method::DELETE, format!("/admin/device-sessions/{session}/"), "LoggedOut", json!({})),
            1 => {
                let path = format!("/admin/device-sessions/?account_id={account}&expected=200");
                StaffOperation { body: None, ..acting(Method::DELETE, path, "LoggedOut", json!({})) }
            }
            _ => acting(Method::POST, format!("/admin/accounts/{account}/sign-out/"), "LoggedOut", json!({})),
        }
    }

    fn suspend_or_reinstate(&mut self, who: usize) -> StaffOperation {
        let person = &mut self.people[who];
        person.is_suspended = !person.is_suspended;
        let (what, event) = match person.is_suspended {
            true => ("suspend", "AccountSuspended"),
            false => ("reinstate", "AccountReinstated"),
        };
        acting(Method::POST, format!("/admin/accounts/{}/{what}/", person.account), event, json!({}))
    }

    /// A person is to get an address, or to lose the one that they have; who did not propose it confirms it or withdraws it.
    fn propose_or_decide(&mut self, who: usize) -> StaffOperation {
        let confirms = self.rng.bool();
        let n = self.next_name();
        let person = &mut self.people[who];
        let path = format!("/admin/accounts/{}/identifiers/", person.account);
        let Some((proposal, proposed_at)) = person.proposal.take() else {
            let change = match person.email.clone() {
                Some(email) => json!({"action": "release", "email": email}),
                None => json!({"action": "add", "email": format!("person{n}@example.com")}),
            };
            let proposal = acting(Method::POST, path, "IdentifierChangeProposed", change);
            return StaffOperation { then: FollowUp::Proposal(who), ..proposal };
        };
        if !confirms {
            let path = format!("{path}{}/", proposal["id"].as_str().unwrap());
            return acting(Method::DELETE, path, "IdentifierChangeWithdrawn", json!({}));
        }
        person.email = match person.email {
            Some(_) => None,
            None => proposal["email"].as_str().map(str::to_owned),
        };
        let change = json!({"proposal": proposal["id"]});
        let confirmed = acting(Method::POST, format!("{path}confirm/"), "IdentifierChangeConfirmed", change);
        let other = match proposed_at {
            StaffEntrance::Server => StaffEntrance::Http,
            StaffEntrance::Http => StaffEntrance::Server,
        };
        StaffOperation { at: Some(other), ..confirmed }
    }

    fn read_whole_log(&mut self) -> StaffOperation {
        let (path, body) = match self.rng.bool() {
            true => ("/audit/verifications/", json!({})),
            false => ("/audit/rehearsals/", json!({"settings": {"codes.per_day": 5}})),
        };
        acting(Method::POST, path.to_owned(), "AuditRead", body)
    }

    /// Makes the request; the status and the body of the answer.
    async fn ask(&self, at: StaffEntrance, operation: &StaffOperation, reason: &str) -> (u16, Bytes) {
        match at {
            StaffEntrance::Server => self.ask_at_the_server(operation, reason).await,
            StaffEntrance::Http => self.ask_over_http(operation, reason).await,
        }
    }

    async fn ask_over_http(&self, operation: &StaffOperation, reason: &str) -> (u16, Bytes) {
        let method = reqwest::Method::from_bytes(operation.method.as_str().as_bytes()).unwrap();
        let request = self.app.api.request(method, &operation.path).bearer_auth(&self.staff.access);
        let request = request.header("X-Audit-Reason", reason);
        let request = match &operation.body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = ApiClient::send(request).await;
        (answer.status.as_u16(), answer.text.into())
    }

    async fn ask_at_the_server(&self, operation: &StaffOperation, reason: &str) -> (u16, Bytes) {
        let uri: Uri = operation.path.parse().unwrap();
        let header = (HeaderName::from_static("x-audit-reason"), HeaderValue::from_str(reason).unwrap());
        let body = operation.body.as_ref().map(|body| Bytes::from(body.to_string()));
        let answer = self.service.answer(operation.method.clone(), uri, vec![header], body).await.unwrap();
        (answer.status().as_u16(), to_bytes(answer.into_body()).await.unwrap())
    }

    /// The events of every stream, by the operation whose reason they have: who is in them, and their types.
    async fn on_record(&self) -> BTreeMap<usize, BTreeSet<(String, &'static str)>> {
        let accounts = self.people.iter().map(|person| person.account);
        let staff = [self.staff.account(), ActingStaff::Operator(operator()).record_stream()];
        let mut found = BTreeMap::<_, BTreeSet<_>>::new();
        for stream in accounts.chain(staff) {
            for (_, event) in self.app.journal().history(stream).await.unwrap() {
                if let Some(number) = number_of(&event) {
                    let by = event.by().map_or(Value::Null, |by| json!(by)).to_string();
                    found.entry(number).or_default().insert((by, event.name()));
                }
            }
        }
        found
    }
}

impl StaffOperation {
    /// The search as the end of what it finds, tried.
    fn tried(self) -> Self {
        Self { method: Method::DELETE, ..self }
    }
}

/// The number of the operation that an event gives as its reason.
fn number_of(event: &UserAccountEvent) -> Option<usize> {
    let reason = event.person.as_ref()?.reason.as_ref()?;
    reason.as_str().strip_prefix("operation ")?.parse().ok()
}

#[test]
fn whatever_staff_read_and_do_is_in_the_log_with_actor_and_reason() {
    System::new().block_on(async {
        let count = std::env::var("COUNTERFOIL_STAFF_WALK").map_or(SHORT, |text| text.parse().unwrap());
        let seed = std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
        let mut walk = Walk::start(Rng::with_seed(seed)).await;
        let mut expected = BTreeMap::new();
        let (mut read, mut window_ends) = (HashSet::new(), walk.app.clock.now().timestamp());
        let mut unread = 0;
        for n in 0..count {
            walk.go_on().await;
            let operation = walk.random_operation().await;
            let either = if walk.rng.bool() { StaffEntrance::Server } else { StaffEntrance::Http };
            let at = operation.at.unwrap_or(either);
            let now = walk.app.clock.now().timestamp();
            let (status, body) = walk.ask(at, &operation, &format!("operation {n}")).await;
            assert!(
                (200..300).contains(&status),
                "{} {}: {status} {body:?}, SEED={seed}",
                operation.method,
                operation.path
            );
            let answer = || serde_json::from_slice::<Value>(&body).unwrap();
            match operation.then {
                FollowUp::Nothing => {}
                FollowUp::Block => walk.blocks.push(answer()["id"].clone()),
                FollowUp::Proposal(who) => walk.people[who].proposal = Some((answer(), at)),
            }
            if let (Some(page), StaffEntrance::Http) = (&operation.page, at) {
                if now >= window_ends {
                    (read, window_ends) = (HashSet::new(), now + WINDOW);
                }
                if !read.insert((operation.method.clone(), page.clone())) {
                    unread += 1;
                    continue;
                }
            }
            let by = match at {
                StaffEntrance::Server => ActingStaff::Operator(operator()),
                StaffEntrance::Http => ActingStaff::Account(walk.staff.account()),
            };
            expected.insert(n, (json!(by).to_string(), operation.event, operation.path));
        }

        let found = walk.on_record().await;
        for (n, (by, event, path)) in &expected {
            let records =
                found.get(n).unwrap_or_else(|| panic!("{n}: {event}: {path}: no record, SEED={seed}"));
            assert!(
                records.contains(&(by.clone(), *event)),
                "{n}: {event} by {by}: {records:?}, SEED={seed}"
            );
            // What follows from a confirmation stands behind it, without an actor of its own.
            let others = records.iter().filter(|(found, _)| found != by && found != "null");
            assert_eq!(others.count(), 0, "{n} by {by}: {records:?}, SEED={seed}");
        }
        let unexpected: Vec<_> = found.iter().filter(|(n, _)| !expected.contains_key(n)).collect();
        assert!(unexpected.is_empty(), "read again within a window: {unexpected:?}, SEED={seed}");
        let kinds: BTreeSet<&str> = expected.values().map(|(_, event, _)| *event).collect();
        let least = if count >= 1000 { ALL_KINDS.len() } else { 8 };
        assert!(kinds.len() >= least, "{kinds:?}, SEED={seed}");
        assert!(count < 1000 || unread > 0, "no page was read twice within a window, SEED={seed}");
    });
}
