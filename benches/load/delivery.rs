//! Asking for codes while the provider that delivers them is away, and after it has come back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::client::{LoadCaller, LoadResult, drive, post};
use super::cpu;
use super::run::BenchRun;
use super::scenario::new_phone;
use super::service::ServiceProcess;

/// How many ask, and how long each waits between: about 200 codes a second in all.
const ASKING: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// In how many slices each part is measured; its p99 is the median of theirs, which a hiccup of the machine does not move.
const SLICES: u32 = 12;

/// Within what time all that waited has to be delivered, or the run has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often each message has been taken, by its id.
type TakenCounts = Arc<Mutex<HashMap<String, usize>>>;

/// A provider of text messages in this process. While it is down, its port refuses connections.
struct SmsProvider {
    port: u16,
    taken: TakenCounts,
    running: Option<(oneshot::Sender<()>, std::thread::JoinHandle<()>)>,
}

impl SmsProvider {
    fn new() -> Self {
        // A port outside the range from which the kernel gives ports to others while the provider is down.
        let port = (20_000..30_000).find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
        Self { port: port.unwrap(), taken: TakenCounts::default(), running: None }
    }

    fn up(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let (port, taken) = (self.port, self.taken.clone());
        let serve = async move {
            let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(take(stream, taken.clone()));
            }
        };
        let running = std::thread::spawn(move || {
            // With the runtime go the listener and all connections.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! { () = serve => {}, _ = stopped => {} }
            });
        });
        self.running = Some((stop, running));
    }

    fn down(&mut self) {
        let (stop, running) = self.running.take().unwrap();
        stop.send(()).unwrap();
        running.join().unwrap();
    }

    /// How many different messages it has taken, and how many of them more than once.
    fn taken(&self) -> (usize, usize) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        (taken.len(), taken.values().filter(|times| **times > 1).count())
    }
}

/// Takes every message that comes by a connection.
async fn take(mut stream: TcpStream, taken: TakenCounts) {
    let (mut read, mut length) = (vec![0; 16 * 1024], 0);
    loop {
        let Ok(more @ 1..) = stream.read(&mut read[length..]).await else { return };
        length += more;
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head) = request.parse(&read[..length]).unwrap() else { continue };
        let header = |name: &str| {
            let header =
                request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).unwrap();
            str::from_utf8(header.value).unwrap().to_owned()
        };
        if length < head + header("content-length").parse::<usize>().unwrap() {
            continue;
        }
        *taken.lock().unwrap_or_else(PoisonError::into_inner).entry(header("webhook-id")).or_default() += 1;
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
            return;
        }
        length = 0;
    }
}

/// Asks for a code to a new number, over and over.
struct CodeRequests;

impl LoadCaller for CodeRequests {
    fn request(&mut self, out: &mut Vec<u8>) {
        post(out, "/accounts/login/", &format!(r#"{{"phone_number":"{}"}}"#, new_phone()));
    }

    fn answered(&mut self, status: u16, body: &[u8]) -> bool {
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
        true
    }

    fn pause(&self) -> Option<Duration> {
        Some(PAUSE)
    }
}

/// Measures the answers while the provider is up, away for a minute (or ten seconds), and back; and what it got.
pub fn measure(bench: &mut BenchRun, quick: bool) {
    let mut provider = SmsProvider::new();
    let url = format!("http://127.0.0.1:{}/", provider.port);
    let service = ServiceProcess::with(
        &bench.folder,
        &bench.url,
        &[
            ("COUNTERFOIL__DELIVERY__PHONE", "sms"),
            ("COUNTERFOIL__GATEWAYS__SMS__KIND", "webhook"),
            ("COUNTERFOIL__GATEWAYS__SMS__URL", &url),
            ("COUNTERFOIL__GATEWAYS__SMS__SECRET", "whsec_bG9hZC1sb2FkLWxvYWQtbG9hZC1sb2FkLWxvYWQ="),
        ],
    );
    let began = bench.now();
    let ask = |bench: &mut BenchRun, name: &str, time: Duration| -> LoadResult {
        let before = [cpu::seconds(service.pid()), cpu::seconds_of_family(bench.postmaster)];
        let slice = || {
            drive(service.port, (0..ASKING).map(|_| CodeRequests).collect(), Duration::ZERO, time / SLICES).0
        };
        let slices: Vec<LoadResult> = (0..SLICES).map(|_| slice()).collect();
        let after = [cpu::seconds(service.pid()), cpu::seconds_of_family(bench.postmaster)];
        let middle = |figure: fn(&LoadResult) -> f64| {
            let mut figures: Vec<f64> = slices.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        let measured = LoadResult {
            per_second: middle(|slice| slice.per_second),
            median_ms: middle(|slice| slice.median_ms),
            p99_ms: middle(|slice| slice.p99_ms),
        };
        bench.report.measured(name, &measured, None);
        for (part, used) in [("server", after[0] - before[0]), ("postgres", after[1] - before[1])] {
            bench.report.figure(&format!("{name}_{part}_cpu"), used / time.as_secs_f64());
        }
        measured
    };

    provider.up();
    ask(bench, "provider_warm_up", Duration::from_secs(2));
    let time = Duration::from_secs(if quick { 10 } else { 60 });
    let up = ask(bench, "provider_up", time);
    provider.down();
    let down = ask(bench, "provider_down", time);
    bench.report.figure("provider_down_p99_vs_up", down.p99_ms / up.p99_ms);

    let came_back = bench.now();
    provider.up();
    ask(bench, "provider_back", bench.time);
    let asked = |state: &str| -> usize {
        let sql = format!("SELECT count(*) FROM outbox WHERE asked_at > '{began}' AND {state}");
        bench.psql(&sql).trim().parse().unwrap()
    };
    let waited = Instant::now();
    while asked("state = 'waiting'") > 0 {
        assert!(waited.elapsed() < PATIENCE, "messages still wait");
        std::thread::sleep(Duration::from_millis(100));
    }
    let (all, sent, (taken, twice)) = (asked("true"), asked("state = 'sent'"), provider.taken());
    let waiting = format!("asked_at BETWEEN '{began}' AND '{came_back}' AND settled_at > '{came_back}'");
    let waiting_when_back = asked(&waiting);
    let last =
        format!("SELECT extract(epoch FROM max(settled_at) - '{came_back}') FROM outbox WHERE {waiting}");
    let last: f64 = bench.psql(&last).trim().parse().unwrap();
    bench.report.figure("provider_messages_asked_for", all as f64);
    bench.report.figure("provider_messages_sent", sent as f64);
    bench.report.figure("provider_messages_taken", taken as f64);
    bench.report.figure("provider_messages_taken_twice", twice as f64);
    bench.report.figure("provider_messages_waiting_when_back", waiting_when_back as f64);
    bench.report.figure("provider_back_all_delivered_after_s", last);
    assert_eq!((sent, taken, twice), (all, all, 0));
    provider.down();
}
