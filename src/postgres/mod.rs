//! The way to PostgreSQL: a pool that gives up in time, and which errors mean "come back later".

pub(crate) mod batcher;
pub mod embedded;
mod listener;
pub mod migrations;
pub mod readiness;
mod start;
mod target;
mod url;

use std::error::Error as _;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime,
};
use sqlx::postgres::PgPoolOptions;
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;

pub use listener::ChannelListener;
pub use target::ConnectionTarget;
pub use url::DatabaseUrl;

/// How long anything waits for a connection: short, so that a caller hears of an outage within the second.
const CONNECT_WITHIN: Duration = Duration::from_millis(700);

/// How many connections the small pool has, through which postgres-es reads.
const READERS: u32 = 2;

/// How long one statement may take on the server.
const STATEMENT_WITHIN: Duration = Duration::from_secs(5);

/// Why the database gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// It is away, starting, stopping or overloaded. What was asked may have happened or not; asking again can help.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// It is slow, or away without saying so. What was asked may have happened or not; asking again can help.
    #[error("the database did not answer in time")]
    Late,
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

impl DatabaseError {
    /// Whether asking again can help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Late => true,
            Self::Refused(_) => false,
        }
    }

    /// Why there is no connection. Nothing was asked yet, so nothing was refused but the connection: password, database, TLS.
    fn not_connected(error: &tokio_postgres::Error) -> Self {
        let text = match (error.as_db_error(), error.source()) {
            (Some(database), _) => database.code().code().to_owned(),
            (None, Some(source)) => format!("{error}: {source}"),
            (None, None) => error.to_string(),
        };
        Self::Unavailable(text)
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
            PoolError::Backend(error) => Self::not_connected(&error),
            PoolError::Timeout(_) => Self::Unavailable("no connection in time".to_owned()),
            PoolError::Closed => Self::Unavailable("the pool is closed".to_owned()),
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => Self::Refused(error.to_string()),
        }
    }
}

/// A pool of connections to the primary.
#[derive(Clone)]
pub struct Database {
    target: ConnectionTarget,
    pool: Pool,
    reader: sqlx::PgPool,
    connections: usize,
    renewed: Renewed,
}

/// The time before which connections were made that are not to be used any more. All pools of a database share it.
#[derive(Clone, Debug, Default)]
struct Renewed(Arc<RwLock<Option<Instant>>>);

impl Renewed {
    fn has_passed(&self, made: Instant) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_some_and(|renewed| made < renewed)
    }
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
    /// As [`ConnectionTarget::parse`].
    pub fn new(url: &str, connections: usize) -> Result<Self, DatabaseError> {
        let target = ConnectionTarget::parse(url)?;
        let renewed = Renewed::default();
        let reader = PgPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(CONNECT_WITHIN)
            .before_acquire({
                let renewed = renewed.clone();
                move |_, connection| {
                    let made = Instant::now().checked_sub(connection.age);
                    let passed = made.is_some_and(|made| renewed.has_passed(made));
                    Box::pin(async move { Ok(!passed) })
                }
            })
            .connect_lazy_with(target.sqlx_options_of_first());
        Ok(Self { pool: pool(&target, &renewed, connections), target, reader, connections, renewed })
    }

    /// From now on no connection is used that was made before: the server that they lead to is not the one any more.
    pub fn renew(&self) {
        *self.renewed.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The same database, through a pool of its own: a connection works on the runtime it was made on.
    pub fn on_this_thread(&self) -> Self {
        self.with_connections(self.connections)
    }

    /// The same database, through a pool of its own of so many connections.
    pub fn with_connections(&self, connections: usize) -> Self {
        Self { pool: pool(&self.target, &self.renewed, connections), connections, ..self.clone() }
    }

    /// A connection, for one statement or transaction.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when there is none in time.
    pub async fn connection(&self) -> Result<Object, DatabaseError> {
        Ok(self.pool.get().await?)
    }

    /// Whether a connection leads to a server that is not the one any more.
    pub fn is_outdated(&self, connection: &Object) -> bool {
        self.renewed.has_passed(Object::metrics(connection).created)
    }

    /// The small pool through which postgres-es reads streams back.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when none of several hosts will do.
    pub async fn reader(&self) -> Result<&sqlx::PgPool, DatabaseError> {
        self.reader.set_connect_options(self.target.sqlx_options().await?);
        Ok(&self.reader)
    }

    /// Asks the server by the small pool, unless all of its connections are in use.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when it does not answer.
    pub async fn ask_reader(&self) -> Result<(), DatabaseError> {
        let unavailable = |error: sqlx::Error| DatabaseError::Unavailable(error.to_string());
        let (made, idle) = (self.reader.size(), self.reader.num_idle());
        let asked = match (made, idle) {
            (READERS.., 0) => return Ok(()),
            (_, 0) => self.reader().await?.acquire().await,
            // One that was made before is asked whether it answers before it is given away.
            (_, _) => self.reader.acquire().await,
        };
        asked.map(drop).map_err(unavailable)
    }

    /// Closes every connection, the ones in use when they come back.
    pub async fn close(&self) {
        self.pool.close();
        // It waits for connections that are still in use, and a stop has to end.
        drop(tokio::time::timeout(CONNECT_WITHIN, self.reader.close()).await);
    }
}

fn pool(target: &ConnectionTarget, renewed: &Renewed, connections: usize) -> Pool {
    let renewed = renewed.clone();
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    Pool::builder(Manager::from_connect(Config::new(), target.clone(), recycling))
        .max_size(connections)
        // The connection used last has its plans at hand, and so has the processor.
        .queue_mode(QueueMode::Lifo)
        .runtime(Runtime::Tokio1)
        .pre_recycle(Hook::sync_fn(move |_, connection| {
            let passed = renewed.has_passed(connection.created);
            if passed { Err(HookError::message("another server is to be looked for")) } else { Ok(()) }
        }))
        .wait_timeout(Some(CONNECT_WITHIN))
        .create_timeout(Some(CONNECT_WITHIN))
        .recycle_timeout(Some(CONNECT_WITHIN))
        .build()
        .expect("timeouts have the runtime that they need")
}
