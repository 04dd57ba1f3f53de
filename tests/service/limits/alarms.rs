//! Guesses at the codes of many accounts at once.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use reqwest::{Client, Method};
use serde_json::json;

use super::{address, comes_to, is_refused, login_from, number, on_both_stores, together, verify_from};
use crate::support::{ApiClient, NodeProcess, TestDatabase};

const WRONG: usize = 200;

#[tokio::test]
async fn many_numbers_guessed_at_once_each_raise_one_alarm_and_slow_guessing_down() {
    let wrong = WRONG.to_string();
    on_both_stores(&[("limits.wrong_codes_per_hour", &wrong)], async |[app, beside]| {
        let (mut evaluated, mut refused) = (0, 0);
        for ten in 0..100 {
            let answers = together((ten * 10..(ten + 1) * 10).map(|n| {
                let api = [&app.api, &beside.api][n % 2].clone();
                async move { verify_from(&api, &address(n % 100), &number(n, 1), "000000").await }
            }));
            for answer in answers.await {
                match answer.status.as_u16() {
                    400 => evaluated += 1,
                    429 => refused += 1,
                    other => panic!("{other}"),
                }
            }
        }
        // Up to the limit, one more for each address, and what was under way when the nodes heard of it.
        assert!((WRONG..=WRONG + 100 + 10).contains(&evaluated), "{evaluated} evaluated, {refused} refused");
        comes_to(app, "SELECT count(*) FROM alarms WHERE alarm = 'wrong_codes' AND subject = 'service'", 1)
            .await;
        is_refused(&verify_from(&app.api, &address(1), &number(1, 1), "000000").await);

        // A user who is not guessing has a try even now, and all of them when it is over.
        let code = login_from(&app.api, "192.0.2.1", &number(2_000, 1)).await.code();
        verify_from(&app.api, "192.0.2.1", &number(2_000, 1), &code).await.signed_in();
        app.advance_time(2 * 3_600);
        for n in 0..10 {
            verify_from(&app.api, &address(1), &number(n, 2), "000000").await.is_problem(400, "invalid_code");
        }
    })
    .await;
}

#[tokio::test]
async fn guesses_from_real_addresses_are_told_apart_and_slowed_down_together() {
    let database = TestDatabase::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("limits-alarms");
    let environment = [
        ("DATABASE_URL", database.url.0.as_str()),
        ("COUNTERFOIL__LIMITS__SHARED", "on"),
        ("COUNTERFOIL__LIMITS__WRONG_CODES_PER_HOUR", "60"),
    ];
    let node = NodeProcess::start(&folder, &environment);
    let verify = format!("http://{}/accounts/verify/", node.api.address());
    let mut statuses = Vec::new();
    for host in 1..=10 {
        let ip = IpAddr::V4(Ipv4Addr::new(127, 9, 9, host));
        let client = Client::builder().local_address(ip).no_proxy().build().unwrap();
        for n in 0..12 {
            let body = json!({"phone_number": number(host.into(), n), "code": "000000"});
            statuses.push(client.post(&verify).json(&body).send().await.unwrap().status().as_u16());
        }
    }
    let evaluated = statuses.iter().filter(|status| **status == 400).count();
    assert!((60..=75).contains(&evaluated), "{evaluated}: {statuses:?}");
    assert!(statuses[..60].iter().all(|status| *status == 400), "no address had reached its own limit");

    let metrics = ApiClient::send(node.api.request(Method::GET, "/metrics")).await.text;
    assert!(metrics.contains("counterfoil_alarms_total{alarm=\"wrong_codes\"} 1\n"), "{metrics}");
    let refused =
        format!("counterfoil_limits_refused_total{{limit=\"slow_tries_per_address\"}} {}\n", 120 - evaluated);
    assert!(metrics.contains(&refused), "{metrics}");
    drop(node);
    std::fs::remove_dir_all(&folder).unwrap();
}
