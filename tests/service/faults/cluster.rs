//! Two nodes, a proxy before each, and one PostgreSQL that can be killed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use counterfoil::crypto::keyring::Keyring;
use counterfoil::crypto::personal_data::PersonalData;
use counterfoil::postgres::embedded::PrivatePostgres;
use counterfoil::runtime::clock::{Clock as _, SystemClock};
use counterfoil::settings::Sources;
use counterfoil::tokens::{TokenKind, Tokens};
use counterfoil_domain::values::{Identifier, PhoneNumber};
use serde_json::Value;
use tokio_postgres::{Client, NoTls};

use super::checker::EventLog;
use crate::ledger::RULES;
use crate::support::{ApiClient, DatabaseProxy, NodeProcess};

/// What clients need to begin.
pub type ClusterApis = ([ApiClient; 2], Keyring);

pub struct FaultCluster {
    postgres: PrivatePostgres,
    pub proxies: [DatabaseProxy; 2],
    nodes: [Option<NodeProcess>; 2],
    folder: PathBuf,
    keyring: Keyring,
}

impl FaultCluster {
    pub async fn start() -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faults");
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        let postgres = PrivatePostgres::start(&folder.join("cluster")).unwrap();
        let proxies =
            [DatabaseProxy::start(&postgres.url()).await, DatabaseProxy::start(&postgres.url()).await];
        let keyring = Keyring::generate();
        keyring.create(&folder.join("keyring.json")).unwrap();
        let mut cluster = Self { postgres, proxies, nodes: [None, None], folder, keyring };
        for node in 0..2 {
            cluster.restart(node);
        }
        cluster
    }

    pub fn apis(&self) -> ClusterApis {
        let api = |node: &Option<NodeProcess>| node.as_ref().unwrap().api.clone();
        (self.nodes.each_ref().map(api), self.keyring.clone())
    }

    /// Kills a node, if it runs, and starts it again; where it is reached now.
    pub fn restart(&mut self, node: usize) -> ApiClient {
        if let Some(running) = self.nodes[node].take() {
            running.kill();
        }
        let url = self.proxies[node].url_of("counterfoil").0;
        let environment = [("DATABASE_URL", url.as_str()), ("COUNTERFOIL_KEYRING", "keyring.json")];
        let started = NodeProcess::start(&self.folder, &environment);
        let api = started.api.clone();
        self.nodes[node] = Some(started);
        api
    }

    /// Kills the postmaster, its backends with it, and starts it again.
    pub fn crash_postgres(&mut self) {
        let pid = |file: &Path| std::fs::read_to_string(file).ok()?.lines().next()?.parse::<i32>().ok();
        let file = self.postgres.folder().join("postmaster.pid");
        let killed = pid(&file).unwrap();
        let process = rustix::process::Pid::from_raw(killed).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
        // As a service looks after its own: now and then, until another one runs.
        for _ in 0..200 {
            std::thread::sleep(Duration::from_millis(50));
            drop(self.postgres.revive());
            if pid(&file).is_some_and(|pid| pid != killed) {
                return;
            }
        }
        panic!("PostgreSQL does not start again");
    }

    pub async fn connect(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.postgres.url().0, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// What is wrong with the ledger, the heads and the read models.
    pub async fn broken_rules(&self) -> Vec<String> {
        let client = self.connect().await;
        let behind = "SELECT (SELECT count(*) FROM events) - (SELECT count(*) FROM ledger)";
        for _ in 0..200 {
            if client.query_one(behind, &[]).await.unwrap().get::<_, i64>(0) == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut broken: Vec<String> = client.query_one(RULES, &[]).await.unwrap().get(0);
        let heads = "SELECT count(*) FROM heads h
                      WHERE version <> (SELECT max(sequence) FROM events e WHERE e.aggregate_id = h.account_id::text)";
        if client.query_one(heads, &[]).await.unwrap().get::<_, i64>(0) != 0 {
            broken.push("heads".to_owned());
        }
        let url = self.postgres.url().0;
        let environment = [("DATABASE_URL", url.as_str()), ("COUNTERFOIL_KEYRING", "keyring.json")];
        let mut check: Command = NodeProcess::command(Path::new(&self.folder), &environment);
        let check = check.env("COUNTERFOIL_PROFILE", "development").args(["projections", "check"]);
        let output = check.output().unwrap();
        if !output.status.success() {
            broken.push(format!("read models: {}", String::from_utf8_lossy(&output.stdout)));
        }
        broken
    }

    pub async fn log(&self) -> EventLog {
        let sql = "SELECT i.lookup, e.event_type, e.payload::text
                     FROM identifiers i JOIN events e ON e.aggregate_id = i.account_id::text
                    ORDER BY e.aggregate_id, e.sequence";
        let mut log = EventLog::new();
        for row in self.connect().await.query(sql, &[]).await.unwrap() {
            let (lookup, name, payload): (Vec<u8>, String, &str) = (row.get(0), row.get(1), row.get(2));
            let payload: Value = serde_json::from_str(payload).unwrap();
            let fact = payload["fact"][&name].clone();
            log.entry(lookup).or_default().push((name, fact));
        }
        log
    }

    /// By what the log knows a phone number.
    pub fn lookup(&self, phone: &str) -> Vec<u8> {
        let number = PhoneNumber::parse(phone, None).unwrap();
        PersonalData::new(&self.keyring).lookup(&Identifier::Phone(number)).active
    }
}

/// The session and generation of a refresh token.
pub fn session_of(keyring: &Keyring, token: &str) -> (String, u64) {
    let settings = Sources::read(None, std::iter::empty(), std::iter::empty()).unwrap().check().unwrap();
    let token =
        Tokens::new(keyring, settings.tokens).open_expired(TokenKind::Refresh, token, SystemClock.now());
    let token = token.unwrap();
    (token.session.to_string(), token.generation.0.into())
}
