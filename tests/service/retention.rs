//! What is forgotten, and when.

use counterfoil::app::delete_expired;
use counterfoil::audit::verify;
use counterfoil::runtime::clock::Clock as _;
use reqwest::Method;
use serde_json::json;
use tokio_postgres::error::SqlState;

use crate::erasure::follow;
use crate::support::{ApiClient, TestApp};

const OWNER: &str = "+989121234567";
const STRANGER: &str = "+989121234568";
const DAY: i64 = 24 * 3_600;

async fn ask(app: &TestApp, phone: &str) -> String {
    let body = json!({"phone_number": phone, "fullname": "Ada Lovelace"});
    ApiClient::send(app.api.request(Method::POST, "/accounts/login/").json(&body)).await.code()
}

async fn rows(app: &TestApp, table: &str, account: &str) -> i64 {
    app.database.value(&format!("SELECT count(*) FROM {table} WHERE account_id = '{account}'")).await
}

async fn account_of_stranger(app: &TestApp) -> String {
    let sql = format!("SELECT account_id::text FROM profiles WHERE phone_number = '{STRANGER}'");
    app.database.value(&sql).await
}

async fn number_the_log(app: &TestApp) {
    let database = counterfoil::postgres::Database::new(&app.database.url.0, 2).unwrap();
    counterfoil::journal::sequencer::Sequencer::new(database).look().await.unwrap();
}

#[tokio::test]
async fn an_account_that_was_never_signed_in_to_disappears_seven_days_after_its_last_code() {
    let app = TestApp::start().await;
    let server = app.by_server_role().await;
    let owner = app.api.sign_in(OWNER).await;
    ask(&app, STRANGER).await;
    let account = account_of_stranger(&app).await;
    for days in [6, 6] {
        app.advance_time(days * DAY);
        delete_expired(&server.state).await;
        assert_eq!(rows(&app, "identifiers", &account).await, 1, "its last code is younger");
        ask(&app, STRANGER).await;
    }
    app.advance_time(7 * DAY - 1);
    delete_expired(&server.state).await;
    assert_eq!(rows(&app, "identifiers", &account).await, 1);
    app.advance_time(1);
    delete_expired(&server.state).await;
    for table in ["identifiers", "profiles", "account_keys"] {
        assert_eq!(rows(&app, table, &account).await, 0, "{table}");
    }
    let events: i64 =
        app.database.value(&format!("SELECT count(*) FROM events WHERE aggregate_id = '{account}'")).await;
    assert_eq!(events, 4, "three codes, and that the identifier was released");
    let lapsed = "SELECT payload->'fact'->'IdentifierReleased'->>'lapsed' FROM events
                   WHERE event_type = 'IdentifierReleased'";
    assert_eq!(app.database.value::<String>(lapsed).await, "true");

    // Done again, there is nothing to do; and those who signed in are as they were.
    delete_expired(&server.state).await;
    let mine = owner.account().to_string();
    for (table, expected) in [("identifiers", 1), ("profiles", 1)] {
        assert_eq!(rows(&app, table, &mine).await, expected, "{table}");
    }
    assert!(rows(&app, "account_keys", &mine).await > 0);

    // Every proof holds, read models are what the log comes to, and the account can still be replayed.
    number_the_log(&app).await;
    let verified = verify(&app.journal(), &app.trusted_keys(), &mut |_| {}).await.unwrap();
    assert!(verified.is_unaltered() && verified.is_complete(), "{verified:?}");
    let models = counterfoil::read_models::Projection::all().filter_map(|model| model.immediate());
    let profiles: Vec<_> = models.filter(|model| model.table.name == "profiles").collect();
    let now = app.clock.now();
    let checked =
        counterfoil::read_models::rebuild::check(&app.journal(), &profiles, now, &mut |_| {}).await.unwrap();
    assert_eq!(checked[0].differing, 0, "{checked:?}");

    // The number is free, and makes another account.
    let code = ask(&app, STRANGER).await;
    assert_ne!(account_of_stranger(&app).await, account);
    app.api.verify(STRANGER, &code).await.signed_in();
}

#[tokio::test]
async fn an_account_whose_identifier_another_account_proved_is_forgotten_as_well() {
    let app = TestApp::start().await;
    ask(&app, STRANGER).await;
    let account = account_of_stranger(&app).await;
    app.advance_time(60);
    let owner = app.api.sign_in(OWNER).await;
    let number = json!({"phone_number": STRANGER});
    let code = app.api.add_identifier(&owner.access, &number).await.code();
    app.api.verify_identifier(&owner.access, &number, &code).await.ok();
    assert!(rows(&app, "account_keys", &account).await > 0);
    follow(&app).await;
    let told = format!("SELECT count(ip_address) FROM login_history WHERE account_id = '{account}'");
    assert!(app.database.value::<i64>(&told).await > 0);
    app.advance_time(7 * DAY);
    delete_expired(&app.state).await;
    assert_eq!(app.database.value::<i64>(&told).await, 0);
    assert_eq!(rows(&app, "account_keys", &account).await, 0);
    assert_eq!(rows(&app, "profiles", &account).await, 0);
    assert_eq!(rows(&app, "identifiers", &owner.account().to_string()).await, 1);
}

#[tokio::test]
async fn the_servers_role_can_delete_the_keys_of_no_account_that_was_signed_in_to() {
    let app = TestApp::start().await;
    let (url, _) = app.database.by_server_role().await;
    app.by_server_role().await;
    let owner = app.api.sign_in(OWNER).await;
    ask(&app, STRANGER).await;
    let (role, connection) = tokio_postgres::connect(&url.0, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let refused = role.execute("DELETE FROM account_keys", &[]).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    let pending = account_of_stranger(&app).await;
    for account in [owner.account().to_string(), pending] {
        let sql = format!("SELECT forget_lapsed_account('{account}')");
        let forgotten: bool = role.query_one(&sql, &[]).await.unwrap().get(0);
        assert!(!forgotten);
        assert!(rows(&app, "account_keys", &account).await > 0);
    }
}
