//! Per country and of the whole service.

use serde_json::json;

use super::{address, comes_to, count, is_refused, login_from, number, on_both_stores, together};
use crate::support::TestApp;

const DAY: i64 = 24 * 3_600;

/// Nothing is kept for identifiers that have signed in before.
const NO_RESERVE: (&str, &str) = ("limits.reserve_percent", "0");

/// How many messages with codes there are.
const LETTERS: &str = "SELECT count(*) FROM outbox WHERE kind = 'sign_in'";

/// A mobile number of Germany.
fn german(n: usize) -> String {
    format!("+49151{n:08}")
}

async fn swarm(nodes: [&TestApp; 2], phones: impl Iterator<Item = String>) -> [usize; 2] {
    let answers = together(phones.enumerate().map(|(n, phone)| {
        let api = nodes[n % 2].api.clone();
        async move { login_from(&api, &address(n), &phone).await }
    }))
    .await;
    [count(&answers, 200), count(&answers, 429)]
}

#[tokio::test]
async fn the_service_sends_no_more_messages_a_day_than_its_budget() {
    on_both_stores(&[NO_RESERVE, ("limits.messages_per_day", "37")], async |nodes| {
        assert_eq!(swarm(nodes, (0..100).map(|n| number(n, 1))).await, [37, 63]);
        comes_to(nodes[0], "SELECT count(*) FROM alarms WHERE alarm = 'messages'", 1).await;
        let email = json!({"email": "ada@example.com"});
        super::from(&nodes[0].api, "192.0.2.9", "/accounts/login/", email).await.ok();
        nodes[0].advance_time(DAY);
        assert_eq!(swarm(nodes, (100..200).map(|n| number(n, 1))).await, [37, 63]);
    })
    .await;
}

#[tokio::test]
async fn a_country_has_a_budget_of_its_own() {
    on_both_stores(&[NO_RESERVE, ("limits.messages_per_country.ir", "7")], async |nodes| {
        assert_eq!(swarm(nodes, (0..40).map(|n| number(n, 1))).await, [7, 33]);
        comes_to(nodes[0], "SELECT count(*) FROM alarms WHERE subject = 'IR'", 1).await;
        assert_eq!(swarm(nodes, (0..10).map(|n| german(n * 10_000))).await, [10, 0]);
    })
    .await;
}

#[tokio::test]
async fn codes_over_many_prefixes_from_many_addresses_are_stopped_with_an_alarm() {
    on_both_stores(&[], async |[app, beside]| {
        // Each of 30 prefixes gets 19 codes and each of 114 addresses asks for five: no narrow limit is reached.
        let answers = together((0..570).map(|n: usize| {
            let api = [&app.api, &beside.api][n % 2].clone();
            async move { login_from(&api, &address(n % 114), &number(n % 30, n / 30)).await }
        }))
        .await;
        assert_eq!((count(&answers, 200), count(&answers, 429)), (100, 470));
        assert_eq!(app.database.value::<i64>("SELECT count(*) FROM outbox").await, 100);
        let alarms = "SELECT count(*) FROM alarms WHERE alarm = 'codes_per_country' AND subject = 'IR'";
        comes_to(app, alarms, 1).await;
        assert_eq!(
            login_from(&app.api, "192.0.2.1", &german(1)).await.status,
            200,
            "another country is served"
        );
    })
    .await;
}

#[tokio::test]
async fn a_country_and_the_service_have_a_rate_an_hour_each() {
    let settings = [("limits.country_codes_per_hour", "30"), ("limits.service_codes_per_hour", "40")];
    on_both_stores(&settings, async |nodes| {
        assert_eq!(swarm(nodes, (0..35).map(|n| number(n, 1))).await, [30, 5]);
        nodes[0].advance_time(65);
        assert_eq!(swarm(nodes, (50..55).map(|n| number(n, 1))).await, [0, 5]);
        assert_eq!(swarm(nodes, (0..15).map(|n| german(n * 10_000))).await, [10, 5]);
        for alarm in ["hourly_codes_per_country", "hourly_codes"] {
            let alarms = format!("SELECT count(*) FROM alarms WHERE alarm = '{alarm}'");
            comes_to(nodes[0], &alarms, 1).await;
        }
        nodes[0].advance_time(3_900);
        assert_eq!(swarm(nodes, (100..135).map(|n| number(n, 1))).await, [30, 5]);
    })
    .await;
}

#[tokio::test]
async fn messages_go_only_to_the_countries_on_the_list() {
    on_both_stores(&[("limits.countries", "DE AT")], async |[app, _]| {
        login_from(&app.api, "192.0.2.1", &german(1)).await.ok();
        let landline = login_from(&app.api, "192.0.2.1", "+982188776655").await;
        let elsewhere = login_from(&app.api, "192.0.2.1", &number(1, 1)).await;
        elsewhere.refuses_fields(&["phone_number"]);
        assert_eq!(elsewhere.appearance(), landline.appearance());
    })
    .await;
}

#[tokio::test]
async fn a_thousand_sub_addresses_of_one_mailbox_get_no_more_messages_than_the_mailbox() {
    on_both_stores(&[], async |[app, beside]| {
        let victim = |n: usize| match n % 2 {
            0 => format!("victim+{n}@gmail.com"),
            _ => format!("v.ictim+{n}@googlemail.com"),
        };
        let answers = together((0..1_000).map(|n: usize| {
            let api = [&app.api, &beside.api][n % 2].clone();
            let body = json!({"email": victim(n)});
            async move { super::from(&api, &address(n), "/accounts/login/", body).await }
        }))
        .await;
        assert_eq!((count(&answers, 200), count(&answers, 429)), (20, 980));
        assert_eq!(app.database.value::<i64>("SELECT count(*) FROM outbox").await, 20);
        assert_eq!(app.database.value::<i64>("SELECT count(*) FROM heads").await, 20);
        let known =
            super::from(&app.api, &address(2_000), "/accounts/login/", json!({"email": victim(0)})).await;
        let unknown =
            super::from(&app.api, &address(2_001), "/accounts/login/", json!({"email": victim(5_000)})).await;
        is_refused(&known);
        assert_eq!(known.appearance(), unknown.appearance());
        let body = json!({"email": "another@gmail.com"});
        super::from(&app.api, &address(2_002), "/accounts/login/", body).await.ok();
        app.advance_time(DAY + 2 * 3_600);
        let body = json!({"email": victim(0)});
        super::from(&app.api, &address(2_003), "/accounts/login/", body).await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_mail_domain_has_a_rate_with_an_alarm_unless_it_is_a_providers() {
    on_both_stores(&[], async |[app, beside]| {
        let sweep = async |domain: &str, from: usize| {
            let answers = together((0..130).map(|n: usize| {
                let api = [&app.api, &beside.api][n % 2].clone();
                let body = json!({"email": format!("employee{n}@{domain}")});
                async move { super::from(&api, &address(from + n), "/accounts/login/", body).await }
            }))
            .await;
            (count(&answers, 200), count(&answers, 429))
        };
        assert_eq!(sweep("victim.example", 0).await, (100, 30));
        let alarm =
            "SELECT count(*) FROM alarms WHERE alarm = 'codes_per_mail_domain' AND subject = 'service'";
        comes_to(app, alarm, 1).await;
        assert_eq!(sweep("gmail.com", 1_000).await, (130, 0));
    })
    .await;
}

#[tokio::test]
async fn e_mail_has_a_budget_and_no_prefix() {
    on_both_stores(&[NO_RESERVE, ("limits.emails_per_day", "30")], async |[app, _]| {
        let answers = together((0..50).map(|n: usize| async move {
            let body = json!({"email": format!("ada{n}@example.com")});
            super::from(&app.api, &address(n), "/accounts/login/", body).await
        }))
        .await;
        assert_eq!((count(&answers, 200), count(&answers, 429)), (30, 20));
    })
    .await;
}

#[tokio::test]
async fn the_whole_service_has_a_limit_of_codes_a_minute() {
    on_both_stores(&[("limits.service_codes_per_minute", "24")], async |nodes| {
        assert_eq!(swarm(nodes, (0..60).map(|n| number(n, 1))).await, [24, 36]);
        is_refused(&login_from(&nodes[0].api, "192.0.2.1", &number(90, 1)).await);
        nodes[0].advance_time(65);
        assert_eq!(swarm(nodes, (100..130).map(|n| number(n, 1))).await, [24, 6]);
    })
    .await;
}

#[tokio::test]
async fn a_caller_over_their_own_limit_uses_up_no_limit_of_others() {
    on_both_stores(&[NO_RESERVE, ("limits.messages_per_day", "12")], async |[app, _]| {
        together((0..200).map(|n| {
            let api = app.api.clone();
            async move { login_from(&api, "192.0.2.1", &number(n, 1)).await }
        }))
        .await;
        for n in 0..7 {
            login_from(&app.api, &address(n), &number(300 + n, 1)).await.ok();
        }
        is_refused(&login_from(&app.api, "192.0.2.2", &number(400, 1)).await);
    })
    .await;
}

#[tokio::test]
async fn messages_cost_no_more_a_day_than_the_budget_in_money() {
    // Six cents to one country and eleven to the others: nothing but whole messages fits.
    let prices = [("delivery.prices.ir", "0.06"), ("delivery.prices.default", "0.11")];
    let settings = [NO_RESERVE, ("limits.money_per_day", "1"), prices[0], prices[1]];
    on_both_stores(&settings, async |[app, _]| {
        for n in 0..8 {
            login_from(&app.api, &address(n), &german(n * 10_000)).await.ok();
        }
        login_from(&app.api, &address(9), &number(1, 1)).await.ok();
        // The messages so far have cost 0.94.
        is_refused(&login_from(&app.api, &address(8), &german(90_000)).await);
        login_from(&app.api, &address(10), &number(2, 1)).await.ok();
        is_refused(&login_from(&app.api, &address(11), &number(3, 1)).await);
        app.advance_time(DAY);
        login_from(&app.api, &address(12), &number(4, 1)).await.ok();
    })
    .await;
}

#[tokio::test]
async fn when_strangers_have_spent_the_days_budget_an_identifier_that_has_signed_in_still_gets_its_code() {
    // A fifth of 20 is kept.
    on_both_stores(&[("limits.messages_per_day", "20")], async |nodes| {
        let [app, beside] = nodes;
        for n in 0..2 {
            let sent = login_from(&app.api, &address(n), &number(1, n)).await;
            super::verify_from(&app.api, &address(n), &number(1, n), &sent.code()).await.signed_in();
        }
        app.advance_time(60);
        let answers = together((0..60).map(|n: usize| {
            let api = nodes[n % 2].api.clone();
            async move { login_from(&api, &address(100 + n), &number(100 + n, 1)).await }
        }))
        .await;
        assert_eq!(count(&answers, 200), 60, "no stranger is told that there is no message");
        assert_eq!(app.database.value::<i64>(LETTERS).await, 16);
        let withheld =
            "SELECT count(*) FROM events WHERE payload->'fact'->'OtpRequested'->>'withheld' = 'true'";
        assert_eq!(app.database.value::<i64>(withheld).await, 46);
        comes_to(app, "SELECT count(*) FROM alarms WHERE alarm = 'messages'", 1).await;

        let known = login_from(&app.api, &address(200), &number(1, 0)).await;
        let stranger = login_from(&app.api, &address(201), &number(900, 1)).await;
        assert_eq!((known.status.as_u16(), stranger.status.as_u16()), (200, 200));
        assert_eq!(app.database.value::<i64>(LETTERS).await, 17, "one of the two has a message");
        super::verify_from(&beside.api, &address(200), &number(1, 0), &known.code()).await.signed_in();
        login_from(&beside.api, &address(202), &number(1, 1)).await.ok();
        assert_eq!(app.database.value::<i64>(LETTERS).await, 18);
        // Asked again at once, the one has to wait as long as the other, on each node.
        for api in [&app.api, &beside.api] {
            let again = login_from(api, &address(203), &number(1, 1)).await;
            let stranger = login_from(api, &address(204), &number(900, 1)).await;
            again.is_problem(406, "code_too_soon");
            assert_eq!(again.appearance(), stranger.appearance());
        }

        // Once the reserve is spent as well, it is over for both.
        app.advance_time(60);
        for n in 0..2 {
            login_from(&app.api, &address(300 + n), &number(1, n)).await.ok();
        }
        assert_eq!(app.database.value::<i64>(LETTERS).await, 20);
        app.advance_time(60);
        let known = login_from(&beside.api, &address(302), &number(1, 0)).await;
        let stranger = login_from(&beside.api, &address(303), &number(901, 1)).await;
        is_refused(&known);
        assert_eq!(known.appearance(), stranger.appearance());
        app.advance_time(DAY);
        login_from(&app.api, &address(304), &number(902, 1)).await.ok();
        assert_eq!(app.database.value::<i64>(LETTERS).await, 21);
    })
    .await;
}

#[tokio::test]
async fn an_account_that_adds_an_identifier_is_refused_when_strangers_have_spent_the_days_budget() {
    let settings = [&super::PROXIED[..], &[("limits.messages_per_day", "5")]].concat();
    let app = TestApp::with_settings(&settings).await;
    let device = app.api.sign_in("+989121234567").await;
    for n in 0..3 {
        login_from(&app.api, &address(n), &number(n, 1)).await.ok();
    }
    for phone in [number(0, 1), number(50, 1), "+989121234567".to_owned()] {
        let request = app.api.request(reqwest::Method::POST, "/accounts/identifiers/");
        let request = request.bearer_auth(&device.access).header("x-forwarded-for", address(90));
        is_refused(&crate::support::ApiClient::send(request.json(&json!({"phone_number": phone}))).await);
    }
}
