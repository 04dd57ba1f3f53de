//! A server process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use counterfoil::runtime::clock::{Clock as _, SystemClock};
use counterfoil_domain::values::Role;
use serde_json::Value;

use super::{ApiClient, AuthenticatorApp, SignedInDevice};

const BINARY: &str = env!("CARGO_BIN_EXE_counterfoil");

/// A running server process; killed with this value.
pub struct NodeProcess {
    pub api: ApiClient,
    process: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl NodeProcess {
    /// Starts `counterfoil serve` in a folder, with its environment; waits until it listens.
    pub fn start(folder: &Path, environment: &[(&str, &str)]) -> Self {
        Self::start_program(Path::new(BINARY), folder, environment)
    }

    /// Starts `serve` of a program that embeds the service, as [`start`](Self::start) does.
    pub fn start_program(program: &Path, folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut process = Self::command_of(program, folder, environment)
            .arg("serve")
            .env("COUNTERFOIL_PROFILE", "development")
            .env("COUNTERFOIL__LOG__FILTER", "info")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let address: SocketAddr = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it never listened: {said:?}"));
            let fields = serde_json::from_str::<Value>(&line).unwrap_or_default()["fields"].clone();
            if fields["message"] == "listening" {
                break fields["address"].as_str().unwrap().parse().unwrap();
            }
            said.push(line);
        };
        // Read on, so that the pipes never fill.
        let said = Arc::new(Mutex::new(said));
        let keep = |kept: Arc<Mutex<Vec<String>>>| move |line| kept.lock().unwrap().push(line);
        let output = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (keep_line, keep_output) = (keep(said.clone()), keep(said.clone()));
        std::thread::spawn(move || lines.for_each(keep_line));
        std::thread::spawn(move || output.for_each(keep_output));
        Self { api: ApiClient::new(address), process, said }
    }

    /// The memory that the process holds now, in MiB.
    pub fn memory_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        resident.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// The value of a metric without labels; none while the process has not set it.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let metrics = ApiClient::send(self.api.request(reqwest::Method::GET, "/metrics")).await.text;
        metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// The lines that the process has written so far, to either of its outputs.
    pub fn log_lines(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// The binary, in a folder and with an environment of the test's own.
    pub fn command(folder: &Path, environment: &[(&str, &str)]) -> Command {
        Self::command_of(Path::new(BINARY), folder, environment)
    }

    /// A program that embeds the service, in the same way.
    pub fn command_of(program: &Path, folder: &Path, environment: &[(&str, &str)]) -> Command {
        std::fs::create_dir_all(folder).unwrap();
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .env_remove("DATABASE_URL")
            .env("COUNTERFOIL_LISTEN", "127.0.0.1:0")
            .env("COUNTERFOIL__IDENTIFIERS__DEFAULT_REGION", "IR")
            .env("COUNTERFOIL__LIMITS__SHARED", "off")
            .env("COUNTERFOIL__LIMITS__WRITES_BURST", "1000000")
            .env("COUNTERFOIL__LIMITS__WRITES_PER_MINUTE", "1000000")
            .env("COUNTERFOIL__LIMITS__ADDRESS_WRITES_BURST", "1000000")
            .env("COUNTERFOIL__LIMITS__ADDRESS_WRITES_PER_MINUTE", "1000000")
            .envs(environment.iter().copied());
        command
    }

    /// A user who signs in by that number, has that role, given by the operator at the server, and has just passed the
    /// second factor.
    pub async fn sign_in_staff(
        &self,
        folder: &Path,
        environment: &[(&str, &str)],
        phone_number: &str,
        role: Role,
    ) -> SignedInDevice {
        let device = self.api.sign_in(phone_number).await;
        let granted = Self::command(folder, environment)
            .env("COUNTERFOIL_PROFILE", "development")
            .args(["accounts", "grant", phone_number, role.as_str()])
            .output()
            .unwrap();
        assert!(granted.status.success(), "{granted:?}");
        AuthenticatorApp::enrol_by_code_at(&self.api, &device, SystemClock.now()).await;
        device
    }

    /// Tells the process to read its keyring again.
    pub fn send_sighup(&self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends the process by a signal that would leave a core dump.
    pub fn die_of(mut self, signal: rustix::process::Signal) -> ExitStatus {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.process), signal).unwrap();
        self.process.wait().unwrap()
    }

    /// Ends the process without a warning.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks the process to stop, and waits until it has; whether it said it had done well.
    pub fn stop(mut self) -> bool {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        // Requests, messages and listeners that are under way have up to 47 seconds altogether, and PostgreSQL writes a checkpoint.
        for _ in 0..1_800 {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server did not stop within 90 seconds: {:#?}", self.log_lines());
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
