//! A TCP proxy in front of PostgreSQL that can cut, stall, refuse and be slow.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use counterfoil::postgres::DatabaseUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_postgres::config::Host;

/// How soon a connection hears of a fault.
const TICK: Duration = Duration::from_millis(5);

/// Stands between a node and its database.
pub struct DatabaseProxy {
    pub address: SocketAddr,
    faults: Arc<ProxyFaults>,
}

/// What the proxy does with connections to the database.
#[derive(Clone, Copy, Default, PartialEq)]
pub enum ProxyMode {
    #[default]
    Connected,
    /// Connections are closed, old and new.
    Disconnected,
    /// Nothing passes, and nothing is closed.
    Stalled,
}

#[derive(Default)]
struct ProxyFaults {
    mood: Mutex<ProxyMode>,
    /// How many more answers pass before one is swallowed and its connection cut; 0 for never.
    answers_until_cut: AtomicU32,
    /// How many milliseconds late each answer comes.
    late_by: AtomicU32,
}

impl DatabaseProxy {
    /// In front of the server that a database is reached at by a Unix socket.
    pub async fn start(database: &DatabaseUrl) -> Self {
        let config: tokio_postgres::Config = database.0.parse().unwrap();
        let Some(Host::Unix(folder)) = config.get_hosts().first().cloned() else { panic!("a Unix socket") };
        let socket = folder.join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, faults) = (listener.local_addr().unwrap(), Arc::<ProxyFaults>::default());
        let shared = faults.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (socket, faults) = (socket.clone(), shared.clone());
                tokio::spawn(async move {
                    if let Ok(server) = UnixStream::connect(socket).await {
                        relay(client, server, &faults).await;
                    }
                });
            }
        });
        Self { address, faults }
    }

    /// A database of that server, by way of this proxy.
    pub fn url_of(&self, database: &str) -> DatabaseUrl {
        DatabaseUrl(format!("postgresql://counterfoil@{}/{database}?sslmode=disable", self.address))
    }

    /// What the database does from now on.
    pub async fn set_mode(&self, mood: ProxyMode) {
        *self.faults.mood.lock().unwrap() = mood;
        tokio::time::sleep(TICK * 4).await;
    }

    /// The answer that comes after `answers` others is swallowed, after the server has done what it was asked.
    pub fn cut_after(&self, answers: u32) {
        self.faults.answers_until_cut.store(answers + 1, Ordering::SeqCst);
    }

    /// Each answer comes that much later, as from a database far away.
    pub fn delay(&self, by: Duration) {
        self.faults.late_by.store(by.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    /// Whether the cut is still to come.
    pub fn is_armed(&self) -> bool {
        self.faults.answers_until_cut.load(Ordering::SeqCst) > 0
    }
}

async fn relay(mut client: TcpStream, mut server: UnixStream, faults: &ProxyFaults) {
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut check = tokio::time::interval(TICK);
    // As on a long line: answers are under way at the same time.
    let mut under_way = VecDeque::<(Instant, Vec<u8>)>::new();
    loop {
        let stalled = *faults.mood.lock().unwrap() == ProxyMode::Stalled;
        let arrives = under_way.front().map(|(arrives, _)| *arrives);
        tokio::select! {
            read = client.read(&mut up), if !stalled => match read {
                Ok(length @ 1..) if server.write_all(&up[..length]).await.is_ok() => {}
                _ => return,
            },
            read = server.read(&mut down), if !stalled => match read {
                Ok(length @ 1..) => {
                    let late_by = Duration::from_millis(faults.late_by.load(Ordering::SeqCst).into());
                    under_way.push_back((Instant::now() + late_by, down[..length].to_vec()));
                }
                _ => return,
            },
            () = tokio::time::sleep_until(arrives.unwrap_or_else(Instant::now)), if arrives.is_some() && !stalled => {
                if let Some((_, answer)) = under_way.pop_front() {
                    let left = faults.answers_until_cut.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                        Some(left.saturating_sub(1))
                    });
                    if left == Ok(1) || client.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            },
            _ = check.tick() => {
                if *faults.mood.lock().unwrap() == ProxyMode::Disconnected {
                    return;
                }
            }
        }
    }
}
