//! A PostgreSQL that is reached over TCP, with a certificate of the test's choice.

use std::fs;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use counterfoil::postgres::embedded::PrivatePostgres;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio_postgres::NoTls;

use crate::standby::installed;

const USER: &str = "remote";
const PASSWORD: &str = "not-to-be-sent-in-clear";

/// Two certificate authorities of the test's own.
pub struct TestAuthorities {
    folder: PathBuf,
    ours: CertifiedIssuer<'static, KeyPair>,
    unknown: CertifiedIssuer<'static, KeyPair>,
}

impl TestAuthorities {
    pub fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let certificates = Self { folder: folder.to_owned(), ours: authority(), unknown: authority() };
        fs::write(certificates.file(), certificates.ours.pem()).unwrap();
        certificates
    }

    /// The certificate of the authority that clients are to believe.
    pub fn file(&self) -> PathBuf {
        self.folder.join("authority.crt")
    }

    /// Certificate and key of a server with these names.
    pub fn valid_for(&self, names: &[&str]) -> (String, String) {
        signed(names, 2200, &self.ours)
    }

    /// The same, of a time that has passed.
    pub fn expired_for(&self, names: &[&str]) -> (String, String) {
        signed(names, 2020, &self.ours)
    }

    /// The same, by an authority that clients do not know.
    pub fn made_up_for(&self, names: &[&str]) -> (String, String) {
        signed(names, 2200, &self.unknown)
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

fn signed(names: &[&str], until: i32, by: &CertifiedIssuer<'static, KeyPair>) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.not_before = date_time_ymd(2019, 1, 1);
    parameters.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    (parameters.signed_by(&key, by).unwrap().pem(), key.serialize_pem())
}

/// A running server; stopped with this value.
pub struct TlsServer {
    data: PathBuf,
    socket: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl TlsServer {
    /// Makes a server with an empty database. It does not run yet.
    pub async fn new(root: &Path) -> Self {
        drop(fs::remove_dir_all(root));
        let mut private = PrivatePostgres::start(root).unwrap();
        let (client, connection) = tokio_postgres::connect(&private.url().0, NoTls).await.unwrap();
        tokio::spawn(connection);
        let create = format!("CREATE ROLE {USER} SUPERUSER LOGIN PASSWORD '{PASSWORD}'");
        client.batch_execute(&create).await.unwrap();
        drop(client);
        let data = private.folder().to_owned();
        private.stop().unwrap();
        fs::write(data.join("pg_hba.conf"), "local all all trust\nhost all all all scram-sha-256\n").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { socket: data.parent().unwrap().join("run"), data, port, process: None }
    }

    /// Runs it with that certificate and key, or without TLS.
    pub fn run(&mut self, certificate: Option<(String, String)>) {
        self.stop();
        let owner = fs::metadata(&self.data).unwrap();
        let mut command = Command::new(installed("postgres"));
        command.arg("-D").arg(&self.data).arg("-k").arg(&self.socket);
        command.args(["--listen_addresses=*", &format!("--port={}", self.port)]);
        if let Some((certificate, key)) = certificate {
            for (name, text) in [("server.crt", certificate), ("server.key", key)] {
                let file = self.data.join(name);
                fs::write(&file, text).unwrap();
                fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
                chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
            }
            command.arg("--ssl=on");
        }
        if rustix::process::getuid().is_root() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        let log = fs::File::create(self.data.with_extension("tls.log")).unwrap();
        self.process = Some(command.current_dir("/").stdout(Stdio::null()).stderr(log).spawn().unwrap());
        for _ in 0..500 {
            let state = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
            if state.lines().nth(7).is_some_and(|state| state.trim() == "ready") {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not start");
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let pid = rustix::process::Pid::from_child(&process);
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
            process.wait().unwrap();
        }
    }

    /// The database under a name of the machine.
    pub fn url(&self, host: &str, parameters: &str) -> String {
        let (data, port) = ("counterfoil", self.port);
        format!("postgresql://{USER}:{PASSWORD}@{host}:{port}/{data}?{parameters}")
    }

    /// An address of this machine that is not a loopback address, as another machine would use it.
    pub fn address() -> IpAddr {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        // Nothing is sent: this asks which address would be used.
        socket.connect("192.0.2.1:9").unwrap();
        socket.local_addr().unwrap().ip()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.stop();
    }
}
