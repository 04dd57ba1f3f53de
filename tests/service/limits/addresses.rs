//! The limits of one client address.

use reqwest::Method;
use serde_json::json;

use super::{address, count, is_refused, login_from, number, on_both_stores, together, verify_from};
use crate::support::{ApiClient, TestApp};

const CODES: &str = "SELECT count(*) FROM events WHERE event_type IN ('OtpRequested', 'OtpResent')";

#[tokio::test]
async fn an_address_gets_five_codes_at_once_and_then_one_a_minute() {
    on_both_stores(&[], async |[app, beside]| {
        let ask = |n: usize| {
            let api = [&app.api, &beside.api][n % 2].clone();
            async move { login_from(&api, "192.0.2.1", &number(n, 1)).await }
        };
        let answers = together((0..40).map(ask)).await;
        assert_eq!((count(&answers, 200), count(&answers, 429)), (5, 35));
        let refused = login_from(&app.api, "192.0.2.1", &number(50, 1)).await;
        is_refused(&refused);
        assert_eq!(refused.retry_after(), Some(60));
        assert_eq!(login_from(&app.api, "192.0.2.2", &number(51, 1)).await.status, 200);

        app.advance_time(59);
        assert_eq!(ask(52).await.status, 429);
        app.advance_time(1);
        assert_eq!(
            (ask(53).await.status, ask(54).await.status),
            (200.try_into().unwrap(), 429.try_into().unwrap())
        );
    })
    .await;
}

#[tokio::test]
async fn a_refused_request_writes_nothing_and_reveals_nothing() {
    on_both_stores(&[], async |[app, _]| {
        let (known, unknown) = (number(1, 1), number(2, 1));
        for n in 0..5 {
            login_from(&app.api, "192.0.2.1", &number(1, n + 1)).await.ok();
        }
        let events: i64 = app.database.value("SELECT count(*) FROM events").await;
        for path in ["/accounts/login/", "/accounts/verify/resend/"] {
            let ask = |phone: &str| super::from(&app.api, "192.0.2.1", path, json!({"phone_number": phone}));
            let answers = [ask(&known).await, ask(&unknown).await];
            is_refused(&answers[0]);
            assert_eq!(answers[0].appearance(), answers[1].appearance());
        }
        assert_eq!(app.database.value::<i64>("SELECT count(*) FROM events").await, events);
    })
    .await;
}

#[tokio::test]
async fn forged_forwarding_headers_are_one_address() {
    let app = TestApp::with_settings(&[("limits.shared", "on")]).await;
    let answers = together((0..300).map(|n: usize| {
        let request = app.api.request(Method::POST, "/accounts/login/");
        let request = request
            .header("x-forwarded-for", address(n))
            .header("forwarded", format!("for={}", address(n)))
            .header("x-real-ip", address(n));
        ApiClient::send(request.json(&json!({"phone_number": number(n, 1)})))
    }))
    .await;
    assert_eq!((count(&answers, 200), count(&answers, 429)), (5, 295));
}

#[tokio::test]
async fn entries_left_of_the_client_in_a_forwarding_header_do_not_change_its_address() {
    on_both_stores(&[], async |[app, beside]| {
        let ask = |n: usize| {
            let forged = format!("{}, 192.0.2.1", address(n));
            let api = [&app.api, &beside.api][n % 2].clone();
            async move { login_from(&api, &forged, &number(n, 1)).await }
        };
        let answers = together((0..300).map(ask)).await;
        assert_eq!((count(&answers, 200), count(&answers, 429)), (5, 295));
    })
    .await;
}

#[tokio::test]
async fn two_thousand_ipv6_addresses_of_one_64_count_as_one_address() {
    on_both_stores(&[], async |[app, beside]| {
        let answers = together((0..2_000).map(|n: usize| {
            let api = [&app.api, &beside.api][n % 2].clone();
            async move { login_from(&api, &format!("2001:db8:1:2:{n:x}::1"), &number(n, 1)).await }
        }))
        .await;
        assert_eq!((count(&answers, 200), count(&answers, 429)), (5, 1_995));
        assert_eq!(login_from(&app.api, "2001:db8:1:3::1", &number(3_000, 1)).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn sixty_networks_64_of_one_48_are_stopped_and_the_48_beside_it_is_served() {
    on_both_stores(&[], async |[app, beside]| {
        let network = |n: usize| format!("2001:db8:1:{:x}::1", n % 60);
        let answers = together((0..300).map(|n: usize| {
            let api = [&app.api, &beside.api][n % 2].clone();
            async move { login_from(&api, &network(n), &number(n, 1)).await }
        }))
        .await;
        assert_eq!((count(&answers, 200), count(&answers, 429)), (25, 275));
        assert_eq!(login_from(&app.api, "2001:db8:2::1", &number(400, 1)).await.status, 200);
        app.advance_time(60);
        let answers = together((0..60).map(|n| {
            let api = app.api.clone();
            async move { login_from(&api, &network(n), &number(500 + n, 1)).await }
        }))
        .await;
        assert_eq!((count(&answers, 200), count(&answers, 429)), (5, 55));

        let tries = together((0..240).map(|n: usize| {
            let api = [&app.api, &beside.api][n % 2].clone();
            async move { verify_from(&api, &network(n), &number(1_000 + n, 1), "000000").await }
        }))
        .await;
        assert_eq!((count(&tries, 400), count(&tries, 429)), (100, 140));
    })
    .await;
}

#[tokio::test]
async fn many_logins_and_resends_of_one_number_at_once_send_one_message() {
    on_both_stores(&[("limits.codes_burst", "200")], async |[app, beside]| {
        let phone = number(1, 1);
        let answers = together((0..100).map(|n: usize| {
            let api = [&app.api, &beside.api][n % 2].clone();
            let path = ["/accounts/login/", "/accounts/verify/resend/"][n / 2 % 2];
            let body = json!({"phone_number": &phone});
            async move { super::from(&api, "192.0.2.1", path, body).await }
        }))
        .await;
        // Those under way take room in the prefix until they are given back.
        assert_eq!(count(&answers, 200), 1);
        assert_eq!(count(&answers, 406) + count(&answers, 429), 99);
        assert_eq!(app.database.value::<i64>(CODES).await, 1);
        assert_eq!(app.database.value::<i64>("SELECT count(*) FROM outbox").await, 1);
        assert_eq!(app.database.value::<i64>("SELECT count(*) FROM alarms").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_code_that_was_not_sent_is_given_back_to_all_but_the_address() {
    let settings =
        [&super::PROXIED[..], &[("limits.messages_per_day", "10"), ("limits.codes_burst", "50")]].concat();
    let app = TestApp::with_settings(&settings).await;
    for _ in 0..40 {
        login_from(&app.api, "192.0.2.1", &number(1, 1)).await;
    }
    for limit in ["2/codes_per_prefix", "2/sent_per_prefix", "4/messages"] {
        let used = format!(
            "SELECT coalesce(sum(n), 0)::bigint FROM limits, unnest(counts) AS n WHERE key LIKE '{limit}/%'"
        );
        super::comes_to(&app, &used, 1).await;
    }
    assert_eq!(login_from(&app.api, "192.0.2.1", &number(1, 2)).await.status, 200);
}

#[tokio::test]
async fn an_address_tries_twenty_codes_at_once_and_then_ten_a_minute() {
    on_both_stores(&[], async |[app, beside]| {
        let guess = |n: usize| {
            let api = [&app.api, &beside.api][n % 2].clone();
            async move { verify_from(&api, "192.0.2.1", &number(n, 1), "000000").await }
        };
        let answers = together((0..50).map(guess)).await;
        assert_eq!((count(&answers, 400), count(&answers, 429)), (20, 30));
        app.advance_time(6);
        let answers = together((50..60).map(guess)).await;
        assert_eq!((count(&answers, 400), count(&answers, 429)), (1, 9));
    })
    .await;
}

#[tokio::test]
async fn limits_outlive_the_node_that_counted() {
    let app = TestApp::with_settings(&super::PROXIED).await;
    for n in 0..5 {
        login_from(&app.api, "192.0.2.1", &number(n, 1)).await.ok();
    }
    let (after, _proxy) = app.second_node(&super::PROXIED).await;
    drop(app);
    is_refused(&login_from(&after.api, "192.0.2.1", &number(9, 1)).await);
}

#[tokio::test]
async fn limits_that_are_off_refuse_no_request() {
    let app = TestApp::start().await;
    for n in 0..30 {
        app.api.login(&number(1, n)).await.ok();
    }
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM limits").await, 0);
}
