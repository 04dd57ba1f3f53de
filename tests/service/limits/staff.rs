//! `/admin/limits/` and `/admin/alarms/`: what staff see of the shared limits over HTTP, and lift.

use reqwest::Method;
use serde_json::{Value, json};

use super::{address, comes_to, is_refused, login_from, number, on_both_stores};
use crate::support::{ApiAnswer, SignedInDevice, TestApp};

const ADMIN: &str = "+989130000001";

/// Newcomers may use all of the daily budgets.
const NO_RESERVE: (&str, &str) = ("limits.reserve_percent", "0");

/// The items of a list, three a page.
async fn all(app: &TestApp, admin: &SignedInDevice, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.api.get(&format!("{path}?limit=3{cursor}"), &admin.access).await.ok();
        let found = page["items"].as_array().unwrap();
        assert!(found.len() <= 3);
        items.extend(found.iter().cloned());
        let Some(next) = page["next"].as_str() else { return items };
        cursor = format!("&cursor={next}");
    }
}

/// The subjects that have used up a limit of that kind.
fn subjects(items: &[Value], kind: &str) -> Vec<String> {
    let found = items.iter().filter(|item| item["kind"] == kind);
    found.map(|item| item["subject"].as_str().unwrap().to_owned()).collect()
}

async fn lift(app: &TestApp, admin: &SignedInDevice, subject: &str) -> ApiAnswer {
    let why = json!({"reason": "a campaign of our own"});
    app.api.send_json(Method::DELETE, &format!("/admin/limits/{subject}/"), &admin.access, why).await
}

#[tokio::test]
async fn staff_see_who_is_near_a_limit_and_lift_it_on_record() {
    on_both_stores(&[("limits.messages_per_day", "21"), NO_RESERVE], async |[app, beside]| {
        let admin = app.sign_in_admin(ADMIN).await;
        assert_eq!(subjects(&all(app, &admin, "/admin/limits/").await, "codes_per_address"), [""; 0]);
        for n in 0..20 {
            login_from(&app.api, &address(n / 5), &number(1, n)).await.ok();
        }
        comes_to(app, "SELECT count(*) FROM alarms WHERE alarm = 'conversion'", 1).await;
        let (of_address, of_prefix) = (address(0), number(1, 50));
        is_refused(&login_from(&app.api, &of_address, &number(2, 1)).await);
        is_refused(&login_from(&app.api, &address(50), &of_prefix).await);

        let items = all(app, &admin, "/admin/limits/").await;
        let told = Value::from(items.clone()).to_string();
        assert!(!told.contains("198.51") && !told.contains(&number(1, 0)), "{told}");
        let addresses = subjects(&items, "codes_per_address");
        assert_eq!(addresses.len(), 4, "{told}");
        let full = items.iter().find(|item| item["kind"] == "codes_per_address").unwrap();
        assert_eq!((&full["count"], &full["limit"], full["until"].is_null()), (&json!(5), &json!(5), false));
        let [prefix] = &subjects(&items, "codes_per_prefix")[..] else { panic!("{told}") };
        assert_eq!(prefix, "IR.+98910001");
        assert_eq!(subjects(&items, "messages"), ["service"], "{told}");

        let path = format!("/admin/identifiers/?phone_number=%2B{}", &of_prefix[1..]);
        let found = app.api.get(&path, &admin.access).await.ok();
        let in_the_way: Vec<_> = found["obstacles"].as_array().unwrap().iter().collect();
        let of = |kind: &str| in_the_way.iter().find(|it| it["kind"] == kind).unwrap()["subject"].clone();
        assert_eq!((of("stopped_prefix"), of("messages")), (json!(prefix), json!("service")), "{found}");

        // The node beside lifts what this one counted.
        for subject in [&addresses[..], std::slice::from_ref(prefix)].concat() {
            assert_eq!(lift(beside, &admin, &subject).await.status, 204);
            lift(app, &admin, &subject).await.is_problem(404, "nothing_counted");
        }
        assert_eq!(lift(app, &admin, "service").await.status, 204);
        login_from(&app.api, &of_address, &number(2, 1)).await.ok();
        login_from(&app.api, &address(50), &of_prefix).await.ok();
        for unknown in ["unknown", "FR", "%2B33612", "192.0.2.200", "absent@example.com"] {
            lift(app, &admin, unknown).await.is_problem(404, "nothing_counted");
        }
        let path = format!("/admin/limits/{}/", addresses[0]);
        app.api.send_json(Method::DELETE, &path, &admin.access, json!({})).await.refuses_fields(&["reason"]);

        let history = app.journal().history(admin.account()).await.unwrap();
        let lifted = history.iter().filter(|(_, event)| event.name() == "SharedLimitsLifted");
        let reasons: Vec<_> = lifted.map(|(_, event)| event.person.clone().unwrap().reason).collect();
        assert_eq!(reasons.len(), 6);
        assert!(reasons.iter().all(|reason| reason.as_ref().unwrap().as_str() == "a campaign of our own"));
    })
    .await;
}

/// The kinds, counts and limits that a filter finds.
async fn found(app: &TestApp, admin: &SignedInDevice, filter: &str) -> Vec<(String, i64, Option<i64>)> {
    let page = app.api.get(&format!("/admin/limits/?limit=200&{filter}"), &admin.access).await.ok();
    let items = page["items"].as_array().unwrap().iter();
    let of = |item: &Value| {
        let kind = item["kind"].as_str().unwrap().to_owned();
        (kind, item["count"].as_i64().unwrap(), item["limit"].as_i64())
    };
    items.map(of).collect()
}

#[tokio::test]
async fn limits_200_tells_every_limit_of_a_subject_that_a_person_can_name() {
    on_both_stores(&[("limits.messages_per_country", "{ IR = 30 }"), NO_RESERVE], async |[app, beside]| {
        let admin = app.sign_in_admin(ADMIN).await;
        for n in 0..3 {
            login_from(&app.api, &address(1), &number(1, n)).await.ok();
        }
        let mail = json!({"email": "ada+1@small.example"});
        super::from(&app.api, "2001:db8:1:2::3", "/accounts/login/", mail).await.ok();
        comes_to_prefix(app, &admin, 3).await;

        let has = |found: &[(String, i64, Option<i64>)], kind: &str, count: i64, limit: Option<i64>| {
            assert!(found.contains(&(kind.to_owned(), count, limit)), "{kind}: {found:?}");
        };
        for filter in [
            "phone_number=%2B989100010077",
            "phone_number=09100010077",
            "prefix=%2B98910001",
            "prefix=0098%209100",
        ] {
            let of_prefix = found(beside, &admin, filter).await;
            has(&of_prefix, "codes_per_prefix", 3, Some(20));
            has(&of_prefix, "sent_per_prefix", 3, None);
        }
        let of_number = found(beside, &admin, "phone_number=%2B989100010077").await;
        has(&of_number, "stopped_prefix", 0, Some(1));
        assert_eq!(of_number.len(), 4, "{of_number:?}");
        let of_address = found(app, &admin, &format!("ip_address={}", address(1))).await;
        has(&of_address, "codes_per_address", 3, Some(5));
        has(&of_address, "tries_per_address", 0, Some(20));
        let of_network = found(app, &admin, "ip_address=2001:db8:1:2::ffff").await;
        has(&of_network, "codes_per_address", 1, Some(5));
        assert!(of_network.iter().any(|(kind, count, _)| kind == "codes_per_network" && *count == 1));
        let of_mail = found(app, &admin, "email=ada%2B2@small.example").await;
        assert!(of_mail.iter().any(|(kind, count, _)| kind == "codes_per_mailbox" && *count == 1));
        assert!(of_mail.iter().any(|(kind, count, _)| kind == "codes_per_mail_domain" && *count == 1));
        // The administrator has signed in as well.
        has(&found(app, &admin, "country=ir").await, "messages_per_country", 4, Some(30));
        has(&found(app, &admin, "subject=IR").await, "messages_per_country", 4, Some(30));
        has(&found(app, &admin, "subject=IR.%2B98910001").await, "codes_per_prefix", 3, Some(20));
        assert!(found(app, &admin, "subject=service").await.iter().any(|(kind, ..)| kind == "codes"));
        assert_eq!(found(app, &admin, "prefix=%2B33612").await, []);

        let none = |filter: &'static str| app.api.get(filter, &admin.access);
        none("/admin/limits/?prefix=0912").await.refuses_fields(&["prefix"]);
        none("/admin/limits/?country=Iran").await.refuses_fields(&["country"]);
        none("/admin/limits/?ip_address=192.0.2.0/24").await.refuses_fields(&["ip_address"]);
        none("/admin/limits/?country=IR&prefix=%2B98912").await.refuses_fields(&["country"]);
    })
    .await;
}

/// Waits until what was sent to the first prefix is counted, a moment after the answers.
async fn comes_to_prefix(app: &TestApp, admin: &SignedInDevice, sent: i64) {
    for _ in 0..200 {
        let of_prefix = found(app, admin, "prefix=%2B98910001").await;
        if of_prefix.contains(&("sent_per_prefix".to_owned(), sent, None)) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("not counted");
}

#[tokio::test]
async fn limits_are_lifted_by_what_a_person_knows_of_the_subject() {
    on_both_stores(&[("limits.codes_per_prefix", "3"), NO_RESERVE], async |[app, beside]| {
        let admin = app.sign_in_admin(ADMIN).await;
        for subject in [
            "%2B98910001",
            "0910%200010099",
            "%DB%B0%DB%B9%DB%B1%DB%B0 001 0099",
            "IR.%2B98910001",
            "0098910",
        ] {
            for n in 0..3 {
                login_from(&app.api, "192.0.2.7", &number(1, n)).await;
            }
            is_refused(&login_from(&app.api, "192.0.2.8", &number(1, 9)).await);
            assert_eq!(lift(beside, &admin, subject).await.status, 204, "{subject}");
            login_from(&app.api, "192.0.2.9", &number(1, 9)).await.ok();
            assert_eq!(lift(beside, &admin, subject).await.status, 204, "{subject}");
            for address in ["192.0.2.7", "192.0.2.8", "192.0.2.9"] {
                lift(app, &admin, address).await;
            }
            app.advance_time(61);
        }
        // A shorter prefix has lifted that of the administrator as well, and the account of a number has limits of its own.
        let phone = number(3, 1);
        app.api.login(&phone).await.ok();
        assert_eq!(lift(app, &admin, &phone.replace('+', "%2B")).await.status, 204);
        // What its account kept codes back for is lifted with it.
        app.api.login(&phone).await.ok();
        assert_eq!(lift(app, &admin, &phone.replace('+', "%2B")).await.status, 204);
        lift(app, &admin, &phone.replace('+', "%2B")).await.is_problem(404, "nothing_counted");
    })
    .await;
}

#[tokio::test]
async fn alarms_200_tells_the_newest_first_and_which_are_current() {
    on_both_stores(&[("limits.messages_per_day", "22"), NO_RESERVE], async |[app, _]| {
        let admin = app.sign_in_admin(ADMIN).await;
        assert_eq!(all(app, &admin, "/admin/alarms/").await, [Value::Null; 0]);
        for n in 0..20 {
            login_from(&app.api, &address(n / 5), &number(1, n)).await.ok();
        }
        comes_to(app, "SELECT count(*) FROM alarms", 1).await;
        app.advance_time(3_600);
        login_from(&app.api, &address(60), &number(2, 1)).await.ok();
        is_refused(&login_from(&app.api, &address(61), &number(3, 1)).await);
        comes_to(app, "SELECT count(*) FROM alarms", 2).await;
        let refreshed = app.api.refresh(&admin.refresh).await.ok();
        let admin =
            SignedInDevice { access: refreshed["access_token"].as_str().unwrap().to_owned(), ..admin };
        app.pass_second_factor(&admin).await;
        let alarms = all(app, &admin, "/admin/alarms/").await;
        let told: Vec<_> = alarms.iter().map(|it| (&it["alarm"], &it["subject"], &it["current"])).collect();
        let expected =
            [(json!("messages"), json!("service"), true), (json!("conversion"), json!("IR"), false)];
        let expected: Vec<_> =
            expected.map(|(alarm, subject, current)| (alarm, subject, json!(current))).into();
        assert_eq!(told, expected.iter().map(|(a, s, c)| (a, s, c)).collect::<Vec<_>>());

        let acknowledge = async |id: &str, body: Value| {
            let path = format!("/admin/alarms/{id}/acknowledge/");
            app.api.send_json(Method::POST, &path, &admin.access, body).await
        };
        let id = alarms[0]["id"].as_str().unwrap();
        assert_eq!(acknowledge(id, json!({"reason": "a campaign of our own"})).await.status, 204);
        assert_eq!(acknowledge(id, json!({"reason": "again"})).await.status, 204);
        let of = |filter: &str| format!("/admin/alarms/?acknowledged={filter}");
        let noted = app.api.get(&of("true"), &admin.access).await.ok()["items"].clone();
        assert_eq!((noted.as_array().unwrap().len(), &noted[0]["id"]), (1, &json!(id)));
        assert_eq!(noted[0]["acknowledged_reason"], "a campaign of our own");
        assert_eq!(noted[0]["acknowledged_by"], json!({"account": admin.account()}));
        assert!(noted[0]["acknowledged_at"].is_string(), "{noted}");
        let others = app.api.get(&of("false"), &admin.access).await.ok()["items"].clone();
        assert_eq!((others.as_array().unwrap().len(), &others[0]["id"]), (1, &alarms[1]["id"]));
        acknowledge("00000000-0000-7000-8000-000000000000", json!({})).await.is_problem(404, "not_found");
        acknowledge("none", json!({})).await.is_problem(404, "not_found");
        let history = app.journal().history(admin.account()).await.unwrap();
        let events = history.iter().filter(|(_, event)| event.name() == "AlarmAcknowledged");
        assert_eq!(events.count(), 1);
    })
    .await;
}
