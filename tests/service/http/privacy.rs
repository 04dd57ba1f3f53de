//! What the journal must not tell: nothing of who a person is stands in it in clear, and no secret at all.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::json;

use super::wrong;
use crate::support::{ApiAnswer, ApiClient, TestApp};

const PHONE: &str = "+989121234567";
const EMAIL: &str = "ada.lovelace@analytical.example";
const ADDED_PHONE: &str = "+989131234567";
const ADDED_EMAIL: &str = "countess@engine.example";
const NAME: &str = "Augusta Ada Kingenhövel";
const RENAMED: &str = "آگوستا آدا لاولیس";
const DEVICE: &str = "Babbage-Handset-1843";
const DEVICE_RENAMED: &str = "Jacquard-Tablet-1804";
const USER_AGENT: &str = "DifferenceEngine/2.7 (brass; steam)";

/// The tables that are the truth. (Read models hold what people look at, in clear, and can be thrown away.)
const JOURNAL: [&str; 5] = ["events", "heads", "identifiers", "account_keys", "outbox"];

async fn post(app: &TestApp, path: &str, body: serde_json::Value) -> ApiAnswer {
    let request = app.api.request(Method::POST, path).header("user-agent", USER_AGENT);
    ApiClient::send(request.json(&body)).await
}

/// Signs up by that identifier, with all that can happen to a session; the code and the tokens there were.
async fn live_through(app: &TestApp, name: &str, value: &str) -> Vec<String> {
    let sign_up = post(app, "/accounts/login/", json!({name: value, "fullname": NAME})).await;
    post(app, "/accounts/login/", json!({name: value})).await.is_problem(406, "code_too_soon");
    app.advance_time(60);
    post(app, "/accounts/verify/resend/", json!({name: value})).await.ok();
    let verify = |code: &str| json!({name: value, "code": code, "device_name": DEVICE});
    let code = sign_up.code();
    let refused = post(app, "/accounts/verify/", verify(&wrong(&code))).await;
    refused.is_problem(400, "invalid_code");
    let device = post(app, "/accounts/verify/", verify(&code)).await.signed_in();
    app.api.rename(&device.access, RENAMED).await.ok();
    let devices =
        ApiClient::send(app.api.request(Method::GET, "/accounts/devices/").bearer_auth(&device.access)).await;
    let id = devices.ok()[0]["id"].as_str().unwrap().to_owned();
    let named = json!({"device_name": DEVICE_RENAMED});
    app.api.patch(&format!("/accounts/devices/{id}/"), &device.access, named).await.ok();
    // From another device than before: this one sends no `User-Agent` header.
    let next = app.api.refresh(&device.refresh).await.ok();
    let [access, refresh] =
        ["access_token", "refresh_token"].map(|name| next[name].as_str().unwrap().to_owned());
    assert_eq!(post(app, "/accounts/logout/", json!({"refresh_token": refresh})).await.status, 204);
    vec![code, wrong(&sign_up.code()), device.access, device.refresh, access, refresh]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[tokio::test]
async fn the_journal_holds_no_personal_data_in_clear_and_no_secret() {
    let app = TestApp::start().await;
    let mut needles = live_through(&app, "phone_number", PHONE).await;
    needles.extend(live_through(&app, "email", EMAIL).await);
    app.advance_time(60);
    let device = app.api.sign_in(PHONE).await;
    for added in [json!({"email": ADDED_EMAIL}), json!({"phone_number": ADDED_PHONE})] {
        let code = app.api.add_identifier(&device.access, &added).await.code();
        app.api.verify_identifier(&device.access, &added, &code).await.ok();
        needles.push(code);
        app.advance_time(60);
    }
    let people =
        [PHONE, &PHONE[1..], "9121234567", EMAIL, "lovelace", "analytical", ADDED_EMAIL, "9131234567"];
    let devices =
        [DEVICE, "Babbage", DEVICE_RENAMED, "Jacquard", USER_AGENT, "DifferenceEngine", "127.0.0.1"];
    let names = [NAME, "Augusta", "Kingenh", RENAMED, "لاولیس"];
    needles.extend(people.into_iter().chain(devices).chain(names).map(str::to_owned));
    // A hash without a key would reveal a number to a reader who tries all numbers.
    let hashes = [PHONE, EMAIL, ADDED_PHONE, ADDED_EMAIL]
        .map(|text| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()));

    let database = app.database.connect().await;
    for table in JOURNAL {
        for output in ["hex", "escape"] {
            database.batch_execute(&format!("SET bytea_output = {output}")).await.unwrap();
            let rows = database.query(&format!("SELECT t::text FROM {table} t"), &[]).await.unwrap();
            assert!(rows.len() >= 2, "{table}: both accounts are there");
            let text =
                rows.iter().map(|row| row.get::<_, String>(0).to_lowercase()).collect::<Vec<_>>().join("\n");
            for needle in &needles {
                assert!(!text.contains(&needle.to_lowercase()), "{table}, {output}: {needle}\n{text}");
                // Bytes that stand in a column as they are, show as hexadecimal digits.
                assert!(
                    !text.contains(&hex(needle.as_bytes())),
                    "{table}, {output}: hex of {needle}\n{text}"
                );
            }
            for hash in &hashes {
                assert!(!text.contains(&hex(hash.as_ref())), "{table}, {output}: a plain hash\n{text}");
            }
        }
    }
}

#[tokio::test]
async fn the_json_of_every_event_holds_no_personal_data_in_clear_and_no_secret() {
    let app = TestApp::start().await;
    let secrets = live_through(&app, "phone_number", PHONE).await;
    let database = app.database.connect().await;
    let sql = "SELECT event_type, payload::text, metadata::text FROM events ORDER BY sequence";
    let rows = database.query(sql, &[]).await.unwrap();
    let happened: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        happened,
        [
            "OtpRequested",
            "OtpRequestRefused",
            "OtpResent",
            "OtpRejected",
            "UserRegistered",
            "LoggedIn",
            "ProfileUpdated",
            "DeviceRenamed",
            "ClientChanged",
            "TokenRefreshed",
            "LoggedOut"
        ]
    );
    for row in rows {
        for json in [row.get::<_, String>(1), row.get::<_, String>(2)] {
            for needle in [
                &PHONE[1..],
                NAME,
                RENAMED,
                DEVICE,
                DEVICE_RENAMED,
                USER_AGENT,
                "127.0.0.1",
                "phone_number",
                "fullname",
            ] {
                assert!(!json.contains(needle), "{needle}: {json}");
            }
            for secret in &secrets {
                assert!(!json.contains(secret), "{secret}: {json}");
            }
            // Ids, times and names of things: no text that a user typed appears here.
            assert!(json.is_ascii() && json.len() < 512, "{json}");
        }
    }
}
