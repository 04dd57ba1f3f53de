//! What administrators and auditors ask of a service with many accounts: how long each page takes, which indexes it goes
//! along, and how fast the whole log comes out.
//!
//! The people are those of [`Population`], in a database of their own. A service runs while they come, numbers their
//! events and brings the read models up that follow the log.

mod pages;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil::crypto::keyring::Keyring;
use counterfoil::crypto::personal_data::PersonalData;
use counterfoil::journal::Journal;
use counterfoil::postgres::Database;
use counterfoil::runtime::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use totp_rs::Secret;

use self::pages::{KnownData, StaffPage, admin_pages, audit_pages};
use super::client::{LoadResult, complete, measured};
use super::population::Population;
use super::run::BenchRun;
use super::scenario::{RepeatedRequest, SignInCaller};
use super::service::ServiceProcess;

/// The figure's name, and its database's.
pub const NAME: &str = "scale";

/// How often each page is asked for.
const TIMES: usize = 31;

/// For how long the log is exported at most.
const EXPORT_FOR: Duration = Duration::from_secs(300);

/// Tables that grow with accounts and events. No page may read one of them from its beginning to its end.
const LARGE: [&str; 10] = [
    "events",
    "ledger",
    "heads",
    "identifiers",
    "account_keys",
    "profiles",
    "user_logins",
    "stays",
    "login_history",
    "statistics_devices",
];

/// A member of staff, by their access token.
struct StaffToken {
    access: String,
}

pub fn measure(bench: &mut BenchRun, people: u32, keep: bool) {
    let url = bench.url.replacen("///counterfoil?", "///scale?", 1);
    assert_ne!(url, bench.url);
    let outer = std::mem::replace(&mut bench.url, url);
    let psql = |sql: &str| {
        let output = Command::new("psql").args(["-qAt", &outer, "-c", sql]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    if psql("SELECT 1 FROM pg_database WHERE datname = 'scale'").is_empty() {
        psql("CREATE DATABASE scale");
    }
    // Plans of what the service asks, when it is asked to tell them.
    psql("ALTER SYSTEM SET session_preload_libraries = 'auto_explain'");
    psql("SELECT pg_reload_conf()");
    std::thread::sleep(Duration::from_millis(500));

    let until = SystemClock.now();
    let population = Population { people, from: until - TimeDelta::days(50), until };
    populate(bench, population);
    let hour = [("COUNTERFOIL__TOKENS__ACCESS_LIFETIME", "3600")];
    let service = ServiceProcess::with(&bench.folder, &bench.url, &hour);
    let known = known(bench, people);
    pages(bench, &service, &known);
    export(bench, &service);
    drop(service);

    psql("ALTER SYSTEM RESET session_preload_libraries");
    psql("SELECT pg_reload_conf()");
    if !keep {
        psql("DROP DATABASE scale WITH (FORCE)");
    }
    bench.url = outer;
}

/// Lets the people come, and waits until their events have their numbers and the read models have them.
fn populate(bench: &mut BenchRun, population: Population) {
    let service = ServiceProcess::start(&bench.folder, &bench.url);
    let events = u64::from(population.people) / 100 * 1_003;
    let ledger = |bench: &BenchRun| {
        let seqs = bench.psql("SELECT s.seq, min(f.seq) FROM sequencer s, followers f GROUP BY s.seq");
        let (numbered, followed) = seqs.trim().split_once('|').unwrap();
        (numbered.parse::<u64>().unwrap(), followed.parse::<u64>().unwrap())
    };
    if ledger(bench).1 >= events {
        return;
    }
    let keyring = Keyring::read(&bench.folder.join(".counterfoil/keyring.json")).unwrap();
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let journal = Journal::new(
            Database::new(&bench.url, 4).unwrap(),
            PersonalData::new(&keyring),
            Arc::new(SystemClock),
        );
        population.live(&journal, &keyring).await;
        journal.database().close().await;
    });
    let came = began.elapsed();
    while ledger(bench) != (events, events) {
        assert!(began.elapsed() < came * 3 + Duration::from_secs(60), "{:?} of {events}", ledger(bench));
        std::thread::sleep(Duration::from_millis(500));
    }
    drop(service);
    bench.report.figure("scale_population_events_per_second", events as f64 / came.as_secs_f64());
    bench.report.figure("scale_ledger_behind_seconds", (began.elapsed() - came).as_secs_f64());
    bench.psql("VACUUM ANALYZE");
    bench.psql("CHECKPOINT");
}

fn known(bench: &mut BenchRun, people: u32) -> KnownData {
    let number = |bench: &BenchRun, sql: &str| bench.psql(sql).trim().parse::<f64>().unwrap();
    for (name, table) in [("accounts", "profiles"), ("sessions", "user_logins"), ("events", "ledger")] {
        let rows = number(bench, &format!("SELECT count(*) FROM {table}"));
        bench.report.figure(&format!("scale_{name}"), rows);
    }
    let size = number(bench, "SELECT pg_database_size(current_database())");
    bench.report.figure("scale_database_gib", size / f64::from(1 << 30));
    let time = |bound: &str| {
        let sql = format!("SELECT to_json({bound}(signed_in_at))::text FROM user_logins");
        serde_json::from_str::<DateTime<Utc>>(bench.psql(&sql).trim()).unwrap()
    };
    let account = "SELECT account_id FROM profiles WHERE fullname LIKE '% 4246' LIMIT 1";
    KnownData {
        account: bench.psql(account).trim().to_owned(),
        from: time("min"),
        until: time("max"),
        events: bench.psql("SELECT seq FROM sequencer").trim().parse().unwrap(),
        people,
    }
}

fn pages(bench: &mut BenchRun, service: &ServiceProcess, known: &KnownData) {
    let staff = |role| staff(bench, service, role);
    let (admin, auditor) = (staff("admin"), staff("auditor"));
    let mut worst: BTreeMap<&str, f64> = BTreeMap::new();
    for (kind, who, pages) in
        [("admin", &admin, admin_pages(bench, known)), ("audit", &auditor, audit_pages(known))]
    {
        for StaffPage { name, path } in pages {
            let name = format!("{kind} {name}");
            let first = first_time(service, who, &path);
            let measured = asked(service, who, &path);
            bench.report.measured(&name, &measured, None);
            let slowest = worst.entry(kind).or_default();
            *slowest = slowest.max(measured.median_ms);
            let scans = plans(bench, || {
                asked_once(service, who, &path);
            });
            println!(
                "    first {} ms; {}",
                first.as_millis(),
                Vec::from_iter(scans.iter().cloned()).join(", ")
            );
            let whole =
                |scan: &String| LARGE.iter().any(|table| scan.starts_with(&format!("Seq Scan on {table}")));
            assert!(!scans.iter().any(whole), "{path} reads a whole table: {scans:?}");
        }
    }
    for (kind, median) in worst {
        bench.report.figure(&format!("scale_{kind}_slowest_median_ms"), median);
    }
}

/// Signs a new user in and gives them a role, as the operator at the server does.
fn staff(bench: &BenchRun, service: &ServiceProcess, role: &str) -> StaffToken {
    let (_, mut callers) = complete(service.port, vec![SignInCaller::default()], 1);
    let SignInCaller { phone, mut tokens, .. } = callers.remove(0);
    let granted = Command::new(env!("CARGO_BIN_EXE_counterfoil"))
        .args(["accounts", "grant", &phone, role])
        .current_dir(&bench.folder)
        .env("DATABASE_URL", &bench.url)
        .env("COUNTERFOIL_PROFILE", "development")
        .output()
        .unwrap();
    assert!(granted.status.success(), "{granted:?}");
    let access = tokens.remove(0).access;
    pass_second_factor(service.port, &access);
    StaffToken { access }
}

/// Sets an authenticator up, by the code that it shows.
fn pass_second_factor(port: u16, access: &str) {
    let post = async |path: &str, body: Value| {
        let request = reqwest::Client::new().post(format!("http://127.0.0.1:{port}{path}"));
        let answer = request.bearer_auth(access).json(&body).send().await.unwrap();
        answer.error_for_status().unwrap().json::<Value>().await.unwrap()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let offered = post("/accounts/second-factor/", json!({})).await;
        let secret = Secret::try_from_base32(offered["secret"].as_str().unwrap()).unwrap();
        let authenticator = totp_rs::Builder::new().with_secret(secret).build().unwrap();
        let code = authenticator.generate(SystemClock.now().timestamp().unsigned_abs()).to_string();
        post("/accounts/second-factor/confirm/", json!({ "code": code })).await;
    });
}

fn request(who: &StaffToken, path: &str, more: &str) -> Vec<u8> {
    let (access, reason) = (&who.access, "x-audit-reason: measuring");
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {access}\r\n{reason}\r\n{more}\r\n")
        .into_bytes()
}

/// How long it takes until there is an answer, where what it is made of may have to be read from the disk: the service gives
/// up after a second, and what has been read by then is there for the next.
fn first_time(service: &ServiceProcess, who: &StaffToken, path: &str) -> Duration {
    let began = Instant::now();
    loop {
        let mut stream = TcpStream::connect(("127.0.0.1", service.port)).unwrap();
        stream.write_all(&request(who, path, "connection: close\r\n")).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        if !answer.starts_with(b"HTTP/1.1 503") {
            return began.elapsed();
        }
    }
}

/// A page, over and over on one connection; of one that is sent as it is read, on a connection each.
fn asked(service: &ServiceProcess, who: &StaffToken, path: &str) -> LoadResult {
    if !path.contains("format=") {
        let caller = RepeatedRequest { requests: vec![request(who, path, "")], turn: 0 };
        return complete(service.port, vec![caller], TIMES).0;
    }
    let began = Instant::now();
    let times = (0..TIMES).map(|_| asked_once(service, who, path)).collect();
    measured(times, began.elapsed())
}

fn asked_once(service: &ServiceProcess, who: &StaffToken, path: &str) -> Duration {
    let began = Instant::now();
    download(service, who, path, |_| true);
    began.elapsed()
}

/// What came of an answer.
#[derive(Default)]
struct DownloadSize {
    length: usize,
    lines: usize,
}

/// An answer, as it comes; all of it, or as much as is wanted.
fn download(
    service: &ServiceProcess,
    who: &StaffToken,
    path: &str,
    mut more: impl FnMut(&DownloadSize) -> bool,
) -> DownloadSize {
    let mut stream = TcpStream::connect(("127.0.0.1", service.port)).unwrap();
    stream.write_all(&request(who, path, "connection: close\r\n")).unwrap();
    let (mut buffer, mut taken, mut end) = (vec![0; 256 * 1024], DownloadSize::default(), Vec::new());
    let mut last = 0;
    loop {
        let read = stream.read(&mut buffer).unwrap();
        let part = &buffer[..read];
        assert!(taken.length > 0 || part.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(part));
        if part.is_empty() {
            // What comes as it is read comes in chunks, and the last says that it is the last.
            let whole = !path.contains("format=") || end.ends_with(b"\r\n0\r\n\r\n");
            assert!(whole, "{path} was cut off after {} bytes", taken.length);
            return taken;
        }
        taken.length += read;
        for byte in part {
            // After a record; a head or a chunk has a carriage return before its own.
            taken.lines += usize::from(*byte == b'\n' && last == b'}');
            last = *byte;
        }
        end.extend_from_slice(&part[read.saturating_sub(8)..]);
        end.drain(..end.len().saturating_sub(8));
        if !more(&taken) {
            return taken;
        }
    }
}

/// The scans in the plans of what the service asks the database for a page, as PostgreSQL says that it has run them.
fn plans(bench: &BenchRun, page: impl FnOnce()) -> BTreeSet<String> {
    let set = |settings: &[&str]| {
        for setting in settings {
            bench.psql(&format!("ALTER SYSTEM SET auto_explain.{setting}"));
        }
        bench.psql("SELECT pg_reload_conf()");
        // Sessions that are idle take it in with their next statement.
        std::thread::sleep(Duration::from_millis(300));
    };
    let path = bench.folder.join("cluster/postgres.log");
    let length = || usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
    let before = length();
    set(&["log_analyze = on", "log_min_duration = 0"]);
    let began = length();
    page();
    set(&["log_min_duration = -1"]);
    let log = std::fs::read_to_string(&path).unwrap();
    // Processes that read while no page is asked for are those of the sequencer and of the followers of the ledger.
    let mut others = BTreeSet::new();
    entries(&log[before..began], |process, _| {
        others.insert(process.to_owned());
    });
    let mut scans = BTreeSet::new();
    entries(&log[began..], |process, line| {
        let node = line.trim_start().trim_start_matches("->  ").split("  (cost=").next().unwrap_or_default();
        let reads = ["Index Scan", "Index Only Scan", "Seq Scan"].iter().any(|scan| node.contains(scan));
        if reads && !others.contains(process) {
            scans.insert(node.to_owned());
        }
    });
    scans
}

/// The lines of PostgreSQL's log, each with the process that wrote it.
fn entries<'a>(log: &'a str, mut see: impl FnMut(&'a str, &'a str)) {
    let mut process = "";
    for line in log.lines() {
        if !line.starts_with('\t') {
            process = line.split(['[', ']']).nth(1).unwrap_or_default();
        }
        see(process, line);
    }
}

/// The log as NDJSON, all of it where that takes no longer than [`EXPORT_FOR`], beside what PostgreSQL alone makes of as
/// many events: as they come, and in the order of the log.
fn export(bench: &mut BenchRun, service: &ServiceProcess) {
    let auditor = staff(bench, service, "auditor");
    let (rest, began) = (service.memory_mib(), Instant::now());
    let (mut most, mut looked) = (rest, Instant::now());
    let taken = download(service, &auditor, "/audit/events/?format=ndjson", |_| {
        if looked.elapsed() > Duration::from_millis(100) {
            looked = Instant::now();
            most = most.max(service.memory_mib());
        }
        began.elapsed() < EXPORT_FOR
    });
    let seconds = began.elapsed().as_secs_f64();
    let events = taken.lines as f64;
    let copy = |bench: &BenchRun, what: &str| {
        let began = Instant::now();
        // By the way that has the first row at once: everything else would sort all of it on the disk.
        let settings =
            "SET enable_sort = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";
        let copy = format!("COPY ({what} LIMIT {}) TO STDOUT", taken.lines);
        let copied = Command::new("psql")
            .args(["-q", &bench.url, "-v", "ON_ERROR_STOP=1", "-c", settings, "-c", &copy])
            .stdout(Stdio::null())
            .status();
        assert!(copied.unwrap().success());
        events / began.elapsed().as_secs_f64()
    };
    let table = copy(bench, "SELECT * FROM events");
    let in_order = copy(
        bench,
        "SELECT l.seq, e.* FROM ledger l JOIN events e ON e.aggregate_type = 'UserAccount' \
            AND e.aggregate_id = l.account_id::text AND e.sequence = l.sequence ORDER BY l.seq",
    );
    for (name, figure) in [
        ("events", events),
        ("events_per_second", events / seconds),
        ("mb_per_second", taken.length as f64 / 1e6 / seconds),
        ("memory_before_mib", rest),
        ("memory_most_mib", most),
        ("copy_events_per_second", table),
        ("copy_in_order_events_per_second", in_order),
        ("vs_copy", events / seconds / table),
        ("vs_copy_in_order", events / seconds / in_order),
    ] {
        bench.report.figure(&format!("scale_export_{name}"), figure);
    }
}
