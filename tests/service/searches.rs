//! What administrators search by: each filter has an index, the planner uses it, and no refresh pays for it.

use std::time::Instant;

use counterfoil_projections::{profile, user_login};
use tokio_postgres::Client;

use crate::support::TestApp;

/// A hundred thousand sessions of twenty thousand accounts, the one in a hundred of these suspended.
async fn filled(app: &TestApp) -> Client {
    let db = app.database.connect().await;
    db.batch_execute(
        "INSERT INTO profiles (account_id, phone_number, fullname, is_active, suspended_until, date_joined, roles)
         SELECT ('0199d1de-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '+98912' || n, 'Person ' || n,
                n % 100 <> 0, CASE WHEN n % 100 = 0 THEN timestamptz '9999-12-31T23:59:59Z' END,
                timestamptz '2026-01-01T00:00:00Z' + n * interval '1 minute',
                CASE WHEN n % 500 = 0 THEN 'admin,auditor' WHEN n % 1000 = 1 THEN '' END
           FROM generate_series(1, 20000) AS n;
         INSERT INTO user_logins (account_id, session_id, channel, device_name, user_agent, ip_address, generation,
                                  signed_in_at, last_seen_at, expires_at, ends_at, ended_at, end_reason)
         SELECT ('0199d1de-0000-7000-8000-' || lpad(to_hex(1 + n % 20000), 12, '0'))::uuid, gen_random_uuid(), 'phone',
                'Device ' || n, 'Firefox', ('10.' || n % 250 || '.' || n / 250 % 250 || '.' || n % 17)::inet, 1,
                t, t, t + interval '30 days', t + interval '90 days', CASE WHEN n % 2 = 0 THEN t + interval '1 day' END,
                CASE WHEN n % 2 = 0 THEN 'signed_out' END
           FROM (SELECT n, timestamptz '2026-01-01T00:00:00Z' + n * interval '10 seconds' AS t
                   FROM generate_series(1, 100000) AS n) AS sessions;
         INSERT INTO session_uses (account_id, session_id, used_at)
         SELECT account_id, session_id, signed_in_at FROM user_logins;
         INSERT INTO stays (account_id, session_id, since, ip_address)
         SELECT account_id, session_id, signed_in_at, ip_address FROM user_logins
          UNION ALL
         SELECT account_id, session_id, signed_in_at + interval '1 hour', ip_address + 1 FROM user_logins;
         ANALYZE;
         SET plan_cache_mode = force_generic_plan",
    )
    .await
    .unwrap();
    db
}

/// The plan of a statement with these parameters, as the planner makes it whatever they are.
async fn plan(db: &Client, sql: &str, parameters: &[&str]) -> String {
    db.batch_execute("DEALLOCATE ALL").await.unwrap();
    db.batch_execute(&format!("PREPARE search AS {sql}")).await.unwrap();
    let explain = format!("EXPLAIN (ANALYZE, TIMING OFF) EXECUTE search ({})", parameters.join(", "));
    let rows = db.query(&explain, &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect()
}

#[tokio::test]
async fn each_filter_uses_its_index() {
    let app = TestApp::start().await;
    let db = filled(&app).await;
    let (past, future) = ("'-infinity'", "'9999-12-31T23:59:59Z'");
    let (first, last) = ("'10.7.0.0'", "'10.7.255.255'");
    let (now, last_id) = ("'2026-01-08T00:00:00Z'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'");
    let account = "'0199d1de-0000-7000-8000-000000000007'";
    use profile::search as accounts;
    use user_login::search as sessions;
    for (sql, index, parameters) in [
        (
            sessions::BY_SIGN_IN,
            "user_logins_signed_in_at_session_id_idx",
            vec!["51", "NULL", "NULL", now, "NULL", past, future, "NULL", "NULL", "51", future, last_id],
        ),
        (
            sessions::BY_SIGN_IN,
            "user_logins_signed_in_at_session_id_idx",
            vec!["51", now, "true", now, "'device 9'", past, now, "NULL", "NULL", "5000", future, last_id],
        ),
        (
            sessions::BY_ACCOUNT,
            "user_logins_pkey",
            vec![
                "51", now, "true", now, "'device'", past, future, first, last, "5000", future, last_id,
                account,
            ],
        ),
        (
            sessions::BY_ADDRESS,
            "user_logins_ip_address_signed_in_at_session_id_idx",
            vec!["51", "NULL", "NULL", now, "NULL", past, future, first, last, "51", future, last_id, last],
        ),
        (
            sessions::BY_STAY,
            "stays_ip_address_since_session_id_idx",
            vec!["51", now, "NULL", now, "NULL", past, future, first, last, "5000", now, account, last],
        ),
        (
            accounts::BY_JOIN,
            "profiles_date_joined_account_id_idx",
            vec!["51", "NULL", now, "'9'", "5000", future, last_id, "NULL"],
        ),
        (
            accounts::SUSPENDED,
            "profiles_date_joined_account_id_idx1",
            vec!["51", "true", now, "NULL", "5000", future, last_id, "NULL"],
        ),
        (
            accounts::STAFF,
            "profiles_date_joined_account_id_idx2",
            vec!["51", "NULL", now, "NULL", "5000", future, last_id, "'auditor'"],
        ),
        (
            accounts::BY_ACCOUNT,
            "profiles_pkey",
            vec!["51", "NULL", now, "NULL", "51", future, last_id, "NULL", account],
        ),
    ] {
        let plan = plan(&db, sql, &parameters).await;
        let scans = [format!("using {index}"), format!("Bitmap Index Scan on {index}")];
        let is_used = scans.iter().any(|scan| plan.contains(scan)) && !plan.contains("Seq Scan");
        assert!(is_used, "{index}:\n{plan}");
    }
    let devices =
        plan(&db, include_str!("../../projections/src/user_login/active.sql"), &[account, now]).await;
    assert!(devices.contains("session_uses_pkey") && !devices.contains("Seq Scan"), "{devices}");
    let plan = plan(&db, include_str!("../../projections/src/user_login/account_of.sql"), &[last_id]).await;
    assert!(plan.contains("user_logins_session_id_idx"), "{plan}");
}

/// An update that changes no indexed column writes no index (HOT), as long as its page has room.
#[tokio::test]
async fn a_refresh_from_the_same_address_writes_no_index() {
    let app = TestApp::start().await;
    let mut tokens = Vec::new();
    for n in 0..20 {
        tokens.push(app.api.sign_in(&format!("+9891212345{n:02}")).await.refresh);
    }
    let updates = async |table: &str| -> (i64, i64) {
        // What a connection has counted is told when it is idle, or at the latest after a while.
        let sql =
            format!("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = '{table}'");
        let row = app.database.connect().await.query_one(&sql, &[]).await.unwrap();
        (row.get(0), row.get(1))
    };
    let before = updates("user_logins").await;
    for _ in 0..5 {
        for token in &mut tokens {
            *token = app.api.refresh(token).await.ok()["refresh_token"].as_str().unwrap().to_owned();
        }
    }
    let waiting = Instant::now();
    loop {
        let (all, hot) = updates("user_logins").await;
        let (all, hot) = (all - before.0, hot - before.1);
        if all >= 100 {
            // None where an indexed column changes; fewer than all where a transaction still sees what a page could drop.
            assert!(hot * 10 >= all * 7, "{hot} of {all}");
            break;
        }
        assert!(waiting.elapsed().as_secs() < 60, "{all} of 100 refreshes are counted");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        app.api.refresh(&tokens[0]).await;
    }
}
