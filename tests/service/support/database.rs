//! One PostgreSQL for the run, a database of its own for each test.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use counterfoil::postgres::DatabaseUrl;
use counterfoil::postgres::embedded::PrivatePostgres;
use counterfoil::postgres::migrations;
use tokio_postgres::{Client, NoTls};

const TEMPLATE: &str = "migrated_template";

/// The server, which stops by itself when the run ends.
static SERVER: OnceLock<PrivatePostgres> = OnceLock::new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A migrated, empty database, dropped with this value.
pub struct TestDatabase {
    pub name: String,
    pub url: DatabaseUrl,
}

impl TestDatabase {
    /// Cloned from a template that was migrated once.
    pub fn new() -> Self {
        let server = SERVER.get_or_init(start_server);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        administer(server, &[format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")]);
        Self { url: DatabaseUrl(url(server, &name)), name }
    }

    /// A copy of the database as it is now. No one is connected to it meanwhile.
    pub fn copy(&self) -> Self {
        let server = SERVER.get_or_init(start_server);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let disconnect = format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        );
        administer(server, &[disconnect, format!("CREATE DATABASE {name} TEMPLATE {}", self.name)]);
        Self { url: DatabaseUrl(url(server, &name)), name }
    }

    /// The database as a server connects to it that is not to own the tables: by a role that [`migrations::migrate`] can
    /// give what it needs.
    pub async fn by_server_role(&self) -> (DatabaseUrl, &'static str) {
        const ROLE: &str = "counterfoil_server";
        let create = format!(
            "DO $$ BEGIN CREATE ROLE {ROLE} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        );
        self.connect().await.batch_execute(&create).await.unwrap();
        let url = self.url.0.replace("user=counterfoil", &format!("user={ROLE}"));
        assert_ne!(url, self.url.0);
        (DatabaseUrl(url), ROLE)
    }

    /// A connection of the test's own.
    pub async fn connect(&self) -> Client {
        let (client, connection) =
            tokio_postgres::connect(&self.url.0, NoTls).await.expect("the server runs");
        tokio::spawn(connection);
        client
    }

    /// The first column of the first row.
    pub async fn value<T>(&self, sql: &str) -> T
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        self.connect().await.query_one(sql, &[]).await.expect("a row").get(0)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some(server) = SERVER.get() {
            administer(server, &[format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)]);
        }
    }
}

fn start_server() -> PrivatePostgres {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("service-tests");
    let server = PrivatePostgres::start(&root).expect("PostgreSQL is installed");
    let left_over = "SELECT 'DROP DATABASE ' || datname || ' WITH (FORCE)' FROM pg_database
                      WHERE datname LIKE 'test\\_%' OR datname = 'migrated_template'";
    let statements = blocking(async {
        let client = connect(&server).await;
        let rows = client.query(left_over, &[]).await.expect("the catalogue can be read");
        rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    });
    administer(&server, &statements);
    administer(&server, &[format!("CREATE DATABASE {TEMPLATE}")]);
    let template = url(&server, TEMPLATE);
    blocking(async { migrations::migrate(&template, None).await.expect("migrations apply") });
    server
}

fn administer(server: &PrivatePostgres, statements: &[String]) {
    blocking(async {
        let client = connect(server).await;
        for statement in statements {
            client.batch_execute(statement).await.expect(statement);
        }
    });
}

async fn connect(server: &PrivatePostgres) -> Client {
    let (client, connection) =
        tokio_postgres::connect(&server.url().0, NoTls).await.expect("the server runs");
    tokio::spawn(connection);
    client
}

fn url(server: &PrivatePostgres, database: &str) -> String {
    server.url().0.replacen("///counterfoil?", &format!("///{database}?"), 1)
}

/// Runs a future to its end on a thread of its own, from within a runtime or without one.
fn blocking<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        scope.spawn(move || runtime().block_on(future)).join().expect("the work does not panic")
    })
}
