//! A running service: started whole or not at all, and stopped with what it has begun.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;

use super::node_keyring::{DEVELOPMENT_FOLDER, keyring_source, server_keyring};
use super::{Application, ServiceAccounts, ServiceParts, new_state};
use crate::accounts::{AccountsError, RegisterError};
use crate::audit::feed::LedgerFeed;
use crate::crypto::keyring::KeyringError;
use crate::delivery::{GatewaySetupError, Gateways};
use crate::http::{self, OwnRouteError};
use crate::listeners::{ListenerSet, ListenerSetError};
use crate::postgres::embedded::{PrivatePostgres, PrivatePostgresError};
use crate::postgres::migrations::{self, MigrationError};
use crate::postgres::{Database, DatabaseError, DatabaseUrl};
use crate::rules::{RuleSet, RuleSetError};
use crate::runtime::clock::SystemClock;
use crate::runtime::telemetry;
use crate::settings::{Environment, Settings, SettingsError};
use crate::tokens::claims_source::ClaimNameError;

/// How often a private database is looked after.
const REVIVE_EVERY: Duration = Duration::from_millis(500);

/// Why a service did not start, or did not stop well. The text says what to do about it.
#[derive(Debug)]
pub struct StartError(Box<dyn Error + Send + Sync>);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

macro_rules! start_errors {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for StartError {
            fn from(error: $error) -> Self {
                Self(error.into())
            }
        })+
    };
}

start_errors!(
    SettingsError,
    KeyringError,
    PrivatePostgresError,
    MigrationError,
    DatabaseError,
    GatewaySetupError,
    OwnRouteError,
    ClaimNameError,
    ListenerSetError,
    RuleSetError,
    RegisterError,
    std::io::Error,
    tokio::task::JoinError,
    String,
);

/// A private database that the service has started; none once it has been stopped, so that it is not started again.
type SharedPostgres = Arc<Mutex<Option<PrivatePostgres>>>;

/// A service that runs: the HTTP server and all that works beside it.
pub struct RunningService {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    accounts: ServiceAccounts,
    handle: ServerHandle,
    feed: LedgerFeed,
    /// The task of the server; none once its end has been told.
    server: Option<JoinHandle<std::io::Result<()>>>,
    database: Database,
    private: Option<SharedPostgres>,
    /// What starts a private database again when it has died.
    reviving: Option<JoinHandle<()>>,
}

impl fmt::Debug for RunningService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningService").field("address", &self.address).finish_non_exhaustive()
    }
}

impl RunningService {
    /// Starts everything that a node does, with the parts of a program.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub(crate) async fn start(settings: &Settings, parts: &ServiceParts) -> Result<Self, StartError> {
        http::check_routes(&parts.routes)?;
        parts.check_names()?;
        let listeners = ListenerSet::new(parts.listeners.iter().cloned())?;
        let (private, url) = database_of(settings).await?;
        match Self::start_on(settings, parts, listeners, &url, private.clone()).await {
            Ok(service) => Ok(service),
            Err(error) => {
                stop_private(private).await?;
                Err(error)
            }
        }
    }

    async fn start_on(
        settings: &Settings,
        parts: &ServiceParts,
        listeners: ListenerSet,
        url: &DatabaseUrl,
        private: Option<SharedPostgres>,
    ) -> Result<Self, StartError> {
        if settings.environment == Environment::Development {
            let owner = settings.migration.as_ref().unwrap_or(url);
            migrations::migrate(&owner.0, settings.server_role()?.as_deref()).await?;
        }
        let keyring = server_keyring(settings).await?;
        let settings = &Settings { keyring: Some(keyring_source(settings)), ..settings.clone() };
        let own = parts.gateways.iter().map(|(name, gateway)| (name.as_str(), gateway.clone()));
        let gateways = Gateways::new(&settings.delivery, own, Arc::new(SystemClock))?;
        let metrics = process_metrics();
        let mut state = new_state(settings, url, &keyring, gateways, Arc::new(SystemClock), metrics)?;
        if let [claims] = parts.claims.as_slice() {
            state.accounts.use_claims(claims.clone())?;
        }
        state.accounts.use_rules(RuleSet::new(parts.rules.iter().cloned())?);
        state.own_routes = parts.routes.clone();
        let database = state.database.clone();
        match database.check_at_start(settings.connections).await {
            Err(DatabaseError::Refused(why)) => return Err(why.into()),
            // A node can start before its database does.
            Err(error) => tracing::warn!(%error, "not connected yet"),
            Ok(()) => {}
        }
        match state.accounts.catch_up_with_register().await {
            Err(AccountsError::Register(error)) => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "not compared with the erasure register yet"),
            Ok(()) => {}
        }
        let application = Application::build(settings, &keyring, state)?.with_listeners(listeners);
        parts.accounts.begin(application.state());
        report_start(settings, &application, &database).await;
        Ok(Self {
            address: application.address(),
            metrics_address: application.metrics_address(),
            accounts: parts.accounts.clone(),
            handle: application.handle(),
            feed: application.feed(),
            server: Some(tokio::spawn(application.run())),
            database,
            reviving: private.clone().map(|private| tokio::spawn(look_after(private))),
            private,
        })
    }

    /// Where it listens; the real port where the settings said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the listener for operators listens, where there is one.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// The accounts of the service.
    pub fn accounts(&self) -> ServiceAccounts {
        self.accounts.clone()
    }

    /// Waits until the service ends by itself, which only a fault makes it do. It has still to be stopped then.
    ///
    /// # Errors
    /// [`StartError`] says why it ended.
    pub async fn wait(&mut self) -> Result<(), StartError> {
        let Some(server) = &mut self.server else { return Ok(()) };
        let ended = server.await;
        self.server = None;
        Ok(ended??)
    }

    /// Stops the service: it takes no new connections, answers the requests that have begun, hands over what it has begun to
    /// send, and stops a private database last.
    ///
    /// # Errors
    /// [`StartError`] when a part did not end well.
    pub async fn stop(mut self) -> Result<(), StartError> {
        self.feed.stop();
        self.handle.stop(true).await;
        let ended = self.wait().await;
        self.database.close().await;
        if let Some(reviving) = self.reviving {
            reviving.abort();
        }
        stop_private(self.private).await?;
        ended
    }
}

/// Returns the handle of the process's metrics. The recorder is the process's, so all services in it share it.
pub fn process_metrics() -> PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        let recorder = telemetry::prometheus().build_recorder();
        let handle = recorder.handle();
        // A program that has installed a recorder of its own keeps it, and its metrics are counted there.
        drop(metrics::set_global_recorder(recorder));
        handle
    };
    METRICS.get_or_init(install).clone()
}

/// Returns the database of the settings, or starts a private one.
async fn database_of(settings: &Settings) -> Result<(Option<SharedPostgres>, DatabaseUrl), StartError> {
    if let Some(url) = &settings.database {
        return Ok((None, url.clone()));
    }
    let start = || PrivatePostgres::start(Path::new(DEVELOPMENT_FOLDER));
    let private = tokio::task::spawn_blocking(start).await??;
    let folder = std::env::current_dir()?;
    let data = private.folder().display();
    tracing::info!(folder = %folder.display(), %data, "started a private PostgreSQL");
    let url = private.url();
    Ok((Some(Arc::new(Mutex::new(Some(private)))), url))
}

async fn stop_private(private: Option<SharedPostgres>) -> Result<(), StartError> {
    let Some(private) = private else { return Ok(()) };
    let stop = move || {
        let mut private = private.lock().unwrap_or_else(PoisonError::into_inner);
        private.take().map_or(Ok(()), |mut private| private.stop())
    };
    tokio::task::spawn_blocking(stop).await??;
    tracing::info!("stopped the private PostgreSQL");
    Ok(())
}

/// Starts a private database again when it has died.
async fn look_after(private: SharedPostgres) {
    loop {
        tokio::time::sleep(REVIVE_EVERY).await;
        let private = private.clone();
        let revive = move || {
            let mut private = private.lock().unwrap_or_else(PoisonError::into_inner);
            private.as_mut().map_or(Ok(()), PrivatePostgres::revive)
        };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(revive).await {
            tracing::error!(%error, "the private PostgreSQL does not come back");
        }
    }
}

/// Says in the log what operators look for at the start.
async fn report_start(settings: &Settings, application: &Application, database: &Database) {
    for until in settings.test_identifiers.ends() {
        tracing::warn!(%until, "an identifier is listed for tests: every person who knows its code can sign in by it");
    }
    if let Some(address) = application.metrics_address() {
        tracing::info!(%address, "listening for operators");
    }
    tracing::info!(address = %application.address(), profile = ?settings.environment, "listening");
    if settings.environment == Environment::Production && could_alter_events(database).await.unwrap_or(false)
    {
        tracing::warn!("the server's database role could alter the log; see database.migration_url");
    }
}

async fn could_alter_events(database: &Database) -> Result<bool, DatabaseError> {
    Ok(migrations::could_alter_events(&database.connection().await?).await?)
}
