//! A server process of its own, with a database of its own: killed, stopped and started again.

mod slow_readers;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use counterfoil::crypto::keyring::Keyring;
use counterfoil::runtime::clock::{Clock as _, SystemClock};
use counterfoil::settings::Sources;
use counterfoil::tokens::{TokenKind, Tokens};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::support::{ApiClient, NodeProcess, TestDatabase};

const ROUNDS: u32 = 20;
const CLIENTS: u32 = 8;

/// How many answers of success there are in a round before the kill.
const ACKNOWLEDGED: u32 = 40;

/// A new folder for a server to keep its things in, gone with this value.
struct ServerFolder(PathBuf);

impl ServerFolder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    async fn connect(&self) -> Client {
        let socket = self.0.join(".counterfoil/run").display().to_string().replace('/', "%2F");
        let url = format!("postgresql:///counterfoil?host={socket}&user=counterfoil");
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    fn database_is_running(&self) -> bool {
        self.0.join(".counterfoil/postgres/postmaster.pid").exists()
    }
}

impl Drop for ServerFolder {
    fn drop(&mut self) {
        // The server may still be on its way out.
        for _ in 0..200 {
            if !self.database_is_running() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Something that was answered with success, and what must be in the log for it, once.
#[derive(Clone, Debug)]
enum AcknowledgedOperation {
    SignIn { session: String },
    Refresh { session: String, generation: u32 },
    Rename { account: String, name: String },
    Logout { session: String },
}

/// Signs people in, refreshes, renames and signs out until the server dies; notes what was acknowledged.
async fn live(
    api: ApiClient,
    next_phone: Arc<AtomicU32>,
    tokens: Tokens,
    log: Arc<Mutex<Vec<AcknowledgedOperation>>>,
) {
    let note = |acknowledged| log.lock().unwrap().push(acknowledged);
    let post = async |path: &str, body: Value| {
        let answer = ApiClient::try_send(api.request(Method::POST, path).json(&body)).await.ok()?;
        assert!(answer.status.as_u16() < 500 || answer.status == 503, "{answer:?}");
        answer.status.is_success().then_some(answer)
    };
    loop {
        let phone = format!("+98913{:07}", next_phone.fetch_add(1, Ordering::Relaxed));
        let Some(code) = post("/accounts/login/", json!({"phone_number": phone})).await else { return };
        let body = json!({"phone_number": phone, "code": code.json()["code"]});
        let Some(device) = post("/accounts/verify/", body).await else { return };
        let mut device = device.signed_in();
        let account = device.user["id"].as_str().unwrap().to_owned();
        let token = tokens.open(TokenKind::Refresh, &device.refresh, SystemClock.now()).unwrap();
        let session = token.session.to_string();
        note(AcknowledgedOperation::SignIn { session: session.clone() });
        for step in 0..4 {
            let Some(answer) = post("/accounts/refresh/", json!({"refresh_token": device.refresh})).await
            else {
                return;
            };
            let body = answer.json();
            device.access = body["access_token"].as_str().unwrap().to_owned();
            device.refresh = body["refresh_token"].as_str().unwrap().to_owned();
            let token = tokens.open(TokenKind::Refresh, &device.refresh, SystemClock.now()).unwrap();
            note(AcknowledgedOperation::Refresh { session: session.clone(), generation: token.generation.0 });
            let name = format!("{phone} {step}");
            let rename = api.request(Method::PATCH, "/accounts/profile/").bearer_auth(&device.access);
            match ApiClient::try_send(rename.json(&json!({"fullname": name}))).await {
                Ok(answer) if answer.status == 200 => {
                    note(AcknowledgedOperation::Rename { account: account.clone(), name });
                }
                _ => return,
            }
        }
        let Some(_) = post("/accounts/logout/", json!({"refresh_token": device.refresh})).await else {
            return;
        };
        note(AcknowledgedOperation::Logout { session });
    }
}

/// Whether the log has what was acknowledged, exactly once.
async fn is_recorded_once(client: &Client, acknowledged: &AcknowledgedOperation) -> bool {
    let count = async |sql: &str, parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)]| {
        client.query_one(sql, parameters).await.unwrap().get::<_, i64>(0)
    };
    match acknowledged {
        AcknowledgedOperation::SignIn { session } => {
            count(
                "SELECT count(*) FROM events WHERE payload->'fact'->'LoggedIn'->>'session' = $1",
                &[session],
            )
            .await
                == 1
        }
        AcknowledgedOperation::Refresh { session, generation } => {
            let generation = generation.to_string();
            let sql = "SELECT count(*) FROM events WHERE payload->'fact'->'TokenRefreshed'->>'session' = $1
                          AND payload->'fact'->'TokenRefreshed'->>'generation' = $2";
            count(sql, &[session, &generation]).await == 1
        }
        AcknowledgedOperation::Logout { session } => {
            count(
                "SELECT count(*) FROM events WHERE payload->'fact'->'LoggedOut'->>'session' = $1",
                &[session],
            )
            .await
                == 1
        }
        // The name itself is sealed in the log: the profile has it, or a later one of the same account.
        AcknowledgedOperation::Rename { account, name } => {
            let account = uuid::Uuid::try_parse(account).unwrap();
            count("SELECT count(*) FROM profiles WHERE account_id = $1 AND fullname >= $2", &[&account, name])
                .await
                == 1
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_twenty_times_under_load_keeps_every_acknowledged_event_once() {
    let folder = ServerFolder::new("killed");
    let next_phone = Arc::new(AtomicU32::new(0));
    let mut total = 0;
    for round in 0..ROUNDS {
        let node = NodeProcess::start(&folder.0, &[("COUNTERFOIL__LOG__FILTER", "info")]);
        let keyring = Keyring::read(&folder.0.join(".counterfoil/keyring.json")).unwrap();
        let settings = Sources::read(None, std::iter::empty(), std::iter::empty()).unwrap().check().unwrap();
        let tokens = Tokens::new(&keyring, settings.tokens);

        let log = Arc::<Mutex<Vec<AcknowledgedOperation>>>::default();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(live(node.api.clone(), next_phone.clone(), tokens.clone(), log.clone())))
            .collect();
        // By what was acknowledged and not by time: the load is a load on a slow machine as well.
        let began = Instant::now();
        while log.lock().unwrap().len() < ACKNOWLEDGED as usize && began.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_millis(u64::from(3 + round % 7))).await;
        }
        node.kill();
        for client in clients {
            client.await.unwrap();
        }

        let node = NodeProcess::start(&folder.0, &[]);
        let client = folder.connect().await;
        let acknowledged = log.lock().unwrap().clone();
        for acknowledged in &acknowledged {
            assert!(is_recorded_once(&client, acknowledged).await, "round {round}: {acknowledged:?}");
        }
        total += acknowledged.len();
        drop(client);
        assert!(node.stop());
    }
    assert!(total >= (ROUNDS * ACKNOWLEDGED) as usize, "only {total} acknowledged: the load was no load");

    let check =
        NodeProcess::command(&folder.0, &[]).args(["projections", "check", "--json"]).output().unwrap();
    assert!(check.status.success(), "{check:?}");
    let checked: Value = serde_json::from_slice(&check.stdout).unwrap();
    assert!(checked[1]["rows"].as_i64().unwrap() >= i64::from(ROUNDS), "{checked}");
}

/// What a node has seen of access tokens in use, it writes now and then; and before it goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_loses_no_use_of_a_session() {
    let (folder, database) = (ServerFolder::new("stopped-after-use"), TestDatabase::new());
    let node = NodeProcess::start(&folder.0, &[("DATABASE_URL", &database.url.0)]);
    let device = node.api.sign_in("+989121234567").await;
    node.api.profile(&device.access).await.ok();
    assert!(node.stop());
    let used = "SELECT count(*) FROM session_uses JOIN user_logins USING (account_id, session_id)
                 WHERE used_at >= last_seen_at";
    assert_eq!(database.value::<i64>(used).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_the_requests_under_way_and_stops_the_database_last() {
    let folder = ServerFolder::new("stopped");
    let node = NodeProcess::start(&folder.0, &[]);
    node.api.login("+989121234567").await.ok();
    let address = node.api.address();

    let mut begun: Vec<TcpStream> = (0..10)
        .map(|n| {
            let mut stream = TcpStream::connect(address).unwrap();
            let body = format!(r#"{{"phone_number": "+98913123456{n}"}}"#);
            let head = "POST /accounts/login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n";
            write!(stream, "{head}Content-Length: {}\r\n\r\n{}", body.len(), &body[..10]).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    let stopping = std::thread::spawn(move || node.stop());
    std::thread::sleep(Duration::from_millis(300));
    assert!(folder.database_is_running());
    for (n, stream) in begun.iter_mut().enumerate() {
        let body = format!(r#"{{"phone_number": "+98913123456{n}"}}"#);
        stream.write_all(&body.as_bytes()[10..]).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    assert!(stopping.join().unwrap(), "it ended well");
    assert!(!folder.database_is_running());
}

#[test]
fn a_second_server_in_the_folder_is_refused_and_says_why() {
    let folder = ServerFolder::new("twice");
    let first = NodeProcess::start(&folder.0, &[]);
    let second = NodeProcess::command(&folder.0, &[]).arg("serve").output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another counterfoil is running"), "{second:?}");
    assert!(first.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pid_file_that_names_another_process_does_not_keep_the_server_from_starting() {
    let folder = ServerFolder::new("stranger");
    let node = NodeProcess::start(&folder.0, &[]);
    let device = node.api.sign_in("+989121234567").await;
    assert!(node.stop());
    // As after a restart of a container: the number now belongs to another process.
    let stranger = std::process::id();
    let pid_file = folder.0.join(".counterfoil/postgres/postmaster.pid");
    std::fs::write(&pid_file, format!("{stranger}\n{}\n", folder.0.display())).unwrap();
    let node = NodeProcess::start(&folder.0, &[]);
    node.api.profile(&device.access).await.ok();
    assert!(node.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_is_started_again() {
    let folder = ServerFolder::new("revived");
    let node = NodeProcess::start(&folder.0, &[]);
    let device = node.api.sign_in("+989121234567").await;
    let pid_file = std::fs::read_to_string(folder.0.join(".counterfoil/postgres/postmaster.pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid_file.lines().next().unwrap().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let mut last = None;
    for _ in 0..200 {
        let answer = node.api.profile(&device.access).await;
        if answer.status == 200 && last.is_some_and(|status| status != 200) {
            assert!(node.stop());
            return;
        }
        assert!(answer.status == 200 || answer.status == 503, "{answer:?}");
        last = Some(answer.status.as_u16());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come back, or never went: {last:?}");
}

#[test]
fn without_keys_a_database_or_budgets_production_says_what_is_missing() {
    let folder = ServerFolder::new("production");
    let refused = |environment: &[(&str, &str)]| {
        let output = NodeProcess::command(&folder.0, environment).arg("serve").output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let production = ("COUNTERFOIL_PROFILE", "production");
    assert!(refused(&[production]).contains("database.url"));
    let database = ("DATABASE_URL", "postgresql://absent@127.0.0.1:1/none");
    assert!(refused(&[production, database]).contains("keyring.file"));
    let keyring = ("COUNTERFOIL_KEYRING", "k");
    assert!(refused(&[production, database, keyring]).contains("delivery.phone"));
    let gateway = [
        ("COUNTERFOIL__DELIVERY__PHONE", "own"),
        ("COUNTERFOIL__GATEWAYS__OWN__KIND", "kavenegar"),
        ("COUNTERFOIL__GATEWAYS__OWN__API_KEY", "secret"),
    ];
    let limited = ("COUNTERFOIL__LIMITS__SHARED", "on");
    let unlimited = refused(&[&[production, database, keyring, limited], &gateway[..]].concat());
    assert!(unlimited.contains("limits.countries: is missing"), "{unlimited}");
    assert!(refused(&[("COUNTERFOIL_LISTEN", "0.0.0.0:0")]).contains("server.listen"));
    assert!(!Path::new(&folder.0).join(".counterfoil").exists(), "a refusal makes nothing");
}

#[test]
fn variables_of_other_programs_may_hold_any_bytes_and_those_of_this_one_are_text() {
    let folder = ServerFolder::new("bytes");
    let bytes = || OsStr::from_bytes(b"\xff\xfe");
    let show = |variable: &OsStr| {
        let mut command = NodeProcess::command(&folder.0, &[]);
        command.env(variable, bytes()).args(["config", "show"]).output().unwrap()
    };
    for foreign in ["LESSOPEN".as_ref(), "COUNTERFOIL".as_ref(), bytes()] {
        let output = show(foreign);
        assert!(output.status.success(), "{foreign:?}: {output:?}");
    }
    for own in ["COUNTERFOIL_KEYRING", "COUNTERFOIL__LOG__FILTER"] {
        let output = show(own.as_ref());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("{own}: is not UTF-8")), "{said}");
    }
}

#[test]
fn a_process_that_dies_leaves_no_core_dump() {
    let folder = ServerFolder::new("core");
    let node = NodeProcess::start(&folder.0, &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", node.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let core: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "the limit cannot be raised again");
    // What a process that cannot be dumped has in /proc belongs to root alone, with the user that it runs as.
    let status = std::fs::metadata(format!("/proc/{}/environ", node.pid())).unwrap();
    assert_eq!((status.uid(), status.gid()), (0, 0));
    let status = node.die_of(rustix::process::Signal::ABORT);
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}

/// Starts a server that has to refuse, and returns what it says.
fn refused_start(folder: &Path, environment: &[(&str, &str)]) -> String {
    let output = NodeProcess::command(folder, environment).arg("serve").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn symbolic_links_of_another_user_are_not_followed() {
    let folder = ServerFolder::new("links");
    let (own, victim) = (folder.0.join(".counterfoil"), folder.0.join("victim"));
    let mode_and_owner = |path: &Path| {
        let metadata = std::fs::metadata(path).unwrap();
        (metadata.mode(), metadata.uid(), metadata.gid())
    };
    std::fs::create_dir(&victim).unwrap();
    let before = mode_and_owner(&victim);
    symlink(&victim, &own).unwrap();
    assert!(refused_start(&folder.0, &[]).contains("is a link"));
    std::fs::remove_file(&own).unwrap();

    std::fs::create_dir(&own).unwrap();
    for name in ["run", "postgres"] {
        symlink(&victim, own.join(name)).unwrap();
        assert!(refused_start(&folder.0, &[]).contains("is a link"), "{name}");
        std::fs::remove_file(own.join(name)).unwrap();
    }
    let file = folder.0.join("victim.txt");
    std::fs::write(&file, "untouched").unwrap();
    for name in ["lock", "postgres.log"] {
        drop(std::fs::remove_file(own.join(name)));
        symlink(&file, own.join(name)).unwrap();
        assert!(refused_start(&folder.0, &[]).contains(name), "{name}");
        std::fs::remove_file(own.join(name)).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "untouched");
    assert_eq!(mode_and_owner(&victim), before);
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
}

#[test]
fn a_link_in_the_temporary_folder_is_not_followed_where_the_path_is_too_long_for_a_socket() {
    let folder = ServerFolder::new(&format!("long-{}", "x".repeat(100)));
    let (own, victim) = (folder.0.join(".counterfoil"), folder.0.join("victim"));
    let temporary = folder.0.join("tmp");
    for folder in [&own, &victim, &temporary] {
        std::fs::create_dir(folder).unwrap();
    }
    let before = std::fs::metadata(&victim).unwrap();
    let own = std::fs::metadata(&own).unwrap();
    symlink(&victim, temporary.join(format!("counterfoil-{}-{}", own.uid(), own.ino()))).unwrap();
    let said = refused_start(&folder.0, &[("TMPDIR", temporary.to_str().unwrap())]);
    assert!(said.contains("is a link"), "{said}");
    let after = std::fs::metadata(&victim).unwrap();
    assert_eq!((before.mode(), before.uid(), before.gid()), (after.mode(), after.uid(), after.gid()));
}

#[test]
fn a_command_in_a_folder_without_a_service_says_so_and_makes_nothing() {
    let folder = ServerFolder::new("nothing");
    let said_by = |arguments: &[&str], environment: &[(&str, &str)]| {
        let output = NodeProcess::command(&folder.0, environment).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for arguments in [
        &["accounts", "show", "+989121234567"][..],
        &["sessions", "list"],
        &["audit", "events"],
        &["projections", "check"],
        &["keys", "rewrap"],
        &["migrate"],
    ] {
        let said = said_by(arguments, &[]);
        assert!(said.contains("nothing is configured here: database.url"), "{arguments:?}: {said}");
    }
    let elsewhere = [("DATABASE_URL", "postgresql://127.0.0.1:1/x"), ("COUNTERFOIL_PROFILE", "development")];
    assert!(said_by(&["sessions", "list"], &elsewhere).contains("nothing is configured here: keyring.file"));
    assert!(
        said_by(&["keys", "guard", "guard.json"], &[]).contains("nothing is configured here: keyring.file")
    );
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "nothing was made");
}

#[test]
fn lines_of_text_that_no_terminal_reads_have_no_colours() {
    let folder = ServerFolder::new("colours");
    let mut server = NodeProcess::command(&folder.0, &[("COUNTERFOIL__LOG__FORMAT", "text")]);
    server.arg("serve").stderr(Stdio::piped()).stdout(Stdio::null());
    let mut process = server.spawn().unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Vec::new();
    for line in lines {
        let listening = line.contains("listening");
        said.push(line);
        if listening {
            break;
        }
    }
    let pid = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(process.wait().unwrap().success());
    assert!(said.last().is_some_and(|line| line.contains("INFO") && line.contains("listening")), "{said:?}");
    assert!(!said.iter().any(|line| line.contains('\u{1b}')), "{said:?}");
}
