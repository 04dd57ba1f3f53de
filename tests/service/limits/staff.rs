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
        assert!(!told.contains("198.51") && !told.contains("+9891"), "{told}");
        let addresses = subjects(&items, "codes_per_address");
        assert_eq!(addresses.len(), 4, "{told}");
        let full = items.iter().find(|item| item["kind"] == "codes_per_address").unwrap();
        assert_eq!((&full["count"], &full["limit"], full["until"].is_null()), (&json!(5), &json!(5), false));
        let [prefix] = &subjects(&items, "codes_per_prefix")[..] else { panic!("{told}") };
        assert!(prefix.starts_with("IR."), "{prefix}");
        assert_eq!(subjects(&items, "messages"), ["service"], "{told}");

        let path = format!("/admin/identifiers/?phone_number=%2B{}", &of_prefix[1..]);
        let found = app.api.get(&path, &admin.access).await.ok();
        let in_the_way: Vec<_> = found["obstacles"].as_array().unwrap().iter().collect();
        let of = |kind: &str| in_the_way.iter().find(|it| it["kind"] == kind).unwrap()["subject"].clone();
        assert_eq!((of("stopped_prefix"), of("messages")), (json!(prefix), json!("service")), "{found}");

        // The node beside lifts what this one counted.
        for subject in [&addresses[..], std::slice::from_ref(prefix)].concat() {
            assert_eq!(lift(beside, &admin, &subject).await.status, 204);
            lift(app, &admin, &subject).await.is_problem(404, "not_found");
        }
        assert_eq!(lift(app, &admin, "service").await.status, 204);
        login_from(&app.api, &of_address, &number(2, 1)).await.ok();
        login_from(&app.api, &address(50), &of_prefix).await.ok();
        for unknown in ["unknown", "FR", prefix.split_once('.').unwrap().1] {
            lift(app, &admin, unknown).await.is_problem(404, "not_found");
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
    })
    .await;
}
