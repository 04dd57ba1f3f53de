//! The database away, silent, and cut off in the middle.

use std::time::{Duration, Instant};

use crate::support::{Answer, Mood, TestApp};

const PHONE: &str = "+989121234567";

/// What any caller is told: soon again, and within the second.
fn is_away(answer: &Answer, asked: Instant) {
    answer.is_problem(503, "unavailable");
    assert!(answer.header("retry-after").is_some());
    // The promise is a second; the rest is for a machine that others use as well.
    assert!(asked.elapsed() < Duration::from_millis(1500), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn while_the_database_is_away_the_answer_is_503_and_it_comes_back_by_itself() {
    let (app, proxy) = TestApp::behind_proxy().await;
    let device = app.api.sign_in(PHONE).await;
    for mood in [Mood::Away, Mood::Silent] {
        proxy.set(mood).await;
        for _ in 0..3 {
            let asked = Instant::now();
            is_away(&app.api.profile(&device.access).await, asked);
            let asked = Instant::now();
            is_away(&app.api.login("+989127654321").await, asked);
            let asked = Instant::now();
            is_away(&app.api.refresh(&device.refresh).await, asked);
            let asked = Instant::now();
            is_away(&app.api.token_verify(&device.access).await, asked);
        }
        assert_eq!(
            crate::support::Api::send(app.api.request(reqwest::Method::GET, "/healthz")).await.status,
            200
        );
        proxy.set(Mood::Well).await;
        let back = Instant::now();
        while app.api.profile(&device.access).await.status != 200 {
            assert!(back.elapsed() < Duration::from_secs(10), "it did not come back");
        }
    }
    app.api.refresh(&device.refresh).await;
}

#[tokio::test]
async fn a_commit_whose_answer_got_lost_has_one_effect_and_its_caller_hears_of_it() {
    let (app, proxy) = TestApp::behind_proxy().await;
    // Statements are prepared at their first use, which has answers of its own.
    app.api.refresh(&app.api.sign_in(PHONE).await.refresh).await.ok();
    let mut lost_commits = 0;
    for round in 0..30 {
        let phone = format!("+9891277777{round:02}");
        let code = app.api.login(&phone).await.ok()["code"].as_str().unwrap().to_owned();
        // The head is remembered from asking for the code: the next answer is the commit's.
        proxy.cut_after(0);
        let answer = app.api.verify(&phone, &code).await;
        let committed: i64 = app
            .database
            .value("SELECT count(*) FROM events WHERE event_type = 'LoggedIn' AND sequence <= 3")
            .await;
        assert_eq!(committed, i64::from(round) + 2, "round {round}: one sign-in each, never two");
        if answer.status == 200 {
            app.api.profile(&answer.signed_in().access).await.ok();
        } else {
            // The profile could not be read for the answer; the code is spent all the same.
            answer.is_problem(503, "unavailable");
        }
        lost_commits += u32::from(!proxy.is_armed());
    }
    assert!(lost_commits >= 25, "the cut came at the commit {lost_commits} times");
}

#[tokio::test]
async fn a_refresh_whose_commit_was_in_doubt_gives_the_next_generation() {
    let (app, proxy) = TestApp::behind_proxy().await;
    let mut refresh = app.api.sign_in(PHONE).await.refresh;
    refresh = app.api.refresh(&refresh).await.ok()["refresh_token"].as_str().unwrap().to_owned();
    for round in 0..40 {
        // The head is remembered, so the first answer is the commit's.
        proxy.cut_after(0);
        let answer = app.api.refresh(&refresh).await;
        assert!(!proxy.is_armed(), "round {round}: the cut came within the refresh");
        refresh = answer.ok()["refresh_token"].as_str().unwrap().to_owned();
    }
    let generation: i64 = app.database.value("SELECT generation FROM user_logins").await;
    assert_eq!(generation, 42);
}
