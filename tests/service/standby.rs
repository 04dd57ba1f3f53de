//! A standby of the database: nothing is sequenced there, and the order goes on when it is promoted.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use counterfoil::journal::sequencer::{Sequencer, SequencerOutcome};
use counterfoil::postgres::Database;
use counterfoil::postgres::DatabaseUrl;
use counterfoil::postgres::embedded::PrivatePostgres;
use tokio_postgres::{Client, NoTls};

use crate::ledger::RULES;
use crate::support::NodeProcess;

pub async fn connect(url: &DatabaseUrl) -> Client {
    let (client, connection) = tokio_postgres::connect(&url.0, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub async fn value<T: for<'a> tokio_postgres::types::FromSql<'a>>(url: &DatabaseUrl, sql: &str) -> T {
    connect(url).await.query_one(sql, &[]).await.unwrap().get(0)
}

/// Waits until a condition in SQL holds.
pub async fn until(url: &DatabaseUrl, sql: &str) {
    for _ in 0..200 {
        if value(url, sql).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 10 seconds: {sql}");
}

async fn sign_in_twenty(folder: &Path, url: &DatabaseUrl, from: u32) {
    let node = NodeProcess::start(folder, &[("DATABASE_URL", &url.0)]);
    for n in from..from + 20 {
        let device = node.api.sign_in(&format!("+9891212345{n:02}")).await;
        node.api.refresh(&device.refresh).await.ok();
    }
    until(url, "SELECT (SELECT count(*) FROM events) = (SELECT count(*) FROM ledger)").await;
    assert!(node.stop());
}

/// A copy of a running server's data that streams from it.
pub fn copy(primary: &PrivatePostgres, root: &Path) {
    std::fs::create_dir_all(root).unwrap();
    let program = installed("pg_basebackup");
    let data = root.join("postgres");
    let connection = primary.url().0.replacen("///counterfoil?", "///?", 1);
    let output = Command::new(program)
        .args(["--write-recovery-conf", "--checkpoint=fast", "--dbname", &connection, "--pgdata"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let owner = Command::new("chown").arg("-R").arg("--reference").arg(primary.folder()).arg(&data).status();
    assert!(owner.unwrap().success());
}

/// A program of PostgreSQL, where Debian puts it or on the path.
pub fn installed(program: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let paths = versions.map(|version| version.path().join("bin").join(program));
    paths.into_iter().find(|path| path.exists()).unwrap_or_else(|| program.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_sequences_nothing_until_it_is_promoted_and_then_goes_on_without_a_gap() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("standby");
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    let mut primary = PrivatePostgres::start(&folder.join("primary")).unwrap();
    sign_in_twenty(&folder, &primary.url(), 0).await;
    copy(&primary, &folder.join("copy"));
    let mut standby = PrivatePostgres::start(&folder.join("copy")).unwrap();
    sign_in_twenty(&folder, &primary.url(), 20).await;

    let url = standby.url();
    until(&url, "SELECT (SELECT count(*) FROM ledger) = 160").await;
    let sequencer = Sequencer::new(Database::new(&url.0, 2).unwrap());
    assert_eq!(sequencer.look().await.unwrap(), SequencerOutcome::Standby);

    primary.stop().unwrap();
    assert!(value::<bool>(&url, "SELECT pg_promote()").await);
    sign_in_twenty(&folder, &url, 40).await;
    assert_eq!(value::<Vec<String>>(&url, RULES).await, Vec::<String>::new());
    assert_eq!(value::<i64>(&url, "SELECT seq FROM sequencer").await, 240);
    drop(sequencer);
    standby.stop().unwrap();
}
