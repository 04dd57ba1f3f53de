//! Two PostgreSQL servers with synchronous replication, behind one URL: what was acknowledged is kept, and the service finds
//! the server that takes writes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use counterfoil::postgres::Database;
use counterfoil::postgres::DatabaseUrl;
use counterfoil::postgres::embedded::PrivatePostgres;
use reqwest::Method;

use crate::standby::{connect, copy, until, value};
use crate::support::{ApiClient, DatabaseProxy, NodeProcess, ProxyMode, SignedInDevice};

/// A primary and its synchronous standby, with a proxy in front of each, and one between them.
struct ReplicatedPair {
    folder: PathBuf,
    primary: PrivatePostgres,
    standby: PrivatePostgres,
    to_primary: DatabaseProxy,
    to_standby: DatabaseProxy,
    replication: DatabaseProxy,
}

impl ReplicatedPair {
    async fn start(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        let primary = PrivatePostgres::start(&folder.join("primary")).unwrap();
        let replication = DatabaseProxy::start(&primary.url()).await;
        copy(&primary, &folder.join("standby"));
        follow(&folder.join("standby/postgres"), &replication);
        let standby = PrivatePostgres::start(&folder.join("standby")).unwrap();
        let (to_primary, to_standby) =
            (DatabaseProxy::start(&primary.url()).await, DatabaseProxy::start(&standby.url()).await);
        let client = connect(&primary.url()).await;
        client.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'").await.unwrap();
        client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let pair = Self { folder, primary, standby, to_primary, to_standby, replication };
        pair.until_replicating().await;
        pair
    }

    /// Waits until the standby confirms what the primary commits.
    async fn until_replicating(&self) {
        let in_sync = "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        until(&self.primary.url(), in_sync).await;
    }

    /// The service's URL, which names the standby first.
    fn url(&self) -> DatabaseUrl {
        let (first, second) = (self.to_standby.address, self.to_primary.address);
        let parameters = "sslmode=disable&target_session_attrs=read-write";
        DatabaseUrl(format!("postgresql://counterfoil@{first},{second}/counterfoil?{parameters}"))
    }

    /// The primary is gone from one moment to the next, and the standby takes its place.
    async fn fail_over(&mut self) {
        self.to_primary.set_mode(ProxyMode::Disconnected).await;
        self.replication.set_mode(ProxyMode::Disconnected).await;
        self.primary.stop().unwrap();
        assert!(value::<bool>(&self.standby.url(), "SELECT pg_promote()").await);
    }
}

/// Has a copy of the primary stream by that proxy.
fn follow(data: &Path, primary: &DatabaseProxy) {
    let (host, port) = (primary.address.ip(), primary.address.port());
    let settings = format!(
        "primary_conninfo = 'host={host} port={port} user=counterfoil application_name=standby sslmode=disable'\n\
         wal_retrieve_retry_interval = '200ms'\n"
    );
    let mut file = std::fs::File::options().append(true).open(data.join("postgresql.auto.conf")).unwrap();
    file.write_all(settings.as_bytes()).unwrap();
}

/// Refreshes until it is answered, as a client that is told 503 does; the next refresh token.
async fn refreshed(node: &NodeProcess, token: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = node.api.refresh(token).await;
        if answer.status != 503 {
            return answer.ok()["refresh_token"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "the service does not come back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn until_ready(node: &NodeProcess) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while ApiClient::send(node.api.request(Method::GET, "/readyz")).await.status != 200 {
        assert!(Instant::now() < deadline, "the node does not become ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn sign_in(node: &NodeProcess, prefix: &str) -> Vec<SignedInDevice> {
    let mut devices = Vec::new();
    for n in 0..5 {
        devices.push(node.api.sign_in(&format!("+9891212{prefix}{n:02}")).await);
    }
    devices
}

/// Replication stops for a while, and goes on; nothing is answered meanwhile, and no client is signed out.
async fn refresh_through(
    pair: &ReplicatedPair,
    node: &NodeProcess,
    mood: ProxyMode,
    devices: &[SignedInDevice],
) -> Vec<String> {
    pair.replication.set_mode(mood).await;
    node.api.refresh(&devices[0].refresh).await.is_problem(503, "unavailable");
    let refreshes = devices.iter().map(|device| refreshed(node, &device.refresh));
    let restored = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        pair.replication.set_mode(ProxyMode::Connected).await;
    };
    let (children, ()) = tokio::join!(futures_util::future::join_all(refreshes), restored);
    pair.until_replicating().await;
    children
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_one_url_for_both_servers_lives_through_a_hung_standby_a_cut_one_and_a_promotion() {
    let mut pair = ReplicatedPair::start("replication").await;
    let url = pair.url();
    let node = NodeProcess::start(&pair.folder, &[("DATABASE_URL", &url.0)]);
    let (first, second) = (sign_in(&node, "300").await, sign_in(&node, "400").await);
    let mut tokens = refresh_through(&pair, &node, ProxyMode::Stalled, &first).await;
    tokens.extend(refresh_through(&pair, &node, ProxyMode::Disconnected, &second).await);

    pair.fail_over().await;
    for token in &mut tokens {
        *token = refreshed(&node, token).await;
    }
    until_ready(&node).await;
    let standby = pair.standby.url();
    let ends = "SELECT count(*) FROM events WHERE event_type IN ('TokenReuseDetected', 'LoggedOut')";
    assert_eq!(value::<i64>(&standby, ends).await, 0, "no client was signed out");
    // Those that listen are there again, and the log is numbered to its end.
    let listening = "SELECT count(*) >= 2 FROM pg_stat_activity WHERE query LIKE '%transaction_read_only%'";
    until(&standby, listening).await;
    until(&standby, "SELECT (SELECT count(*) FROM events) = (SELECT count(*) FROM ledger)").await;

    for arguments in [["audit", "verify"], ["audit", "replay"], ["projections", "check"], ["migrate", "-h"]] {
        let mut command = NodeProcess::command(&pair.folder, &[("DATABASE_URL", &url.0)]);
        command.env("COUNTERFOIL_PROFILE", "development").args(arguments);
        if arguments == ["audit", "replay"] {
            command.arg("+989121230000");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
    assert!(node.stop());
    pair.standby.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_drivers_find_the_server_that_takes_writes_and_a_host_that_hangs_holds_neither_up() {
    let mut pair = ReplicatedPair::start("two-hosts").await;
    let database = Database::new(&pair.url().0, 1).unwrap();
    let on_standby = "SELECT pg_is_in_recovery()";
    for mood in [ProxyMode::Connected, ProxyMode::Stalled, ProxyMode::Disconnected] {
        pair.to_standby.set_mode(mood).await;
        let fresh = Database::new(&pair.url().0, 1).unwrap();
        for database in [&database, &fresh] {
            let client = database.connection().await.unwrap();
            assert!(!client.query_one(on_standby, &[]).await.unwrap().get::<_, bool>(0));
            let reader = database.reader().await.unwrap();
            assert!(!sqlx::query_scalar::<_, bool>(on_standby).fetch_one(reader).await.unwrap());
        }
        fresh.close().await;
    }
    pair.to_standby.set_mode(ProxyMode::Connected).await;
    pair.fail_over().await;
    let reader = database.reader().await.unwrap();
    assert!(!sqlx::query_scalar::<_, bool>(on_standby).fetch_one(reader).await.unwrap());
    database.listen("a_channel").await.unwrap();
    pair.standby.stop().unwrap();
}
