//! The run: what is measured, in which order, beside what.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use counterfoil::postgres::embedded::PrivatePostgres;

use super::RunOptions;
use super::bare::BareServer;
use super::client::{self, LoadResult, complete, drive};
use super::report::BenchReport;
use super::scenario::{DeviceTokens, RefreshCaller, RepeatedRequest, SignInCaller};
use super::service::ServiceProcess;
use super::{attack, beside, cpu, delivery, growth, limits, pgbench, scale};

/// A run, and what it has found so far.
pub struct BenchRun {
    pub url: String,
    pub folder: PathBuf,
    pub postmaster: u32,
    /// How long a measurement lasts.
    pub time: Duration,
    quick: bool,
    only: Option<String>,
    /// The last run of pgbench, by its number of clients.
    plain: BTreeMap<usize, LoadResult>,
    pub report: BenchReport,
}

pub fn run(options: &RunOptions) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("load");
    if !options.keep {
        drop(std::fs::remove_dir_all(&folder));
    }
    std::fs::create_dir_all(&folder).unwrap();
    let mut postgres = PrivatePostgres::start(&folder.join("cluster")).unwrap();
    let pid = std::fs::read_to_string(folder.join("cluster/postgres/postmaster.pid")).unwrap();
    let mut bench = BenchRun {
        url: postgres.url().0,
        postmaster: pid.lines().next().unwrap().parse().unwrap(),
        folder,
        time: Duration::from_secs(if options.quick { 6 } else { 20 }),
        quick: options.quick,
        only: options.only.clone(),
        plain: BTreeMap::new(),
        report: BenchReport::default(),
    };
    if !options.beside.is_empty() {
        beside::measure(&mut bench, &options.beside);
    } else if bench.wanted(scale::NAME) {
        let people = if options.quick { 10_000 } else { 1_000_000 };
        scale::measure(&mut bench, people, options.keep);
    }
    // It needs nothing of the others, which begin with many sign-ins.
    if options.beside.is_empty() && options.only.as_deref() != Some(scale::NAME) {
        bench.all(
            if options.quick { 10_000 } else { 100_000 },
            if options.quick { 200_000 } else { 2_000_000 },
        );
    }
    bench.report.finish(options.json.as_deref());
    postgres.stop().unwrap();
}

impl BenchRun {
    /// Runs SQL; what it prints.
    pub fn psql(&self, sql: &str) -> String {
        let output = Command::new("psql")
            .args(["-qAt", &self.url, "-v", "ON_ERROR_STOP=1", "-c", sql])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The time, as the database writes it.
    pub fn now(&self) -> String {
        self.psql("SELECT clock_timestamp()").trim().to_owned()
    }

    fn wanted(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    fn all(&mut self, accounts: usize, many: usize) {
        if self.wanted("login_limits") {
            limits::measure(self);
        }
        self.pgbench(64);
        let service = ServiceProcess::start(&self.folder, &self.url);
        self.report.figure("memory_at_rest_mib", service.memory_mib());
        let sign_ins = (0..64).map(|_| SignInCaller::default()).collect();
        let callers = self.beside_pgbench("sign_in", 64, |bench| {
            bench.with_cpu("sign_in", &service, || complete(service.port, sign_ins, accounts / 64))
        });
        let tokens: Vec<DeviceTokens> = callers.into_iter().flat_map(|caller| caller.tokens).collect();

        let mut tokens = self.refreshes(&service, tokens);
        self.report.figure("cached_accounts", tokens.len() as f64);
        self.report.figure("memory_with_cached_accounts_mib", service.memory_mib());
        self.reads(&service, &tokens);
        if self.wanted("attack") {
            tokens = attack::measure(self, &service, tokens);
        }
        if self.wanted("rebuild") {
            self.rebuild();
        }
        drop(service);
        if self.wanted("provider_down") {
            delivery::measure(self, self.quick);
        }
        if self.wanted("growth") {
            growth::measure(self, tokens, many);
        }
    }

    /// Plain transactions from so many clients, and what they cost PostgreSQL.
    fn pgbench(&mut self, clients: usize) -> LoadResult {
        let seconds = self.time.as_secs() / 2;
        let before = cpu::seconds_of_family(self.postmaster);
        let plain = pgbench::run(&self.url, &self.folder, clients, seconds);
        let used = cpu::seconds_of_family(self.postmaster) - before;
        self.report.measured(&format!("pgbench_{clients}"), &plain, None);
        let transactions = plain.per_second * seconds as f64 / 1_000.0;
        self.report.figure(&format!("pgbench_{clients}_postgres_cpu_per_1000"), used / transactions);
        self.plain.insert(clients, plain.clone());
        plain
    }

    /// Measures between two runs of pgbench, and by their mean: a shared machine is not the same from minute to minute.
    /// The run after one measurement is the run before the next.
    fn beside_pgbench<T>(
        &mut self,
        name: &str,
        clients: usize,
        measure: impl FnOnce(&mut Self) -> (LoadResult, T),
    ) -> T {
        let before = self.plain.get(&clients).cloned().unwrap_or_else(|| self.pgbench(clients));
        let (measured, rest) = measure(self);
        let after = self.pgbench(clients);
        let by = (before.per_second + after.per_second) / 2.0;
        let (key, ratio) = if clients == 1 {
            // Of a lone client, how long it takes: the mean, since pgbench gives no median.
            ("lone_refresh_vs_pgbench".to_owned(), by / measured.per_second)
        } else {
            (format!("{name}_vs_pgbench"), measured.per_second / by)
        };
        self.report.measured(name, &measured, Some((&key, ratio)));
        rest
    }

    /// All read models made again, beside `COPY events TO STDOUT`.
    fn rebuild(&mut self) {
        let events: f64 = self.psql("SELECT count(*) FROM events").trim().parse().unwrap();
        let began = Instant::now();
        self.psql("COPY events TO STDOUT");
        let copy = events / began.elapsed().as_secs_f64();
        let began = Instant::now();
        let rebuilt = Command::new(env!("CARGO_BIN_EXE_counterfoil"))
            .args(["projections", "rebuild"])
            .current_dir(&self.folder)
            .env("DATABASE_URL", &self.url)
            .env("COUNTERFOIL_PROFILE", "development")
            .output()
            .unwrap();
        assert!(rebuilt.status.success(), "{rebuilt:?}");
        let rebuild = events / began.elapsed().as_secs_f64();
        self.report.figure("copy_events_per_second", copy);
        self.report.figure("rebuild_events_per_second", rebuild);
        self.report.figure("rebuild_vs_copy", rebuild / copy);
    }

    fn refreshes(&mut self, service: &ServiceProcess, mut tokens: Vec<DeviceTokens>) -> Vec<DeviceTokens> {
        let time = self.time;
        for (connections, clients) in [(64, 64), (256, 64), (1, 1)] {
            if !self.wanted("refresh") {
                break;
            }
            let callers = deal(tokens, connections);
            let name = format!("refresh_{connections}");
            let callers = self.beside_pgbench(&name, clients, |bench| {
                bench.with_cpu(&name, service, || drive(service.port, callers, Duration::from_secs(1), time))
            });
            tokens = callers.into_iter().flat_map(|caller| caller.devices).collect();
        }
        tokens
    }

    fn reads(&mut self, service: &ServiceProcess, tokens: &[DeviceTokens]) {
        let time = self.time / 2;
        let bare_server = BareServer::start();
        let mut request = Vec::new();
        client::post(&mut request, "/", r#"{"token":"x"}"#);
        let callers = (0..64).map(|_| RepeatedRequest { requests: vec![request.clone()], turn: 0 }).collect();
        let (before, began) = (cpu::seconds(bare_server.pid()), Instant::now());
        let (bare, _) = drive(bare_server.port, callers, Duration::from_secs(1), time);
        let operations = bare.per_second * began.elapsed().as_secs_f64() / 1_000.0;
        let used = cpu::seconds(bare_server.pid()) - before;
        drop(bare_server);
        self.report.figure("bare_server_cpu_per_1000", used / operations);
        self.report.measured("bare", &bare, None);

        let verify = |tokens: &DeviceTokens| {
            let mut request = Vec::new();
            client::post(
                &mut request,
                "/accounts/token/verify/",
                &format!(r#"{{"token":"{}"}}"#, tokens.access),
            );
            request
        };
        let profile = |tokens: &DeviceTokens| {
            let line = "GET /accounts/profile/ HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ";
            format!("{line}{}\r\n\r\n", tokens.access).into_bytes()
        };

        let verify = verify as fn(&DeviceTokens) -> Vec<u8>;
        for (name, request) in
            [("token_verify", verify), ("profile", profile), ("token_verify_revoked", verify)]
        {
            if !self.wanted(name) {
                continue;
            }
            if name == "token_verify_revoked" {
                self.revoke(service, 100_000);
            }
            let callers = tokens.chunks(tokens.len().div_ceil(64));
            let callers = callers
                .map(|some| RepeatedRequest { requests: some.iter().map(request).collect(), turn: 0 })
                .collect();
            let (measured, _) =
                self.with_cpu(name, service, || drive(service.port, callers, Duration::from_secs(1), time));
            let key = format!("{name}_vs_bare");
            self.report.measured(name, &measured, Some((&key, measured.per_second / bare.per_second)));
        }
    }

    /// Makes the service know of so many ended sessions.
    fn revoke(&mut self, service: &ServiceProcess, sessions: u32) {
        self.psql(&format!(
            "INSERT INTO revoked_tokens (account_id, session_id, revoked_at, expires_at)
             SELECT id, id, now(), now() + interval '1 hour'
               FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, {sessions})) s"
        ));
        let since = Instant::now();
        while service.metric("counterfoil_ended_sessions") < Some(f64::from(sessions)) {
            assert!(since.elapsed() < Duration::from_secs(10), "the node does not take them in");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.report.figure("ended_sessions", f64::from(sessions));
        // These sessions belong to no account, and later measurements must not meet them.
        self.psql("DELETE FROM revoked_tokens WHERE account_id = session_id");
    }

    /// Measures, and notes the processor time of service and database per 1,000 operations.
    pub fn with_cpu<T>(
        &mut self,
        name: &str,
        service: &ServiceProcess,
        measure: impl FnOnce() -> (LoadResult, T),
    ) -> (LoadResult, T) {
        let used = |bench: &Self| [cpu::seconds(service.pid()), cpu::seconds_of_family(bench.postmaster)];
        let (before, began) = (used(self), Instant::now());
        let (measured, rest) = measure();
        let after = used(self);
        // The warm-up counts as well, so operations are reckoned over the whole time.
        let operations = measured.per_second * began.elapsed().as_secs_f64() / 1_000.0;
        self.report.figure(&format!("{name}_server_cpu_per_1000"), (after[0] - before[0]) / operations);
        self.report.figure(&format!("{name}_postgres_cpu_per_1000"), (after[1] - before[1]) / operations);
        (measured, rest)
    }
}

/// Deals devices out to callers.
pub fn deal(tokens: Vec<DeviceTokens>, callers: usize) -> Vec<RefreshCaller> {
    let mut dealt: Vec<RefreshCaller> =
        (0..callers).map(|_| RefreshCaller { devices: Vec::new(), turn: 0 }).collect();
    for (n, tokens) in tokens.into_iter().enumerate() {
        dealt[n % callers].devices.push(tokens);
    }
    dealt
}
