//! Whatever staff read and do, in any order, is in the log: with the member of staff, the reason, and nothing beside it.

use std::collections::HashSet;

use actix_web::http::{Method, Uri, header::HeaderName, header::HeaderValue};
use actix_web::rt::System;
use actix_web::web::Bytes;
use counterfoil::app::LocalService;
use counterfoil::runtime::clock::Clock as _;
use counterfoil::settings::Sources;
use counterfoil_domain::user_account::{AccountFact, ActingStaff, UserAccountEvent};
use counterfoil_domain::values::{AccountId, Role};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::support::{ApiClient, SignedInDevice, TestApp, operator};

/// How many operations the short form makes; `COUNTERFOIL_STAFF_WALK=1000` makes the long one.
const SHORT: usize = 120;

/// After how many seconds a page is recorded again.
const WINDOW: i64 = 600;

/// What the log has to say of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ExpectedRecord {
    by: ActingStaff,
    event: &'static str,
    reason: String,
}

/// A request of a member of staff, and the event that it has to leave.
struct StaffOperation {
    method: Method,
    path: String,
    body: Option<Value>,
    event: &'static str,
    /// Of a reading by an administrator, what is read: it is recorded once a window.
    page: Option<String>,
}

fn reading(path: String, event: &'static str) -> StaffOperation {
    let page = (event == "StaffRead").then(|| path.clone());
    StaffOperation { method: Method::GET, path, body: None, event, page }
}

fn acting(path: String, event: &'static str, fields: Value) -> StaffOperation {
    StaffOperation { method: Method::POST, path, body: Some(fields), event, page: None }
}

/// Any operation on any of the accounts. The accounts that are suspended are kept up to date.
fn random_operation(
    accounts: &[AccountId],
    suspended: &mut HashSet<AccountId>,
    rng: &mut Rng,
) -> StaffOperation {
    let account = accounts[rng.usize(..accounts.len())];
    let at = |what: &str| format!("/admin/accounts/{account}/{what}");
    match rng.u8(..12) {
        0 => reading(format!("/admin/accounts/?fullname=Person{}", rng.u8(..5)), "StaffRead"),
        1 => reading(at(""), "StaffRead"),
        2 => reading(format!("/admin/device-sessions/?account_id={account}"), "StaffRead"),
        3 => reading(format!("/admin/device-sessions/?ip_address=127.0.0.{}", rng.u8(..9)), "StaffRead"),
        4 => reading("/admin/limits/".to_owned(), "StaffRead"),
        5 => reading("/admin/alarms/".to_owned(), "StaffRead"),
        6 => reading(format!("/admin/identifiers/?email=unknown{}@example.com", rng.u8(..9)), "StaffRead"),
        7 if suspended.insert(account) => acting(at("suspend/"), "AccountSuspended", json!({})),
        8 if suspended.remove(&account) => acting(at("reinstate/"), "AccountReinstated", json!({})),
        9 | 10 => acting(at("unlock/"), "LimitsLifted", json!({})),
        _ => reading(format!("/audit/events/?account_id={account}&limit=1"), "AuditRead"),
    }
}

/// The events of a stream that a member of staff left there.
fn records(history: Vec<(i64, UserAccountEvent)>) -> Vec<ExpectedRecord> {
    let of_staff = history.into_iter().filter_map(|(_, event)| {
        let by = event.by()?;
        let is_session = matches!(event.fact, AccountFact::Session(_));
        let reason = event.person.as_ref().and_then(|person| person.reason.as_ref());
        let reason = reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default();
        (!is_session).then(|| ExpectedRecord { by, event: event.name(), reason })
    });
    of_staff.filter(|record| record.reason.starts_with("operation ")).collect()
}

async fn ask_over_http(
    app: &TestApp,
    staff: &SignedInDevice,
    operation: &StaffOperation,
    reason: &str,
) -> u16 {
    let method = reqwest::Method::from_bytes(operation.method.as_str().as_bytes()).unwrap();
    let request = app.api.request(method, &operation.path).bearer_auth(&staff.access);
    let request = request.header("X-Audit-Reason", reason);
    let request = match &operation.body {
        Some(body) => request.json(body),
        None => request,
    };
    ApiClient::send(request).await.status.as_u16()
}

async fn ask_at_the_server(service: &LocalService, operation: &StaffOperation, reason: &str) -> u16 {
    let uri: Uri = operation.path.parse().unwrap();
    let header = (HeaderName::from_static("x-audit-reason"), HeaderValue::from_str(reason).unwrap());
    let body = operation.body.as_ref().map(|body| Bytes::from(body.to_string()));
    service.answer(operation.method.clone(), uri, vec![header], body).await.unwrap().status().as_u16()
}

#[test]
fn whatever_staff_read_and_do_is_in_the_log_with_actor_and_reason() {
    System::new().block_on(async {
        let count = std::env::var("COUNTERFOIL_STAFF_WALK").map_or(SHORT, |text| text.parse().unwrap());
        let seed = std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
        let rng = &mut Rng::with_seed(seed);
        let app = TestApp::start().await;
        let mut staff = app.sign_in_admin("+989130000001").await;
        app.give_roles(&staff, [Role::Admin, Role::Auditor]).await;
        let mut accounts = Vec::new();
        for n in 0..12 {
            accounts.push(app.api.sign_in(&format!("+9891212345{n:02}")).await.account());
        }
        let settings = Sources::read(None, std::iter::empty(), std::iter::empty()).unwrap();
        let settings = settings.check().unwrap();
        let service = LocalService::new(&app.state, &settings, operator()).await;

        let (mut expected, mut suspended) = (Vec::new(), HashSet::new());
        let (mut read, mut window_ends) = (HashSet::new(), app.clock.now().timestamp());
        let mut unread = 0;
        for n in 0..count {
            if rng.u8(..8) == 0 {
                app.advance_time(rng.i64(1..200));
                let renewed = app.api.refresh(&staff.refresh).await.ok();
                renewed["access_token"].as_str().unwrap().clone_into(&mut staff.access);
                renewed["refresh_token"].as_str().unwrap().clone_into(&mut staff.refresh);
                app.pass_second_factor(&staff).await;
            }
            let now = app.clock.now().timestamp();
            let operation = random_operation(&accounts, &mut suspended, rng);
            let reason = format!("operation {n}");
            let at_the_server = rng.bool();
            let status = match at_the_server {
                true => ask_at_the_server(&service, &operation, &reason).await,
                false => ask_over_http(&app, &staff, &operation, &reason).await,
            };
            assert!(
                (200..300).contains(&status),
                "{} {}: {status}, SEED={seed}",
                operation.method,
                operation.path
            );
            let by = match at_the_server {
                true => ActingStaff::Operator(operator()),
                false => ActingStaff::Account(staff.account()),
            };
            if let (Some(page), false) = (&operation.page, at_the_server) {
                if now >= window_ends {
                    (read, window_ends) = (HashSet::new(), now + WINDOW);
                }
                if !read.insert(page.clone()) {
                    unread += 1;
                    continue;
                }
            }
            expected.push(ExpectedRecord { by, event: operation.event, reason });
        }

        let mut found = Vec::new();
        let streams = accounts
            .iter()
            .copied()
            .chain([staff.account(), ActingStaff::Operator(operator()).record_stream()]);
        for stream in streams {
            found.extend(records(app.journal().history(stream).await.unwrap()));
        }
        let number = |record: &ExpectedRecord| record.reason["operation ".len()..].parse::<usize>().unwrap();
        found.sort_by_key(number);
        assert_eq!(found, expected, "SEED={seed}");
        assert!(unread > 0 && expected.len() > count / 2, "{unread} readings within a window, SEED={seed}");
        let facts = |event: &str| found.iter().filter(|record| record.event == event).count();
        assert!(facts("StaffRead") > 0 && facts("AuditRead") > 0 && facts("LimitsLifted") > 0, "SEED={seed}");
    });
}
