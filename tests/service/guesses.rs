//! Guessing on and on: challenge after challenge, for days.

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::Value;

use crate::support::{ApiAnswer, ApiClient, TestApp};

const PHONE: &str = "+989121234567";

/// Asks for a code as soon as there may be one; none where the account stays locked for two days.
async fn next_code(app: &TestApp) -> Option<String> {
    for _ in 0..3 {
        let answer = app.api.login(PHONE).await;
        if answer.status == 200 {
            return Some(answer.code());
        }
        assert_eq!(answer.status, 406, "{answer:?}");
        app.advance_time(answer.retry_after().unwrap());
    }
    None
}

/// Guesses so often at once, on both nodes in turns, and never right.
async fn guess(nodes: [&ApiClient; 2], code: &str, times: usize) -> Vec<ApiAnswer> {
    let wrong = (0..).map(|n| format!("{n:06}")).filter(|guess| guess != code);
    let guesses = wrong.take(times).enumerate();
    join_all(guesses.map(async |(n, guess)| nodes[n % 2].verify(PHONE, &guess).await)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_challenges_bring_ten_guesses_an_hour_and_ninety_in_all() {
    // With more codes than the test asks for, so that only the limit of guesses counts.
    let settings = [("codes.per_day", "100")];
    let app = TestApp::with_settings(&settings).await;
    let (other, _proxy) = app.second_node(&settings).await;
    let nodes = [&app.api, &other.api];
    let (mut challenges, mut paused) = (0, 0);
    for n in 0..40 {
        // Four on every third, so that the tenth and the ninetieth wrong code leave a challenge with tries to spare.
        let Some(code) = next_code(&app).await else { break };
        challenges += 1;
        let answers = guess(nodes, &code, if n % 3 == 0 { 4 } else { 5 }).await;
        assert!(answers.iter().all(|answer| [400, 429].contains(&answer.status.as_u16())), "{answers:?}");
        if n % 3 == 2 {
            // The challenge has had one wrong code: it is the account that has had too many.
            paused += answers.iter().filter(|answer| answer.status == 429).count();
            for node in nodes {
                node.verify(PHONE, &code).await.is_problem(429, "too_many_tries");
            }
        } else if n % 3 == 1 {
            nodes[0].verify(PHONE, &code).await.is_problem(400, "invalid_code");
        }
    }
    assert_eq!((challenges, paused), (27, 36));

    let wrong = "SELECT json_agg(payload->>'at' ORDER BY sequence)::text FROM events
                  WHERE payload->'fact'->'OtpRejected'->>'reason' = 'wrong'";
    let wrong: Vec<Value> = serde_json::from_str(&app.database.value::<String>(wrong).await).unwrap();
    let times: Vec<chrono::DateTime<chrono::Utc>> =
        wrong.iter().map(|at| at.as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(times.len(), 90);
    for tries in times.windows(11) {
        assert!(tries[10] - tries[0] >= TimeDelta::hours(1), "{tries:?}");
    }
    // Locked, and still so long after.
    app.advance_time(30 * 24 * 3600);
    for node in nodes {
        node.login(PHONE).await.is_problem(406, "code_quota_spent");
        node.verify(PHONE, "000000").await.is_problem(429, "too_many_tries");
    }
}
