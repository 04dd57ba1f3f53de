//! The command `counterfoil serve`, which runs the service.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, setup};
use crate::app::{Application, new_state};
use crate::delivery::Gateways;
use crate::postgres::DatabaseUrl;
use crate::postgres::embedded::PrivatePostgres;
use crate::postgres::migrations;
use crate::postgres::{Database, DatabaseError};
use crate::runtime::clock::SystemClock;
use crate::runtime::telemetry;
use crate::settings::{Environment, Settings};

/// How often a private database is looked after.
const REVIVE_EVERY: Duration = Duration::from_millis(500);

/// Run the service until it is told to stop; then answer what has begun, and stop a private database last.
#[derive(Debug, Args)]
pub struct ServeCommand {
    /// The address to listen on, as host:port
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The profile: `development` or `production`
    #[arg(long)]
    profile: Option<String>,
}

impl ServeCommand {
    /// The settings among the flags.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let flags = [("server.listen", &self.listen), ("profile", &self.profile)];
        flags.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
    }
}

/// Serves. The private database is started and stopped here, on the main thread, around everything else.
pub fn run(settings: Settings) -> Result<ExitCode, Failure> {
    telemetry::init(&settings.log_filter, settings.log_json)?;
    let (private, url) = match &settings.database {
        Some(url) => (None, url.clone()),
        None => {
            let private = PrivatePostgres::start(std::path::Path::new(".counterfoil"))?;
            let folder = std::env::current_dir()?;
            let data = private.folder().display();
            tracing::info!(folder = %folder.display(), %data, "started a private PostgreSQL");
            let url = private.url();
            (Some(Arc::new(Mutex::new(private))), url)
        }
    };
    let served = setup::runtime()?.block_on(serve(&settings, &url, private.clone()));
    if let Some(private) = private {
        private.lock().unwrap_or_else(PoisonError::into_inner).stop()?;
        tracing::info!("stopped the private PostgreSQL");
    }
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(
    settings: &Settings,
    url: &DatabaseUrl,
    private: Option<Arc<Mutex<PrivatePostgres>>>,
) -> Result<(), Failure> {
    // Before anything that takes time, so that a stop is never missed.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let _hangup = signal(SignalKind::hangup())?;
    if settings.environment == Environment::Development {
        let owner = settings.migration.as_ref().unwrap_or(url);
        migrations::migrate(&owner.0, settings.server_role()?.as_deref()).await?;
    }
    let keyring = setup::server_keyring(settings).await?;
    let settings = &Settings { keyring: Some(setup::keyring_source(settings)), ..settings.clone() };
    let metrics = telemetry::prometheus().install_recorder()?;
    let gateways = Gateways::new(&settings.delivery, [], Arc::new(SystemClock))?;
    let state = new_state(settings, url, &keyring, gateways, Arc::new(SystemClock), metrics)?;
    let database = state.database.clone();
    match database.check_at_start(settings.connections).await {
        Err(DatabaseError::Refused(why)) => return Err(why.into()),
        // A node can start before its database does.
        Err(error) => tracing::warn!(%error, "not connected yet"),
        Ok(()) => {}
    }
    let application = Application::build(settings, &keyring, state)?;
    for until in settings.test_identifiers.ends() {
        tracing::warn!(%until, "an identifier is listed for tests: every person who knows its code can sign in by it");
    }
    if let Some(address) = application.metrics_address() {
        tracing::info!(%address, "listening for operators");
    }
    tracing::info!(address = %application.address(), profile = ?settings.environment, "listening");
    if settings.environment == Environment::Production && could_alter_events(&database).await.unwrap_or(false)
    {
        tracing::warn!("the server's database role could alter the log; see database.migration_url");
    }

    let (handle, feed) = (application.handle(), application.feed());
    let server = tokio::spawn(application.run());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = look_after(private) => {}
    }
    tracing::info!("stopping");
    feed.stop();
    handle.stop(true).await;
    server.await??;
    database.close().await;
    tracing::info!("stopped");
    Ok(())
}

async fn could_alter_events(database: &Database) -> Result<bool, DatabaseError> {
    Ok(migrations::could_alter_events(&database.connection().await?).await?)
}

/// Starts a private database again when it has died. Without one, waits for ever.
async fn look_after(private: Option<Arc<Mutex<PrivatePostgres>>>) {
    let Some(private) = private else { return std::future::pending().await };
    loop {
        tokio::time::sleep(REVIVE_EVERY).await;
        let private = private.clone();
        let revive = move || private.lock().unwrap_or_else(PoisonError::into_inner).revive();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(revive).await {
            tracing::error!(%error, "the private PostgreSQL does not come back");
        }
    }
}
