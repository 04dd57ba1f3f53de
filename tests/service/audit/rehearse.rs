//! Other limits, tried on what is on record.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use counterfoil::accounts::StaffAction;
use counterfoil::rules::{AccessRule, RefreshRuleRequest, RuleDecision, RuleFault, RuleSet};
use counterfoil::runtime::clock::Clock as _;
use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::command::{audit, audit_with};
use crate::support::{ApiClient, SignedInDevice, TestApp, operator};

const ADA: &str = "+989121234561";
const BEN: &str = "+989121234562";
const EVE: &str = "+491711234563";

fn rehearsed(app: &TestApp, arguments: &[&str]) -> Value {
    let (status, json, said) = audit(app, &[&["rehearse", "--json"], arguments].concat());
    assert_eq!(status, Some(0), "{said}");
    serde_json::from_str(&json).unwrap()
}

/// An hour ago: Ada signs in on three devices, 70 seconds after each other, and the first is refreshed. Ben asks for a code,
/// again too soon after it, and again, and signs in. Eve asks for a code and for another.
pub async fn an_hour_ago() -> TestApp {
    let app = TestApp::start().await;
    app.advance_time(-3_600);
    let mut devices: Vec<SignedInDevice> = Vec::new();
    for _ in 0..3 {
        devices.push(app.api.sign_in(ADA).await);
        app.advance_time(70);
    }
    app.api.refresh(&devices[0].refresh).await.ok();
    app.api.login(BEN).await.ok();
    app.advance_time(40);
    app.api.login(BEN).await.is_problem(406, "code_too_soon");
    app.advance_time(60);
    app.api.sign_in(BEN).await;
    app.api.login(EVE).await.ok();
    app.advance_time(70);
    app.api.login(EVE).await.ok();
    app
}

#[tokio::test]
async fn a_rehearsal_counts_a_small_history_as_counted_by_hand() {
    let app = an_hour_ago().await;

    let found = rehearsed(&app, &[]);
    assert_eq!(found["on_record"], json!({"sign_ins": 4, "codes": 7, "refreshes": 1, "others": 0}));
    assert_eq!(
        (&found["accounts"], &found["accounts_concerned"], &found["since"]),
        (&3.into(), &0.into(), &Value::Null)
    );

    // Ben would have got a second code, 40 seconds after the first.
    let found = rehearsed(&app, &["--set", "codes.resend_after=30"]);
    assert_eq!(
        found["settings"],
        json!([{"setting": "codes.resend_after", "present": "60", "proposed": "30"}])
    );
    assert_eq!(found["let_through"]["codes"], json!({"total": 1, "why": {"too_soon": 1}}));
    assert_eq!((&found["accounts_concerned"], &found["refused"]["codes"]["total"]), (&1.into(), &0.into()));

    // Ada's second and third, Ben's last and Eve's second would not have been sent. Ben's first still works at the sign-in;
    // Ada's first is spent.
    let found = rehearsed(&app, &["--set", "codes.resend_after=300"]);
    assert_eq!(found["refused"]["codes"], json!({"total": 4, "why": {"too_soon": 4}}));
    assert_eq!(found["refused"]["sign_ins"], json!({"total": 2, "why": {"code_not_sent": 2}}));
    assert_eq!(found["refused"]["refreshes"]["total"], 0);
    assert_eq!(found["accounts_concerned"], 3);

    // The third device signs out the first, which is refreshed after that; where it is to be one, the second as well.
    let found = rehearsed(&app, &["--set", "sessions.device_limit=2", "--set", "codes.resend_after=30"]);
    assert_eq!(found["refused"]["refreshes"], json!({"total": 1, "why": {"device_limit": 1}}));
    assert_eq!(found["sessions_ended_earlier"], json!({"total": 1, "why": {"device_limit": 1}}));
    assert_eq!(found["let_through"]["codes"]["total"], 1);
    let found = rehearsed(&app, &["--set", "sessions.device_limit=1"]);
    assert_eq!(found["sessions_ended_earlier"]["total"], 2);
    let denied = ["--set", "sessions.device_limit=1", "--set", "sessions.device_limit_policy=deny"];
    assert_eq!(
        rehearsed(&app, &denied)["refused"]["sign_ins"],
        json!({"total": 2, "why": {"device_limit": 2}})
    );
}

#[tokio::test]
async fn a_rehearsal_of_a_time_span_keeps_the_events_before_it_as_they_were() {
    let app = an_hour_ago().await;
    let count = async |sql: &str| -> String {
        app.database.connect().await.query_one(sql, &[]).await.unwrap().get(0)
    };
    let third = "SELECT payload ->> 'at' FROM events WHERE event_type = 'LoggedIn' ORDER BY payload ->> 'at' OFFSET 2 LIMIT 1";
    let third = count(third).await;
    // Two devices are signed in already when the limit begins to hold, so both go.
    let found = rehearsed(&app, &["--set", "sessions.device_limit=1", "--since", &third]);
    assert_eq!(found["sessions_ended_earlier"]["total"], 2);
    assert_eq!((&found["on_record"]["sign_ins"], &found["accounts"]), (&2.into(), &3.into()));
    let found = rehearsed(&app, &["--set", "sessions.device_limit=1", "--until", &third]);
    assert_eq!(
        (&found["sessions_ended_earlier"]["total"], &found["on_record"]["sign_ins"]),
        (&1.into(), &2.into())
    );

    // Nothing has happened in the last minute, and accounts without events in it are not read.
    let found = rehearsed(&app, &["--set", "sessions.device_limit=1", "--since", "1m"]);
    assert_eq!((&found["events"], &found["accounts"]), (&0.into(), &0.into()));
    assert_eq!(rehearsed(&app, &["--since", "2h"])["events"], 15);
}

#[tokio::test]
async fn a_rehearsal_tells_the_cost_of_codes_where_prices_are_set() {
    let app = an_hour_ago().await;
    let prices =
        [("COUNTERFOIL__DELIVERY__PRICES__DEFAULT", "0.05"), ("COUNTERFOIL__DELIVERY__PRICES__IR", "0.004")];
    let rehearse = |set| {
        let (status, json, said) = audit_with(&app, &prices, &["rehearse", "--json", "--set", set]);
        assert_eq!(status, Some(0), "{said}");
        serde_json::from_str::<Value>(&json).unwrap()["cost"].clone()
    };
    assert_eq!(rehearse("codes.resend_after=300"), json!({"saved": "0.062", "spent": "0", "unknown": 0}));
    assert_eq!(rehearse("codes.resend_after=30"), json!({"saved": "0", "spent": "0.004", "unknown": 0}));
    assert_eq!(rehearsed(&app, &["--set", "codes.resend_after=300"])["cost"], Value::Null);

    let database = app.database.connect().await;
    database.execute("DELETE FROM account_keys", &[]).await.unwrap();
    assert_eq!(rehearse("codes.resend_after=300"), json!({"saved": "0", "spent": "0", "unknown": 4}));
}

#[tokio::test]
async fn a_rehearsal_prints_a_table_on_a_terminal() {
    let app = an_hour_ago().await;
    let (status, table, progress) = audit(&app, &["rehearse", "--set", "codes.resend_after=300"]);
    assert_eq!(status, Some(0), "{progress}");
    for expected in
        ["codes.resend_after", "sign-ins refused", "code_not_sent: 2", "3 accounts concerned", "is not known"]
    {
        assert!(table.contains(expected), "{expected}: {table}");
    }
    assert!(progress.contains("rehearse: 3 of 3 accounts"), "{progress}");
}

#[tokio::test]
async fn a_rehearsal_writes_nothing_to_the_database() {
    let app = an_hour_ago().await;
    let database = app.database.connect().await;
    let everything = async || -> Vec<String> {
        let sql = "SELECT quote_ident(table_name) FROM information_schema.tables
                    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name NOT IN ('sequencer') ORDER BY 1";
        let mut all = Vec::new();
        for table in database.query(sql, &[]).await.unwrap() {
            let table: String = table.get(0);
            let digest = format!("SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t");
            let digest: Option<String> = database.query_one(&digest, &[]).await.unwrap().get(0);
            all.push(format!("{table} {digest:?}"));
        }
        all
    };
    super::number(&app).await;
    let before = everything().await;
    assert!(before.len() > 8, "{before:?}");
    // Where nothing can be written, it works as well.
    let read_only = format!("ALTER DATABASE {} SET default_transaction_read_only = on", app.database.name);
    database.execute(&read_only, &[]).await.unwrap();
    assert_eq!(rehearsed(&app, &["--set", "codes.resend_after=300"])["refused"]["codes"]["total"], 4);
    assert_eq!(everything().await, before);
}

#[tokio::test]
async fn wrong_usage_of_the_rehearsal_command_is_named() {
    let app = TestApp::start().await;
    for (arguments, named) in [
        (
            ["--set", "limits.codes_burst=1"],
            "\"limits.codes_burst\" cannot be rehearsed, whose counts are not in the log",
        ),
        (["--set", "limits.resend_after=30"], "these can: codes.lifetime, codes.tries, codes.resend_after"),
        (["--set", "codes.resend_after"], "SETTING=VALUE"),
        (["--set", "codes.resend_after=soon"], "codes.resend_after"),
        (["--set", "codes.resend_after=-1"], "codes.resend_after"),
        (["--set", "codes.resend_after=3601"], "codes.resend_after must be 0 to 3600 seconds"),
        (["--set", "sessions.device_limit=0"], "sessions.device_limit must be 1 to 100"),
        (["--set", "sessions.binding=ip"], "sessions.binding"),
        (["--since", "noon"], "--since"),
        (["--until", "30"], "--until"),
        (["--since", "2100-01-01T00:00:00Z"], "--since"),
    ] {
        let (status, printed, said) = audit(&app, &[&["rehearse"], &arguments[..]].concat());
        assert_eq!((status, printed.as_str()), (Some(2), ""), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
}

/// All kinds of things that people and staff do, with the settings as they are.
async fn busy(app: &TestApp) {
    let api: &ApiClient = &app.api;
    for n in 2..8 {
        let phone = format!("+98912123000{n}");
        let code = api.login(&phone).await.code();
        for wrong in 0..n {
            api.verify(&phone, &format!("{:06}", (code.parse::<u32>().unwrap() + wrong + 1) % 1_000_000))
                .await;
        }
        api.verify(&phone, &code).await;
        app.advance_time(20);
        api.login(&phone).await;
        app.advance_time(45);
        let first = api.login(&phone).await.code();
        app.advance_time(61);
        api.resend(&phone).await.ok();
        let first = api.verify(&phone, &first).await.signed_in();
        app.advance_time(60);
        // On another device by a token of the first one; some sign in there again, which replaces the session.
        let presenting = async |token: &str| {
            let login = api.request(Method::POST, "/accounts/login/").bearer_auth(token);
            let code = ApiClient::send(login.json(&json!({"phone_number": phone}))).await.code();
            let verify = api.request(Method::POST, "/accounts/verify/").header("user-agent", "Another/1.0");
            let verify = verify.bearer_auth(token).json(&json!({"phone_number": phone, "code": code}));
            ApiClient::send(verify).await.signed_in()
        };
        let mut second = presenting(&first.access).await;
        if n % 3 == 0 {
            app.advance_time(61);
            second = presenting(&second.refresh).await;
        }
        let refreshed = api.refresh(&first.refresh).await.ok();
        api.refresh(&first.refresh).await.ok();
        app.advance_time(60);
        let email = json!({"email": format!("someone{n}@example.com")});
        let code = api.add_identifier(&second.access, &email).await.code();
        api.verify_identifier(&second.access, &email, &code).await.ok();
        api.rename(&second.access, "Ada").await.ok();
        if n % 2 == 0 {
            api.refresh(&first.refresh).await.is_problem(400, "invalid_token");
        } else {
            api.logout(refreshed["refresh_token"].as_str().unwrap()).await;
        }
        let (staff, until) =
            (StaffAction::operator(operator(), None), Some(app.clock.now() + TimeDelta::hours(1)));
        match n {
            5 => app.state.accounts.sign_out(second.account(), staff).await.unwrap(),
            6 => app
                .state
                .accounts
                .change_roles(second.account(), [Role::Auditor].into(), staff)
                .await
                .unwrap(),
            7 => app.state.accounts.suspend(second.account(), until, staff).await.unwrap(),
            _ => {}
        }
        app.advance_time(3_600);
    }
}

#[tokio::test]
async fn a_rehearsal_under_the_present_settings_agrees_with_the_log() {
    let app = TestApp::start().await;
    app.advance_time(-86_400);
    busy(&app).await;
    let found = rehearsed(&app, &[]);
    let nothing = json!({"total": 0, "why": {}});
    let each = json!({"sign_ins": nothing, "codes": nothing, "refreshes": nothing, "others": nothing});
    assert_eq!((&found["refused"], &found["let_through"]), (&each, &each), "{found:#}");
    for sessions in ["sessions_ended_earlier", "sessions_ended_later", "codes_looked_at"] {
        assert_eq!(found[sessions], nothing, "{sessions}");
    }
    assert_eq!(found["accounts_concerned"], 0);
    assert!(found["events"].as_u64().unwrap() > 100, "{found:#}");
    // Elsewhere a binding would have ended what moved, and fewer codes would have been sent: something is rehearsed at all.
    let other = rehearsed(&app, &["--set", "codes.per_day=1", "--set", "codes.tries=1"]);
    assert!(other["refused"]["codes"]["total"].as_u64().unwrap() > 10, "{other:#}");
}

/// Lets no session go on.
#[derive(Debug)]
struct NoRefreshes;

#[async_trait]
impl AccessRule for NoRefreshes {
    fn name(&self) -> &'static str {
        "no_refreshes"
    }

    async fn refresh(&self, _: &RefreshRuleRequest) -> Result<RuleDecision, RuleFault> {
        Ok(RuleDecision::Refuse)
    }
}

#[tokio::test]
async fn what_an_access_rule_refused_is_counted_apart_and_stays_refused() {
    let app = TestApp::start().await;
    app.advance_time(-3_600);
    let rules = RuleSet::new([Arc::new(NoRefreshes) as Arc<dyn AccessRule>]).unwrap();
    let api = app.embed(&app.database.url, &[], |state| state.accounts.use_rules(rules));
    let device = api.sign_in(ADA).await;
    api.refresh(&device.refresh).await.is_problem(403, "refused_by_rule");

    let found = rehearsed(&app, &["--set", "sessions.refreshes_per_minute=1000"]);
    let one_refresh = json!({"sign_ins": 0, "codes": 0, "refreshes": 1, "others": 0});
    assert_eq!(found["refused_by_rules"], one_refresh);
    assert_eq!((&found["on_record"]["refreshes"], &found["accounts_concerned"]), (&json!(0), &json!(0)));
    let (_, table, _) = audit(&app, &["rehearse", "--set", "codes.tries=3"]);
    assert!(table.contains("Access rules refused 0 sign-ins, 0 codes and 1 refreshes"), "{table}");
}
