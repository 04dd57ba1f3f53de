//! When a node says that it is ready, and all that a program runs which embeds the service.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use counterfoil::app::{Application, new_state};
use counterfoil::delivery::Gateways;
use counterfoil::settings::Sources;
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::Method;

use crate::support::{ApiAnswer, ApiClient, NodeProcess, ProxyMode, TestApp, TestDatabase};

const PHONE: &str = "+989121234567";

async fn readyz(api: &ApiClient) -> ApiAnswer {
    ApiClient::send(api.request(Method::GET, "/readyz")).await
}

async fn until_ready(api: &ApiClient) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while readyz(api).await.status != 200 {
        assert!(Instant::now() < deadline, "it does not become ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_program_that_embeds_the_service_numbers_the_log_and_follows_it_with_read_models() {
    let app = TestApp::start().await;
    let flags =
        [("server.listen", "127.0.0.1:0"), ("server.workers", "1"), ("identifiers.default_region", "IR")];
    let flags = flags.into_iter().map(|(key, value)| (key, value.to_owned()));
    let settings = Sources::read(None, std::iter::empty(), flags).unwrap().check().unwrap();
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let gateways = Gateways::new(&settings.delivery, [], app.clock.clone()).unwrap();
    let state =
        new_state(&settings, &app.database.url, &app.keyring, gateways, app.clock.clone(), metrics).unwrap();
    let embedded = Application::build(&settings, &app.keyring, state).unwrap();
    let (api, handle) = (ApiClient::new(embedded.address()), embedded.handle());
    let running = tokio::spawn(embedded.run());

    let device = api.sign_in(PHONE).await;
    api.refresh(&device.refresh).await.ok();
    let followed = "SELECT count(*) > 0 AND count(*) = (SELECT count(*) FROM events)
                      AND count(*) = (SELECT min(seq) FROM followers) FROM ledger";
    let deadline = Instant::now() + Duration::from_secs(10);
    while !app.database.value::<bool>(followed).await {
        assert!(Instant::now() < deadline, "the log is not followed to its end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    readyz(&api).await.ok();
    handle.stop(true).await;
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_node_is_not_ready_while_events_wait_for_their_number() {
    let app = TestApp::start().await;
    app.api.sign_in(PHONE).await;
    let database = app.database.connect().await;
    database.batch_execute("UPDATE events SET recorded_at = recorded_at - interval '6 s'").await.unwrap();
    readyz(&app.api).await.is_problem(503, "unavailable");
    app.keep_log();
    until_ready(&app.api).await;
}

#[tokio::test]
async fn a_node_is_not_ready_while_its_server_takes_no_writes_and_then_looks_for_another() {
    let app = TestApp::start().await;
    app.keep_log();
    until_ready(&app.api).await;
    let (database, name) = (app.database.connect().await, &app.database.name);
    let set = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    database.batch_execute(&set).await.unwrap();
    app.state.database.renew();
    readyz(&app.api).await.is_problem(503, "unavailable");
    let reset =
        format!("SET transaction_read_only = off; ALTER DATABASE {name} RESET default_transaction_read_only");
    database.batch_execute(&reset).await.unwrap();
    // The sessions so far stay as they are.
    until_ready(&app.api).await;
    app.api.sign_in(PHONE).await;
}

#[tokio::test]
async fn a_node_is_not_ready_while_its_database_is_away() {
    let (app, proxy) = TestApp::behind_proxy().await;
    readyz(&app.api).await.ok();
    for mood in [ProxyMode::Disconnected, ProxyMode::Stalled] {
        proxy.set_mode(mood).await;
        readyz(&app.api).await.is_problem(503, "unavailable");
        proxy.set_mode(ProxyMode::Connected).await;
        until_ready(&app.api).await;
    }
}

/// The library that gives a process another time, wherever Debian puts it.
fn another_time() -> String {
    let library = std::fs::read_dir("/usr/lib").unwrap().find_map(|entry| {
        let library = entry.ok()?.path().join("faketime/libfaketime.so.1");
        library.exists().then_some(library)
    });
    library.expect("script/test installs faketime").to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_node_whose_clock_is_wrong_by_more_than_ten_seconds_is_not_ready_and_one_that_is_a_little_off_warns()
 {
    let database = TestDatabase::new();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clocks");
    let library = another_time();
    for (time, is_ready, warns) in [
        ("+0s", true, false),
        ("+5s", true, true),
        ("-5s", true, true),
        ("+15s", false, false),
        ("-300s", false, false),
    ] {
        let node = NodeProcess::start(
            &folder,
            &[
                ("DATABASE_URL", database.url.0.as_str()),
                ("LD_PRELOAD", &library),
                ("FAKETIME", time),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ],
        );
        if is_ready {
            until_ready(&node.api).await;
        } else {
            let why = "the clock of this machine and that of the database differ by";
            let deadline = Instant::now() + Duration::from_secs(10);
            while !node.log_lines().iter().any(|line| line.contains(why)) {
                readyz(&node.api).await.is_problem(503, "unavailable");
                assert!(Instant::now() < deadline, "{time}: {:?}", node.log_lines());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        let warned = || node.log_lines().iter().any(|line| line.contains("is ahead of that of the database"));
        // The line is written before the node is ready, and read from its pipe a moment later.
        let deadline = Instant::now() + Duration::from_secs(10);
        while warns && !warned() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(warned(), warns, "{time}: {:?}", node.log_lines());
        let offset = node.metric("counterfoil_clock_offset_seconds").await.unwrap();
        let expected: f64 = time.trim_end_matches('s').parse().unwrap();
        assert!((offset - expected).abs() < 1.0, "{time}: {offset}");
        assert!(node.stop());
    }
}
