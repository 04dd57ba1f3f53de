//! Verifications and rehearsals over HTTP: the same answers as by the command line, one at a time, each on record.

use chrono::SecondsFormat;
use counterfoil::runtime::clock::Clock as _;
use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::number;
use super::rehearse::an_hour_ago;
use crate::support::{ApiAnswer, SignedInDevice, TestApp};

const AUDITOR: &str = "+989121234560";
const VERIFICATIONS: &str = "/audit/verifications/";
const REHEARSALS: &str = "/audit/rehearsals/";

async fn ask(app: &TestApp, auditor: &SignedInDevice, path: &str, body: Value) -> ApiAnswer {
    app.api.send_json(Method::POST, path, &auditor.access, body).await
}

/// The lines of an answer: the accounts, and the result, which is the last.
fn told(answer: &ApiAnswer) -> (Vec<Value>, Value) {
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("application/x-ndjson")));
    let mut lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let result = lines.pop().unwrap()["result"].clone();
    assert!(result.is_object(), "{answer:?}");
    let accounts = lines.iter().filter_map(|line| line.get("account").cloned()).collect();
    assert!(lines.iter().all(|line| line.get("account").is_some() != line.get("progress").is_some()));
    (accounts, result)
}

#[tokio::test]
async fn a_verification_says_whether_the_log_is_unaltered_and_complete_and_where_it_is_not() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(AUDITOR, Role::Auditor).await;
    let ada = app.api.sign_in("+989121234561").await;
    number(&app).await;
    let body = json!({"reason": "quarterly"});
    let (accounts, result) = told(&ask(&app, &auditor, VERIFICATIONS, body.clone()).await);
    let events: i64 = app.database.value("SELECT count(*) FROM events").await;
    assert_eq!(accounts, Vec::<Value>::new());
    assert_eq!(
        (&result["unaltered"], &result["complete"], &result["events"], &result["accounts"]),
        (&json!(true), &json!(true), &json!(events), &json!(2))
    );
    assert_eq!((&result["altered"], &result["missing"]), (&Value::Null, &Value::Null));
    assert_eq!(result["by"], json!({"account": auditor.user["id"]}));
    assert_eq!(result["started_at"], json!(app.clock.now()));

    let altered = "UPDATE events SET event_version = '2'";
    let alter = format!("{altered} WHERE aggregate_id = '{}' AND sequence = 2", ada.account());
    app.database.connect().await.batch_execute(&alter).await.unwrap();
    number(&app).await;
    let (_, result) = told(&ask(&app, &auditor, VERIFICATIONS, body).await);
    assert_eq!((&result["unaltered"], &result["complete"]), (&json!(false), &json!(true)));
    let place = &result["altered"];
    assert_eq!((&place["account_id"], &place["sequence"]), (&json!(ada.account().to_string()), &json!(2)));

    number(&app).await;
    let read = app.api.get("/audit/events/?type=AuditRead&reason=review", &auditor.access).await.ok();
    for item in read["items"].as_array().unwrap() {
        assert_eq!(
            (&item["fact"]["AuditRead"]["what"], &item["person"]["reason"]),
            (&json!("verification"), &json!("quarterly"))
        );
    }
    assert_eq!(read["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_rehearsal_counts_by_day_and_names_the_accounts_concerned() {
    let app = an_hour_ago().await;
    app.advance_time(1);
    let end = app.clock.now();
    let until = end.to_rfc3339_opts(SecondsFormat::Micros, true);
    app.advance_time(1);
    let auditor = app.sign_in_staff(AUDITOR, Role::Auditor).await;
    let rehearsed = async |settings: Value| {
        let body = json!({"settings": settings, "until": until, "reason": "what if"});
        told(&ask(&app, &auditor, REHEARSALS, body).await)
    };

    let (accounts, result) = rehearsed(json!({})).await;
    assert_eq!(result["on_record"], json!({"sign_ins": 4, "codes": 7, "refreshes": 1, "others": 0}));
    assert_eq!(
        (accounts.len(), &result["accounts_concerned"], &result["by_day"]),
        (0, &json!(0), &json!({}))
    );

    let (accounts, result) = rehearsed(json!({"codes.resend_after": 300})).await;
    assert_eq!(result["refused"]["codes"], json!({"total": 4, "why": {"too_soon": 4}}));
    assert_eq!(result["refused"]["sign_ins"], json!({"total": 2, "why": {"code_not_sent": 2}}));
    let setting = json!({"setting": "codes.resend_after", "present": "60", "proposed": "300"});
    assert_eq!((&result["settings"], &result["until"]), (&json!([setting]), &json!(end)));
    assert_eq!((accounts.len(), &result["accounts_concerned"]), (3, &json!(3)));
    let total: u64 = accounts.iter().map(|account| account["total"].as_u64().unwrap()).sum();
    assert_eq!(total, 6 + result["sessions_ended_earlier"]["total"].as_u64().unwrap());
    for account in &accounts {
        for difference in account["differences"].as_array().unwrap() {
            let what = difference["what"].as_str().unwrap();
            assert!(
                ["code_refused", "sign_in_refused", "session_ended_earlier"].contains(&what),
                "{account}"
            );
        }
    }
    let days = result["by_day"].as_object().unwrap().values();
    let sum = |member: &str| days.clone().map(|day| day["refused"][member].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("codes"), sum("sign_ins"), sum("refreshes")), (4, 2, 0));
}

#[tokio::test]
async fn settings_that_cannot_be_rehearsed_are_named_and_leave_no_record() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(AUDITOR, Role::Auditor).await;
    for (body, field) in [
        (json!({}), "settings"),
        (json!({"settings": null}), "settings"),
        (json!({"settings": "codes.tries=1"}), "settings"),
        (json!({"settings": ["codes.tries"]}), "settings"),
        (json!({"settings": {"codes.tries": []}}), "settings.codes.tries"),
        (json!({"settings": {"codes.tries": 0}}), "settings.codes.tries"),
        (json!({"settings": {"codes.tries": "many"}}), "settings.codes.tries"),
        (
            json!({"settings": {"codes.resend_after": 30, "sessions.binding": "body"}}),
            "settings.sessions.binding",
        ),
        (json!({"settings": {"limits.codes_burst": 1}}), "settings.limits.codes_burst"),
        (json!({"settings": {"sessions.new_device_notice": "off"}}), "settings.sessions.new_device_notice"),
        (json!({"settings": {}, "since": "yesterday"}), "since"),
        (json!({"settings": {}, "since": "2127-01-01T00:00:00Z"}), "since"),
        (json!({"settings": {}, "since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}), "until"),
        (json!({"settings": {}, "limit": 1}), "limit"),
    ] {
        let mut with_reason = body.clone();
        with_reason["reason"] = json!("what if");
        ask(&app, &auditor, REHEARSALS, with_reason).await.refuses_fields(&[field]);
    }
    ask(&app, &auditor, REHEARSALS, json!({"settings": {}})).await.refuses_fields(&["reason"]);
    ask(&app, &auditor, VERIFICATIONS, json!({})).await.refuses_fields(&["reason"]);
    let on_record = "SELECT count(*) FROM events WHERE event_type = 'AuditRead'";
    assert_eq!(app.database.value::<i64>(on_record).await, 0);
}

#[tokio::test]
async fn one_reading_of_the_whole_log_goes_on_at_a_time() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff(AUDITOR, Role::Auditor).await;
    let other = app.database.connect().await;
    other.execute("SELECT pg_advisory_lock($1)", &[&0x61_7564_6974_i64]).await.unwrap();
    let (reason, settings) = (json!({"reason": "x"}), json!({"settings": {}, "reason": "x"}));
    for (path, body) in [(VERIFICATIONS, &reason), (REHEARSALS, &settings)] {
        ask(&app, &auditor, path, body.clone()).await.is_problem(409, "log_reading_running");
    }
    other.execute("SELECT pg_advisory_unlock_all()", &[]).await.unwrap();
    for (path, body) in [(VERIFICATIONS, &reason), (REHEARSALS, &settings)] {
        told(&ask(&app, &auditor, path, body.clone()).await);
    }
}
