//! Listeners in processes of their own, which are killed under load.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use counterfoil::app::{Application, new_state};
use counterfoil::crypto::keyring::Keyring;
use counterfoil::delivery::Gateways;
use counterfoil::listeners::{EventListener, ListenedEvent, ListenerFault, ListenerSet};
use counterfoil::postgres::DatabaseUrl;
use counterfoil::runtime::clock::SystemClock;
use counterfoil::settings::Sources;
use counterfoil_domain::user_account::UserAccountEvent;
use rustix::process::{Pid, Signal, getppid, kill_process};

use super::check_order;
use crate::support::TestApp;

/// The variables by which the test tells a process what to do.
const RECORD: &str = "COUNTERFOIL_TEST_RECORD";
const KEYRING: &str = "COUNTERFOIL_TEST_KEYRING";
const DATABASE: &str = "COUNTERFOIL_TEST_DATABASE";

/// How many events are taken between two kills.
const BETWEEN_KILLS: usize = 40;

/// Writes what it hears of into a file that all processes share.
#[derive(Debug)]
struct FileListener(PathBuf);

#[async_trait]
impl EventListener for FileListener {
    fn name(&self) -> &'static str {
        "file"
    }

    fn event_names(&self) -> &'static [&'static str] {
        UserAccountEvent::NAMES
    }

    fn reads_from_beginning(&self) -> bool {
        true
    }

    async fn on_event(&self, event: &ListenedEvent) -> Result<(), ListenerFault> {
        let line = format!("{} {} {} {}\n", std::process::id(), event.seq, event.account, event.version);
        let file = OpenOptions::new().append(true).create(true).open(&self.0);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.map_err(|_| ListenerFault::new("the file cannot be written"))?;
        // A kill is likely to come between what the program did and what the service writes of it.
        tokio::time::sleep(Duration::from_millis(3)).await;
        Ok(())
    }
}

/// No test of its own: the process that the test below starts, and kills.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_a_test_starts_is_a_node_with_a_listener() {
    let Ok(record) = std::env::var(RECORD) else { return };
    let parent = getppid();
    let (keyring, url) = (std::env::var(KEYRING).unwrap(), DatabaseUrl(std::env::var(DATABASE).unwrap()));
    let keyring = Keyring::read(Path::new(&keyring)).unwrap();
    let flags = [("server.listen", "127.0.0.1:0"), ("server.workers", "1"), ("limits.shared", "off")];
    let flags = flags.map(|(key, value)| (key, value.to_owned()));
    let settings = Sources::read(None, std::iter::empty(), flags.into_iter()).unwrap().check().unwrap();
    let metrics = counterfoil::runtime::telemetry::prometheus().build_recorder().handle();
    let clock = Arc::new(SystemClock);
    let gateways = Gateways::new(&settings.delivery, [], clock.clone()).unwrap();
    let state = new_state(&settings, &url, &keyring, gateways, clock, metrics).unwrap();
    let listener: Arc<dyn EventListener> = Arc::new(FileListener(record.into()));
    let application = Application::build(&settings, &keyring, state).unwrap();
    // Until it is killed, or the test was interrupted.
    tokio::select! {
        ended = application.with_listeners(ListenerSet::new([listener]).unwrap()).run() => ended.unwrap(),
        () = async {
            while getppid() == parent {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        } => {}
    }
}

/// A process of this test's binary that runs a node; killed with this value.
struct ListenerProcess(Child);

impl ListenerProcess {
    fn start(app: &TestApp, keyring: &Path, record: &Path) -> Self {
        let module = module_path!().split_once("::").unwrap().1;
        let test = format!("{module}::a_process_that_a_test_starts_is_a_node_with_a_listener");
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &test, "--nocapture"])
            .env(RECORD, record)
            .env(KEYRING, keyring)
            .env(DATABASE, &app.database.url.0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(process)
    }
}

impl ListenerProcess {
    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for ListenerProcess {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A line of the file.
#[derive(Clone, Debug)]
struct TakenLine {
    process: u32,
    seq: i64,
    account: String,
    version: i64,
}

fn read_lines(record: &Path) -> Vec<TakenLine> {
    let text = std::fs::read_to_string(record).unwrap_or_default();
    let lines = text.lines().map(|line| {
        let parts: Vec<&str> = line.split(' ').collect();
        TakenLine {
            process: parts[0].parse().unwrap(),
            seq: parts[1].parse().unwrap(),
            account: parts[2].to_owned(),
            version: parts[3].parse().unwrap(),
        }
    });
    lines.collect()
}

/// Waits until there are so many lines. Returns them.
async fn wait_for_lines(record: &Path, count: usize) -> Vec<TakenLine> {
    let began = Instant::now();
    loop {
        let lines = read_lines(record);
        if lines.len() >= count {
            return lines;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{} of {count} lines", lines.len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Two nodes with a listener, of which the one that hands events over is killed while people sign in. `COUNTERFOIL_LISTENER_KILLS`
/// sets the number of kills.
#[tokio::test(flavor = "multi_thread")]
async fn processes_that_are_killed_under_load_leave_no_event_out_and_keep_the_order() {
    let kills: u32 = std::env::var("COUNTERFOIL_LISTENER_KILLS").map_or(3, |kills| kills.parse().unwrap());
    let app = TestApp::start().await;
    let keyring = app.keyring_file();
    let record = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("taken-{}.txt", app.database.name));
    drop(std::fs::remove_file(&record));

    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients = (0..3).map(|_| {
        let (api, stop, next) = (app.api.clone(), stop.clone(), next.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let phone = format!("+98914{:07}", next.fetch_add(1, Ordering::Relaxed));
                let device = api.sign_in(&phone).await;
                api.rename(&device.access, &phone).await.ok();
                api.refresh(&device.refresh).await.ok();
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut nodes: Vec<ListenerProcess> =
        (0..2).map(|_| ListenerProcess::start(&app, &keyring, &record)).collect();
    let (mut reached, mut pauses) = (0, Vec::new());
    for _ in 0..kills {
        let lines = wait_for_lines(&record, reached + BETWEEN_KILLS).await;
        // The node that took the last event.
        let worker = lines.last().unwrap().process;
        let killed = nodes.iter().position(|node| node.0.id() == worker).unwrap();
        drop(nodes.remove(killed));
        let (killed_at, left) = (Instant::now(), read_lines(&record).len());
        nodes.push(ListenerProcess::start(&app, &keyring, &record));
        wait_for_lines(&record, left + 1).await;
        pauses.push(killed_at.elapsed());
        reached = left;
    }
    // A node that stands still while another takes its place, and then goes on where it was.
    let worker = wait_for_lines(&record, reached + BETWEEN_KILLS).await.last().unwrap().process;
    let stalled = nodes.iter().find(|node| node.0.id() == worker).unwrap();
    stalled.send(Signal::STOP);
    let left = read_lines(&record).len();
    wait_for_lines(&record, left + BETWEEN_KILLS).await;
    stalled.send(Signal::CONT);
    wait_for_lines(&record, left + 2 * BETWEEN_KILLS).await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let events: i64 = app.database.value("SELECT count(*) FROM events").await;
    let began = Instant::now();
    while read_lines(&record).iter().map(|line| line.seq).max() < Some(events) {
        assert!(began.elapsed() < Duration::from_secs(120), "the listener does not come to the end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(nodes);

    let lines = read_lines(&record);
    let numbers: Vec<i64> = lines.iter().map(|line| line.seq).collect();
    let repeated = check_order(&numbers, events);
    let client = app.database.connect().await;
    let ledger = client.query("SELECT seq, account_id::text, sequence FROM ledger", &[]).await.unwrap();
    let ledger: std::collections::BTreeMap<i64, (String, i64)> =
        ledger.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    for line in &lines {
        assert_eq!(ledger[&line.seq], (line.account.clone(), line.version), "{line:?}");
    }
    pauses.sort();
    let (median, longest) = (pauses[pauses.len() / 2], pauses[pauses.len() - 1]);
    eprintln!(
        "{kills} kills, {events} events, {repeated} came again; pause after a kill {median:?}, at most {longest:?}"
    );
    assert!(repeated <= kills as usize + 1, "at most one event comes again each time, and {repeated} did");
    assert!(longest < Duration::from_secs(15), "another node goes on within seconds: {longest:?}");
    std::fs::remove_file(&record).unwrap();
    std::fs::remove_file(&keyring).unwrap();
}
