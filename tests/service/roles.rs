//! The server's database role can add to the log, and neither change it nor the schema.

use std::path::PathBuf;

use tokio_postgres::error::SqlState;

use crate::support::{NodeProcess, TestDatabase};

const PHONE: &str = "+989121234567";

struct RoleInstallation {
    database: TestDatabase,
    server_url: String,
    folder: PathBuf,
}

impl RoleInstallation {
    /// A database with the two roles, and a folder for keys.
    async fn new(name: &str) -> Self {
        let database = TestDatabase::new();
        let server_url = database.by_server_role().await.0.0;
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        Self { database, server_url, folder }
    }

    fn environment(&self) -> [(&str, &str); 3] {
        [
            ("DATABASE_URL", &self.server_url),
            ("COUNTERFOIL__DATABASE__MIGRATION_URL", &self.database.url.0),
            ("COUNTERFOIL_PROFILE", "development"),
        ]
    }

    fn run(&self, arguments: &[&str]) {
        let output =
            NodeProcess::command(&self.folder, &self.environment()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    async fn journey(&self, node: &NodeProcess) {
        let device = node.api.sign_in(PHONE).await;
        node.api.rename(&device.access, "Ada").await.ok();
        let new = serde_json::json!({"phone_number": "+989131234567"});
        let code = node.api.add_identifier(&device.access, &new).await.code();
        node.api.verify_identifier(&device.access, &new, &code).await.ok();
        let device = node.api.refresh(&device.refresh).await.ok();
        assert_eq!(node.api.logout(device["refresh_token"].as_str().unwrap()).await.status, 204);
    }

    /// Waits until every event has its number, and is in what follows these.
    async fn numbered(&self) {
        for _ in 0..100 {
            let sql = "SELECT count(*) = (SELECT count(*) FROM events) AND count(*) = (SELECT min(seq) FROM followers)
                         FROM ledger";
            if self.database.value(sql).await {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the ledger is not followed to its end after 5 seconds");
    }
}

#[tokio::test]
async fn the_servers_database_role_can_do_its_work_and_change_no_written_event() {
    let installation = RoleInstallation::new("roles").await;
    installation.run(&["migrate"]);
    let node = NodeProcess::start(&installation.folder, &installation.environment());
    installation.journey(&node).await;
    installation.numbered().await;

    let (server, connection) =
        tokio_postgres::connect(&installation.server_url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for refused in [
        "UPDATE events SET payload = '{}'",
        "DELETE FROM events",
        "TRUNCATE events",
        "UPDATE ledger SET seq = seq + 1",
        "DELETE FROM ledger",
        "TRUNCATE ledger",
        "DELETE FROM heads",
        "CREATE TABLE mine (n int)",
        "ALTER TABLE events ADD COLUMN n int",
        "DROP TABLE profiles",
        "DELETE FROM _sqlx_migrations",
    ] {
        let error = server.batch_execute(refused).await.expect_err(refused);
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{refused}");
    }
}

#[tokio::test]
async fn a_rebuild_by_the_owner_leaves_the_server_what_it_needs() {
    let installation = RoleInstallation::new("roles-rebuild").await;
    installation.run(&["migrate"]);
    let node = NodeProcess::start(&installation.folder, &installation.environment());
    installation.journey(&node).await;
    installation.run(&["projections", "rebuild"]);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let code = node.api.login("+989121234568").await.code();
    let device = node.api.verify("+989121234568", &code).await.signed_in();
    node.api.profile(&device.access).await.ok();
    node.api.refresh(&device.refresh).await.ok();
    installation.numbered().await;
}

#[test]
fn eight_nodes_migrate_an_empty_database_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let installation = runtime.block_on(async {
        let installation = RoleInstallation::new("roles-migrate").await;
        let empty = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";
        installation.database.connect().await.batch_execute(empty).await.unwrap();
        installation
    });
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| installation.run(&["migrate"]));
        }
    });
    let migrations: i64 =
        runtime.block_on(installation.database.value("SELECT count(*) FROM _sqlx_migrations"));
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    let files = names.filter(|name| name.to_string_lossy().ends_with(".sql")).count();
    assert_eq!(usize::try_from(migrations).unwrap(), files);
}
