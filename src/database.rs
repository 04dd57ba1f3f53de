//! The way to PostgreSQL: a pool that gives up in time, TLS, and which errors mean "come back later".

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long anything waits for a connection: short, so that a caller hears of an outage within the second.
const CONNECT_WITHIN: Duration = Duration::from_millis(700);

/// How long one statement may take on the server.
const STATEMENT_WITHIN: Duration = Duration::from_secs(5);

/// Every statement finds its rows by key, so a plan once made is kept: planning one anew costs more than running it,
/// and compiling one (`jit`) a hundred times more. Without `enable_seqscan = off`, a plan made while a table was empty
/// would read the whole of it for ever.
fn session_settings() -> String {
    let settings = [
        "plan_cache_mode=force_generic_plan",
        "enable_seqscan=off",
        "jit=off",
        "max_parallel_workers_per_gather=0",
    ];
    let timeout = format!("statement_timeout={}", STATEMENT_WITHIN.as_millis());
    let settings = settings.into_iter().chain([timeout.as_str()]).map(|setting| format!("-c {setting}"));
    settings.collect::<Vec<_>>().join(" ")
}

/// Why the database gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// It is away, starting, stopping or overloaded. What was asked may have happened or not; asking again can help.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// It refused what was asked. Asking again will not help: this is a fault of ours or of the installation.
    #[error("the database refused: {0}")]
    Refused(String),
}

impl From<tokio_postgres::Error> for DatabaseError {
    fn from(error: tokio_postgres::Error) -> Self {
        // Only the code and the constraint: a message may quote the row, and a row may hold what no log may.
        let Some(database) = error.as_db_error() else {
            return if error.is_closed() || is_io(&error) {
                Self::Unavailable(error.to_string())
            } else {
                Self::Refused(error.to_string())
            };
        };
        let code = database.code();
        let text = match database.constraint() {
            Some(constraint) => format!("{} ({constraint})", code.code()),
            None => code.code().to_owned(),
        };
        if is_passing(code) { Self::Unavailable(text) } else { Self::Refused(text) }
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

/// Whether the same statement can succeed later: connection trouble, shutdown, no resources, lock trouble, a standby.
fn is_passing(code: &SqlState) -> bool {
    let class = code.code().get(..2).unwrap_or_default();
    matches!(class, "08" | "53" | "57" | "58" | "40" | "55") || *code == SqlState::READ_ONLY_SQL_TRANSACTION
}

impl From<PoolError> for DatabaseError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => match Self::from(error) {
                // Nothing was asked yet, so nothing was refused but the connection: password, database, TLS.
                Self::Refused(text) | Self::Unavailable(text) => Self::Unavailable(text),
            },
            PoolError::Timeout(_) => Self::Unavailable("no connection in time".to_owned()),
            PoolError::Closed => Self::Unavailable("the pool is closed".to_owned()),
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => Self::Refused(error.to_string()),
        }
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
    }
}

/// A pool of connections to the primary.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    reader: sqlx::PgPool,
    connections: usize,
    make_pool: Arc<dyn Fn(usize) -> Pool + Send + Sync>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    /// A pool for the database at `url` (`postgresql://…`), of so many connections a thread. None is made yet.
    ///
    /// # Errors
    /// When the URL is malformed, or the machine has no certificate authorities to verify the server by.
    pub fn new(url: &str, connections: usize) -> Result<Self, DatabaseError> {
        let refused = |error: &dyn fmt::Display| DatabaseError::Refused(error.to_string());
        let mut config: Config = url.parse().map_err(|error| refused(&error))?;
        config
            .application_name("counterfoil")
            .connect_timeout(CONNECT_WITHIN)
            .tcp_user_timeout(STATEMENT_WITHIN)
            .options(session_settings());
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        // What stays on this machine needs no TLS, and a local server's certificate is seldom one that can be verified.
        let local = config.get_hosts().iter().all(is_local)
            && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
        if config.get_ssl_mode() == SslMode::Prefer && local {
            config.ssl_mode(SslMode::Disable);
        }
        let native =
            || MakeRustlsConnect::with_native_certs().map_err(|error| refused(&format!("{error:?}")));
        let tls = if config.get_ssl_mode() == SslMode::Disable { None } else { Some(native()?.0) };
        let make_pool = move |connections| {
            let (config, recycling) = (config.clone(), recycling.clone());
            let manager = match tls.clone() {
                None => Manager::from_config(config, NoTls, recycling),
                Some(tls) => Manager::from_config(config, tls, recycling),
            };
            Pool::builder(manager)
                .max_size(connections)
                // The connection used last has its plans at hand, and so has the processor.
                .queue_mode(QueueMode::Lifo)
                .runtime(Runtime::Tokio1)
                .wait_timeout(Some(CONNECT_WITHIN))
                .create_timeout(Some(CONNECT_WITHIN))
                .recycle_timeout(Some(CONNECT_WITHIN))
                .build()
                .expect("timeouts have the runtime that they need")
        };
        let options: PgConnectOptions = url.parse().map_err(|error| refused(&error))?;
        let reader = PgPoolOptions::new()
            .max_connections(4) // two of them listen
            .acquire_timeout(CONNECT_WITHIN)
            .connect_lazy_with(options.application_name("counterfoil-replay"));
        Ok(Self { pool: make_pool(connections), reader, connections, make_pool: Arc::new(make_pool) })
    }

    /// The same database, through a pool of its own: a connection works on the runtime it was made on.
    pub fn on_this_thread(&self) -> Self {
        self.with_connections(self.connections)
    }

    /// The same database, through a pool of its own of so many connections.
    pub fn with_connections(&self, connections: usize) -> Self {
        Self { pool: (self.make_pool)(connections), connections, ..self.clone() }
    }

    /// A connection, for one statement or transaction.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when there is none in time.
    pub async fn connection(&self) -> Result<Object, DatabaseError> {
        Ok(self.pool.get().await?)
    }

    /// The small pool through which postgres-es reads streams back.
    pub fn reader(&self) -> &sqlx::PgPool {
        &self.reader
    }

    /// Closes every connection, the ones in use when they come back.
    pub async fn close(&self) {
        self.pool.close();
        self.reader.close().await;
    }
}
