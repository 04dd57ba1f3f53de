//! The erasure register: what it lists, and what becomes of erased accounts in a restored database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use counterfoil::accounts::ErasureRegister;
use counterfoil::crypto::keyring::Keyring;
use counterfoil_domain::values::AccountId;
use reqwest::Method;
use serde_json::json;

use crate::commands::counterfoil;
use crate::support::{ApiAnswer, ApiClient, NodeProcess, SignedInDevice, TestApp, TestDatabase};

/// A folder with a keyring and a place for a register, gone with this value.
struct NodeFolder(PathBuf);

impl NodeFolder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        Keyring::generate().create(&path.join("keyring.json")).unwrap();
        Self(path)
    }

    fn register(&self) -> PathBuf {
        self.0.join("erasures.jsonl")
    }

    fn start(&self, database: &TestDatabase) -> NodeProcess {
        NodeProcess::start(&self.0, &self.environment(database, self.register().to_str().unwrap()))
    }

    fn environment<'a>(&self, database: &'a TestDatabase, register: &'a str) -> [(&'static str, &'a str); 3] {
        [
            ("DATABASE_URL", &database.url.0),
            ("COUNTERFOIL_KEYRING", "keyring.json"),
            ("COUNTERFOIL__PRIVACY__ERASURE_REGISTER", register),
        ]
    }
}

impl Drop for NodeFolder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

async fn erase_own(api: &ApiClient, device: &SignedInDevice) -> ApiAnswer {
    ApiClient::send(api.request(Method::DELETE, "/accounts/profile/").bearer_auth(&device.access)).await
}

async fn is_ready(node: &NodeProcess) -> bool {
    ApiClient::send(node.api.request(Method::GET, "/readyz")).await.status == 200
}

async fn becomes_ready(node: &NodeProcess) {
    for _ in 0..200 {
        if is_ready(node).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it is not ready: {:#?}", node.log_lines());
}

async fn has_keys(database: &TestDatabase, account: AccountId) -> bool {
    let sql = format!("SELECT EXISTS (SELECT FROM account_keys WHERE account_id = '{account}')");
    database.value(&sql).await
}

async fn erasures(database: &TestDatabase) -> i64 {
    database.value("SELECT count(*) FROM erasures").await
}

/// How many log lines have that message and that number in a field.
fn says(node: &NodeProcess, field: &str, number: u64, message: &str) -> bool {
    node.log_lines().iter().any(|line| {
        let fields = &serde_json::from_str::<serde_json::Value>(line).unwrap_or_default()["fields"];
        fields["message"].as_str().is_some_and(|said| said.contains(message)) && fields[field] == number
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_on_a_restored_database_erases_again_before_it_is_ready() {
    let (folder, database) = (NodeFolder::new("register-restore"), TestDatabase::new());
    let node = folder.start(&database);
    let mut people = Vec::new();
    for n in 0..5 {
        people.push(node.api.sign_in(&format!("+98912123450{n}")).await);
    }
    // One has only asked for a code when the backup is taken.
    let number = "+989121234509";
    let code = node.api.login(number).await.code();
    assert!(node.stop());
    let backup = database.copy();

    let node = folder.start(&database);
    people.push(node.api.verify(number, &code).await.signed_in());
    people.push(node.api.sign_in("+989121234508").await);
    let (kept, erased) = people.split_first().unwrap();
    for person in erased {
        erase_own(&node.api, person).await.ok();
    }
    assert!(node.stop());
    let listed = ErasureRegister::accounts_in(&folder.register()).unwrap();
    let mut expected: Vec<AccountId> = erased.iter().map(SignedInDevice::account).collect();
    expected.sort_unstable();
    assert_eq!(listed, expected);

    // The third account cannot be erased yet, and the node is killed while it waits for it.
    let mut client = backup.connect().await;
    let locked = client.transaction().await.unwrap();
    let lock = "SELECT FROM heads WHERE account_id = $1 FOR UPDATE";
    locked.execute(lock, &[&listed[2].0]).await.unwrap();
    let node = folder.start(&backup);
    assert!(!is_ready(&node).await);
    assert_eq!(erasures(&backup).await, 2);
    node.kill();
    locked.rollback().await.unwrap();

    let node = folder.start(&backup);
    becomes_ready(&node).await;
    assert!(says(&node, "erased", 3, "erased again"), "{:#?}", node.log_lines());
    assert!(says(&node, "unknown", 1, "does not have"), "{:#?}", node.log_lines());
    assert_eq!(erasures(&backup).await, 5);
    for account in listed {
        assert!(!has_keys(&backup, account).await, "{account}");
    }
    assert!(has_keys(&backup, kept.account()).await);
    let again = node.api.sign_in("+989121234501").await;
    assert_ne!(again.account(), people[1].account());
    node.api.profile(&kept.access).await.ok();
    assert!(node.stop());
    // Each account has one line still, and nothing is left to do.
    assert_eq!(std::fs::read_to_string(folder.register()).unwrap().lines().count(), 6);
    let node = folder.start(&backup);
    becomes_ready(&node).await;
    assert!(!node.log_lines().iter().any(|line| line.contains("erased again")));
    assert_ne!(node.api.sign_in("+989121234502").await.account(), people[2].account());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_start_on_a_restored_database_at_once_erase_each_account_once() {
    let (folder, database) = (NodeFolder::new("register-two-nodes"), TestDatabase::new());
    let node = folder.start(&database);
    let mut people = Vec::new();
    for n in 0..4 {
        people.push(node.api.sign_in(&format!("+98912123450{n}")).await);
    }
    assert!(node.stop());
    let backup = database.copy();
    let node = folder.start(&database);
    for person in &people {
        erase_own(&node.api, person).await.ok();
    }
    assert!(node.stop());
    let [one, other] = std::thread::scope(|scope| {
        [(), ()].map(|()| scope.spawn(|| folder.start(&backup))).map(|starting| starting.join().unwrap())
    });
    for node in [&one, &other] {
        becomes_ready(node).await;
    }
    let erased = "SELECT count(*) FROM events WHERE event_type = 'AccountErased'";
    assert_eq!((backup.value::<i64>(erased).await, erasures(&backup).await), (4, 4));
    assert_eq!(std::fs::read_to_string(folder.register()).unwrap().lines().count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_start_with_a_register_that_it_cannot_write_or_read() {
    let (folder, database) = (NodeFolder::new("register-refused"), TestDatabase::new());
    std::fs::write(folder.register(), "account 3\n").unwrap();
    for (register, why) in [("missing/erasures.jsonl", "No such file"), ("erasures.jsonl", "is no erasure")] {
        let mut serve = NodeProcess::command(&folder.0, &folder.environment(&database, register));
        let ended = serve.env("COUNTERFOIL_PROFILE", "development").arg("serve").output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && said.contains(register) && said.contains(why), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_erases_again_by_a_copy_of_the_register() {
    let app = TestApp::start().await;
    let (gone, kept) = (app.api.sign_in("+989121234567").await, app.api.sign_in("+989121234568").await);
    let register = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("copy-{}.jsonl", app.database.name));
    let path = register.to_str().unwrap();
    let missing = counterfoil(&app, &["accounts", "erase-again", path]);
    assert!(!missing.status.success() && !register.exists(), "{missing:?}");
    let line = |account: AccountId| json!({"account_id": account, "erased_at": "2026-01-01T00:00:00Z", "sequence": 9, "leaf": "63"});
    let unknown: AccountId = serde_json::from_value(json!("01a2102b-9989-7532-acd2-ac1c6690aa6d")).unwrap();
    std::fs::write(&register, format!("{}\n{}\n", line(gone.account()), line(unknown))).unwrap();
    for (again, unknown) in [(1, 1), (0, 1)] {
        let done = counterfoil(&app, &["accounts", "erase-again", path]);
        let said = String::from_utf8(done.stdout).unwrap();
        let expected =
            format!("{again} of 2 accounts were erased again; {unknown} are not in this database.\n");
        assert_eq!(said, expected, "{:?}", String::from_utf8(done.stderr));
    }
    std::fs::remove_file(register).unwrap();
    assert!(!has_keys(&app.database, gone.account()).await && has_keys(&app.database, kept.account()).await);
    let (_, last) = app.journal().history(gone.account()).await.unwrap().pop().unwrap();
    let operator = last.by().unwrap();
    let ordered = app.journal().history(operator.record_stream()).await.unwrap().pop().unwrap().1;
    let reason = ordered.person.clone().unwrap().reason.unwrap();
    assert_eq!((ordered.name(), reason.as_str()), ("ErasureOrdered", "erased before"));
}

#[tokio::test]
async fn nothing_is_erased_while_the_register_cannot_be_written() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("register-{}", std::process::id()));
    let register = folder.join("erasures.jsonl");
    let app = TestApp::with_settings(&[("privacy.erasure_register", register.to_str().unwrap())]).await;
    let admin = app.sign_in_admin("+989130000001").await;
    let device = app.api.sign_in("+989121234567").await;
    let erase = format!("/admin/accounts/{}/erase/", device.account());
    let why = json!({"reason": "asked by letter"});
    erase_own(&app.api, &device).await.is_problem(503, "unavailable");
    app.api.post_as(&admin, &erase, why.clone()).await.is_problem(503, "unavailable");
    app.api.profile(&device.access).await.ok();
    std::fs::create_dir(&folder).unwrap();
    let erasure = erase_own(&app.api, &device).await.ok();
    let text = std::fs::read_to_string(&register).unwrap();
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    for name in ["account_id", "erased_at", "sequence", "leaf"] {
        assert_eq!(line[name], erasure[name], "{name}");
    }
    assert_eq!(line.as_object().unwrap().len(), 4, "nothing more: {line}");

    // A line that was not written is written when the erasure is asked for again, and by itself.
    std::fs::write(&register, "").unwrap();
    app.api.post_as(&admin, &erase, why).await.ok();
    assert_eq!(std::fs::read_to_string(&register).unwrap(), text);
    std::fs::write(&register, "").unwrap();
    app.state.accounts.catch_up_with_register().await.unwrap();
    assert_eq!(std::fs::read_to_string(&register).unwrap(), text);
    std::fs::remove_dir_all(folder).unwrap();
}
