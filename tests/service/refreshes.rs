//! One refresh token, presented by many, again, and too late: over HTTP, on two nodes. COUNTERFOIL_REFRESH_ROUNDS does it
//! more often than by default.

use std::time::{Duration, Instant};

use chrono::SubsecRound as _;
use counterfoil::runtime::clock::Clock as _;
use counterfoil::tokens::{Token, TokenKind};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{ApiAnswer, ApiClient, TestApp};

fn rounds() -> u32 {
    std::env::var("COUNTERFOIL_REFRESH_ROUNDS")
        .map_or(20, |rounds| rounds.parse().expect("a number of rounds"))
}

fn phone(round: u32) -> String {
    format!("+98912{round:07}")
}

fn refresh_token(answer: &ApiAnswer) -> String {
    answer.ok()["refresh_token"].as_str().unwrap().to_owned()
}

fn opened(app: &TestApp, token: &str) -> Token {
    app.state.tokens.open(TokenKind::Refresh, token, app.clock.now()).unwrap()
}

/// Presents a token and hangs up when the answer begins, which is after the commit.
async fn refresh_and_hang_up(api: &ApiClient, token: &str) {
    let body = format!(r#"{{"refresh_token":"{token}"}}"#);
    let head = "POST /accounts/refresh/ HTTP/1.1\r\nhost: x\r\ncontent-type: application/json";
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut stream = TcpStream::connect(api.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 1);
}

#[tokio::test]
async fn thirty_refreshes_at_once_give_one_generation_and_sign_no_device_out() {
    let one = TestApp::start().await;
    let (other, _proxy) = one.second_node(&[]).await;
    let device = one.api.sign_in(&phone(0)).await;
    let (mut token, session) = (device.refresh.clone(), opened(&one, &device.refresh).session);
    for round in 1..=rounds() {
        let nodes = [&one.api, &other.api];
        let answers = join_all((0..30).map(|n| nodes[n % 2].refresh(&token))).await;
        for answer in &answers {
            let given = opened(&one, &refresh_token(answer));
            assert_eq!((given.session, given.generation.0), (session, round + 1));
        }
        token = refresh_token(&answers[29]);
    }
    let refreshed = "SELECT count(*) FROM events WHERE event_type = 'TokenRefreshed'";
    assert_eq!(one.database.value::<i64>(refreshed).await, i64::from(rounds()));
    assert_eq!(one.database.value::<i64>("SELECT count(*) FROM user_logins WHERE ended_at IS NULL").await, 1);
}

#[tokio::test]
async fn a_refresh_repeated_within_the_grace_period_gets_the_same_tokens_and_a_later_one_ends_the_session() {
    let one = TestApp::start().await;
    let (other, _proxy) = one.second_node(&[]).await;
    for round in 0..rounds() {
        let device = one.api.sign_in(&phone(round)).await;
        refresh_and_hang_up(&one.api, &device.refresh).await;
        let again = other.api.refresh(&device.refresh).await;
        assert_eq!(opened(&one, &refresh_token(&again)).generation.0, 2, "round {round}");
        let newest = one.api.refresh(&refresh_token(&again)).await;
        let access = newest.ok()["access_token"].as_str().unwrap().to_owned();
        other.api.profile(&access).await.ok();

        one.advance_time(11);
        one.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
        let found_out = Instant::now();
        one.api.profile(&access).await.is_problem(401, "invalid_access_token");
        for node in [&one.api, &other.api] {
            node.refresh(&refresh_token(&newest)).await.is_problem(400, "invalid_token");
        }
        while other.api.profile(&access).await.status != 401 {
            assert!(found_out.elapsed() < Duration::from_secs(1), "round {round}: still taken elsewhere");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let reuse = "SELECT count(*) FROM events WHERE event_type = 'TokenReuseDetected'";
    assert_eq!(one.database.value::<i64>(reuse).await, i64::from(rounds()));
}

#[tokio::test]
async fn an_account_whose_last_event_lies_ahead_of_the_clock_gets_tokens_that_work_at_once() {
    let app = TestApp::start().await;
    let device = app.api.sign_in(&phone(0)).await;
    // A node whose clock is five minutes fast changes the account; then one with the right time goes on.
    app.advance_time(300);
    app.api.rename(&device.access, "Ada").await.ok();
    app.advance_time(-300);
    let refreshed = app.api.refresh(&device.refresh).await;
    let tokens = refreshed.ok();
    app.api.profile(tokens["access_token"].as_str().unwrap()).await.ok();
    assert_eq!(opened(&app, &refresh_token(&refreshed)).issued_at, app.clock.now().trunc_subsecs(0));
    app.api.refresh(&refresh_token(&refreshed)).await.ok();
}
