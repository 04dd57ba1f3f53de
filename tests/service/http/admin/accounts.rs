//! Tests of `/admin/accounts/…`.

use counterfoil::runtime::clock::Clock as _;
use counterfoil_domain::user_account::{AccountFact, ActingStaff, SessionFact};
use counterfoil_domain::values::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADMIN, PHONE, all, each, events_of, follow_ledger};
use crate::http::wrong;
use crate::support::{ApiAnswer, ApiClient, ProviderReply, ProviderServer, SignedInDevice, TestApp};

const UNKNOWN: &str = "0199d1de-0000-7000-8000-000000000000";

fn path(device: &SignedInDevice, what: &str) -> String {
    format!("/admin/accounts/{}/{what}", device.account())
}

async fn ask(app: &TestApp, admin: &SignedInDevice, path: &str, body: Value) -> ApiAnswer {
    app.api.send_json(Method::POST, path, &admin.access, body).await
}

async fn done(app: &TestApp, admin: &SignedInDevice, path: &str, body: Value) {
    let answer = ask(app, admin, path, body).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""), "{answer:?}");
}

#[tokio::test]
async fn every_operation_that_needs_a_reason_takes_it_from_the_body_the_query_or_a_header() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    for (act, body) in [
        ("suspend/", json!({})),
        ("reinstate/", json!({})),
        ("sign-out/", json!({})),
        ("unlock/", json!({})),
        ("roles/", json!({"roles": ["auditor"]})),
    ] {
        let request = app.api.request(Method::POST, &path(&device, &format!("{act}?reason=unused")));
        let request = request.bearer_auth(&admin.access).header("X-Audit-Reason", "unused");
        let mut with_reason = body.clone();
        with_reason["reason"] = json!("");
        ApiClient::send(request.json(&with_reason)).await.refuses_fields(&["reason"]);
        let request = app.api.request(Method::POST, &path(&device, act)).bearer_auth(&admin.access);
        let answer =
            ApiClient::send(request.header("X-Audit-Reason", format!("for {act}")).json(&body)).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        let history = app.journal().history(device.account()).await.unwrap();
        let reasons = history.iter().filter_map(|(_, event)| event.person.as_ref()?.reason.clone());
        let reasons: Vec<String> = reasons.map(|reason| reason.as_str().to_owned()).collect();
        let is_put_on_record = act != "sign-out/";
        assert_eq!(reasons.contains(&format!("for {act}")), is_put_on_record, "{reasons:?}");
    }
}

#[tokio::test]
async fn suspend_204_ends_every_session_and_no_code_signs_the_user_in_until_reinstatement() {
    let app = TestApp::start().await;
    let (admin, first) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    app.advance_time(60);
    let second = app.api.sign_in(PHONE).await;
    done(&app, &admin, &path(&second, "suspend/"), json!({"reason": "Reported by another user"})).await;
    for device in [&first, &second] {
        app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
        app.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
    }
    app.advance_time(60);
    let code = app.api.login(PHONE).await.code();
    app.api.verify(PHONE, &code).await.is_problem(400, "invalid_code");

    done(&app, &admin, &path(&second, "reinstate/"), json!({})).await;
    app.advance_time(60);
    assert_eq!(app.api.sign_in(PHONE).await.user["id"], second.user["id"]);
    assert_eq!(
        events_of(&app, &second).await[5..],
        [
            "LoggedOut",
            "LoggedOut",
            "AccountSuspended",
            "OtpRequested",
            "OtpRejected",
            "AccountReinstated",
            "OtpRequested",
            "LoggedIn"
        ]
    );
}

#[tokio::test]
async fn verify_400_for_a_code_from_before_a_suspension_once_the_account_is_reinstated() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    app.advance_time(60);
    let code = app.api.login(PHONE).await.code();
    done(&app, &admin, &path(&device, "suspend/"), json!({"reason": "stolen phone"})).await;
    done(&app, &admin, &path(&device, "reinstate/"), json!({})).await;
    app.api.verify(PHONE, &code).await.is_problem(400, "invalid_code");
    app.advance_time(60);
    app.api.sign_in(PHONE).await;
}

#[tokio::test]
async fn suspend_204_until_a_time_ends_by_itself() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    let until = app.clock.now() + chrono::TimeDelta::seconds(200);
    done(&app, &admin, &path(&device, "suspend/"), json!({"reason": "a while", "until": until})).await;
    let shown = app.api.get(&path(&device, ""), &admin.access).await.ok();
    assert_eq!((&shown["is_active"], &shown["suspended_until"]), (&json!(false), &json!(until)));
    app.advance_time(199);
    let code = app.api.login(PHONE).await.code();
    app.api.verify(PHONE, &code).await.is_problem(400, "invalid_code");
    app.advance_time(1);
    let listed = all(&app, &admin, "/admin/accounts/?state=suspended").await;
    assert_eq!(listed, Vec::<Value>::new());
    let again = app.api.verify(PHONE, &code).await.signed_in();
    assert_eq!((&again.user["id"], &again.user["is_active"]), (&device.user["id"], &json!(true)));
    let shown = app.api.get(&path(&device, ""), &admin.access).await.ok();
    assert_eq!((&shown["is_active"], &shown["suspended_until"]), (&json!(true), &Value::Null));
}

/// A caller who does not know the code cannot tell that the account is suspended.
#[tokio::test]
async fn a_suspended_account_is_answered_like_any_other() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let phones = ["+989121234561", "+989121234562"];
    let suspended = app.api.sign_in(phones[0]).await;
    app.api.sign_in(phones[1]).await;
    done(&app, &admin, &path(&suspended, "suspend/"), json!({"reason": "fraud"})).await;
    app.advance_time(60);
    let without = |answer: &ApiAnswer, code: &str| answer.appearance().replace(code, "");
    for _ in 0..2 {
        let [one, other] = [app.api.login(phones[0]).await, app.api.login(phones[1]).await];
        assert_eq!(without(&one, &one.code()), without(&other, &other.code()));
        for _ in 0..6 {
            // Of the suspended one the right code, of the other a wrong one.
            let one = app.api.verify(phones[0], &one.code()).await;
            let other = app.api.verify(phones[1], &wrong(&other.code())).await;
            assert_eq!(one.appearance(), other.appearance());
        }
        app.advance_time(60);
    }
    let [one, other] = [app.api.login(phones[0]).await, app.api.login(phones[1]).await];
    one.is_problem(406, "code_quota_spent");
    assert_eq!(one.appearance(), other.appearance());
}

#[tokio::test]
async fn sign_out_204_ends_every_session_and_the_user_can_sign_in_again() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    done(&app, &admin, &path(&device, "sign-out/"), json!({"reason": "asked for it"})).await;
    done(&app, &admin, &path(&device, "sign-out/"), json!({})).await;
    app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
    app.advance_time(60);
    app.api.sign_in(PHONE).await;
}

#[tokio::test]
async fn an_intervention_records_the_administrator_reason_and_address_and_the_user_sees_only_the_action() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    done(&app, &admin, &path(&device, "sign-out/"), json!({"reason": "lost telephone"})).await;
    let history = app.journal().history(device.account()).await.unwrap();
    let (_, event) = history.last().unwrap();
    assert_eq!(event.by(), Some(ActingStaff::Account(admin.account())));
    assert!(matches!(event.fact, AccountFact::Session(SessionFact::LoggedOut { .. })), "{event:?}");
    let reason = event.person.as_ref().and_then(|person| person.reason.as_ref());
    assert_eq!(reason.map(|reason| reason.as_str()), Some("lost telephone"));
    assert!(event.client.is_some());
    let clear: bool =
        app.database.value("SELECT bool_or(payload::text LIKE '%telephone%') FROM events").await;
    assert!(!clear, "the reason is sealed");

    follow_ledger(&app).await;
    let row = app.database.connect().await;
    let row = row
        .query_one("SELECT reason, ip_address::text FROM login_history WHERE event = 'LoggedOut'", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "ended_by_admin");
    assert_eq!(row.get::<_, Option<&str>>(1), None, "where staff is, is theirs");
}

#[tokio::test]
async fn roles_204_gives_and_removes_roles() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    for roles in [json!(["auditor", "admin"]), json!(["admin", "admin"]), json!([])] {
        done(&app, &admin, &path(&device, "roles/"), json!({"roles": roles, "reason": "promoted"})).await;
        let shown = app.api.get(&path(&device, ""), &admin.access).await.ok()["roles"].clone();
        let expected = match roles.as_array().map(Vec::len) {
            Some(0) => json!([]),
            _ if roles[0] == "admin" => json!(["admin"]),
            _ => json!(["admin", "auditor"]),
        };
        assert_eq!(shown, expected);
    }
}

#[tokio::test]
async fn no_administrator_suspends_themselves_or_changes_their_own_roles() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let answer = ask(&app, &admin, &path(&admin, "suspend/"), json!({"reason": "tired"})).await;
    answer.is_problem(409, "own_account");
    for roles in [json!([]), json!(["admin", "auditor"])] {
        let answer = ask(&app, &admin, &path(&admin, "roles/"), json!({"roles": roles})).await;
        answer.is_problem(409, "own_account");
    }
    app.api.get("/admin/accounts/", &admin.access).await.ok();
}

#[tokio::test]
async fn interventions_400_name_the_field_that_is_wrong() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    let past = app.clock.now();
    for (what, body, fields) in [
        ("suspend/", json!({}), vec!["reason"]),
        ("suspend/", json!({"reason": "  "}), vec!["reason"]),
        ("suspend/", json!({"reason": 7}), vec!["reason"]),
        ("suspend/", json!({"reason": "x".repeat(301)}), vec!["reason"]),
        ("suspend/", json!({"reason": "a\u{0}b"}), vec!["reason"]),
        ("suspend/", json!({"reason": "x", "until": "tomorrow"}), vec!["until"]),
        ("suspend/", json!({"reason": "x", "until": 1_800_000_000}), vec!["until"]),
        ("suspend/", json!({"reason": "x", "until": past}), vec!["until"]),
        ("suspend/", json!({"reason": "x", "for": 1}), vec!["for"]),
        ("reinstate/", json!({"reason": "", "until": "x"}), vec!["reason", "until"]),
        ("sign-out/", json!({"reason": false}), vec!["reason"]),
        ("roles/", json!({}), vec!["roles"]),
        ("roles/", json!({"roles": "admin"}), vec!["roles"]),
        ("roles/", json!({"roles": [1]}), vec!["roles"]),
        ("roles/", json!({"roles": ["root"]}), vec!["roles"]),
        ("roles/", json!({"roles": {}, "role": "admin"}), vec!["role", "roles"]),
    ] {
        ask(&app, &admin, &path(&device, what), body).await.refuses_fields(&fields);
    }
    app.api.profile(&device.access).await.ok();
}

#[tokio::test]
async fn accounts_404_for_an_account_that_no_user_has_joined() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    app.api.login(PHONE).await.ok();
    let pending: String =
        app.database.value("SELECT account_id::text FROM profiles WHERE date_joined IS NULL").await;
    for id in [UNKNOWN, &pending, "no-id", "%00"] {
        app.api.get(&format!("/admin/accounts/{id}/"), &admin.access).await.is_problem(404, "not_found");
        for (what, body) in [
            ("suspend", json!({"reason": "x"})),
            ("reinstate", json!({})),
            ("sign-out", json!({})),
            ("unlock", json!({})),
            ("roles", json!({"roles": ["admin"]})),
        ] {
            let answer = ask(&app, &admin, &format!("/admin/accounts/{id}/{what}/"), body).await;
            answer.is_problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn accounts_200_shows_an_account_with_its_devices_and_messages() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    app.api.rename(&device.access, "Ada").await.ok();
    let mut shown = app.api.get(&path(&device, ""), &admin.access).await.ok();
    let mut messages = shown.as_object_mut().unwrap().remove("messages").unwrap();
    let message = messages[0].as_object_mut().unwrap();
    for time in ["asked_at", "settled_at", "took"] {
        assert!(!message.remove(time).unwrap().is_null(), "{time}");
    }
    let sent = json!([{"kind": "sign_in", "channel": "phone", "state": "sent", "gateway": "echo", "reference": null,
        "reason": null, "attempts": 0}]);
    assert_eq!(messages, sent);
    let mut profile = app.api.profile(&device.access).await.ok();
    profile["roles"] = json!([]);
    profile["second_factor"] = json!(false);
    profile["suspended_until"] = Value::Null;
    profile["identifier_proposal"] = Value::Null;
    profile["erasure_due_at"] = Value::Null;
    profile["legal_hold"] = Value::Null;
    let mut devices = app.api.get("/accounts/devices/", &device.access).await.ok();
    devices[0].as_object_mut().unwrap().remove("current");
    profile["devices"] = devices;
    assert_eq!(shown, profile);
}

#[tokio::test]
async fn accounts_200_tells_why_a_message_did_not_arrive_without_its_content() {
    let here = TestApp::start().await;
    let provider = ProviderServer::start(|_| ProviderReply::text(422, "no such number"));
    let webhook = [
        ("delivery.phone", "sms"),
        ("gateways.sms.kind", "webhook"),
        ("gateways.sms.url", provider.url.as_str()),
        ("gateways.sms.secret", "whsec_aHVzaC1odXNoLWh1c2gtaHVzaC1odXNoLWh1c2g="),
    ];
    let (there, _proxy) = here.second_node(&webhook).await;
    let (admin, device) = (here.sign_in_admin(ADMIN).await, here.api.sign_in(PHONE).await);
    here.advance_time(60);
    there.api.login(PHONE).await.ok();
    for _ in 0..200 {
        let shown = here.api.get(&path(&device, ""), &admin.access).await;
        let messages = shown.ok()["messages"].as_array().unwrap().clone();
        assert_eq!(messages.len(), 2);
        if messages[0]["state"] == "waiting" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        }
        assert_eq!(each(&messages, "state"), ["failed", "sent"]);
        assert_eq!(
            (&messages[0]["gateway"], &messages[0]["reason"], &messages[0]["attempts"]),
            (&json!("sms"), &json!("status 422"), &json!(1))
        );
        let code = serde_json::from_str::<Value>(&provider.requests()[0].body).unwrap()["code"].clone();
        assert!(!shown.text.contains(code.as_str().unwrap()), "{shown:?}");
        return;
    }
    panic!("the message still waits after 10 seconds");
}

#[tokio::test]
async fn accounts_200_finds_a_name_in_every_spelling_and_order_of_its_words() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let names = [
        "علي كريمي",
        "علی کریمی",
        "علی\u{200c}رضا مُحَمَّدي",
        "José de la Cruz",
        "Ａｄａ Lovelace",
        "آدا ۱۲",
        "100%_\\",
    ];
    let mut people = Vec::new();
    for (n, name) in names.iter().enumerate() {
        app.advance_time(1);
        let device = app.api.sign_in(&format!("+98912123456{n}")).await;
        app.api.rename(&device.access, name).await.ok();
        people.push(device.user["id"].clone());
    }
    for (wanted, expected) in [
        ("کریمی", &[1, 0][..]),
        ("كريمي", &[1, 0]),
        ("کریمی علی", &[1, 0]),
        ("كريمى  على", &[1, 0]),
        ("علی", &[2, 1, 0]),
        ("علیرضا محمدی", &[2]),
        ("رضا", &[2]),
        ("jose CRUZ", &[3]),
        ("cruz josé", &[3]),
        ("ada", &[4]),
        ("LOVELACE ada", &[4]),
        ("ada hopper", &[]),
        ("ادا", &[5]),
        ("12 آدا", &[5]),
        ("%", &[6]),
        ("_\\", &[6]),
        ("%a", &[]),
    ] {
        let query: String = form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
        let found = each(&all(&app, &admin, &format!("/admin/accounts/?fullname={query}")).await, "id");
        let expected: Vec<Value> = expected.iter().map(|n| people[*n].clone()).collect();
        assert_eq!(found, expected, "{wanted}");
    }
}

#[tokio::test]
async fn accounts_200_finds_accounts_by_identifier_name_and_state() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let mut people = Vec::new();
    for (n, name) in ["Ada Lovelace", "Ada 100%", "Grace Hopper", "آدا"].iter().enumerate() {
        app.advance_time(1);
        let device = app.api.sign_in(&format!("+98912123456{n}")).await;
        app.api.rename(&device.access, name).await.ok();
        people.push(device);
    }
    done(&app, &admin, &path(&people[2], "suspend/"), json!({"reason": "fraud"})).await;
    app.api.login(PHONE).await.ok();
    let found =
        async |query: &str| each(&all(&app, &admin, &format!("/admin/accounts/?{query}")).await, "id");
    let ids = |these: &[usize]| these.iter().map(|n| people[*n].user["id"].clone()).collect::<Vec<_>>();
    for (query, expected) in [
        ("phone_number=%2B989121234560", ids(&[0])),
        ("phone_number=0912+123+4561", ids(&[1])),
        ("phone_number=09121234567", ids(&[])),
        ("email=absent%40example.com", ids(&[])),
        ("fullname=ADA", ids(&[1, 0])),
        ("fullname=%25", ids(&[1])),
        ("fullname=_", ids(&[])),
        ("fullname=%D8%A2%D8%AF%D8%A7", ids(&[3])),
        ("state=suspended", ids(&[2])),
        ("state=suspended&fullname=ada", ids(&[])),
        ("state=active&fullname=grace", ids(&[])),
        ("state=active&phone_number=%2B989121234560", ids(&[0])),
        ("state=suspended&phone_number=%2B989121234560", ids(&[])),
    ] {
        assert_eq!(found(query).await, expected, "{query}");
    }
    let all_accounts = [ids(&[3, 2, 1, 0]), vec![admin.user["id"].clone()]].concat();
    assert_eq!(found("").await, all_accounts);
    let suspended =
        app.api.get("/admin/accounts/?state=suspended", &admin.access).await.ok()["items"][0].clone();
    assert_eq!(
        (&suspended["fullname"], &suspended["is_active"], &suspended["suspended_until"]),
        (&json!("Grace Hopper"), &json!(false), &Value::Null)
    );
}

#[tokio::test]
async fn accounts_200_pages_stay_right_while_people_join() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    for n in 0..7 {
        // Two of them at the same moment.
        app.advance_time(n % 2);
        app.api.sign_in(&format!("+98912123456{n}")).await;
    }
    let all_accounts = all(&app, &admin, "/admin/accounts/?limit=200").await;
    assert_eq!(all_accounts.len(), 8);
    let mut paged = Vec::new();
    let mut path = "/admin/accounts/?limit=3".to_owned();
    for (n, size) in [3, 3, 2].into_iter().enumerate() {
        let page = app.api.get(&path, &admin.access).await.ok();
        assert_eq!(page["items"].as_array().unwrap().len(), size);
        paged.extend(page["items"].as_array().unwrap().clone());
        assert_eq!(page["next"].is_null(), n == 2);
        path = format!("/admin/accounts/?limit=3&cursor={}", page["next"].as_str().unwrap_or_default());
        app.api.sign_in(&format!("+98914123456{n}")).await;
    }
    assert_eq!(each(&paged, "id"), each(&all_accounts, "id"));
}

#[tokio::test]
async fn accounts_400_names_the_filter_that_is_wrong() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    app.sign_in_staff("+989130000002", Role::Auditor).await;
    let next = app.api.get("/admin/accounts/?limit=1", &admin.access).await.ok()["next"].clone();
    let next = next.as_str().unwrap();
    let of_sessions =
        app.api.get("/admin/device-sessions/?limit=1", &admin.access).await.ok()["next"].clone();
    for (query, fields) in [
        ("limit=0".to_owned(), vec!["limit"]),
        ("limit=-1".to_owned(), vec!["limit"]),
        ("limit=201".to_owned(), vec!["limit"]),
        ("limit=1000000000".to_owned(), vec!["limit"]),
        ("limit=ten".to_owned(), vec!["limit"]),
        ("state=asleep".to_owned(), vec!["state"]),
        ("fullname=".to_owned(), vec!["fullname"]),
        ("fullname=a%00b".to_owned(), vec!["fullname"]),
        ("phone_number=1".to_owned(), vec!["phone_number"]),
        ("phone_number=09121234567&email=a%40b.example".to_owned(), vec!["email", "phone_number"]),
        ("name=Ada".to_owned(), vec!["name"]),
        ("state=active&state=active".to_owned(), vec!["state"]),
        ("cursor=".to_owned(), vec!["cursor"]),
        ("cursor=AAAA".to_owned(), vec!["cursor"]),
        (format!("cursor={next}A"), vec!["cursor"]),
        (format!("cursor={}", &next[1..]), vec!["cursor"]),
        (format!("cursor={}", of_sessions.as_str().unwrap()), vec!["cursor"]),
        ("limit=x&cursor=%FF&state=y".to_owned(), vec!["limit", "state"]),
    ] {
        let answer = app.api.get(&format!("/admin/accounts/?{query}"), &admin.access).await;
        answer.refuses_fields(&fields);
    }
}

#[tokio::test]
async fn unlock_204_lets_a_locked_user_sign_in_and_no_administrator_unlocks_their_own_account() {
    let app = TestApp::with_settings(&[("codes.wrong_in_a_row", "3"), ("codes.tries", "5")]).await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(PHONE).await);
    app.advance_time(60);
    let code = app.api.login(PHONE).await.code();
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for _ in 0..2 {
        app.api.verify(PHONE, wrong).await.is_problem(400, "invalid_code");
    }
    app.api.verify(PHONE, &code).await.is_problem(429, "too_many_tries");
    done(&app, &admin, &path(&device, "unlock/"), json!({"reason": "seen in person"})).await;
    app.api.login(PHONE).await.ok();
    let by = "SELECT payload->'fact'->'LimitsLifted'->'by'->>'account' FROM events WHERE event_type = 'LimitsLifted'";
    assert_eq!(app.database.value::<String>(by).await, admin.account().to_string());
    ask(&app, &admin, &path(&admin, "unlock/"), json!({})).await.is_problem(409, "own_account");
}
