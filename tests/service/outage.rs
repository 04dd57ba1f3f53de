//! The database away, silent, and cut off in the middle.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use crate::support::{ApiAnswer, ApiClient, DatabaseProxy, NodeProcess, ProxyMode, TestApp, TestDatabase};

const PHONE: &str = "+989121234567";

/// What any caller is told: soon again, and within the second.
fn is_away(answer: &ApiAnswer, asked: Instant) {
    answer.is_problem(503, "unavailable");
    assert!(answer.header("retry-after").is_some());
    // The promise is a second; the rest is for a machine that others use as well.
    assert!(asked.elapsed() < Duration::from_millis(1500), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn during_an_outage_of_the_database_the_answer_is_503_and_the_node_recovers_by_itself() {
    let (app, proxy) = TestApp::behind_proxy().await;
    let device = app.api.sign_in(PHONE).await;
    for mood in [ProxyMode::Disconnected, ProxyMode::Stalled] {
        proxy.set_mode(mood).await;
        for _ in 0..3 {
            let asked = Instant::now();
            is_away(&app.api.profile(&device.access).await, asked);
            let asked = Instant::now();
            is_away(&app.api.login("+989127654321").await, asked);
            let asked = Instant::now();
            is_away(&app.api.refresh(&device.refresh).await, asked);
        }
        // The node trusts its last look for ended sessions for a moment.
        let began = Instant::now();
        while app.api.token_verify(&device.access).await.status == 200 {
            assert!(began.elapsed() < Duration::from_secs(5), "it is still answered");
        }
        let asked = Instant::now();
        is_away(&app.api.token_verify(&device.access).await, asked);
        assert_eq!(ApiClient::send(app.api.request(Method::GET, "/healthz")).await.status, 200);
        proxy.set_mode(ProxyMode::Connected).await;
        let back = Instant::now();
        while app.api.profile(&device.access).await.status != 200 {
            assert!(back.elapsed() < Duration::from_secs(10), "it did not come back");
        }
    }
    app.api.refresh(&device.refresh).await;
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_has_one_effect_and_its_caller_learns_the_outcome() {
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

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_and_thousands_of_bad_requests_leave_few_log_lines_with_their_count() {
    let database = TestDatabase::new();
    let proxy = DatabaseProxy::start(&database.url).await;
    let url = proxy.url_of(&database.name);
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(&database.name);
    let node = NodeProcess::start(&folder, &[("DATABASE_URL", &url.0)]);
    let fields = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    let bad = 3_000;
    for _ in 0..bad / 100 {
        let login =
            || node.api.request(Method::POST, "/accounts/login/").body("{}").header("content-type", "x/y");
        let sent = (0..100).map(|_| ApiClient::send(login()));
        for answer in futures_util::future::join_all(sent).await {
            answer.is_problem(415, "unsupported_media_type");
        }
    }
    let length: usize = node.log_lines().iter().map(String::len).sum();
    assert!(length < 100_000, "{length} bytes");
    let told = async || {
        let lines: Vec<Value> = node.log_lines().iter().map(fields).collect();
        let written = lines.iter().filter(|line| line["fields"]["status"] == 415 && line["span"].is_object());
        let left_out = lines.iter().filter(|line| line["fields"]["status"] == 415);
        let left_out = left_out.filter_map(|line| line["fields"]["left_out"].as_u64());
        written.count() as u64 + left_out.sum::<u64>()
    };
    while told().await < bad {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let before = node.log_lines().len();
    proxy.set_mode(ProxyMode::Disconnected).await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        ApiClient::send(node.api.request(Method::GET, "/readyz")).await.is_problem(503, "unavailable");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = began.elapsed().as_secs() + 1;
    let lines: Vec<Value> = node.log_lines()[before..].iter().map(fields).collect();
    let errors = lines.iter().filter(|line| line["level"] == "ERROR").count() as u64;
    assert!((1..=seconds + 1).contains(&errors), "{errors} in {seconds} s: {lines:#?}");
    drop(node);
    std::fs::remove_dir_all(&folder).unwrap();
}
