//! The history of an account at `GET /accounts/history/`.

use counterfoil::journal::sequencer::Sequencer;
use counterfoil::postgres::Database;
use counterfoil::read_models::FOLLOWERS;
use serde_json::{Value, json};

use crate::support::TestApp;

const PHONE: &str = "+989121234567";

async fn followed(app: &TestApp) {
    let client = app.database.connect().await;
    client.execute("UPDATE sequencer SET lease_until = '-infinity'", &[]).await.unwrap();
    Sequencer::new(Database::new(&app.database.url.0, 2).unwrap()).look().await.unwrap();
    app.journal().follow(&FOLLOWERS).await.unwrap();
}

fn told(page: &Value) -> Vec<(&str, i64)> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| (item["event"].as_str().unwrap(), item["sequence"].as_i64().unwrap())).collect()
}

#[tokio::test]
async fn history_200_shows_the_users_events_the_newest_first_page_by_page() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    app.advance_time(61);
    let other = app.api.sign_in(PHONE).await;
    assert_eq!(app.api.logout(&device.refresh).await.status, 204);
    // The history of another account does not appear.
    app.api.sign_in("+989121234568").await;
    followed(&app).await;
    let page = app.api.get("/accounts/history/?limit=4", &other.access).await.ok();
    let expected = [("LoggedOut", 6), ("LoggedIn", 5), ("OtpRequested", 4), ("LoggedIn", 3)];
    assert_eq!((told(&page), &page["next"]), (expected.to_vec(), &json!(3)));
    assert_eq!(
        (&page["items"][0]["reason"], &page["items"][0]["ip_address"]),
        (&json!("signed_out"), &json!("127.0.0.1"))
    );
    let page = app.api.get("/accounts/history?limit=4&after=3", &other.access).await.ok();
    let expected = [("UserRegistered", 2), ("OtpRequested", 1)];
    assert_eq!((told(&page), &page["next"]), (expected.to_vec(), &json!(null)));
}

#[tokio::test]
async fn history_401_without_a_token_and_400_names_the_bad_field_of_a_page() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    let anonymous = app.api.request(reqwest::Method::GET, "/accounts/history/");
    crate::support::ApiClient::send(anonymous).await.is_problem(401, "not_authenticated");
    for (query, field) in [
        ("after=x", "after"),
        ("after=-1", "after"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("x=1", "x"),
    ] {
        app.api.get(&format!("/accounts/history/?{query}"), &device.access).await.refuses_fields(&[field]);
    }
}
