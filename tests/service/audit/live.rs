//! The log as it grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use counterfoil_domain::values::Role;
use futures_util::{StreamExt as _, stream};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::number;
use crate::support::{ApiClient, NodeProcess, SignedInDevice, TestApp, TestDatabase};

/// Whether a service that is overloaded, stopping or starting says so.
fn is_for_now(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT)
}

/// A connection that follows.
struct StreamConnection {
    response: Response,
    text: String,
}

impl StreamConnection {
    async fn after(api: &ApiClient, auditor: &SignedInDevice, query: &str, last: Option<i64>) -> Self {
        Self::try_after(api, auditor, query, last).await.unwrap()
    }

    /// None when the service does not answer, or answers that it cannot for now.
    async fn try_after(
        api: &ApiClient,
        auditor: &SignedInDevice,
        query: &str,
        last: Option<i64>,
    ) -> Option<Self> {
        let path = format!("/audit/events/stream/?reason=watching{query}");
        let mut request = api.request(Method::GET, &path).bearer_auth(&auditor.access);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.ok().filter(|response| !is_for_now(response.status()))?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Some(Self { response, text: String::new() })
    }

    /// The position and the type of the next event; none when the connection has ended.
    async fn next(&mut self) -> Option<(i64, String)> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(id), Some(kind), Some(data)) = (line("id: "), line("event: "), line("data: ")) {
                    let data: serde_json::Value = serde_json::from_str(data).unwrap();
                    assert_eq!(data["position"].to_string(), id);
                    return Some((id.parse().unwrap(), kind.to_owned()));
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk()).await;
            let chunk = chunk.expect("a heartbeat at least").ok().flatten()?;
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }
}

/// How many clients send commands.
const CLIENTS: usize = 64;

/// Refreshes a device so often, at whichever address the service has; again where no answer comes, since it may have
/// happened and the answer got lost.
async fn refresh(apis: watch::Receiver<ApiClient>, mut token: String, times: usize, done: &AtomicUsize) {
    for _ in 0..times {
        token = loop {
            let request = apis.borrow().request(Method::POST, "/accounts/refresh/");
            match ApiClient::try_send(request.json(&json!({ "refresh_token": token }))).await {
                Ok(answer) if !is_for_now(answer.status) => {
                    break answer.ok()["refresh_token"].as_str().unwrap().to_owned();
                }
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Follows until it has come to that position, and leaves and comes back again and again. What it saw, and over how many
/// connections.
async fn follow(
    apis: watch::Receiver<ApiClient>,
    auditor: SignedInDevice,
    last: Arc<AtomicI64>,
    mut random: fastrand::Rng,
) -> (Vec<i64>, u32) {
    let (mut seen, mut connections) = (Vec::new(), 0);
    let far_enough = |seen: &[i64]| seen.last().is_some_and(|seen| *seen >= last.load(Ordering::Relaxed));
    while !far_enough(&seen) {
        let (api, from) = (apis.borrow().clone(), seen.last().copied().or(Some(0)));
        let Some(mut following) = StreamConnection::try_after(&api, &auditor, "", from).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        connections += 1;
        for _ in 0..random.u32(1..200) {
            let Some((position, _)) = following.next().await else { break };
            seen.push(position);
            if far_enough(&seen) {
                break;
            }
        }
    }
    (seen, connections)
}

/// The service is killed after a third of the commands and stopped after two; each time it is started again.
/// COUNTERFOIL_FOLLOWED_COMMANDS, 2,000 by default, says how many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_see_every_event_once_and_in_order_across_disconnects_and_restarts() {
    let seed =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    let commands: usize =
        std::env::var("COUNTERFOIL_FOLLOWED_COMMANDS").map_or(2_000, |n| n.parse().unwrap());
    eprintln!("SEED={seed}");
    let database = TestDatabase::new();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit-follow");
    drop(std::fs::remove_dir_all(&folder));
    let environment = [
        ("DATABASE_URL", database.url.0.as_str()),
        ("COUNTERFOIL__TOKENS__ACCESS_LIFETIME", "3600"),
        ("COUNTERFOIL__SESSIONS__REFRESHES_PER_MINUTE", "1000000"),
    ];
    let mut node = NodeProcess::start(&folder, &environment);
    let mut auditors = Vec::new();
    for n in 0..3 {
        auditors.push(
            node.sign_in_staff(&folder, &environment, &format!("+98912123456{n}"), Role::Auditor).await,
        );
    }
    let signing_in = (0..CLIENTS).map(|n| {
        let api = node.api.clone();
        async move { api.sign_in(&format!("+9891212346{n:02}")).await }
    });
    let devices: Vec<SignedInDevice> = stream::iter(signing_in).buffered(8).collect().await;

    let (moved, apis) = watch::channel(node.api.clone());
    // Until it is known, no follower has come to it.
    let last = Arc::new(AtomicI64::new(i64::MAX));
    let followers = auditors.into_iter().zip(0..).map(|(auditor, n)| {
        tokio::spawn(follow(apis.clone(), auditor, last.clone(), fastrand::Rng::with_seed(seed + n)))
    });
    let followers: Vec<_> = followers.collect();
    let (done, began) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let clients = devices.into_iter().map(|device| {
        let (apis, done) = (apis.clone(), done.clone());
        tokio::spawn(async move { refresh(apis, device.refresh, commands.div_ceil(CLIENTS), &done).await })
    });
    let clients: Vec<_> = clients.collect();
    for third in 1..3 {
        while done.load(Ordering::Relaxed) < commands / 3 * third {
            assert!(!clients.iter().all(JoinHandle::is_finished), "the clients have stopped");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        node = tokio::task::block_in_place(|| {
            if third == 1 {
                node.kill();
            } else {
                assert!(node.stop());
            }
            NodeProcess::start(&folder, &environment)
        });
        moved.send(node.api.clone()).unwrap();
    }
    for client in clients {
        client.await.unwrap();
    }
    eprintln!("{commands} commands in {:?}", began.elapsed());
    last.store(database.value("SELECT count(*) FROM events").await, Ordering::Relaxed);
    // One more event, so that each follower that waits learns that it has seen all the others.
    node.api.sign_in("+989121234599").await;
    for follower in followers {
        let (seen, connections) = follower.await.unwrap();
        assert!(seen.len() > commands, "{}", seen.len());
        assert!(seen.iter().copied().eq(1..=seen.len() as i64), "seed {seed}");
        eprintln!("{} events over {connections} connections", seen.len());
        assert!(connections > 3);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn an_event_stream_begins_at_the_end_of_the_log_and_keeps_to_its_filter() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff("+989121234560", Role::Auditor).await;
    number(&app).await;
    let mut following = StreamConnection::after(&app.api, &auditor, "&type=LoggedIn", None).await;
    let device = app.api.sign_in("+989121234561").await;
    number(&app).await;
    // Events 1–6 were there before; event 7 records that the auditor follows.
    assert_eq!(following.next().await, Some((10, "LoggedIn".to_owned())));
    app.api.refresh(&device.refresh).await.ok();
    app.api.sign_in("+989121234562").await;
    number(&app).await;
    assert_eq!(following.next().await, Some((14, "LoggedIn".to_owned())));
}

#[tokio::test]
async fn an_event_stream_ends_when_the_auditor_loses_the_role_or_the_session() {
    let app = TestApp::start().await;
    let (one, other) = (
        app.sign_in_staff("+989121234560", Role::Auditor).await,
        app.sign_in_staff("+989121234561", Role::Auditor).await,
    );
    number(&app).await;
    let mut streams = [
        StreamConnection::after(&app.api, &one, "&type=LimitsLifted", None).await,
        StreamConnection::after(&app.api, &other, "&type=LimitsLifted", None).await,
    ];
    app.give_roles(&one, []).await;
    assert_eq!(app.api.logout(&other.refresh).await.status, 204);
    for stream in &mut streams {
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test]
async fn a_malformed_last_event_id_is_refused() {
    let app = TestApp::start().await;
    let auditor = app.sign_in_staff("+989121234560", Role::Auditor).await;
    let request = app.api.request(Method::GET, "/audit/events/stream/?reason=x").bearer_auth(&auditor.access);
    ApiClient::send(request.header("last-event-id", "x")).await.refuses_fields(&["Last-Event-ID"]);
}

#[tokio::test]
async fn a_node_that_stops_does_not_wait_for_the_followers_of_its_event_streams() {
    let database = TestDatabase::new();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit-stop");
    let environment = [("DATABASE_URL", database.url.0.as_str())];
    let node = NodeProcess::start(&folder, &environment);
    let auditor = node.sign_in_staff(&folder, &environment, "+989121234560", Role::Auditor).await;
    let mut following = StreamConnection::after(&node.api, &auditor, "&type=LimitsLifted", None).await;
    let began = Instant::now();
    let stopping = tokio::task::spawn_blocking(move || node.stop());
    assert_eq!(following.next().await, None);
    assert!(stopping.await.unwrap());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    std::fs::remove_dir_all(&folder).unwrap();
}
