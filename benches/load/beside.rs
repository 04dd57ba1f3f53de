//! What a refresh and a sign-in cost two builds of the service, measured in turns: a shared machine is not the same from minute
//! to minute.

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

/// What is measured, in the order of the costs.
const OPERATIONS: [&str; 2] = ["refresh", "sign_in"];

/// A build, with a database of its own.
struct MeasuredBuild {
    binary: PathBuf,
    url: String,
    tokens: Vec<DeviceTokens>,
    /// Of each operation, seconds of processor time per 1,000 of service and database, a turn each.
    costs: [Vec<[f64; 2]>; OPERATIONS.len()],
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
        Self { binary: binary.to_owned(), url, tokens, costs: Default::default() }
    }

    fn take_turn(&mut self, bench: &mut BenchRun, name: &str) {
        let service = ServiceProcess::of(&self.binary, &bench.folder, &self.url, &[]);
        let callers = deal(std::mem::take(&mut self.tokens), CLIENTS);
        let time = bench.time;
        let warm_up = Duration::from_secs(1);
        let (_, callers) = bench.with_cpu(&format!("{name}_{}", OPERATIONS[0]), &service, || {
            drive(service.port, callers, warm_up, time)
        });
        self.tokens = callers.into_iter().flat_map(|caller| caller.devices).collect();
        let sign_ins: Vec<SignInCaller> = (0..CLIENTS).map(|_| SignInCaller::default()).collect();
        bench.with_cpu(&format!("{name}_{}", OPERATIONS[1]), &service, || {
            drive(service.port, sign_ins, warm_up, time)
        });
        for (operation, costs) in OPERATIONS.iter().zip(&mut self.costs) {
            let cost = |of: &str| bench.report.value(&format!("{name}_{operation}_{of}_cpu_per_1000"));
            costs.push([cost("server"), cost("postgres")]);
        }
    }

    fn median(&self, operation: usize, of: usize) -> f64 {
        let mut costs: Vec<f64> = self.costs[operation].iter().map(|cost| cost[of]).collect();
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
            build.take_turn(bench, &format!("build_{n}"));
        }
    }
    for (operation, of) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let former = builds[1].median(operation, of);
        for (n, build) in builds.iter().enumerate() {
            let key = format!("build_{n}_{}_{}_cpu", OPERATIONS[operation], ["server", "postgres"][of]);
            bench.report.figure(&format!("{key}_per_1000"), build.median(operation, of));
            bench.report.figure(&format!("{key}_vs_build_1"), build.median(operation, of) / former);
        }
    }
}
