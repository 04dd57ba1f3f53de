//! The log in its order, filtered.

use counterfoil::audit::{EventFilter, csv};
use counterfoil::runtime::clock::Clock as _;
use counterfoil_domain::user_account::ActingStaff;
use counterfoil_domain::values::{AccountId, OperatorName};
use uuid::Uuid;

use super::{number, read};
use crate::support::TestApp;

const ADA: &str = "+989121234567";
const BOB: &str = "+989121234568";

fn id(user: &serde_json::Value) -> AccountId {
    AccountId(Uuid::parse_str(user["id"].as_str().unwrap()).unwrap())
}

#[tokio::test]
async fn audit_records_come_in_the_order_of_the_log_with_sealed_fields_opened() {
    let app = TestApp::start().await;
    let ada = app.api.sign_in(ADA).await;
    number(&app).await;
    app.advance_time(5);
    app.api.rename(&ada.access, "Ada Lovelace").await.ok();
    number(&app).await;
    let records = read(&app.journal(), &EventFilter::default()).await;
    let types: Vec<&str> = records.iter().map(|record| record.event_type.as_str()).collect();
    assert_eq!(types, ["OtpRequested", "UserRegistered", "LoggedIn", "ProfileUpdated"]);
    assert_eq!(records.iter().map(|record| record.position).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let last = &records[3];
    assert_eq!((last.account_id, last.sequence), (id(&ada.user).0, 4));
    assert_eq!(last.at, Some(app.clock.now()));
    assert_eq!(last.fact.as_ref().unwrap().get(), r#"{"ProfileUpdated":{}}"#);
    assert_eq!(last.person.as_ref().unwrap().fullname.as_ref().unwrap().as_str(), "Ada Lovelace");
    assert_eq!(last.client.as_ref().unwrap().ip.to_string(), "127.0.0.1");
    assert!(last.commit.is_some() && last.request.is_some() && last.recorded_at.is_some());
    let leaf: String = app.database.value("SELECT encode(leaf, 'hex') FROM events WHERE sequence = 4").await;
    assert_eq!(last.leaf, leaf);
}

#[tokio::test]
async fn filters_of_the_log_return_the_events_that_match_all_of_them() {
    let app = TestApp::start().await;
    let ada = app.api.sign_in(ADA).await;
    let between = app.clock.now() + chrono::TimeDelta::seconds(30);
    app.advance_time(60);
    let bob = app.api.sign_in(BOB).await;
    app.api.rename(&ada.access, "Ada").await.ok();
    number(&app).await;
    let journal = app.journal();
    let positions = async |filter: EventFilter| {
        read(&journal, &filter).await.iter().map(|record| record.position).collect::<Vec<_>>()
    };
    let every = EventFilter::default();
    assert_eq!(positions(every.clone()).await, [1, 2, 3, 4, 5, 6, 7]);
    let of_ada = EventFilter { account: Some(id(&ada.user)), ..every.clone() };
    assert_eq!(positions(of_ada.clone()).await, [1, 2, 3, 7]);
    assert_eq!(positions(EventFilter { account: Some(id(&bob.user)), ..every.clone() }).await, [4, 5, 6]);
    let sign_ins = EventFilter { types: vec!["LoggedIn".into(), "ProfileUpdated".into()], ..every.clone() };
    assert_eq!(positions(sign_ins.clone()).await, [3, 6, 7]);
    assert_eq!(positions(EventFilter { types: vec!["LoggedIn".into()], ..of_ada.clone() }).await, [3]);
    assert_eq!(positions(EventFilter { since: Some(between), ..every.clone() }).await, [4, 5, 6, 7]);
    assert_eq!(positions(EventFilter { until: Some(between), ..sign_ins.clone() }).await, [3]);
    assert_eq!(positions(EventFilter { since: Some(between), ..of_ada }).await, [7]);
    let never = EventFilter { since: Some(app.clock.now() + chrono::TimeDelta::days(1)), ..every };
    assert_eq!(positions(never).await, Vec::<i64>::new());
}

#[tokio::test]
async fn fields_sealed_under_an_erased_key_are_absent_from_the_log() {
    let app = TestApp::start().await;
    app.api.sign_in(ADA).await;
    number(&app).await;
    app.database.connect().await.execute("DELETE FROM account_keys", &[]).await.unwrap();
    for record in read(&app.journal(), &EventFilter::default()).await {
        assert!(record.person.is_none() && record.client.is_none() && record.fact.is_some());
    }
}

#[tokio::test]
async fn a_csv_export_of_the_log_holds_no_spreadsheet_formula() {
    let app = TestApp::start().await;
    let ada = app.api.sign_in(ADA).await;
    app.api.rename(&ada.access, "=HYPERLINK(\"x\")").await.ok();
    number(&app).await;
    let records = read(&app.journal(), &EventFilter::default()).await;
    let text = String::from_utf8([csv::headings(), csv::lines(&records)].concat()).unwrap();
    let mut lines = text.split("\r\n");
    assert_eq!(lines.next(), Some(csv::HEADINGS.join(",").as_str()));
    assert!(text.contains(r#""'=HYPERLINK(""x"")""#), "{text}");
    assert!(text.contains("'+989121234567"), "{text}");
    assert_eq!(text.matches("\r\n").count(), 5);
}

/// `EVENTS` events of `ACCOUNTS` accounts, filled in bulk, ten milliseconds apart by clocks that differ by a second.
const BULK: &str = "
    CREATE TEMPORARY VIEW made AS
    SELECT n, ('00000000-0000-0000-0000-' || lpad((n % ACCOUNTS)::text, 12, '0')) AS account, n / ACCOUNTS + 1 AS sequence,
           CASE WHEN n % 100 = 0 THEN 'LoggedIn' WHEN n = EVENTS / 9 * 7 + 1 THEN 'LimitsLifted' ELSE 'TokenRefreshed' END AS type
      FROM generate_series(0, EVENTS - 1) AS n;
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, leaf)
    SELECT 'UserAccount', account, sequence, type, '1', '{}', '{}', '\\x00' FROM made;
    INSERT INTO ledger (seq, account_id, sequence, event_type, leaf, at)
    SELECT n + 1, account::uuid, sequence, type, '\\x00',
           '2026-01-01T00:00:00Z'::timestamptz + interval '10 ms' * n + interval '1 ms' * (n::bigint * 7919 % 1000)
      FROM made;
    INSERT INTO event_subjects (account_id, seq, event_type, at, actor, ip_address, small_network, large_network)
    SELECT *, network(set_masklen(address, CASE family(address) WHEN 4 THEN 24 ELSE 64 END)),
           network(set_masklen(address, CASE family(address) WHEN 4 THEN 16 ELSE 32 END))
      FROM (SELECT account_id, seq, event_type, at, CASE WHEN seq % 100 = 0 THEN 'operator:op' || seq / 100 % 7 END,
                   CASE WHEN seq % 10 = 0 THEN '2001:db8::'::inet + (seq * 7919 % 1000) * 65536
                        ELSE '10.0.0.0'::inet + (seq * 7919 % 200000) END AS address
              FROM ledger) AS subjects;
    UPDATE followers SET seq = EVENTS WHERE name = 'event_subjects';
    INSERT INTO ledger_spans SELECT seq / 1000, min(at), max(at) FROM ledger GROUP BY 1;
    UPDATE sequencer SET seq = EVENTS;
    ANALYZE";

/// The statements that find a page by the subjects of events: the index of each, and its parameters after the usual ones.
fn statements_of_subjects() -> [(&'static str, String, &'static [&'static str]); 5] {
    let page = include_str!("../../../src/audit/sql/page_of_subjects.sql");
    let by_address = |network: &str, length: u8| {
        let of = |address: &str| format!("network(set_masklen({address}::inet, {length}))");
        let found = include_str!("../../../src/audit/sql/subjects_by_address.sql");
        let found = found.replace("{first}", &of("$8")).replace("{last}", &of("$9"));
        found.replace("{network}", network) + page
    };
    let by_account = include_str!("../../../src/audit/sql/subjects_by_account.sql").to_owned() + page;
    let by_actor = include_str!("../../../src/audit/sql/subjects_by_actor.sql").to_owned() + page;
    [
        (
            "event_subjects_pkey",
            by_account,
            &["NULL", "NULL", "'10.0.0.0'", "'10.0.255.255'", "'00000000-0000-0000-0000-000000000050'::uuid"],
        ),
        ("event_subjects_actor_seq", by_actor, &["NULL", "'operator:op1'", "NULL", "NULL"]),
        (
            "event_subjects_ip_address_seq",
            by_address("ip_address", 32),
            &["NULL", "'10.0.0.0'", "'10.0.255.255'"],
        ),
        (
            "event_subjects_small_network_seq",
            by_address("small_network", 24),
            &["'{LoggedIn}'", "'10.0.0.0'", "'10.0.255.255'"],
        ),
        (
            "event_subjects_large_network_seq",
            by_address("large_network", 16),
            &["NULL", "'10.0.0.0'", "'10.0.255.255'"],
        ),
    ]
}

/// Questions that the subjects of events answer.
fn filters_of_subjects(account: Option<AccountId>) -> Vec<(&'static str, EventFilter)> {
    let network = |text: &str| text.parse::<ipnet::IpNet>().ok();
    let acting = |n: u8| OperatorName::parse(&format!("op{n}")).map(ActingStaff::Operator);
    let types = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let every = EventFilter::default();
    vec![
        ("actor", EventFilter { actor: acting(1), ..every.clone() }),
        (
            "actor and rare type",
            EventFilter { actor: acting(1), types: types(&["LimitsLifted"]), ..every.clone() },
        ),
        (
            "actor in a network",
            EventFilter { actor: acting(1), addresses: network("10.0.0.0/16"), ..every.clone() },
        ),
        ("nothing done", EventFilter { actor: acting(9), ..every.clone() }),
        ("address", EventFilter { addresses: network("10.0.1.7/32"), ..every.clone() }),
        ("small network", EventFilter { addresses: network("10.0.1.0/24"), ..every.clone() }),
        ("odd network", EventFilter { addresses: network("10.0.0.0/17"), ..every.clone() }),
        ("large network", EventFilter { addresses: network("10.0.0.0/8"), ..every.clone() }),
        (
            "network and type",
            EventFilter { addresses: network("10.0.0.0/8"), types: types(&["LoggedIn"]), ..every.clone() },
        ),
        ("site", EventFilter { addresses: network("2001:db8::/48"), ..every.clone() }),
        ("address of an account", EventFilter { account, addresses: network("10.0.0.0/8"), ..every.clone() }),
    ]
}

/// With `COUNTERFOIL_AUDIT_EVENTS=1000000` of a million, and each page has to be there within 50 ms at the median.
#[tokio::test]
async fn every_query_for_a_page_of_the_log_uses_an_index() {
    let asked = std::env::var("COUNTERFOIL_AUDIT_EVENTS").ok().map(|text| text.parse::<i64>().unwrap());
    let events = asked.unwrap_or(100_000);
    let app = TestApp::start().await;
    let client = app.database.connect().await;
    client.batch_execute("SET synchronous_commit = off; SET work_mem = '64MB'").await.unwrap();
    let bulk = BULK.replace("EVENTS", &events.to_string()).replace("ACCOUNTS", &(events / 1_000).to_string());
    client.batch_execute(&bulk).await.unwrap();
    client.batch_execute("CHECKPOINT; SET synchronous_commit = on").await.unwrap();
    client.batch_execute("VACUUM (ANALYZE) event_subjects").await.unwrap();
    let journal = app.journal();
    // In thousandths of all the time there is.
    let time = |part: i64| {
        Some(
            "2026-01-01T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap()
                + chrono::TimeDelta::milliseconds(part * events / 100),
        )
    };
    let account = Some(AccountId(Uuid::from_u128(0x50)));
    let types = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let every = EventFilter::default();
    let filters = [
        ("all", every.clone()),
        ("account", EventFilter { account, ..every.clone() }),
        ("account and type", EventFilter { account, types: types(&["LimitsLifted"]), ..every.clone() }),
        ("type", EventFilter { types: types(&["LoggedIn"]), ..every.clone() }),
        ("rare type", EventFilter { types: types(&["LimitsLifted"]), ..every.clone() }),
        (
            "types",
            EventFilter { types: types(&["LoggedIn", "LimitsLifted", "TokenRefreshed"]), ..every.clone() },
        ),
        ("a minute", EventFilter { since: time(500), until: time(506), ..every.clone() }),
        ("since late", EventFilter { since: time(999), ..every.clone() }),
        ("until early", EventFilter { until: time(1), ..every.clone() }),
        (
            "type in a minute",
            EventFilter { types: types(&["LoggedIn"]), since: time(500), until: time(506), ..every.clone() },
        ),
        ("account in a minute", EventFilter { account, since: time(500), until: time(506), ..every.clone() }),
        ("nothing", EventFilter { since: time(2_000), ..every.clone() }),
    ];
    for (name, filter) in filters.into_iter().chain(filters_of_subjects(account)) {
        for after in [0, events / 2, events - 100] {
            let mut took = Vec::new();
            for _ in 0..11 {
                let began = std::time::Instant::now();
                counterfoil::audit::page(&journal, &filter, after, events, 200).await.unwrap();
                took.push(began.elapsed());
            }
            took.sort_unstable();
            eprintln!("{name} after {after}: median {:?}", took[5]);
            assert!(asked.is_none() || took[5].as_millis() < 50, "{name} after {after}: {took:?}");
        }
    }

    // Plans are made once and for all parameters, as on the service's own connections.
    client.batch_execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
    let subjects = statements_of_subjects();
    let subjects = subjects.iter().map(|(index, sql, more)| (*index, &**sql, *more));
    for (index, sql, more) in subjects.chain([
        ("ledger_pkey", include_str!("../../../src/audit/sql/page_of_all.sql"), &[] as &[&str]),
        (
            "ledger_by_account",
            include_str!("../../../src/audit/sql/page_of_account.sql"),
            &["'00000000-0000-0000-0000-000000000050'::uuid", "NULL"],
        ),
        ("ledger_by_type", include_str!("../../../src/audit/sql/page_of_types.sql"), &["'{LoggedIn}'"]),
        (
            "ledger_by_type",
            include_str!("../../../src/audit/sql/page_of_types.sql"),
            &["'{LoggedIn,LimitsLifted}'"],
        ),
    ]) {
        let end = events.to_string();
        let usual = ["'UserAccount'", "0", &end, "NULL", "NULL", "200"];
        let parameters: Vec<&str> = usual.iter().chain(more).copied().collect();
        client.batch_execute(&format!("DEALLOCATE ALL; PREPARE page AS {sql}")).await.unwrap();
        let explain = format!("EXPLAIN EXECUTE page ({})", parameters.join(", "));
        let rows = client.query(&explain, &[]).await.unwrap();
        let plan = rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n");
        eprintln!("{plan}\n");
        assert!(!plan.contains("Seq Scan") && plan.contains(index) && plan.contains("events_pkey"), "{plan}");
        // Or it goes on to the end of a type where fewer match than there is place for.
        let ends = plan.lines().any(|line| line.contains("Index Cond") && line.contains("<= $3"));
        assert!(ends, "{plan}");
    }
}
