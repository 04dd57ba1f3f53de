//! One account under attack, and what others feel of it.

use std::time::Duration;

use super::client::{LoadCaller, LoadResult, drive, post};
use super::run::{BenchRun, deal};
use super::scenario::{DeviceTokens, RefreshCaller};
use super::service::ServiceProcess;

/// How many race for the one account, and how many others go on as always.
const RACERS: usize = 32;
const OTHERS: usize = 16;

/// Sends one account every kind of request that a caller without a session can send.
struct AttackCaller {
    turn: usize,
    refresh: String,
}

const VICTIM: &str = "+989199999999";

impl LoadCaller for AttackCaller {
    fn request(&mut self, out: &mut Vec<u8>) {
        self.turn += 1;
        match self.turn % 3 {
            0 => post(out, "/accounts/login/", &format!(r#"{{"phone_number":"{VICTIM}"}}"#)),
            1 => post(out, "/accounts/verify/", &format!(r#"{{"phone_number":"{VICTIM}","code":"000000"}}"#)),
            _ => post(out, "/accounts/refresh/", &format!(r#"{{"refresh_token":"{}"}}"#, self.refresh)),
        }
    }

    fn answered(&mut self, status: u16, body: &[u8]) -> bool {
        assert!(status < 500 || status == 503, "{}", String::from_utf8_lossy(body));
        true
    }

    /// Thousands of requests a second in all, and not the whole of the machine, which it shares.
    fn pause(&self) -> Option<Duration> {
        Some(Duration::from_millis(20))
    }
}

/// Refreshes devices at a modest pace.
struct PacedRefresh(RefreshCaller);

impl LoadCaller for PacedRefresh {
    fn request(&mut self, out: &mut Vec<u8>) {
        self.0.request(out);
    }

    fn answered(&mut self, status: u16, body: &[u8]) -> bool {
        self.0.answered(status, body)
    }

    fn pause(&self) -> Option<Duration> {
        Some(Duration::from_millis(10))
    }
}

/// Measures the others with and without racers, in turns.
pub fn measure(
    bench: &mut BenchRun,
    service: &ServiceProcess,
    mut tokens: Vec<DeviceTokens>,
) -> Vec<DeviceTokens> {
    let slice = bench.time / 3;
    // The first of the racers to refresh with it spends it.
    let victim = tokens.pop().unwrap().refresh;
    let mut others: Vec<PacedRefresh> = deal(tokens, OTHERS).into_iter().map(PacedRefresh).collect();
    let (mut quiet, mut attacked) = (Vec::new(), Vec::new());
    for turn in 0..6 {
        let racing = turn % 2 == 1;
        let (port, refresh) = (service.port, victim.clone());
        let racers = racing.then(|| {
            let racers = (0..RACERS).map(|turn| AttackCaller { turn, refresh: refresh.clone() }).collect();
            std::thread::spawn(move || {
                drive::<AttackCaller>(port, racers, Duration::ZERO, slice + Duration::from_secs(1)).0
            })
        });
        let (measured, back) = drive(port, others, Duration::from_millis(500), slice);
        others = back;
        if let Some(racers) = racers {
            bench.report.measured("racers", &racers.join().unwrap(), None);
        }
        if racing { &mut attacked } else { &mut quiet }.push(measured);
    }
    let p99 =
        |slices: &[LoadResult]| slices.iter().map(|slice| slice.p99_ms).sum::<f64>() / slices.len() as f64;
    bench.report.figure("others_p99_ms", p99(&quiet));
    bench.report.figure("others_p99_ms_beside_racers", p99(&attacked));
    bench.report.figure("others_p99_under_attack", p99(&attacked) / p99(&quiet));
    others.into_iter().flat_map(|other| other.0.devices).collect()
}
