//! A Redis server of the test's own.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use uuid::Uuid;

/// A running server, on a Unix socket; killed with this value.
pub struct RedisServer {
    socket: PathBuf,
    process: Child,
}

impl RedisServer {
    pub fn start() -> Self {
        // Short: a socket's path may have 107 bytes.
        let name = format!("redis-{}.sock", Uuid::from_bytes(counterfoil::crypto::entropy::bytes()).simple());
        let socket = std::env::temp_dir().join(name);
        let server = Self { process: serve(&socket), socket };
        server.listens();
        server
    }

    fn listens(&self) {
        for _ in 0..500 {
            if UnixStream::connect(&self.socket).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not listen");
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }

    /// Ends the server without a warning, with all that it holds.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        drop(std::fs::remove_file(&self.socket));
    }

    /// Starts it again, empty.
    pub fn start_again(&mut self) {
        self.process = serve(&self.socket);
        self.listens();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_file(&self.socket));
    }
}

fn serve(socket: &Path) -> Child {
    let mut server = Command::new("redis-server");
    server.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(socket);
    server.stdout(Stdio::null()).spawn().expect("redis-server is installed")
}
