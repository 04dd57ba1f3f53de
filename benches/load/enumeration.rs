//! Whether the time of an answer tells numbers that have an account from numbers that have none.

use std::time::{Duration, Instant};

use super::client::{Caller, complete, drive, post};
use super::run::Bench;
use super::scenario::{SignIn, new_phone, phone};
use super::service::Service;

/// How many pairs of a known and an unknown number.
const PAIRS: usize = 400;

/// Runs, alike but for their numbers.
const RUNS: usize = 3;

/// How many sign in beside it, in the run under load.
const OTHERS: usize = 64;

/// Asks for codes to known and to unknown numbers, in pairs, and times each answer.
struct Asker {
    /// What is still to be asked, the next one last.
    left: Vec<(Kind, String)>,
    asked: Instant,
    /// By kind.
    times: [Vec<Duration>; 2],
}

#[derive(Clone, Copy)]
enum Kind {
    Known,
    Unknown,
}

impl Asker {
    /// The known ones from the first numbers that signed in in this run, from `first` on.
    fn new(first: u32) -> Self {
        let pairs = (first..).take(PAIRS).flat_map(|n| {
            let mut pair = [(Kind::Known, phone(n)), (Kind::Unknown, new_phone())];
            fastrand::shuffle(&mut pair);
            pair
        });
        Self { left: pairs.collect(), asked: Instant::now(), times: [Vec::new(), Vec::new()] }
    }

    /// How probable it is that an unknown number takes longer than a known one: one half when time tells nothing.
    fn auc(&self) -> f64 {
        let [known, unknown] = &self.times;
        let score = |known: &Duration, unknown: &Duration| match unknown.cmp(known) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 1.0,
        };
        let scores = unknown.iter().flat_map(|unknown| known.iter().map(move |known| score(known, unknown)));
        scores.sum::<f64>() / (known.len() * unknown.len()) as f64
    }

    /// Of the known, and of the unknown.
    fn medians_ms(&mut self) -> [f64; 2] {
        self.times.each_mut().map(|times| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64() * 1e3
        })
    }
}

impl Caller for Asker {
    fn request(&mut self, out: &mut Vec<u8>) {
        let (_, phone) = self.left.last().unwrap();
        post(out, "/accounts/login/", &format!(r#"{{"phone_number":"{phone}"}}"#));
        self.asked = Instant::now();
    }

    fn answered(&mut self, status: u16, body: &[u8]) -> bool {
        let took = self.asked.elapsed();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
        let (kind, _) = self.left.pop().unwrap();
        self.times[kind as usize].push(took);
        true
    }
}

/// Measures alone, a few times, and once more while others sign in. Numbers up to `RUNS + 1` times `PAIRS` are known.
pub fn measure(bench: &mut Bench) {
    let service = Service::with(&bench.folder, &bench.url, &[("COUNTERFOIL__CODES__RESEND_AFTER", "0")]);
    let mut first = 0;
    let mut run = |bench: &mut Bench, name: &str| {
        let (_, mut askers) = complete(service.port, vec![Asker::new(first)], PAIRS * 2);
        first += u32::try_from(PAIRS).unwrap();
        bench.report.figure(&format!("known_vs_unknown_auc{name}"), askers[0].auc());
        let [known, unknown] = askers[0].medians_ms();
        bench.report.figure(&format!("known_login{name}_ms"), known);
        bench.report.figure(&format!("unknown_login{name}_ms"), unknown);
    };
    for n in 1..=RUNS {
        run(bench, &format!("_{n}"));
    }
    let port = service.port;
    let others = std::thread::spawn(move || {
        let others = (0..OTHERS).map(|_| SignIn::default()).collect();
        drive::<SignIn>(port, others, Duration::ZERO, Duration::from_secs(10)).0
    });
    std::thread::sleep(Duration::from_secs(1));
    run(bench, "_under_load");
    bench.report.measured("known_vs_unknown_others", &others.join().unwrap(), None);
}
