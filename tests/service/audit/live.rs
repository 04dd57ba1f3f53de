//! The log as it grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use counterfoil::clock::{Clock as _, SystemClock};
use counterfoil::database::Database;
use counterfoil::journal::sequencer::Sequencer;
use counterfoil_domain::values::Role;
use futures_util::future::join_all;
use reqwest::{Method, Response};

use super::number;
use crate::support::{Api, Authenticator, Node, SignedIn, TestApp, TestDatabase};

/// A connection that follows.
struct Following {
    response: Response,
    text: String,
}

impl Following {
    async fn after(api: &Api, auditor: &SignedIn, query: &str, last: Option<i64>) -> Self {
        let path = format!("/audit/events/stream/?reason=watching{query}");
        let mut request = api.request(Method::GET, &path).bearer_auth(&auditor.access);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The position and the type of the next event; none when the service ended it.
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
            self.text += std::str::from_utf8(&chunk.expect("a heartbeat at least").unwrap()?).unwrap();
        }
    }
}

#[tokio::test]
async fn followers_see_every_event_once_and_in_order_across_disconnects() {
    let seed =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let app = TestApp::start().await;
    let auditors =
        join_all((0..3).map(async |n| app.staff(&format!("+98912123456{n}"), Role::Auditor).await)).await;
    let devices = join_all((0..10).map(async |n| app.api.sign_in(&format!("+98912123457{n}")).await)).await;
    let sequencer = Sequencer::new(Database::new(&app.database.url.0, 2).unwrap());
    let numbering = tokio::spawn(async move {
        loop {
            sequencer.look().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });

    // Until it is known, no follower has come to it.
    let last = Arc::new(AtomicI64::new(i64::MAX));
    let followers = auditors.into_iter().zip(0..).map(|(auditor, n)| {
        let (api, last, mut random) = (app.api.clone(), last.clone(), fastrand::Rng::with_seed(seed + n));
        tokio::spawn(async move {
            let (mut seen, mut connections) = (Vec::new(), 0);
            while seen.last().copied().unwrap_or(0) < last.load(Ordering::Relaxed) {
                let from = seen.last().copied().or(Some(0));
                let mut following = Following::after(&api, &auditor, "", from).await;
                connections += 1;
                for _ in 0..random.u32(1..200) {
                    seen.push(following.next().await.unwrap().0);
                    if seen.last() >= Some(&last.load(Ordering::Relaxed)) {
                        break;
                    }
                }
            }
            (seen, connections)
        })
    });
    let followers: Vec<_> = followers.collect();
    join_all(devices.into_iter().map(async |device| {
        let mut refresh = device.refresh;
        for _ in 0..200 {
            let tokens = app.api.refresh(&refresh).await.ok();
            refresh = tokens["refresh_token"].as_str().unwrap().to_owned();
        }
    }))
    .await;
    last.store(app.database.value("SELECT count(*) FROM events").await, Ordering::Relaxed);
    // So that whoever waits for more hears that there is none.
    app.api.sign_in("+989121234599").await;
    for follower in followers {
        let (seen, connections) = follower.await.unwrap();
        assert!(seen.len() > 2_000, "{}", seen.len());
        assert_eq!(seen, (1..=seen.len() as i64).collect::<Vec<_>>(), "seed {seed}");
        eprintln!("{} events over {connections} connections", seen.len());
        assert!(connections > 3);
    }
    numbering.abort();
}

#[tokio::test]
async fn a_stream_begins_at_the_end_and_keeps_to_its_filter() {
    let app = TestApp::start().await;
    let auditor = app.staff("+989121234560", Role::Auditor).await;
    number(&app).await;
    let mut following = Following::after(&app.api, &auditor, "&type=LoggedIn", None).await;
    let device = app.api.sign_in("+989121234561").await;
    number(&app).await;
    // 1–6 were there, 7 is that he follows.
    assert_eq!(following.next().await, Some((10, "LoggedIn".to_owned())));
    app.api.refresh(&device.refresh).await.ok();
    app.api.sign_in("+989121234562").await;
    number(&app).await;
    assert_eq!(following.next().await, Some((14, "LoggedIn".to_owned())));
}

#[tokio::test]
async fn a_stream_ends_with_the_role_and_with_the_session() {
    let app = TestApp::start().await;
    let (one, other) =
        (app.staff("+989121234560", Role::Auditor).await, app.staff("+989121234561", Role::Auditor).await);
    number(&app).await;
    let mut streams = [
        Following::after(&app.api, &one, "&type=LimitsLifted", None).await,
        Following::after(&app.api, &other, "&type=LimitsLifted", None).await,
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
    let auditor = app.staff("+989121234560", Role::Auditor).await;
    let request = app.api.request(Method::GET, "/audit/events/stream/?reason=x").bearer_auth(&auditor.access);
    Api::send(request.header("last-event-id", "x")).await.refuses_fields(&["Last-Event-ID"]);
}

#[tokio::test]
async fn a_service_that_stops_waits_for_no_follower() {
    let database = TestDatabase::new();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit-stop");
    let environment = [("DATABASE_URL", database.url.0.as_str())];
    let node = Node::start(&folder, &environment);
    let auditor = node.api.sign_in("+989121234560").await;
    let grant = ["accounts", "grant", "+989121234560", "auditor"];
    let granted = Node::command(&folder, &environment)
        .env("COUNTERFOIL_PROFILE", "development")
        .args(grant)
        .output()
        .unwrap();
    assert!(granted.status.success(), "{granted:?}");
    Authenticator::enrol(&node.api, &auditor, SystemClock.now()).await;
    let mut following = Following::after(&node.api, &auditor, "&type=LimitsLifted", None).await;
    let began = std::time::Instant::now();
    let stopping = tokio::task::spawn_blocking(move || node.stop());
    assert_eq!(following.next().await, None);
    assert!(stopping.await.unwrap());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    std::fs::remove_dir_all(&folder).unwrap();
}
