//! Access tokens of sessions that have ended, on the node that ended them and on another.

use counterfoil::app::delete_expired;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use counterfoil::crypto::entropy;
use counterfoil::read_models::ended_sessions::expiry_of;
use counterfoil::runtime::clock::{Clock as _, SystemClock};
use counterfoil_domain::values::SessionId;
use counterfoil_guard::ended_sessions::{EndedSessions, TRUSTED_FOR};
use counterfoil_projections::revoked_token::RevokedSession;
use futures_util::future::join_all;
use reqwest::Method;
use uuid::Uuid;

use crate::support::{ApiClient, NodeProcess, ProxyMode, TestApp, TestDatabase};

const PHONE: &str = "+989121234567";

#[tokio::test]
async fn an_access_token_stops_working_at_once_here_and_within_two_seconds_on_another_node() {
    let database = TestDatabase::new();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ended-sessions");
    let node = || NodeProcess::start(&folder, &[("DATABASE_URL", database.url.0.as_str())]);
    let (here, there) = (node(), node());
    for round in 0..10 {
        let device = here.api.sign_in(&format!("+98912123450{round}")).await;
        there.api.profile(&device.access).await.ok();
        assert_eq!(here.api.logout(&device.refresh).await.status, 204);
        let ended = Instant::now();
        here.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
        here.api.token_verify(&device.access).await.is_problem(400, "invalid_token");
        there.api.refresh(&device.refresh).await.is_problem(400, "invalid_token");
        // Asked before the two seconds are over, it may still work; asked after, it never does.
        loop {
            let asked = ended.elapsed();
            let refused = there.api.profile(&device.access).await.status == 401;
            assert!(refused || asked < Duration::from_secs(2), "worked {asked:?} after the end");
            if refused {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_node_that_cannot_look_for_ended_sessions_answers_503_and_knows_them_once_it_can() {
    let (app, proxy) = TestApp::behind_proxy().await;
    let device = app.api.sign_in(PHONE).await;
    app.api.profile(&device.access).await.ok();

    proxy.set_mode(ProxyMode::Stalled).await;
    tokio::time::sleep(TRUSTED_FOR).await;
    app.api.token_verify(&device.access).await.is_problem(503, "unavailable");
    proxy.set_mode(ProxyMode::Disconnected).await;
    app.api.token_verify(&device.access).await.is_problem(503, "unavailable");

    // Another node that can reach the database ends the session meanwhile.
    let sql = "INSERT INTO revoked_tokens (account_id, session_id, revoked_at, expires_at)
               SELECT account_id, session_id, now(), now() + interval '1 day' FROM user_logins";
    app.database.connect().await.execute(sql, &[]).await.unwrap();
    proxy.set_mode(ProxyMode::Connected).await;
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

/// Checks an access token by 16 clients at a time for so long. Returns how often, and the longest that a check took.
async fn check_for(app: &TestApp, access: &str, time: Duration) -> (usize, Duration) {
    let began = Instant::now();
    let clients = (0..16).map(async |_| {
        let (mut checks, mut longest) = (0, Duration::ZERO);
        while began.elapsed() < time {
            let asked = Instant::now();
            app.api.token_verify(access).await.ok();
            (checks, longest) = (checks + 1, longest.max(asked.elapsed()));
        }
        (checks, longest)
    });
    let all = join_all(clients).await;
    (all.iter().map(|(checks, _)| checks).sum(), all.iter().map(|(_, longest)| *longest).max().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_database_makes_no_check_of_an_access_token_fail() {
    let (app, proxy) = TestApp::behind_proxy().await;
    let device = app.api.sign_in(PHONE).await;
    app.api.token_verify(&device.access).await.ok();
    proxy.delay(Duration::from_millis(1_300));
    let (checks, longest) = check_for(&app, &device.access, Duration::from_secs(5)).await;
    eprintln!("{checks} checks while the database took 1.3 s to answer, the longest {longest:?}");
}

/// `COUNTERFOIL_BUSY_SECONDS` sets for how long.
#[tokio::test(flavor = "multi_thread")]
async fn busy_cores_make_no_check_of_an_access_token_fail() {
    let seconds = std::env::var("COUNTERFOIL_BUSY_SECONDS").map_or(2, |seconds| seconds.parse().unwrap());
    let time = Duration::from_secs(seconds);
    let app = TestApp::start().await;
    let device = app.api.sign_in(PHONE).await;
    app.api.token_verify(&device.access).await.ok();
    let cores = std::thread::available_parallelism().unwrap().get();
    let hogs = (0..cores * 2).map(async |_| {
        let connection = app.database.connect().await;
        let busy = format!("SET statement_timeout = {}", time.as_millis());
        connection.batch_execute(&busy).await.unwrap();
        let ended = connection.batch_execute("DO $$ BEGIN LOOP END LOOP; END $$").await;
        assert!(ended.is_err(), "it ends by its time limit");
    });
    let (_, (checks, longest)) = tokio::join!(join_all(hogs), check_for(&app, &device.access, time));
    eprintln!("{checks} checks in {time:?} beside {} busy backends, the longest {longest:?}", cores * 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_of_access_tokens_that_wait_are_answered_by_the_next_read_of_ended_sessions() {
    let (app, proxy) = TestApp::behind_proxy().await;
    let (kept, ended) = (app.api.sign_in(PHONE).await, app.api.sign_in("+989121234568").await);
    app.api.token_verify(&kept.access).await.ok();
    app.api.token_verify(&ended.access).await.ok();
    proxy.set_mode(ProxyMode::Stalled).await;
    let end = "INSERT INTO revoked_tokens (account_id, session_id, revoked_at, expires_at)
               SELECT account_id, session_id, now(), now() + interval '1 day' FROM user_logins WHERE account_id = $1::text::uuid";
    let account = ended.user["id"].as_str().unwrap();
    app.database.connect().await.execute(end, &[&account]).await.unwrap();
    tokio::time::sleep(TRUSTED_FOR + Duration::from_millis(100)).await;
    let checks = join_all((0..32).map(|_| app.api.token_verify(&kept.access)));
    let refused = join_all((0..32).map(|_| app.api.token_verify(&ended.access)));
    let back = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        proxy.set_mode(ProxyMode::Connected).await;
    };
    let (kept, ended, ()) = tokio::join!(checks, refused, back);
    for answer in kept {
        answer.ok();
    }
    for answer in ended {
        answer.is_problem(400, "invalid_token");
    }
}

/// Ends so many sessions of strangers, evenly over a time until now, by one statement.
async fn end_strangers(database: &TestDatabase, sessions: u32, over: TimeDelta) {
    let sql = format!(
        "INSERT INTO revoked_tokens (account_id, session_id, revoked_at, expires_at)
         SELECT gen_random_uuid(), gen_random_uuid(), at, at + interval '30 days'
           FROM (SELECT now() - n * interval '{} us' AS at FROM generate_series(0, {} - 1) AS n) AS ends",
        over.num_microseconds().unwrap() / i64::from(sessions),
        sessions
    );
    database.connect().await.execute(&sql, &[]).await.unwrap();
}

/// Waits until a node knows of so many ended sessions.
async fn until_it_knows(node: &TestApp, sessions: usize) {
    let began = Instant::now();
    while node.state.ended_sessions().len() != sessions {
        let known = node.state.ended_sessions().len();
        assert!(began.elapsed() < Duration::from_secs(20), "it knows of {known}, not {sessions}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// `COUNTERFOIL_ENDED_SESSIONS=10000000` measures it with ten million, which takes minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_starts_at_once_beside_millions_of_ended_sessions_and_reads_those_that_tokens_can_name() {
    let sessions = std::env::var("COUNTERFOIL_ENDED_SESSIONS").map_or(200_000, |it| it.parse().unwrap());
    let database = TestDatabase::new();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("many-ended-sessions");
    let environment = [("DATABASE_URL", database.url.0.as_str())];
    let alone = NodeProcess::start(&folder, &environment);
    let device = alone.api.sign_in(PHONE).await;
    let memory_alone = alone.memory_mib();
    assert!(alone.stop());
    end_strangers(&database, sessions, TimeDelta::days(30)).await;
    let end = "INSERT INTO revoked_tokens (account_id, session_id, revoked_at, expires_at)
               SELECT account_id, session_id, now(), now() + interval '30 days' FROM user_logins";
    database.connect().await.execute(end, &[]).await.unwrap();

    // Ten minutes, and half a minute for clocks that differ.
    let count = "SELECT count(*) FROM revoked_tokens WHERE revoked_at > now() - interval '630 s'";
    let at_most = database.value::<i64>(count).await;
    let began = Instant::now();
    let node = NodeProcess::start(&folder, &environment);
    while ApiClient::send(node.api.request(Method::GET, "/readyz")).await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(3), "it does not become ready");
    }
    let ready = began.elapsed();
    node.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
    let known = loop {
        if let Some(known) = node.metric("counterfoil_ended_sessions").await.filter(|known| *known > 0.0) {
            break known;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "the feed is never complete");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let at_least = database.value::<i64>(count).await;
    let (complete, memory) = (began.elapsed(), node.memory_mib());
    eprintln!(
        "{sessions} ended: ready in {ready:?}, {known} known in {complete:?}, {memory} MiB, {memory_alone} alone"
    );
    let bounds = [at_least, at_most].map(|count| f64::from(u32::try_from(count).unwrap()));
    assert!(bounds[0] <= known && known <= bounds[1], "{bounds:?}: {known}");
    assert!(ready < Duration::from_secs(3), "ready in {ready:?}");
    assert!(memory < memory_alone + 20, "{memory} MiB, {memory_alone} before");
}

#[tokio::test]
async fn more_ended_sessions_than_a_page_has_are_read_whole_at_start_and_while_a_node_runs() {
    let app = TestApp::start().await;
    end_strangers(&app.database, 25_000, TimeDelta::minutes(5)).await;
    until_it_knows(&app, 25_000).await;
    let (there, _proxy) = app.second_node(&[]).await;
    until_it_knows(&there, 25_000).await;
    let device = app.api.sign_in(PHONE).await;
    assert_eq!(app.api.logout(&device.refresh).await.status, 204);
    until_it_knows(&there, 25_001).await;
}

#[tokio::test]
async fn a_backlog_of_ended_sessions_is_pruned_page_by_page_and_those_that_tokens_can_name_are_kept() {
    let app = TestApp::start().await;
    end_strangers(&app.database, 24_000, TimeDelta::hours(2)).await;
    delete_expired(&app.state).await;
    let left = app.database.value::<i64>("SELECT count(*) FROM revoked_tokens").await;
    // An hour and a minute of the two hours; the insertion itself takes a while.
    assert!((12_180..12_220).contains(&left), "{left}");
}

#[test]
fn a_node_forgets_an_ended_session_when_no_access_token_can_name_it() {
    let (now, session) = (SystemClock.now(), SessionId(Uuid::from_bytes(entropy::bytes())));
    let ended = EndedSessions::new();
    let revoked = RevokedSession { session, revoked_at: now, expires_at: now + TimeDelta::days(30) };
    ended.learn([expiry_of(&revoked, TimeDelta::minutes(10))], None);
    ended.prune(now + TimeDelta::seconds(599));
    assert_eq!((ended.contains(session), ended.len()), (Some(true), 1));
    ended.prune(now + TimeDelta::seconds(600));
    assert_eq!((ended.contains(session), ended.len()), (None, 0));
}

#[tokio::test]
async fn a_shorter_lifetime_holds_for_access_tokens_that_were_made_while_it_was_longer() {
    let before = TestApp::with_settings(&[("tokens.access_lifetime", "3600")]).await;
    let (after, _proxy) = before.second_node(&[("tokens.access_lifetime", "60")]).await;
    let device = before.api.sign_in(PHONE).await;
    before.advance_time(59);
    for node in [&before, &after] {
        node.api.profile(&device.access).await.ok();
    }
    before.advance_time(1);
    before.api.profile(&device.access).await.ok();
    after.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
}
