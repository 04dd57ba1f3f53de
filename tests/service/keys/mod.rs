//! Keys come and go while two nodes serve.

mod lookup;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use counterfoil::crypto::keyring::{KeyPurpose, Keyring};
use counterfoil::crypto::message_links::SessionLinks;
use counterfoil::runtime::clock::Clock as _;
use counterfoil_domain::values::{Role, SessionId};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    ApiAnswer, ApiClient, AuthenticatorApp, NodeProcess, SignedInDevice, TestApp, TestDatabase,
};

const CLIENTS: usize = 2;

/// Between one sign-in's life and the next: the load has to meet every moment of a rotation, and leave other tests some
/// of the machine.
const PAUSE: Duration = Duration::from_millis(50);
const FILE: &str = "keyring.json";

/// A database, a keyring in a folder, and nodes that share them.
struct KeyInstallation {
    database: TestDatabase,
    folder: PathBuf,
    /// Every phone number is used once.
    next_phone: AtomicU32,
}

impl KeyInstallation {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        let installation = Self { database: TestDatabase::new(), folder, next_phone: AtomicU32::new(0) };
        installation.run(&["new", FILE]);
        installation
    }

    fn start(&self) -> NodeProcess {
        NodeProcess::start(
            &self.folder,
            &[("DATABASE_URL", &self.database.url.0), ("COUNTERFOIL_KEYRING", FILE)],
        )
    }

    /// Makes the command `counterfoil keys` with these arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        let environment = [("DATABASE_URL", &*self.database.url.0), ("COUNTERFOIL_KEYRING", FILE)];
        let mut command = NodeProcess::command(&self.folder, &environment);
        command.arg("keys").args(arguments).env("COUNTERFOIL_PROFILE", "development");
        command
    }

    /// Runs a command that is refused, and returns its error output.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Runs a command that succeeds, and returns its output.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Takes the next step of the rotation, and waits until the nodes have read the keyring.
    async fn rotate(&self, purpose: KeyPurpose, nodes: &[NodeProcess]) {
        self.run(&["rotate", FILE, &purpose.to_string()]);
        self.read_by(nodes).await;
    }

    async fn read_by(&self, nodes: &[NodeProcess]) {
        let listed: Value = serde_json::from_str(&self.run(&["list", FILE, "--json"])).unwrap();
        for node in nodes {
            let expected = listed["fingerprint"].to_string();
            wait_for(&node.api, "counterfoil_keyring_fingerprint", &expected).await;
        }
    }

    fn keyring(&self) -> Keyring {
        Keyring::read(&self.folder.join(FILE)).unwrap()
    }

    /// Wraps accounts' keys anew, after which none is wrapped with the former key.
    async fn rewrap(&self, former: &str) {
        let client = self.database.connect().await;
        let count = async || {
            let wrapped = "SELECT count(*) FROM account_keys WHERE wrapping_id = $1";
            client.query_one(wrapped, &[&former]).await.unwrap().get::<_, i64>(0)
        };
        let before = count().await;
        assert!(before > 0);
        assert!(self.run(&["rewrap"]).starts_with(&format!("{before} keys")));
        assert_eq!(count().await, 0);
        assert!(self.run(&["rewrap"]).starts_with("0 keys"));
    }

    fn phone(&self) -> String {
        format!("+98913{:07}", self.next_phone.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for KeyInstallation {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// The value of a metric, as it is printed.
async fn metric(api: &ApiClient, name: &str) -> Option<String> {
    let metrics = ApiClient::send(api.request(Method::GET, "/metrics")).await.text;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(str::to_owned)
}

async fn wait_for(api: &ApiClient, name: &str, expected: &str) {
    for _ in 0..200 {
        if metric(api, name).await.as_deref() == Some(expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} is {:?} and not {expected}", metric(api, name).await);
}

#[track_caller]
fn succeeded(answer: ApiAnswer) -> ApiAnswer {
    assert!(answer.status.is_success(), "{answer:?}");
    answer
}

/// What is done with one node, it goes on with on the other.
async fn live(installation: &KeyInstallation, [one, other]: [&ApiClient; 2]) -> usize {
    let phone = installation.phone();
    let code = one.login(&phone).await.code();
    let device = other.verify(&phone, &code).await.signed_in();
    succeeded(one.profile(&device.access).await);
    succeeded(one.token_verify(&device.access).await);
    let pair = other.refresh(&device.refresh).await.ok();
    let [access, refresh] =
        ["access_token", "refresh_token"].map(|name| pair[name].as_str().unwrap().to_owned());
    succeeded(one.rename(&access, "Ada").await);
    succeeded(other.profile(&access).await);
    succeeded(one.logout(&refresh).await);
    8
}

/// A code on its way, and to whom.
struct PendingCode {
    phone: String,
    code: String,
}

/// What the keys have made that are going to be replaced.
struct FormerCredentials {
    device: SignedInDevice,
    codes: [PendingCode; 2],
}

impl FormerCredentials {
    async fn made_by(installation: &KeyInstallation, node: &NodeProcess) -> Self {
        let sent = async || {
            let phone = installation.phone();
            PendingCode { code: node.api.login(&phone).await.code(), phone }
        };
        let device = node.api.sign_in(&installation.phone()).await;
        Self { device, codes: [sent().await, sent().await] }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_every_key_is_replaced_on_two_nodes_and_then_nothing_of_the_old_ones_works() {
    let installation = Arc::new(KeyInstallation::new("rotated"));
    let nodes = Arc::new([installation.start(), installation.start()]);

    let ends = Arc::new(AtomicBool::new(false));
    let lived: Arc<[AtomicU32; CLIENTS]> = Arc::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let (installation, nodes) = (installation.clone(), nodes.clone());
            let (ends, lived) = (ends.clone(), lived.clone());
            tokio::spawn(async move {
                let mut requests = 0;
                while !ends.load(Ordering::Relaxed) {
                    requests += live(&installation, [&nodes[n % 2].api, &nodes[(n + 1) % 2].api]).await;
                    lived[n].fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
                requests
            })
        })
        .collect();
    // Until no client holds a token or a code any more that was made before.
    let turn_over = async || {
        let lived = || lived.each_ref().map(|lived| lived.load(Ordering::Relaxed));
        let before = lived();
        while before.iter().zip(lived()).any(|(before, now)| now < before + 2) {
            assert!(!clients.iter().any(tokio::task::JoinHandle::is_finished), "a request has failed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };

    for purpose in KeyPurpose::ALL.into_iter().filter(|purpose| *purpose != KeyPurpose::Lookup) {
        let former = installation.keyring().active(purpose).id.clone();
        let [one, other] = &*nodes;
        let FormerCredentials { device: old, codes: [redeemed, left] } =
            FormerCredentials::made_by(&installation, one).await;
        installation.rotate(purpose, &*nodes).await;
        turn_over().await;
        installation.rotate(purpose, &*nodes).await;
        assert_ne!(installation.keyring().active(purpose).id, former);
        succeeded(other.api.verify(&redeemed.phone, &redeemed.code).await);
        succeeded(other.api.profile(&old.access).await);
        let new = other.api.sign_in(&installation.phone()).await;
        turn_over().await;
        if purpose == KeyPurpose::Personal {
            installation.rewrap(former.as_str()).await;
        }

        installation.run(&["retire", FILE, &purpose.to_string(), former.as_str()]);
        installation.read_by(&*nodes).await;
        for node in &*nodes {
            match purpose {
                KeyPurpose::SealAccess | KeyPurpose::SignAccess => {
                    node.api.profile(&old.access).await.is_problem(401, "invalid_access_token");
                }
                KeyPurpose::SealRefresh | KeyPurpose::SignRefresh => {
                    node.api.refresh(&old.refresh).await.is_problem(400, "invalid_token");
                }
                KeyPurpose::Code => {
                    node.api.verify(&left.phone, &left.code).await.is_problem(400, "invalid_code");
                }
                // On a node that has not unwrapped the account's keys before.
                KeyPurpose::Personal => drop(installation.start().api.profile(&old.access).await.ok()),
                // Those have a test of their own.
                KeyPurpose::SecondFactor
                | KeyPurpose::RecoveryCode
                | KeyPurpose::Link
                | KeyPurpose::Cursor
                | KeyPurpose::Limit
                | KeyPurpose::Client
                | KeyPurpose::Checkpoint => drop(node.api.profile(&old.access).await.ok()),
                KeyPurpose::Lookup => unreachable!("it is not rotated"),
            }
            succeeded(node.api.profile(&new.access).await);
        }
        succeeded(one.api.refresh(&new.refresh).await);
        turn_over().await;
    }

    ends.store(true, Ordering::Relaxed);
    let mut requests = 0;
    for client in clients {
        requests += client.await.expect("no request fails");
    }
    assert!(requests > 500, "only {requests} requests: the load was no load");
}

#[tokio::test]
async fn tokens_links_and_codes_outlive_the_replacement_of_their_key_until_that_key_is_removed() {
    let app = TestApp::with_settings(&[("sessions.binding", "device_and_ip"), ("limits.shared", "on")]).await;
    let device = app.api.sign_in("+989121234567").await;
    app.give_roles(&device, [Role::Admin]).await;
    let (authenticator, recovery) = AuthenticatorApp::enrol_in_app(&app.api, &device, app.clock.now()).await;
    let bound = app.api.sign_in("+989121234568").await;
    let devices = app.api.get("/accounts/devices/", &bound.access).await.ok();
    let session = SessionId(devices[0]["id"].as_str().unwrap().parse().unwrap());
    let link = SessionLinks::new(&app.keyring, None).token(bound.account(), session);
    let opened = async || {
        ApiClient::send(app.api.request(Method::GET, &format!("{}/{link}", SessionLinks::PATH))).await
    };
    let page = app.api.get("/admin/accounts/?limit=1", &device.access).await.ok();
    let next = format!("/admin/accounts/?limit=1&cursor={}", page["next"].as_str().unwrap());
    let verify = async |code: &str| {
        app.api.post_as(&device, "/accounts/second-factor/verify/", json!({"code": code})).await
    };

    let mut keyring = app.keyring.clone();
    let later = [
        KeyPurpose::SecondFactor,
        KeyPurpose::RecoveryCode,
        KeyPurpose::Link,
        KeyPurpose::Cursor,
        KeyPurpose::Limit,
        KeyPurpose::Client,
    ];
    let former = later.map(|purpose| keyring.active(purpose).id.clone());
    let mut refresh = bound.refresh.clone();
    for (step, recovery_code) in recovery.iter().enumerate().take(2) {
        for purpose in later {
            keyring.rotate(purpose, None).unwrap();
        }
        app.state.use_keyring(&keyring);
        app.advance_time(60);
        verify(&authenticator.code(app.clock.now())).await.ok();
        verify(recovery_code).await.ok();
        assert_eq!(opened().await.status, 200);
        app.api.get(&next, &device.access).await.ok();
        let tokens = app.api.refresh(&refresh).await.ok();
        tokens["refresh_token"].as_str().unwrap().clone_into(&mut refresh);
        app.api.sign_in(&format!("+98913000000{step}")).await;
    }
    let history = app.journal().history(bound.account()).await.unwrap();
    let changed = history.iter().filter(|(_, event)| event.name() == "ClientChanged").count();
    assert_eq!(changed, 0, "the client is the same under whichever key");

    for (purpose, former) in later.into_iter().zip(&former) {
        keyring.retire(purpose, former.as_str()).unwrap();
    }
    app.state.use_keyring(&keyring);
    app.advance_time(60);
    app.api.get(&next, &device.access).await.refuses_fields(&["cursor"]);
    verify(&authenticator.code(app.clock.now())).await.is_problem(400, "invalid_code");
    verify(&recovery[2]).await.is_problem(400, "invalid_code");
    assert_eq!(opened().await.status, 404);
}

#[tokio::test]
async fn a_keyring_that_cannot_be_used_is_reported_and_the_one_before_it_stays() {
    let installation = KeyInstallation::new("unusable");
    let node = installation.start();
    let device = node.api.sign_in(&installation.phone()).await;
    let file = installation.folder.join(FILE);
    let good = std::fs::read(&file).unwrap();
    let others = installation.folder.join("others.json");
    Keyring::generate().create(&others).unwrap();
    // Half of the file, a keyring whose lookup key finds no account, and a key that a stranger could guess.
    let weak = String::from_utf8(good.clone()).unwrap();
    let secret = weak.split("\"secret\": \"").nth(1).unwrap().split('"').next().unwrap();
    let weak = weak.replace(secret, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").into_bytes();
    for (n, bad) in
        [good[..good.len() / 2].to_vec(), std::fs::read(&others).unwrap(), weak].iter().enumerate()
    {
        std::fs::write(&file, bad).unwrap();
        wait_for(&node.api, "counterfoil_keyring_refused_total", &(n + 1).to_string()).await;
        node.api.profile(&device.access).await.ok();
        node.api.sign_in(&installation.phone()).await;
    }
    std::fs::write(&file, good).unwrap();
    installation.rotate(KeyPurpose::SealAccess, &[node]).await;
}

#[tokio::test]
async fn a_keyring_that_a_command_prints_is_read_again_on_sighup() {
    let installation = KeyInstallation::new("printed");
    let command = format!("cat {FILE}");
    let environment =
        [("DATABASE_URL", &*installation.database.url.0), ("COUNTERFOIL__KEYRING__COMMAND", &command)];
    let node = NodeProcess::start(&installation.folder, &environment);
    let device = node.api.sign_in(&installation.phone()).await;
    let before = metric(&node.api, "counterfoil_keyring_fingerprint").await;
    installation.run(&["rotate", FILE, "sign_access"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        metric(&node.api, "counterfoil_keyring_fingerprint").await,
        before,
        "the node was not told to read it again"
    );
    node.send_sighup();
    installation.read_by(std::slice::from_ref(&node)).await;
    node.api.profile(&device.access).await.ok();
}

#[test]
fn a_command_that_fails_is_named_and_what_it_printed_is_not() {
    let installation = KeyInstallation::new("told");
    let error_of = |command: &str| {
        let environment =
            [("DATABASE_URL", &*installation.database.url.0), ("COUNTERFOIL__KEYRING__COMMAND", command)];
        let mut serve = NodeProcess::command(&installation.folder, &environment);
        let output = serve.arg("serve").env("COUNTERFOIL_PROFILE", "development").output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(error_of("no-such-program").contains("keyring.command: no-such-program"));
    assert!(error_of("cat no-such-file").contains("keyring.command: cat: exit status: 1"));
    let error = error_of("echo {\"version\":\"5ECRE7\"}");
    assert!(error.contains("line 1") && !error.contains("5ECRE7"), "{error}");
}

#[test]
fn a_keyring_from_before_a_purpose_is_refused_with_what_to_run() {
    let installation = KeyInstallation::new("former");
    let file = installation.folder.join(FILE);
    let mut document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    document["keys"]
        .as_array_mut()
        .unwrap()
        .retain(|key| key["purpose"] != "link" && key["purpose"] != "limit");
    std::fs::write(&file, document.to_string()).unwrap();
    let environment = [("DATABASE_URL", &*installation.database.url.0), ("COUNTERFOIL_KEYRING", FILE)];
    let mut serve = NodeProcess::command(&installation.folder, &environment);
    let output = serve.arg("serve").env("COUNTERFOIL_PROFILE", "development").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("no key for link, limit") && error.contains("keys rotate FILE"), "{error}");
    assert!(!installation.run(&["list", FILE]).contains("link"));
    for purpose in ["link", "limit"] {
        assert!(installation.run(&["rotate", FILE, purpose]).contains("first of its purpose"));
    }
    installation.start();
}

#[test]
fn the_commands_for_keys_say_what_is_next_and_never_a_secret() {
    let installation = KeyInstallation::new("commands");
    let refused = |arguments: &[&str]| installation.refused(arguments);
    let active = installation.keyring().active(KeyPurpose::SignAccess).id.to_string();
    assert!(refused(&["retire", FILE, "sign_access", &active]).contains("is active"));
    assert!(refused(&["rotate", FILE, "code", "--algorithm", "hs256"]).contains("not for hs256"));

    let mut printed = installation.run(&["rotate", FILE, "sign_access", "--algorithm", "hs256"]);
    assert!(printed.contains("is pending") && printed.contains("run this again"), "{printed}");
    printed += &installation.run(&["rotate", FILE, "sign_access"]);
    assert!(
        printed.contains(&format!("{active} is retiring")) && printed.contains("access_lifetime"),
        "{printed}"
    );
    printed += &installation.run(&["list", FILE]);
    let listed = installation.run(&["list", FILE, "--json"]);
    let keys = serde_json::from_str::<Value>(&listed).unwrap()["keys"].as_array().unwrap().clone();
    let signing: Vec<&Value> = keys.iter().filter(|key| key["purpose"] == "sign_access").collect();
    let shown = |state: &str| signing.iter().find(|key| key["state"] == state).unwrap()["algorithm"].clone();
    assert_eq!([shown("active"), shown("retiring")], ["hs256", "eddsa"]);
    installation.run(&["retire", FILE, "sign_access", &active]);

    printed += &listed;
    let document: Value =
        serde_json::from_slice(&std::fs::read(installation.folder.join(FILE)).unwrap()).unwrap();
    for key in document["keys"].as_array().unwrap() {
        assert!(!printed.contains(&key["secret"].as_str().unwrap()[..12]), "{printed}");
    }
}
