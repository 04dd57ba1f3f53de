//! The service behind PgBouncer, and how many connections its nodes have.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::support::{ApiClient, NodeProcess, TestDatabase};

/// A PgBouncer before a database; ended with this value.
struct PgBouncer {
    process: Child,
    url: String,
}

impl PgBouncer {
    fn start(database: &TestDatabase, pool_mode: &str) -> Self {
        let config: tokio_postgres::Config = database.url.0.parse().unwrap();
        let Some(tokio_postgres::config::Host::Unix(socket)) = config.get_hosts().first() else {
            panic!("a socket")
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let name = &database.name;
        let settings = format!(
            "[databases]\n{name} = host={} port=5432 user=counterfoil\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {pool_mode}\nmax_client_conn = 200\ndefault_pool_size = 60\n",
            socket.display()
        );
        let file =
            format!("pgbouncer-{}.ini", Uuid::from_bytes(counterfoil::crypto::entropy::bytes()).simple());
        let file = std::env::temp_dir().join(file);
        std::fs::write(&file, settings).unwrap();
        // It refuses to run as root.
        let as_root = rustix::process::getuid().is_root();
        let user: &[&str] = if as_root { &["-u", "postgres"] } else { &[] };
        let process = Command::new("/usr/sbin/pgbouncer")
            .args(user)
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        std::fs::remove_file(&file).unwrap();
        let url = format!("postgresql://counterfoil@127.0.0.1:{port}/{name}?sslmode=disable");
        Self { process, url }
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_works_behind_a_pooler_of_sessions() {
    let (folder, database) = (folder("session-pooling"), TestDatabase::new());
    let pooler = PgBouncer::start(&database, "session");
    let node = NodeProcess::start(&folder, &[("DATABASE_URL", pooler.url.as_str())]);
    let devices =
        join_all((0..20).map(async |n| node.api.sign_in(&format!("+9891212345{n:02}")).await)).await;
    for device in &devices {
        node.api.profile(&device.access).await.ok();
        node.api.refresh(&device.refresh).await.ok();
        let list = node.api.request(Method::GET, "/accounts/devices/").bearer_auth(&device.access);
        ApiClient::send(list).await.ok();
        assert_eq!(node.api.logout(&device.refresh).await.status, 204);
        node.api.profile(&device.access).await.is_problem(401, "invalid_access_token");
    }
    assert!(node.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_of_transactions_is_refused_at_the_start_with_the_reason() {
    let (folder, database) = (folder("transaction-pooling"), TestDatabase::new());
    let pooler = PgBouncer::start(&database, "transaction");
    let environment = [("DATABASE_URL", pooler.url.as_str()), ("COUNTERFOIL_PROFILE", "development")];
    for command in ["serve", "migrate"] {
        let output = NodeProcess::command(&folder, &environment).arg(command).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("transaction pooling"), "{command}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_keeps_to_its_connections_and_warns_where_all_nodes_together_may_have_too_many() {
    let (folder, database) = (folder("connections"), TestDatabase::new());
    let environment = [
        ("DATABASE_URL", database.url.0.as_str()),
        ("COUNTERFOIL__DATABASE__CONNECTIONS", "50"),
        ("COUNTERFOIL__SERVER__WORKERS", "16"),
    ];
    let warns = |node: &NodeProcess| {
        node.log_lines().iter().any(|line| line.contains("more connections than the server gives"))
    };
    let first = NodeProcess::start(&folder, &environment);
    assert!(!warns(&first), "{:?}", first.log_lines());
    let device = first.api.sign_in("+989121234567").await;
    let requests = (0..200).map(async |n| {
        let bearer = first.api.request(Method::PATCH, "/accounts/profile/").bearer_auth(&device.access);
        let name = json!({"fullname": format!("Ada {n}")});
        let profile = first.api.request(Method::GET, "/accounts/profile/").bearer_auth(&device.access);
        tokio::join!(ApiClient::send(bearer.json(&name)), ApiClient::send(profile))
    });
    join_all(requests).await;
    let connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                        AND application_name LIKE 'counterfoil%'";
    let connections = database.value::<i64>(connected).await;
    assert!((1..=50).contains(&connections), "{connections}");
    // The server gives 400.
    let many = [environment[0], ("COUNTERFOIL__DATABASE__CONNECTIONS", "200"), environment[2]];
    let second = NodeProcess::start(&folder, &many);
    assert!(warns(&second), "{:?}", second.log_lines());
}
