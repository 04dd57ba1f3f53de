//! An actix-web server that answers a fixed JSON: the most that the framework can do on this machine.

use std::io::BufRead as _;
use std::process::{Child, Command, Stdio};

use actix_web::{App, HttpResponse, HttpServer, web};

/// Serves until it is killed; the port is the first line of standard output.
pub fn serve() {
    let system = actix_web::rt::System::new();
    system.block_on(async {
        let answer = |_: web::Bytes| async { HttpResponse::Ok().json(serde_json::json!({"status": "ok"})) };
        let app = move || App::new().route("/", web::get().to(answer)).route("/", web::post().to(answer));
        let server = HttpServer::new(app).bind("127.0.0.1:0").unwrap();
        println!("{}", server.addrs()[0].port());
        server.run().await.unwrap();
    });
}

/// The bare server as a process of its own.
pub struct BareServer {
    process: Child,
    pub port: u16,
}

impl BareServer {
    pub fn start() -> Self {
        let itself = std::env::current_exe().unwrap();
        let mut process = Command::new(itself).arg("--bare-server").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, port: line.trim().parse().unwrap() }
    }
}

impl BareServer {
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
