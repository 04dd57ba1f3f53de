//! The service as a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server; killed with this value.
pub struct ServiceProcess {
    process: Child,
    pub port: u16,
    /// From its start until it said that it is ready.
    pub ready_after: Duration,
}

impl ServiceProcess {
    pub fn start(folder: &Path, database: &str) -> Self {
        Self::with(folder, database, &[])
    }

    /// With some settings in its environment.
    pub fn with(folder: &Path, database: &str, settings: &[(&str, &str)]) -> Self {
        Self::of(Path::new(env!("CARGO_BIN_EXE_counterfoil")), folder, database, settings)
    }

    /// The same of another build.
    pub fn of(binary: &Path, folder: &Path, database: &str, settings: &[(&str, &str)]) -> Self {
        let began = Instant::now();
        let mut process = Command::new(binary)
            .arg("serve")
            .current_dir(folder)
            .env("DATABASE_URL", database)
            .env("COUNTERFOIL_PROFILE", "development")
            .env("COUNTERFOIL_LISTEN", "127.0.0.1:0")
            .env("COUNTERFOIL__LOG__FILTER", "warn,counterfoil::cli=info,counterfoil::app=info")
            .env("COUNTERFOIL__LIMITS__SHARED", "off")
            .env("COUNTERFOIL__LIMITS__WRITES_BURST", "1000000")
            .env("COUNTERFOIL__LIMITS__WRITES_PER_MINUTE", "1000000")
            .env("COUNTERFOIL__LIMITS__ADDRESS_WRITES_BURST", "1000000")
            .env("COUNTERFOIL__LIMITS__ADDRESS_WRITES_PER_MINUTE", "1000000")
            .env("COUNTERFOIL__SESSIONS__REFRESHES_PER_MINUTE", "1000000")
            .envs(settings.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, rest)) = line.split_once("\"address\":\"127.0.0.1:") {
                break rest.split('"').next().unwrap().parse().unwrap();
            }
        };
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("server: {line}")));
        while !is_ready(port) {
            assert!(began.elapsed() < Duration::from_secs(30), "the service is not ready");
            std::thread::sleep(Duration::from_millis(1));
        }
        Self { process, port, ready_after: began.elapsed() }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A metric without labels, once there is one.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let metrics = get(self.port, "/metrics");
        let line = metrics.lines().find(|line| line.split(' ').next() == Some(name))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// The memory it holds, in MiB.
    pub fn memory_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

fn is_ready(port: u16) -> bool {
    get(port, "/readyz").starts_with("HTTP/1.1 200")
}

/// Reads the whole answer to one request.
fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
