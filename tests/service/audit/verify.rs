//! Whether the log is unaltered, and whether it is complete.

use counterfoil::audit::{VerificationReport, verify};
use tokio_postgres::Client;

use super::number;
use crate::support::TestApp;

async fn verified(app: &TestApp) -> VerificationReport {
    verify(&app.journal(), &app.trusted_keys(), &mut |_| {}).await.unwrap()
}

/// A few accounts with a few events each, numbered.
pub async fn some_log() -> (TestApp, Client) {
    let app = TestApp::start().await;
    for n in 0..5 {
        let device = app.api.sign_in(&format!("+98912123456{n}")).await;
        app.api.refresh(&device.refresh).await.ok();
    }
    number(&app).await;
    let client = app.database.connect().await;
    (app, client)
}

/// What is done to the third event of an account by who may do anything.
async fn in_every_way(cases: &[(&str, bool, bool)]) {
    let (app, mut client) = some_log().await;
    for (sql, unaltered, complete) in cases {
        let all = "SELECT aggregate_id FROM events ORDER BY aggregate_id LIMIT 1 OFFSET 6";
        let account: String = client.query_one(all, &[]).await.unwrap().get(0);
        let backup =
            "CREATE TABLE e AS TABLE events; CREATE TABLE l AS TABLE ledger; CREATE TABLE h AS TABLE heads;
                      CREATE TABLE s AS TABLE ledger_spans; CREATE TABLE q AS TABLE sequencer";
        client.batch_execute(backup).await.unwrap();
        let change = client.transaction().await.unwrap();
        change
            .batch_execute(&sql.replace("$it", &format!("'{account}'")))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        change.commit().await.unwrap();
        let found = verified(&app).await;
        assert_eq!((found.is_unaltered(), found.is_complete()), (*unaltered, *complete), "{sql}: {found:?}");
        let restore = "TRUNCATE events, ledger, heads, ledger_spans, sequencer; INSERT INTO events TABLE e; INSERT INTO ledger TABLE l;
                       INSERT INTO heads TABLE h; INSERT INTO ledger_spans TABLE s; INSERT INTO sequencer TABLE q;
                       DROP TABLE e, l, h, s, q";
        client.batch_execute(restore).await.unwrap();
        let found = verified(&app).await;
        assert!(found.is_unaltered() && found.is_complete(), "{found:?}");
    }
}

#[tokio::test]
async fn an_untouched_log_verifies_as_unaltered_and_complete() {
    let (app, _) = some_log().await;
    let found = verified(&app).await;
    let expected = VerificationReport { events: 20, accounts: 5, ..VerificationReport::default() };
    assert_eq!(found, expected);
    // What the sequencer has not come to is not missing.
    app.api.login("+989121234570").await.ok();
    assert_eq!(verified(&app).await, VerificationReport { events: 21, accounts: 6, waiting: 1, ..expected });
}

#[tokio::test]
async fn an_alteration_in_any_column_is_found() {
    in_every_way(&[
        ("UPDATE events SET aggregate_type = 'X' WHERE aggregate_id = $it AND sequence = 3", false, false),
        ("UPDATE events SET aggregate_id = 'X' WHERE aggregate_id = $it AND sequence = 3", false, false),
        ("UPDATE events SET aggregate_id = '00000000-0000-0000-0000-000000000000' WHERE aggregate_id = $it AND sequence = 3", true, false),
        ("UPDATE events SET sequence = 9 WHERE aggregate_id = $it AND sequence = 3", false, false),
        ("UPDATE events SET event_type = 'LoggedOut' WHERE aggregate_id = $it AND sequence = 3", false, true),
        ("UPDATE events SET event_version = '2' WHERE aggregate_id = $it AND sequence = 3", false, true),
        ("UPDATE events SET payload = (payload::text || ' ')::json WHERE aggregate_id = $it AND sequence = 3", false, true),
        ("UPDATE events SET payload = '{\"at\": 1}' WHERE aggregate_id = $it AND sequence = 3", false, true),
        ("UPDATE events SET metadata = '{}' WHERE aggregate_id = $it AND sequence = 3", false, true),
        ("UPDATE events SET personal = NULL WHERE aggregate_id = $it AND sequence = 3", false, true),
        ("UPDATE events SET personal = personal || '\\x00' WHERE aggregate_id = $it AND sequence = 3", false, true),
        ("UPDATE events SET leaf = sha256('x') WHERE aggregate_id = $it AND sequence = 3", false, true),
        ("UPDATE events SET leaf = 'x' WHERE aggregate_id = $it AND sequence = 3", false, true),
        // These two are the database's own, and no leaf was made of them.
        ("UPDATE events SET transaction_id = '1' WHERE aggregate_id = $it AND sequence = 3", true, true),
        ("UPDATE events SET recorded_at = 'epoch' WHERE aggregate_id = $it AND sequence = 3", true, true),
        ("UPDATE ledger SET event_type = 'X' WHERE seq = 3", false, true),
        ("UPDATE ledger SET leaf = 'x' WHERE seq = 3", false, true),
        ("UPDATE ledger SET at = 'epoch' WHERE seq = 3", false, true),
        ("UPDATE ledger SET account_id = gen_random_uuid() WHERE seq = 3", true, false),
        ("UPDATE ledger SET sequence = 99 WHERE seq = 3", true, false),
        ("UPDATE ledger_spans SET oldest = newest + interval '1 s', newest = newest + interval '1 s'", false, true),
        ("DELETE FROM ledger_spans", false, true),
        ("UPDATE heads SET leaf = 'x' WHERE account_id = $it", false, true),
        ("UPDATE heads SET version = 3 WHERE account_id = $it", false, true),
        ("INSERT INTO ledger SELECT 21, gen_random_uuid(), 1, event_type, leaf, at FROM ledger WHERE seq = 1", false, false),
    ])
    .await;
}

#[tokio::test]
async fn every_missing_row_of_events_heads_and_the_ledger_is_found() {
    in_every_way(&[
        ("DELETE FROM events WHERE aggregate_id = $it AND sequence = 1", true, false),
        ("DELETE FROM events WHERE aggregate_id = $it AND sequence = 3", true, false),
        ("DELETE FROM events WHERE aggregate_id = $it AND sequence = 4", true, false),
        ("DELETE FROM events WHERE aggregate_id = $it", true, false),
        ("DELETE FROM ledger WHERE seq = 1", true, false),
        ("DELETE FROM ledger WHERE seq = 7", true, false),
        ("DELETE FROM ledger WHERE seq = 20", true, false),
        ("DELETE FROM heads WHERE account_id = $it", true, false),
        ("DELETE FROM events WHERE aggregate_id = $it; DELETE FROM heads WHERE account_id = $it; DELETE FROM ledger WHERE account_id = $it", true, false),
        ("UPDATE ledger SET seq = 21 WHERE seq = 20", false, false),
    ])
    .await;
}
