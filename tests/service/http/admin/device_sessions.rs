//! Tests of `/admin/device-sessions/…`.

use chrono::{SecondsFormat, TimeDelta};
use counterfoil::runtime::clock::Clock as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ADMIN, all, each, events_of};
use crate::support::{ApiAnswer, ApiClient, SignedInDevice, TestApp};

const LIST: &str = "/admin/device-sessions/?";
const UNKNOWN: &str = "0199d1de-0000-7000-8000-000000000000";

fn phone(n: usize) -> String {
    format!("+98912123456{n}")
}

/// A user signs in on a device of that name, which sends that `User-Agent`.
async fn sign_in(app: &TestApp, phone: &str, name: Option<&str>, user_agent: &str) -> SignedInDevice {
    let code = app.api.login(phone).await.code();
    let mut body = json!({"phone_number": phone, "code": code});
    if let Some(name) = name {
        body["device_name"] = json!(name);
    }
    let request = app.api.request(Method::POST, "/accounts/verify/").header("user-agent", user_agent);
    ApiClient::send(request.json(&body)).await.signed_in()
}

async fn end(app: &TestApp, admin: &SignedInDevice, id: &str, body: Value) -> ApiAnswer {
    app.api.send_json(Method::DELETE, &format!("/admin/device-sessions/{id}/"), &admin.access, body).await
}

#[tokio::test]
async fn device_sessions_200_has_every_documented_fact_of_each_session() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    app.advance_time(1);
    let device = sign_in(&app, &phone(1), Some("Ada’s tablet"), "curl/8").await;
    app.advance_time(10);
    let list = app.api.get(LIST, &admin.access).await;
    assert_eq!(list.names(""), ["items", "next"]);
    let item = &list.ok()["items"][0];
    let (now, signed_in) = (app.clock.now(), app.clock.now() - TimeDelta::seconds(10));
    assert_eq!(
        item,
        &json!({
            "id": item["id"],
            "account_id": device.user["id"],
            "channel": "phone",
            "device_name": "Ada’s tablet",
            "user_agent": "curl/8",
            "ip_address": "127.0.0.1",
            "signed_in_at": signed_in,
            "last_seen_at": signed_in,
            "expires_at": signed_in + TimeDelta::days(30),
            "ended_at": null,
            "end_reason": null,
            "ended_by": null,
            "active": true,
        })
    );
    app.api.logout(&device.refresh).await;
    let item = &app.api.get(LIST, &admin.access).await.ok()["items"][0];
    assert_eq!(
        (&item["active"], &item["ended_at"], &item["end_reason"], &item["ended_by"]),
        (&json!(false), &json!(now), &json!("signed_out"), &Value::Null)
    );
}

/// The `n`th person signs in at `n` minutes on the `n`th device; the second and the fourth sign out at 400 seconds.
#[tokio::test]
async fn device_sessions_200_finds_sessions_by_each_filter_and_by_several() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    let start = app.clock.now();
    let at =
        |seconds: i64| (start + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut devices = Vec::new();
    for (n, name) in
        [None, Some("Ada’s tablet"), Some("100% mine"), Some("Tablet_2"), None].iter().enumerate()
    {
        app.advance_time(60);
        devices.push(sign_in(&app, &phone(n), *name, "Mozilla/5.0 (X11; Linux) Firefox/140.0").await);
    }
    let db = app.database.connect().await;
    for (n, address) in
        ["192.0.2.1", "192.0.2.200", "198.51.100.7", "2001:db8::7", "2001:db8:1::7"].iter().enumerate()
    {
        let (address, account) = (address.parse::<std::net::IpAddr>().unwrap(), devices[n].account().0);
        let sql = "UPDATE user_logins SET ip_address = $1 WHERE account_id = $2";
        db.execute(sql, &[&address, &account]).await.unwrap();
    }
    app.advance_time(100);
    for n in [1, 3] {
        app.api.logout(&devices[n].refresh).await;
    }
    app.advance_time(60);
    let account = devices[1].user["id"].as_str().unwrap();
    for (query, expected) in [
        (format!("account_id={account}"), vec![1]),
        (format!("account_id={UNKNOWN}"), vec![]),
        ("phone_number=%2B989121234563".to_owned(), vec![3]),
        ("phone_number=09121234563".to_owned(), vec![3]),
        (format!("phone_number=09121234561&account_id={account}"), vec![1]),
        (format!("phone_number=09121234563&account_id={account}"), vec![]),
        ("email=absent%40example.com".to_owned(), vec![]),
        ("ip_address=192.0.2.1".to_owned(), vec![0]),
        ("ip_address=::ffff:192.0.2.1".to_owned(), vec![0]),
        ("ip_address=192.0.2.0/24".to_owned(), vec![1, 0]),
        ("ip_address=192.0.2.77/24".to_owned(), vec![1, 0]),
        ("ip_address=192.0.2.128/25".to_owned(), vec![1]),
        ("ip_address=192.0.0.0/4".to_owned(), vec![2, 1, 0]),
        ("ip_address=2001:db8::/48".to_owned(), vec![3]),
        ("ip_address=2001:db8::/32".to_owned(), vec![4, 3]),
        ("ip_address=::/0".to_owned(), vec![4, 3]),
        (format!("ip_address=192.0.2.0/24&account_id={account}"), vec![1]),
        (format!("ip_address=198.51.100.0/24&account_id={account}"), vec![]),
        (format!("ip_address=192.0.0.0/4&since={}&until={}", at(120), at(180)), vec![1]),
        ("device_name=TABLET".to_owned(), vec![3, 1]),
        ("device_name=tablet_".to_owned(), vec![3]),
        ("device_name=%25".to_owned(), vec![2]),
        ("device_name=firefox".to_owned(), vec![4, 0]),
        (format!("since={}", at(180)), vec![4, 3, 2]),
        (format!("since={}&until={}", at(180), at(240)), vec![2]),
        (format!("until={}&since={}", at(61), at(1)), vec![0]),
        (format!("active=false&since={}", at(1)), vec![3, 1]),
        (format!("active=true&since={}", at(1)), vec![4, 2, 0]),
        (format!("at={}&since={}", at(60), at(1)), vec![0]),
        (format!("at={}&since={}", at(239), at(1)), vec![2, 1, 0]),
        (format!("at={}&since={}", at(399), at(1)), vec![4, 3, 2, 1, 0]),
        (format!("at={}&since={}", at(400), at(1)), vec![4, 2, 0]),
        (format!("at={}&active=false", at(399)), vec![3, 1]),
        (format!("at={}&active=false&device_name=ada", at(399)), vec![1]),
        (format!("at={}", at(-1)), vec![]),
    ] {
        for limit in [1, 200] {
            let found = all(&app, &admin, &format!("{LIST}limit={limit}&{query}")).await;
            let ids: Vec<Value> = expected.iter().map(|n| devices[*n].user["id"].clone()).collect();
            assert_eq!(each(&found, "account_id"), ids, "{query}");
        }
    }
}

#[tokio::test]
async fn a_session_that_is_refreshed_was_active_all_the_while_and_one_that_expires_is_active_until_then() {
    let app = TestApp::with_settings(&[("sessions.idle", "60"), ("sessions.absolute", "100")]).await;
    app.sign_in_admin(ADMIN).await;
    let device = app.api.sign_in(&phone(1)).await;
    let began = app.clock.now();
    app.advance_time(50);
    app.api.refresh(&device.refresh).await.ok();
    app.advance_time(200);
    let admin = app.api.sign_in(ADMIN).await;
    app.pass_second_factor(&admin).await;
    let at = async |seconds: i64| {
        let time = (began + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true);
        let account = device.account();
        all(&app, &admin, &format!("{LIST}account_id={account}&at={time}")).await.len()
    };
    for (seconds, active) in [(-1, 0), (0, 1), (59, 1), (99, 1), (100, 0), (250, 0)] {
        assert_eq!(at(seconds).await, active, "{seconds}");
    }
}

#[tokio::test]
async fn pages_are_whole_and_stay_right_while_sessions_begin_and_end() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    for n in 0..8 {
        // Two of them at the same moment.
        app.advance_time(i64::from(n % 2 == 0));
        app.api.sign_in(&phone(n)).await;
    }
    let mut newcomers = 0;
    for filter in ["", "&active=true", "&ip_address=127.0.0.0/8", "&ip_address=127.0.0.1&active=true"] {
        let everything = all(&app, &admin, &format!("{LIST}limit=200{filter}")).await;
        let mut paged = Vec::new();
        let mut path = format!("{LIST}limit=2{filter}");
        loop {
            let page = app.api.get(&path, &admin.access).await.ok();
            paged.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            path = format!("{LIST}limit=2{filter}&cursor={next}");
            newcomers += 1;
            app.advance_time(1);
            let newcomer = app.api.sign_in(&format!("+9891412345{newcomers:02}")).await;
            app.api.logout(&newcomer.refresh).await;
        }
        assert_eq!(each(&paged, "id"), each(&everything, "id"), "{filter}");
    }
}

/// What no index tells is looked for among so many a page; the pages together tell all of it.
#[tokio::test]
async fn a_rare_session_is_found_on_a_later_page() {
    let app = TestApp::start().await;
    let (device, admin) =
        (sign_in(&app, &phone(1), Some("the needle"), "curl").await, app.sign_in_admin(ADMIN).await);
    let hay = "INSERT INTO user_logins (account_id, session_id, channel, device_name, generation, signed_in_at, last_seen_at, expires_at)
               SELECT gen_random_uuid(), gen_random_uuid(), 'phone', 'hay', 1, $1::timestamptz + n * interval '1 s', $1, $1
                 FROM generate_series(1, 5500) AS n";
    app.database.connect().await.execute(hay, &[&app.clock.now()]).await.unwrap();
    let first = app.api.get(&format!("{LIST}device_name=needle"), &admin.access).await.ok();
    assert_eq!(first["items"], json!([]));
    assert!(first["next"].is_string());
    let found = all(&app, &admin, &format!("{LIST}device_name=needle")).await;
    assert_eq!(each(&found, "account_id"), [device.user["id"].clone()]);
}

#[tokio::test]
async fn device_sessions_400_names_the_filter_that_is_wrong() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    app.api.sign_in(&phone(1)).await;
    let next = app.api.get(&format!("{LIST}limit=1"), &admin.access).await.ok()["next"].clone();
    let next = next.as_str().unwrap();
    for (query, fields) in [
        ("limit=0".to_owned(), vec!["limit"]),
        ("limit=201".to_owned(), vec!["limit"]),
        ("account_id=7".to_owned(), vec!["account_id"]),
        ("phone_number=x".to_owned(), vec!["phone_number"]),
        ("email=x".to_owned(), vec!["email"]),
        ("ip_address=192.0.2.0/33".to_owned(), vec!["ip_address"]),
        ("ip_address=localhost".to_owned(), vec!["ip_address"]),
        ("ip_address=".to_owned(), vec!["ip_address"]),
        ("device_name=%20".to_owned(), vec!["device_name"]),
        ("device_name=a%00".to_owned(), vec!["device_name"]),
        (format!("device_name={}", "x".repeat(101)), vec!["device_name"]),
        ("active=yes".to_owned(), vec!["active"]),
        ("at=now".to_owned(), vec!["at"]),
        ("since=2026-13-01T00:00:00Z".to_owned(), vec!["since"]),
        ("since=2026-01-01&until=1".to_owned(), vec!["since", "until"]),
        ("until=%2B99999-01-01T00:00:00Z".to_owned(), vec!["until"]),
        ("order=device".to_owned(), vec!["order"]),
        ("active=true&active=false".to_owned(), vec!["active"]),
        ("cursor=x".to_owned(), vec!["cursor"]),
        (format!("cursor={next}&ip_address=127.0.0.1"), vec!["cursor"]),
    ] {
        app.api.get(&format!("{LIST}{query}"), &admin.access).await.refuses_fields(&fields);
    }
    for time in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-01-01T00:00:00-23:59"] {
        for filter in ["at", "since", "until"] {
            app.api.get(&format!("{LIST}{filter}={time}"), &admin.access).await.ok();
        }
    }
}

#[tokio::test]
async fn device_sessions_204_ends_that_session_and_no_other_and_again_204() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(&phone(1)).await);
    app.advance_time(60);
    let other = app.api.sign_in(&phone(1)).await;
    let sessions = all(&app, &admin, &format!("{LIST}account_id={}", device.account())).await;
    let id = sessions[1]["id"].as_str().unwrap();
    for _ in 0..2 {
        let ended = end(&app, &admin, id, json!({"reason": "stolen"})).await;
        assert_eq!((ended.status.as_u16(), ended.text.as_str()), (204, ""), "{ended:?}");
    }
    app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
    app.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
    app.api.profile(&other.access).await.ok();
    let ended = all(&app, &admin, &format!("{LIST}active=false")).await;
    assert_eq!(each(&ended, "id"), [id]);
    assert_eq!(ended[0]["end_reason"], "ended_by_admin");
    assert_eq!(ended[0]["ended_by"], json!({"account": admin.account()}));
    let events = events_of(&app, &device).await;
    assert_eq!(events.iter().filter(|name| *name == "LoggedOut").count(), 1);
}

#[tokio::test]
async fn device_sessions_204_where_the_reason_is_in_the_query_or_in_a_header_and_there_is_no_body() {
    let app = TestApp::start().await;
    let admin = app.sign_in_admin(ADMIN).await;
    for (reason, query, header) in [
        ("stolen: دزدیده", "?reason=stolen:%20%D8%AF%D8%B2%D8%AF%DB%8C%D8%AF%D9%87", None),
        ("ticket 7: پرونده", "", Some("ticket 7: پرونده")),
        ("of the query", "?reason=of+the+query", Some("of the header")),
    ] {
        let device = app.api.sign_in(&phone(1)).await;
        let sessions = all(&app, &admin, &format!("{LIST}active=true&account_id={}", device.account())).await;
        let path = format!("/admin/device-sessions/{}/{query}", sessions[0]["id"].as_str().unwrap());
        let request = app.api.request(Method::DELETE, &path).bearer_auth(&admin.access);
        let request =
            header.iter().fold(request, |request, header| request.header("X-Audit-Reason", *header));
        assert_eq!(ApiClient::send(request).await.status, 204);
        app.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
        let history = app.journal().history(device.account()).await.unwrap();
        let person = history.last().unwrap().1.person.clone().unwrap();
        assert_eq!(person.reason.unwrap().as_str(), reason);
        app.advance_time(61);
    }
    let path = format!("/admin/device-sessions/{UNKNOWN}/");
    for (query, header) in [("", None), ("?reason=", None), ("?reason=%20", Some("x")), ("", Some(" "))] {
        let request = app.api.request(Method::DELETE, &format!("{path}{query}")).bearer_auth(&admin.access);
        let request =
            header.iter().fold(request, |request, header| request.header("X-Audit-Reason", *header));
        ApiClient::send(request).await.refuses_fields(&["reason"]);
    }
}

#[tokio::test]
async fn device_sessions_400_without_a_reason_and_404_without_a_session() {
    let app = TestApp::start().await;
    let (admin, device) = (app.sign_in_admin(ADMIN).await, app.api.sign_in(&phone(1)).await);
    let id = all(&app, &admin, LIST).await[0]["id"].as_str().unwrap().to_owned();
    for body in [json!({}), json!({"reason": ""}), json!({"reason": null})] {
        end(&app, &admin, &id, body).await.refuses_fields(&["reason"]);
    }
    app.api.profile(&device.access).await.ok();
    let account = device.account().to_string();
    for id in [UNKNOWN, &account, "no-id", "%00", "' OR 1=1"] {
        end(&app, &admin, id, json!({"reason": "x"})).await.is_problem(404, "not_found");
    }
}
