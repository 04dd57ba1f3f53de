//! Access tokens of sessions that have ended, on the node that ended them and on another.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use counterfoil::ended_sessions::TRUSTED_FOR;

use crate::support::{Mood, Node, TestApp, TestDatabase};

const PHONE: &str = "+989121234567";

#[tokio::test]
async fn an_access_token_stops_working_at_once_here_and_within_a_second_on_another_node() {
    let database = TestDatabase::new();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ended-sessions");
    let node = || Node::start(&folder, &[("DATABASE_URL", database.url.0.as_str())]);
    let (here, there) = (node(), node());
    for round in 0..10 {
        let device = here.api.sign_in(&format!("+98912123450{round}")).await;
        there.api.profile(&device.access).await.ok();
        assert_eq!(here.api.logout(&device.refresh).await.status, 204);
        let ended = Instant::now();
        here.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
        here.api.token_verify(&device.access).await.is_problem(400, "invalid_token");
        there.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
        // Asked before the second is over, it may still work; asked after, it never does.
        loop {
            let asked = ended.elapsed();
            let refused = there.api.profile(&device.access).await.status == 401;
            assert!(refused || asked < Duration::from_secs(1), "worked {asked:?} after the end");
            if refused {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_node_that_has_lost_its_feed_asks_the_database_and_one_that_cannot_answers_503() {
    let (app, proxy) = TestApp::behind_proxy().await;
    let device = app.api.sign_in(PHONE).await;
    app.api.profile(&device.access).await.ok();

    proxy.set(Mood::Silent).await;
    tokio::time::sleep(TRUSTED_FOR).await;
    app.api.token_verify(&device.access).await.is_problem(503, "unavailable");
    proxy.set(Mood::Away).await;
    app.api.token_verify(&device.access).await.is_problem(503, "unavailable");

    // Ended meanwhile by somebody else, who can reach the database.
    let sql = "INSERT INTO revoked_tokens (account_id, session_id, revoked_at, expires_at)
               SELECT account_id, session_id, now(), now() + interval '1 day' FROM user_logins";
    app.database.connect().await.execute(sql, &[]).await.unwrap();
    proxy.set(Mood::Well).await;
    for _ in 0..100 {
        let answer = app.api.token_verify(&device.access).await;
        if answer.status != 503 {
            answer.is_problem(400, "invalid_token");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not recover within 5 seconds");
}
