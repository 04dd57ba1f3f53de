//! The limits that all nodes share, on PostgreSQL and on Redis.

mod addresses;
mod alarms;
mod blocks;
mod budgets;
mod cli;
mod outage;
mod prefixes;
mod staff;
mod stores;
mod writes;

use std::time::Duration;

use chrono::TimeDelta;
use counterfoil::runtime::clock::Clock as _;
use futures_util::stream::{self, StreamExt as _};
use reqwest::Method;
use serde_json::json;

use crate::support::{ApiAnswer, ApiClient, RedisServer, TestApp};

type SettingValue<'a> = (&'static str, &'a str);

/// Settings for a service behind a proxy on this machine.
const PROXIED: [SettingValue<'static>; 3] = [
    ("limits.shared", "on"),
    ("server.trusted_proxies", "127.0.0.0/8"),
    ("server.forwarded", "x-forwarded-for"),
];

/// Two nodes of a service that counts in PostgreSQL, then two of one that counts in Redis.
async fn on_both_stores(settings: &[SettingValue<'_>], check: impl AsyncFn([&TestApp; 2])) {
    let server = RedisServer::start();
    let url = server.url();
    for store in [&[][..], &[("limits.store", "redis"), ("limits.redis_url", &url)]] {
        let settings = [&PROXIED, store, settings].concat();
        let app = TestApp::with_settings(&settings).await;
        let (beside, _proxy) = app.second_node(&settings).await;
        // Budgets are counted by the day (UTC), so each test begins in a morning, however late it is.
        let now = app.clock.now();
        let tomorrow = (now + TimeDelta::days(1)).date_naive();
        app.clock.advance(tomorrow.and_hms_opt(6, 0, 0).unwrap().and_utc() - now);
        check([&app, &beside]).await;
    }
}

/// A number of the `of`-th of ten thousand prefixes.
fn number(prefix: usize, of: usize) -> String {
    format!("+9891{prefix:04}{of:04}")
}

/// The `n`-th of many addresses.
fn address(n: usize) -> String {
    format!("198.{}.{}.{}", 51 + n / 62_500, n / 250 % 250, n % 250 + 1)
}

/// Asks for a code, or tries one, as the client at an address that the proxy tells.
async fn from(api: &ApiClient, address: &str, path: &str, body: serde_json::Value) -> ApiAnswer {
    ApiClient::send(api.request(Method::POST, path).header("x-forwarded-for", address).json(&body)).await
}

async fn login_from(api: &ApiClient, address: &str, phone: &str) -> ApiAnswer {
    from(api, address, "/accounts/login/", json!({"phone_number": phone})).await
}

async fn verify_from(api: &ApiClient, address: &str, phone: &str, code: &str) -> ApiAnswer {
    from(api, address, "/accounts/verify/", json!({"phone_number": phone, "code": code})).await
}

/// Checks that this says to come back later, and nothing more.
#[track_caller]
fn is_refused(answer: &ApiAnswer) {
    answer.is_problem(429, "too_many_requests");
    assert!(answer.retry_after().is_some_and(|seconds| seconds > 0), "{answer:?}");
}

/// Calls all, 32 at a time: enough to race, and few enough that a busy machine answers all of them in time.
async fn together<T, F: Future<Output = T>>(calls: impl Iterator<Item = F>) -> Vec<T> {
    stream::iter(calls).buffered(32).collect().await
}

fn count(answers: &[ApiAnswer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// Waits until a query comes to what is expected, since some things are counted after the answer.
async fn comes_to(app: &TestApp, sql: &str, expected: i64) {
    let mut found = 0;
    for _ in 0..500 {
        found = app.database.value(sql).await;
        if found == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{sql}: {found} instead of {expected}");
}
