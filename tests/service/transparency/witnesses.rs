//! Witnesses: the command that is one, and a log that asks it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use counterfoil::audit::{VerificationReport, verify};
use counterfoil::transparency::cosigning::{CosigningError, WitnessClient};
use counterfoil::transparency::note::VerifierKey;
use counterfoil::transparency::{TrustedKeys, VerificationKeys, WitnessPolicy};

use super::{live, sign};
use crate::support::TestApp;

const BINARY: &str = env!("CARGO_BIN_EXE_counterfoil");

/// A folder for a witness: its key, and what it has cosigned.
struct WitnessFolder {
    path: PathBuf,
    key: VerifierKey,
}

impl WitnessFolder {
    fn new(name: &str) -> Self {
        let id = uuid::Uuid::from_bytes(counterfoil::crypto::entropy::bytes());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("witness-{id}"));
        std::fs::create_dir_all(&path).unwrap();
        let made =
            Command::new(BINARY).args(["witness", "new", name, "key"]).current_dir(&path).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let key = String::from_utf8(made.stdout).unwrap().trim_end().parse().unwrap();
        Self { path, key }
    }

    /// The witness of the log with these keys, running on a port of its own.
    fn serve(&self, logs: &TrustedKeys) -> RunningWitness {
        let mut command = Command::new(BINARY);
        command.args(["witness", "serve", "--key", "key", "--state", "state", "--listen", "127.0.0.1:0"]);
        for key in &logs.log {
            command.args(["--log", &key.to_string()]);
        }
        let mut child = command.current_dir(&self.path).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().unwrap().contains("witnessing")).unwrap().unwrap();
        let address = line.split("127.0.0.1:").nth(1).unwrap();
        let port = address.chars().take_while(char::is_ascii_digit).collect::<String>();
        RunningWitness { child, address: format!("127.0.0.1:{port}").parse().unwrap(), key: self.key.clone() }
    }
}

impl Drop for WitnessFolder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path));
    }
}

struct RunningWitness {
    child: Child,
    address: SocketAddr,
    key: VerifierKey,
}

impl RunningWitness {
    fn policy(&self) -> WitnessPolicy {
        WitnessPolicy { url: format!("http://{}", self.address), key: self.key.clone() }
    }
}

impl Drop for RunningWitness {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn asked(app: &TestApp, witness: &WitnessPolicy) -> Result<Option<i64>, CosigningError> {
    WitnessClient::new(app.journal().database().clone(), vec![witness.clone()]).ask(witness).await
}

async fn verified(app: &TestApp, witnesses: &[WitnessPolicy]) -> VerificationReport {
    let keys = VerificationKeys::new(app.state.accounts.checkpoint_keys().clone(), witnesses).trusted();
    verify(&app.journal(), &keys, &mut |_| {}).await.unwrap()
}

#[tokio::test]
async fn a_log_is_cosigned_as_it_grows_and_a_verification_says_by_whom() {
    let app = TestApp::start().await;
    let folders = [WitnessFolder::new("one.example"), WitnessFolder::new("two.example")];
    let witnesses: Vec<RunningWitness> =
        folders.iter().map(|folder| folder.serve(&app.trusted_keys())).collect();
    let policies: Vec<WitnessPolicy> = witnesses.iter().map(RunningWitness::policy).collect();
    assert_eq!(asked(&app, &policies[0]).await.unwrap(), None);
    for round in 0..3 {
        live(&app, round * 3, 3).await;
        sign(&app).await;
        assert_eq!(asked(&app, &policies[0]).await.unwrap(), Some(i64::from(round + 1) * 12));
        // Asking again changes nothing.
        assert_eq!(asked(&app, &policies[0]).await.unwrap(), Some(i64::from(round + 1) * 12));
    }
    let found = verified(&app, &policies).await;
    assert!(found.is_unaltered() && found.is_complete(), "{found:?}");
    assert_eq!((found.witnessed_by(), found.witnesses[0].size, found.witnesses[1].size), (1, Some(36), None));
    // The second one has seen nothing before, and the first one was restarted.
    drop(witnesses);
    let witnesses: Vec<RunningWitness> =
        folders.iter().map(|folder| folder.serve(&app.trusted_keys())).collect();
    let policies: Vec<WitnessPolicy> = witnesses.iter().map(RunningWitness::policy).collect();
    live(&app, 20, 1).await;
    sign(&app).await;
    for policy in &policies {
        assert_eq!(asked(&app, policy).await.unwrap(), Some(40));
    }
    assert_eq!(verified(&app, &policies).await.witnessed_by(), 2);
    let client = app.database.connect().await;
    client.execute("UPDATE cosignatures SET signature = replace(signature, 'A', 'B')", &[]).await.unwrap();
    assert!(!verified(&app, &policies).await.is_unaltered());
}

/// Puts the tables of the log back to what they were.
async fn keep_and_put_back(app: &TestApp, between: impl AsyncFnOnce()) {
    let client = app.database.connect().await;
    let tables = [
        "events",
        "ledger",
        "heads",
        "ledger_spans",
        "sequencer",
        "tree",
        "tree_tiles",
        "checkpoints",
        "cosignatures",
        "followers",
        "identifiers",
        "account_keys",
    ];
    for table in tables {
        client.batch_execute(&format!("CREATE TABLE kept_{table} AS TABLE {table}")).await.unwrap();
    }
    between().await;
    for table in tables {
        let restore = format!("DELETE FROM {table}; INSERT INTO {table} TABLE kept_{table}");
        client.batch_execute(&restore).await.unwrap();
    }
}

#[tokio::test]
async fn an_old_backup_and_a_rewritten_end_are_refused_by_the_witness_with_all_keys_in_hand() {
    let app = TestApp::start().await;
    let folder = WitnessFolder::new("witness.example");
    let witness = folder.serve(&app.trusted_keys());
    live(&app, 0, 3).await;
    sign(&app).await;
    keep_and_put_back(&app, async || {
        live(&app, 10, 3).await;
        sign(&app).await;
        assert_eq!(asked(&app, &witness.policy()).await.unwrap(), Some(24));
    })
    .await;
    // The backup verifies in itself, and no witness confirms it.
    let found = verified(&app, &[witness.policy()]).await;
    assert!(found.is_unaltered() && found.is_complete(), "{found:?}");
    assert_eq!(found.witnessed_by(), 0);
    let refused = asked(&app, &witness.policy()).await;
    assert!(matches!(refused, Err(CosigningError::OtherLog { known: 24 })), "{refused:?}");
    // So it stays when the log has grown beyond what the witness knows, by other events.
    let app = app.second_node(&[]).await.0;
    live(&app, 30, 5).await;
    sign(&app).await;
    let refused = asked(&app, &witness.policy()).await;
    assert!(matches!(refused, Err(CosigningError::OtherLog { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_witness_refuses_logs_that_it_does_not_know_and_requests_that_it_cannot_read() {
    let (app, stranger) = (TestApp::start().await, TestApp::start().await);
    let folder = WitnessFolder::new("witness.example");
    let witness = folder.serve(&app.trusted_keys());
    live(&stranger, 0, 1).await;
    sign(&stranger).await;
    let refused = asked(&stranger, &witness.policy()).await;
    assert!(matches!(&refused, Err(CosigningError::Witness(text)) if text == "status 403"), "{refused:?}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/add-checkpoint", witness.address);
    for body in ["", "old 0\n", "old 0\n\nx", &"x".repeat(100_000)] {
        let status = http.post(&url).body(body.to_owned()).send().await.unwrap().status().as_u16();
        assert!(matches!(status, 400 | 413), "{status}");
    }
    // A witness that is away keeps no log from growing.
    let policy = witness.policy();
    drop(witness);
    live(&app, 0, 1).await;
    sign(&app).await;
    assert!(matches!(asked(&app, &policy).await, Err(CosigningError::Witness(_))));
}

#[test]
fn a_witness_command_says_what_is_wrong_with_its_keys() {
    let folder = WitnessFolder::new("witness.example");
    let run = |arguments: &[&str]| {
        let done = Command::new(BINARY).args(arguments).current_dir(&folder.path).output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    let key = folder.key.to_string();
    for (arguments, status) in [
        (&["witness", "new", "witness.example", "key"][..], 1),
        (&["witness", "new", "two words", "other"], 1),
        (&["witness", "serve", "--key", "key", "--state", "state", "--log", "nonsense"], 2),
        (&["witness", "serve", "--key", "key", "--state", "state"], 2),
        (&["witness", "serve", "--key", "none", "--state", "state", "--log", &key], 1),
        (&["witness", "serve", "--key", "key", "--state", "state", "--log", &key], 1),
    ] {
        let (code, told) = run(arguments);
        assert_eq!(code, Some(status), "{arguments:?}: {told}");
        assert!(!told.contains("PRIVATE"), "{told}");
    }
    assert!(Path::new(&folder.path.join("key")).exists());
}
