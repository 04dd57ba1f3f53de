//! How the service connects to PostgreSQL: a URL means the same to both drivers, and no password goes to a server that cannot
//! prove its name.

use std::path::{Path, PathBuf};
use std::time::Duration;

use counterfoil::postgres::Database;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{NodeProcess, TestAuthorities, TlsServer};

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Every way in which the service connects; whether each came to a connection, by name.
async fn ways(url: &str) -> [(&'static str, Result<(), String>); 3] {
    let database = Database::new(url, 1).unwrap();
    let by_pool = database.connection().await.map(drop).map_err(|error| error.to_string());
    let by_listener = database.listen("a_channel").await.map(drop).map_err(|error| error.to_string());
    let reader = database.reader().await.unwrap();
    let by_reader = reader.acquire().await.map(drop).map_err(|error| error.to_string());
    [("the pool", by_pool), ("a listener", by_listener), ("the reader", by_reader)]
}

/// Whether `counterfoil migrate` comes to a connection.
fn migrates(folder: &Path, url: &str, environment: &[(&str, &str)]) -> bool {
    let output = NodeProcess::command(folder, environment)
        .args(["migrate"])
        .env("DATABASE_URL", url)
        .env("COUNTERFOIL_PROFILE", "development")
        .output()
        .unwrap();
    output.status.success()
}

async fn assert_all(url: &str, connect: bool, why: &str) {
    for (way, connected) in ways(url).await {
        assert_eq!(connected.is_ok(), connect, "{why}: {way}: {connected:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_to_the_database_accepts_a_server_that_cannot_prove_its_name() {
    let folder = folder("tls");
    let certificates = TestAuthorities::new(&folder);
    let mut server = TlsServer::new(&folder.join("server")).await;
    let address = TlsServer::address().to_string();
    let names = ["localhost", address.as_str()];
    let authority = certificates.file().display().to_string();
    let known = format!("sslrootcert={}", authority.replace('/', "%2F"));
    let verified = format!("sslmode=verify-full&{known}");

    server.run(Some(certificates.valid_for(&names)));
    for (url, why) in [
        (server.url(&address, &known), "a host that is not this machine"),
        (server.url(&address, &format!("sslmode=require&{known}")), "require"),
        (server.url("localhost", &verified), "verify-full to this machine"),
        (server.url("localhost", ""), "this machine"),
        (server.url(&address, "sslmode=disable"), "disable"),
    ] {
        assert_all(&url, true, why).await;
        assert!(migrates(&folder, &url, &[]), "{why}: migrate");
    }
    assert_all(&server.url(&address, ""), false, "an authority that the machine does not know").await;
    let environment = [("SSL_CERT_FILE", authority.as_str())];
    assert!(migrates(&folder, &server.url(&address, ""), &environment), "SSL_CERT_FILE");
    assert!(!migrates(&folder, &server.url(&address, ""), &[]), "no SSL_CERT_FILE");
    let url = server.url(&address, "");
    let node = NodeProcess::start(&folder, &[("DATABASE_URL", url.as_str()), environment[0]]);
    node.api.sign_in("+989121234567").await;
    assert!(node.stop());

    for (certificate, why) in [
        (Some(certificates.valid_for(&["other.example"])), "another's name"),
        (Some(certificates.made_up_for(&names)), "an unknown issuer"),
        (Some(certificates.expired_for(&names)), "an expired certificate"),
        (None, "plain text"),
    ] {
        server.run(certificate);
        for mode in ["", "sslmode=require&", "sslmode=verify-ca&", "sslmode=verify-full&"] {
            let url = server.url(&address, &format!("{mode}{known}"));
            assert_all(&url, false, &format!("{why}, {mode}")).await;
        }
        let url = server.url(&address, &known);
        assert!(!migrates(&folder, &url, &[]), "{why}: migrate");
    }
    assert_all(&server.url("localhost", ""), true, "this machine, in plain text").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_server_without_tls_is_sent_only_the_request_for_tls() {
    let listener = TcpListener::bind((TlsServer::address(), 0)).await.unwrap();
    let url = format!("postgresql://user:secret@{}/database", listener.local_addr().unwrap());
    let heard = tokio::spawn(async move {
        let mut heard = Vec::new();
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut wish = [0; 8];
            stream.read_exact(&mut wish).await.unwrap();
            stream.write_all(b"N").await.unwrap();
            let mut more = Vec::new();
            let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut more)).await;
            drop(read);
            heard.push((wish, more));
        }
        heard
    });
    for (way, connected) in ways(&url).await {
        assert!(connected.is_err(), "{way}");
    }
    for (wish, more) in heard.await.unwrap() {
        assert_eq!(wish, [0, 0, 0, 8, 4, 210, 22, 47], "SSLRequest");
        assert!(more.is_empty(), "{} bytes in plain text", more.len());
    }
}
