//! While the shared store is away, no request that needs it is let through, and each is answered within a bounded time.

use std::time::{Duration, Instant};

use super::{PROXIED, RedisServer, login_from, number, verify_from};
use crate::support::{ProxyMode, TestApp};

const BOUND: Duration = Duration::from_millis(1_500);

async fn is_unavailable_in_time(app: &TestApp) {
    let began = Instant::now();
    login_from(&app.api, "192.0.2.1", &number(1, 1)).await.is_problem(503, "unavailable");
    verify_from(&app.api, "192.0.2.1", &number(1, 1), "000000").await.is_problem(503, "unavailable");
    assert!(began.elapsed() < BOUND * 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn without_postgresql_the_answer_is_503_in_time() {
    let app = TestApp::start().await;
    let (node, proxy) = app.second_node(&PROXIED).await;
    for mood in [ProxyMode::Disconnected, ProxyMode::Stalled] {
        proxy.set_mode(mood).await;
        is_unavailable_in_time(&node).await;
        proxy.set_mode(ProxyMode::Connected).await;
    }
    let mut answer = login_from(&node.api, "192.0.2.1", &number(1, 1)).await;
    for _ in 0..100 {
        if answer.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer = login_from(&node.api, "192.0.2.1", &number(1, 1)).await;
    }
    panic!("it does not come back: {answer:?}");
}

#[tokio::test]
async fn without_redis_the_answer_is_503_in_time() {
    let mut server = RedisServer::start();
    let url = server.url();
    let store = [("limits.store", "redis"), ("limits.redis_url", url.as_str())];
    let app = TestApp::with_settings(&[&PROXIED[..], &store].concat()).await;
    login_from(&app.api, "192.0.2.1", &number(9, 1)).await.ok();
    server.kill();
    let events: i64 = app.database.value("SELECT count(*) FROM events").await;
    is_unavailable_in_time(&app).await;
    assert_eq!(app.database.value::<i64>("SELECT count(*) FROM events").await, events);
    server.start_again();
    let mut answer = login_from(&app.api, "192.0.2.1", &number(1, 1)).await;
    for _ in 0..100 {
        if answer.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer = login_from(&app.api, "192.0.2.1", &number(1, 1)).await;
    }
    panic!("it does not come back: {answer:?}");
}
