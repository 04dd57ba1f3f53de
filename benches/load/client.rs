//! A client that costs as little as it can: it shares the machine with what it measures.

use std::io::Write as _;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What one connection asks, over and over.
pub trait LoadCaller: Send {
    /// Writes the next request.
    fn request(&mut self, out: &mut Vec<u8>);
    /// Reads its answer; whether an operation is complete with it.
    fn answered(&mut self, status: u16, body: &[u8]) -> bool;
    /// How long it waits between operations.
    fn pause(&self) -> Option<Duration> {
        None
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct LoadResult {
    /// Completed operations a second.
    pub per_second: f64,
    /// The median time of an operation, in milliseconds.
    pub median_ms: f64,
    /// The 99th percentile, in milliseconds.
    pub p99_ms: f64,
}

/// Writes a request with a JSON body.
pub fn post(out: &mut Vec<u8>, path: &str, body: &str) {
    let length = body.len();
    let head = format_args!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    write!(out, "{head}").unwrap();
}

/// The text of a JSON field, found without parsing the rest.
pub fn field<'a>(body: &'a [u8], name: &str) -> &'a str {
    let body = str::from_utf8(body).unwrap();
    let start = body.find(&format!("\"{name}\":\"")).unwrap_or_else(|| panic!("no {name} in {body}"))
        + name.len()
        + 4;
    &body[start..start + body[start..].find('"').unwrap()]
}

/// Drives one connection for each caller for a time, after a while to warm up.
pub fn drive<C: LoadCaller + 'static>(
    port: u16,
    callers: Vec<C>,
    warm_up: Duration,
    time: Duration,
) -> (LoadResult, Vec<C>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let from = Instant::now() + warm_up;
        let until = from + time;
        let tasks: Vec<_> =
            callers.into_iter().map(|caller| tokio::spawn(talk(port, caller, from, until))).collect();
        let (mut times, mut callers) = (Vec::new(), Vec::new());
        for task in tasks {
            let (caller, its) = task.await.unwrap();
            callers.push(caller);
            times.extend(its);
        }
        (measured(times, time), callers)
    })
}

/// Lets each caller complete so many operations.
pub fn complete<C: LoadCaller + 'static>(
    port: u16,
    callers: Vec<C>,
    operations: usize,
) -> (LoadResult, Vec<C>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let started = Instant::now();
        let tasks: Vec<_> = callers
            .into_iter()
            .map(|mut caller| {
                tokio::spawn(async move {
                    let mut connection = LoadConnection::open(port).await;
                    let mut times = Vec::new();
                    while times.len() < operations {
                        times.push(connection.operate(&mut caller).await);
                    }
                    (caller, times)
                })
            })
            .collect();
        let (mut times, mut callers) = (Vec::new(), Vec::new());
        for task in tasks {
            let (caller, its) = task.await.unwrap();
            callers.push(caller);
            times.extend(its);
        }
        (measured(times, started.elapsed()), callers)
    })
}

async fn talk<C: LoadCaller>(port: u16, mut caller: C, from: Instant, until: Instant) -> (C, Vec<Duration>) {
    let mut connection = LoadConnection::open(port).await;
    let mut times = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        let time = connection.operate(&mut caller).await;
        if began >= from {
            times.push(time);
        }
        if let Some(pause) = caller.pause() {
            tokio::time::sleep(pause).await;
        }
    }
    (caller, times)
}

/// What so many times within that time come to.
pub fn measured(mut times: Vec<Duration>, over: Duration) -> LoadResult {
    times.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index within the list"
        )]
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1))).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    LoadResult { per_second: times.len() as f64 / over.as_secs_f64(), median_ms: at(0.5), p99_ms: at(0.99) }
}

struct LoadConnection {
    stream: TcpStream,
    out: Vec<u8>,
    read: Vec<u8>,
}

impl LoadConnection {
    async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, out: Vec::new(), read: vec![0; 16 * 1024] }
    }

    /// Requests and answers until an operation is complete.
    async fn operate(&mut self, caller: &mut impl LoadCaller) -> Duration {
        let began = Instant::now();
        loop {
            self.out.clear();
            caller.request(&mut self.out);
            self.stream.write_all(&self.out).await.unwrap();
            let (status, body) = self.answer().await;
            if caller.answered(status, body) {
                return began.elapsed();
            }
        }
    }

    async fn answer(&mut self) -> (u16, &[u8]) {
        let mut length = 0;
        loop {
            if length == self.read.len() {
                self.read.resize(length * 2, 0);
            }
            let read = self.stream.read(&mut self.read[length..]).await.unwrap();
            assert!(read > 0, "the server closed the connection");
            length += read;
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut response = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(head) = response.parse(&self.read[..length]).unwrap() else {
                continue;
            };
            let body = response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |header| str::from_utf8(header.value).unwrap().parse().unwrap());
            if length >= head + body {
                let status = response.code.unwrap();
                return (status, &self.read[head..head + body]);
            }
        }
    }
}
