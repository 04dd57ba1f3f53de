//! The pages of staff in a large service: each is found along indexes.
//!
//! The short form checks that every page is answered. `COUNTERFOIL_STAFF_PAGES=1000000` fills in as many accounts, with ten events
//! each, and prints the median time of each page.

use std::time::Instant;

use counterfoil_domain::values::Role;
use tokio_postgres::Client;

use crate::support::{SignedInDevice, TestApp};

const STAFF: &str = "+989130000001";
const PHONE: &str = "+989121234567";

/// How many accounts the short form fills in.
const SHORT: u32 = 500;

/// How often each page is opened, where times are printed.
const TURNS: usize = 41;

/// The tables of a service with so many accounts. Nothing in them can be opened, as if all keys had been erased.
async fn fill(db: &Client, accounts: u32) {
    let account = "('0199d1de-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid";
    let began = "timestamptz '2026-01-01T00:00:00Z' + n * interval '10 seconds'";
    let of_type = "(ARRAY['OtpRequested', 'UserRegistered', 'LoggedIn', 'TokenRefreshed', 'TokenRefreshed', \
                   'TokenRefreshed', 'TokenRefreshed', 'OtpRequested', 'LoggedIn', 'LoggedOut'])[e]";
    let series = format!("generate_series(1, {accounts}) AS n");
    db.batch_execute("SET session_replication_role = replica; SET synchronous_commit = off").await.unwrap();
    let first: i64 = db.query_one("SELECT coalesce(max(seq), 0) FROM ledger", &[]).await.unwrap().get(0);
    for sql in [
        format!(
            "INSERT INTO profiles (account_id, phone_number, fullname, is_active, suspended_until, date_joined)
             SELECT {account}, '+98912' || n, 'Person ' || n, n % 1000 <> 0,
                    CASE WHEN n % 1000 = 0 THEN timestamptz '9999-12-31T23:59:59Z' END, {began}
               FROM {series}"
        ),
        format!(
            "INSERT INTO user_logins (account_id, session_id, channel, device_name, user_agent, ip_address, generation,
                                      signed_in_at, last_seen_at, expires_at, ends_at, ended_at, end_reason)
             SELECT {account}, gen_random_uuid(), 'phone', 'Device ' || n, 'Firefox',
                    ('10.' || n % 250 || '.' || n / 250 % 250 || '.' || n % 17)::inet, 1, {began}, {began},
                    {began} + interval '1000 days', {began} + interval '1000 days',
                    CASE WHEN s = 2 THEN {began} + interval '1 day' END, CASE WHEN s = 2 THEN 'signed_out' END
               FROM {series}, generate_series(1, 2) AS s"
        ),
        "INSERT INTO stays (account_id, session_id, since, ip_address)
         SELECT account_id, session_id, signed_in_at, ip_address FROM user_logins ON CONFLICT DO NOTHING"
            .to_owned(),
        format!(
            "INSERT INTO outbox (account_id, sequence, number, kind, channel, language, expires_at, asked_at, state, gateway,
                                 reason, settled_at)
             SELECT {account}, 1, 0, 'sign_in', 'phone', 'en', {began} + interval '5 minutes', {began},
                    CASE WHEN n % 500 = 0 THEN 'failed' ELSE 'sent' END, 'sms' || n % 3,
                    CASE WHEN n % 500 = 0 THEN 'no such number' END, {began}
               FROM {series}"
        ),
        format!(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, leaf)
             SELECT 'UserAccount', {account}::text, e, {of_type}, '1', '{{\"at\":\"2026-01-01T00:00:00Z\",\"fact\":{{}}}}', '{{}}',
                    '\\x00'
               FROM {series}, generate_series(1, 10) AS e"
        ),
        format!(
            "INSERT INTO ledger (seq, account_id, sequence, event_type, leaf, at)
             SELECT {first} + (n - 1) * 10 + e, {account}, e, {of_type}, '\\x00', {began} + e * interval '1 second'
               FROM {series}, generate_series(1, 10) AS e"
        ),
        "INSERT INTO ledger_spans (span, oldest, newest)
         SELECT seq / 1000, min(at), max(at) FROM ledger GROUP BY 1
             ON CONFLICT (span) DO UPDATE SET oldest = excluded.oldest, newest = excluded.newest"
            .to_owned(),
        format!(
            "INSERT INTO event_subjects (account_id, seq, event_type, at, actor, ip_address, small_network, large_network)
             SELECT account_id, seq, event_type, at, CASE WHEN seq % 1000 = 0 THEN 'operator:grace' END, ip,
                    set_masklen(ip, 24)::cidr::inet, set_masklen(ip, 16)::cidr::inet
               FROM ledger, LATERAL (SELECT ('10.' || seq % 250 || '.' || seq / 250 % 250 || '.' || seq % 17)::inet AS ip) AS of
              WHERE seq > {first} AND event_type <> 'TokenRefreshed'"
        ),
        "UPDATE sequencer SET seq = (SELECT max(seq) FROM ledger)".to_owned(),
        "UPDATE followers SET seq = (SELECT max(seq) FROM ledger)".to_owned(),
        "ANALYZE".to_owned(),
    ] {
        db.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}

/// Every page of staff, with the filters that they have.
fn pages(account: &str) -> Vec<String> {
    let paths = [
        "/admin/accounts/?limit=50",
        "/admin/accounts/?fullname=person+4&limit=50",
        "/admin/accounts/?state=suspended&limit=50",
        "/admin/accounts/?role=admin",
        "/admin/accounts/?phone_number=%2B989121234567",
        "/admin/accounts/{id}/",
        "/admin/identifiers/?phone_number=%2B989121234567",
        "/admin/identifiers/?phone_number=%2B989121230000",
        "/admin/messages/",
        "/admin/messages/?state=failed",
        "/admin/messages/?gateway=sms1&since=2026-01-01T00:10:00Z",
        "/admin/messages/?phone_number=%2B989121234567",
        "/admin/device-sessions/?ip_address=10.7.0.0/16&limit=50",
        "/admin/device-sessions/?ip_address=10.7.0.0/16&at=2026-01-01T12:00:00Z&limit=50",
        "/admin/device-sessions/?at=2026-01-01T12:00:00Z&limit=50",
        "/admin/limits/",
        "/admin/limits/?phone_number=%2B989121234567",
        "/admin/blocks/",
        "/admin/alarms/",
        "/audit/device-sessions/?ip_address=10.7.0.0/16&at=2026-01-01T12:00:00Z&limit=50",
        "/audit/events/?limit=50&order=desc",
        "/audit/events/?account_id={id}&order=desc",
        "/audit/events/?phone_number=%2B989121234567",
        "/audit/events/?type=LoggedOut&since=2026-01-01T01:00:00Z&limit=50",
        "/audit/events/?ip_address=10.7.0.0/16&limit=50",
        "/audit/events/?ip_address=10.7.3.7&order=desc&limit=50",
        "/audit/events/?actor=operator:grace&order=desc&limit=50",
        "/audit/events/?actor=operator:grace&type=LoggedOut&limit=50",
        "/audit/accounts/{id}/steps/",
        "/audit/accounts/{id}/",
    ];
    paths.map(|path| path.replace("{id}", account)).into()
}

async fn open(app: &TestApp, staff: &SignedInDevice, path: &str) {
    let request = app.api.request(reqwest::Method::GET, path).bearer_auth(&staff.access);
    let answer = crate::support::ApiClient::send(request.header("X-Audit-Reason", "measured")).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the figures of the long form")]
async fn every_page_of_staff_is_answered_in_a_large_service() {
    let long: Option<u32> = std::env::var("COUNTERFOIL_STAFF_PAGES").ok().map(|text| text.parse().unwrap());
    let app = TestApp::start().await;
    let staff = app.sign_in_admin(STAFF).await;
    app.give_roles(&staff, [Role::Admin, Role::Auditor]).await;
    let account = app.api.sign_in(PHONE).await.account().to_string();
    fill(&app.database.connect().await, long.unwrap_or(SHORT)).await;
    for path in pages(&account) {
        open(&app, &staff, &path).await;
        let Some(accounts) = long else { continue };
        let mut times = Vec::new();
        for _ in 0..TURNS {
            let began = Instant::now();
            open(&app, &staff, &path).await;
            times.push(began.elapsed());
        }
        times.sort();
        println!(
            "{accounts} accounts: median {:?}, slowest {:?}: {path}",
            times[TURNS / 2],
            times[TURNS - 1]
        );
    }
}
