//! What a refresh costs two builds of the service, measured in turns: a shared machine is not the same from minute to minute.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::{complete, drive};
use super::run::{BenchRun, deal};
use super::scenario::{DeviceTokens, SignInCaller};
use super::service::ServiceProcess;

/// How many accounts each build has, and how many clients at a time.
const ACCOUNTS: usize = 2_048;
const CLIENTS: usize = 64;

/// How often each build has its turn. An odd number: the median is told.
const TURNS: usize = 5;

/// A build, with a database of its own.
struct MeasuredBuild {
    binary: PathBuf,
    url: String,
    tokens: Vec<DeviceTokens>,
    /// Seconds of processor time per 1,000 refreshes of service and database, a turn each.
    costs: Vec<[f64; 2]>,
}

impl MeasuredBuild {
    fn begin(bench: &BenchRun, number: usize, binary: &Path) -> Self {
        let database = format!("beside_{number}");
        bench.psql(&format!("CREATE DATABASE {database}"));
        let url = bench.url.replacen("///counterfoil?", &format!("///{database}?"), 1);
        let service = ServiceProcess::of(binary, &bench.folder, &url, &[]);
        let sign_ins = (0..CLIENTS).map(|_| SignInCaller::default()).collect();
        let (_, callers) = complete(service.port, sign_ins, ACCOUNTS / CLIENTS);
        let tokens = callers.into_iter().flat_map(|caller| caller.tokens).collect();
        Self { binary: binary.to_owned(), url, tokens, costs: Vec::new() }
    }

    fn take_turn(&mut self, bench: &mut BenchRun, name: &str) {
        let service = ServiceProcess::of(&self.binary, &bench.folder, &self.url, &[]);
        let callers = deal(std::mem::take(&mut self.tokens), CLIENTS);
        let time = bench.time;
        let callers =
            bench.with_cpu(name, &service, || drive(service.port, callers, Duration::from_secs(1), time));
        self.tokens = callers.1.into_iter().flat_map(|caller| caller.devices).collect();
        let cost = |of: &str| bench.report.value(&format!("{name}_{of}_cpu_per_1000"));
        self.costs.push([cost("server"), cost("postgres")]);
    }

    fn median(&self, of: usize) -> f64 {
        let mut costs: Vec<f64> = self.costs.iter().map(|cost| cost[of]).collect();
        costs.sort_by(f64::total_cmp);
        costs[TURNS / 2]
    }
}

/// Measures this build (0) and others, and tells how they compare with the first of these.
pub fn measure(bench: &mut BenchRun, others: &[PathBuf]) {
    let this = [PathBuf::from(env!("CARGO_BIN_EXE_counterfoil"))];
    let binaries = this.iter().chain(others).enumerate();
    let mut builds: Vec<MeasuredBuild> =
        binaries.map(|(n, binary)| MeasuredBuild::begin(bench, n, binary)).collect();
    for _ in 0..TURNS {
        for (n, build) in builds.iter_mut().enumerate() {
            build.take_turn(bench, &format!("build_{n}_refresh"));
        }
    }
    for (of, name) in ["server", "postgres"].iter().enumerate() {
        for (n, build) in builds.iter().enumerate() {
            let key = format!("build_{n}_refresh_{name}_cpu");
            bench.report.figure(&format!("{key}_per_1000"), build.median(of));
            bench.report.figure(&format!("{key}_vs_build_1"), build.median(of) / builds[1].median(of));
        }
    }
}
