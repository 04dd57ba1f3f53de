//! What the limits that all nodes share cost: asking for codes with all of them counted, beside with none.

use std::time::Duration;

use super::client::{LoadResult, drive};
use super::run::BenchRun;
use super::scenario::AskForCode;
use super::service::ServiceProcess;

/// How often the two take turns: a shared machine is not the same from minute to minute.
const TURNS: u32 = 3;

/// Every limit set, and none ever reached.
const COUNTED: [(&str, &str); 12] = [
    ("COUNTERFOIL__LIMITS__SHARED", "on"),
    ("COUNTERFOIL__LIMITS__CODES_BURST", "1000000"),
    ("COUNTERFOIL__LIMITS__CODES_PER_MINUTE", "1000000"),
    ("COUNTERFOIL__LIMITS__CODES_PER_PREFIX", "1000000"),
    ("COUNTERFOIL__LIMITS__MESSAGES_PER_COUNTRY__IR", "1000000000"),
    ("COUNTERFOIL__LIMITS__COUNTRY_CODES_PER_MINUTE", "1000000000"),
    ("COUNTERFOIL__LIMITS__COUNTRY_CODES_PER_HOUR", "1000000000"),
    ("COUNTERFOIL__LIMITS__SERVICE_CODES_PER_MINUTE", "1000000000"),
    ("COUNTERFOIL__LIMITS__SERVICE_CODES_PER_HOUR", "1000000000"),
    ("COUNTERFOIL__LIMITS__MESSAGES_PER_DAY", "1000000000"),
    ("COUNTERFOIL__LIMITS__MONEY_PER_DAY", "999999999"),
    ("COUNTERFOIL__LIMITS__CONVERSION_FROM", "1000000"),
];

pub fn measure(bench: &mut BenchRun) {
    let off = ServiceProcess::start(&bench.folder, &bench.url);
    let on = ServiceProcess::with(&bench.folder, &bench.url, &COUNTED);
    let time = bench.time / (2 * TURNS) + Duration::from_secs(1);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        // Each begins as often as the other does, since the second finds larger tables.
        let order = if turn % 2 == 0 {
            [("login_without_limits", &off, &mut without), ("login_limits", &on, &mut with)]
        } else {
            [("login_limits", &on, &mut with), ("login_without_limits", &off, &mut without)]
        };
        for (name, service, measured) in order {
            let callers = (0..64).map(|_| AskForCode).collect();
            let asking = || drive(service.port, callers, Duration::from_secs(1), time);
            // The processor time says what it costs even where others use the machine; of the last turn.
            let last = turn + 1 == TURNS;
            measured.push(if last { bench.with_cpu(name, service, asking).0 } else { asking().0 });
        }
    }
    let (without, with) = (mean(&without), mean(&with));
    bench.report.measured("login_without_limits", &without, None);
    let ratio = ("login_limits_cost", without.per_second / with.per_second);
    bench.report.measured("login_limits", &with, Some(ratio));
}

fn mean(measured: &[LoadResult]) -> LoadResult {
    let of = |value: fn(&LoadResult) -> f64| measured.iter().map(value).sum::<f64>() / measured.len() as f64;
    LoadResult {
        per_second: of(|measured| measured.per_second),
        median_ms: of(|measured| measured.median_ms),
        p99_ms: of(|measured| measured.p99_ms),
    }
}
