//! Per prefix: the numbers that differ in their last four digits.

use super::{
    address, comes_to, count, is_refused, login_from, number, on_both_stores, together, verify_from,
};

#[tokio::test]
async fn a_sweep_of_one_prefix_stops_at_its_limit_and_others_are_served() {
    on_both_stores(&[], async |[app, beside]| {
        let sweep = |prefix: usize, from: usize| {
            together((from..from + 60).map(move |n| {
                let api = [&app.api, &beside.api][n % 2].clone();
                async move { login_from(&api, &address(prefix * 1_000 + n), &number(prefix, n)).await }
            }))
        };
        let answers = sweep(1, 0).await;
        assert_eq!((count(&answers, 200), count(&answers, 429)), (20, 40));
        assert_eq!(login_from(&app.api, "192.0.2.1", &number(2, 1)).await.status, 200);

        // Half of them redeem what they got, so that the prefix is not taken for a fraud.
        for (n, answer) in answers.iter().enumerate().filter(|(_, answer)| answer.status == 200) {
            verify_from(&app.api, &address(9_000 + n), &number(1, n), &answer.code()).await.signed_in();
        }
        app.advance_time(3_600 - 300);
        is_refused(&login_from(&app.api, "192.0.2.3", &number(1, 100)).await);
        app.advance_time(600);
        let answers = sweep(1, 100).await;
        assert_eq!((count(&answers, 200), count(&answers, 429)), (20, 40));
    })
    .await;
}

#[tokio::test]
async fn a_prefix_where_no_user_redeems_codes_is_stopped_for_an_hour_with_an_alarm() {
    on_both_stores(&[("limits.codes_per_prefix", "1000")], async |[app, beside]| {
        let ask = |n: usize| {
            let api = [&app.api, &beside.api][n % 2].clone();
            async move { login_from(&api, &address(n), &number(1, n)).await }
        };
        // One user in twenty redeems the code, which is too few.
        let first = ask(0).await;
        verify_from(&app.api, &address(0), &number(1, 0), &first.code()).await.signed_in();
        for n in 1..20 {
            ask(n).await.ok();
        }
        let alarms = "SELECT count(*) FROM alarms WHERE alarm = 'conversion' AND subject = 'IR'";
        comes_to(app, alarms, 1).await;
        let refused = ask(20).await;
        is_refused(&refused);
        assert_eq!(refused.retry_after(), Some(3_600));
        login_from(&app.api, &address(21), &number(2, 21)).await.ok();

        app.advance_time(3_600);
        for n in 21..40 {
            ask(n).await.ok();
        }
        assert_eq!(app.database.value::<i64>(alarms).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_prefix_where_people_redeem_codes_goes_on() {
    on_both_stores(&[("limits.codes_per_prefix", "1000")], async |[app, _]| {
        for n in 0..60 {
            let answer = login_from(&app.api, &address(n), &number(1, n)).await;
            // Three in twenty redeem theirs.
            if n % 20 < 3 {
                verify_from(&app.api, &address(n), &number(1, n), &answer.code()).await.signed_in();
            }
        }
        assert_eq!(app.database.value::<i64>("SELECT count(*) FROM alarms").await, 0);
    })
    .await;
}
