//! What commands need before they can start: a database and keys.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::Failure;
use crate::app::{DEVELOPMENT_FOLDER, LocalService, keyring_source, new_state};
use crate::crypto::keyring::{Keyring, KeyringSource};
use crate::crypto::personal_data::PersonalData;
use crate::delivery::{Gateway, Gateways};
use crate::http::AppState;
use crate::journal::Journal;
use crate::postgres::Database;
use crate::postgres::DatabaseUrl;
use crate::postgres::embedded::PrivatePostgres;
use crate::postgres::migrations;
use crate::runtime::clock::SystemClock;
use crate::settings::Settings;

/// Says that a command was given in a folder that no service runs in. A command makes nothing up: what it showed would be
/// true of an empty database.
fn nothing_here(missing: &str) -> Failure {
    format!(
        "nothing is configured here: {missing}. Run the command where the service runs, with its settings: in the folder \
         that its log names at the start (`folder` of \"started a private PostgreSQL\"), or with its DATABASE_URL, \
         COUNTERFOIL_KEYRING or --config. `counterfoil serve` starts a new service in this folder"
    )
    .into()
}

/// The database: the configured one, or the private one that `serve` has made in the development folder, running from here
/// on.
pub fn database(settings: &Settings) -> Result<(Option<PrivatePostgres>, DatabaseUrl), Failure> {
    match &settings.database {
        Some(url) => Ok((None, url.clone())),
        None if PrivatePostgres::exists(Path::new(DEVELOPMENT_FOLDER)) => {
            Ok(PrivatePostgres::start_or_find(Path::new(DEVELOPMENT_FOLDER))?)
        }
        None => Err(nothing_here("database.url is not set, and there is no database in ./.counterfoil")),
    }
}

/// Reads the keyring from where the settings say that it is.
pub async fn keyring(settings: &Settings) -> Result<Keyring, Failure> {
    let source = keyring_source(settings);
    if let KeyringSource::File(path) = &source
        && settings.keyring.is_none()
        && !path.exists()
    {
        return Err(nothing_here("keyring.file is not set, and there is no ./.counterfoil/keyring.json"));
    }
    Ok(source.read().await?)
}

/// A runtime for a command's work.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Runs a command's work on the journal, in the database of the settings.
pub fn with_journal<T>(
    settings: &Settings,
    work: impl AsyncFnOnce(&Journal) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (private, url) = database(settings)?;
    let result = runtime()?.block_on(async {
        let keyring = keyring(settings).await?;
        let database = Database::new(&url.0, 4)?;
        let journal = Journal::new(database.clone(), PersonalData::new(&keyring), Arc::new(SystemClock));
        let result = work(&journal).await;
        database.close().await;
        result
    });
    if let Some(mut private) = private {
        private.stop()?;
    }
    result
}

/// Runs a command's work on the routes of the service, for the operator who typed it, in the database of the settings. Nothing is
/// served, and the messages that the work asks for wait in the outbox for a node that does.
pub fn with_local_service<T>(
    settings: &Settings,
    own_gateways: &[(String, Arc<dyn Gateway>)],
    work: impl AsyncFnOnce(LocalService) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_state(settings, own_gateways, async |state| {
        work(LocalService::new(state, settings, super::operator_name()).await).await
    })
}

/// Runs a command's work on the state of a node, in the database of the settings.
pub fn with_state<T>(
    settings: &Settings,
    own_gateways: &[(String, Arc<dyn Gateway>)],
    work: impl AsyncFnOnce(&AppState) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (private, url) = database(settings)?;
    let result = actix_web::rt::System::new().block_on(async {
        let keyring = keyring(settings).await?;
        let metrics = crate::runtime::telemetry::prometheus().build_recorder().handle();
        // They say which identifiers can get messages, and send none here.
        let own = own_gateways.iter().map(|(name, gateway)| (name.as_str(), gateway.clone()));
        let gateways = Gateways::new(&settings.delivery, own, Arc::new(SystemClock))?;
        let state = new_state(settings, &url, &keyring, gateways, Arc::new(SystemClock), metrics)?;
        let database = state.database.clone();
        let result = work(&state).await;
        database.close().await;
        result
    });
    if let Some(mut private) = private {
        private.stop()?;
    }
    result
}

/// The command `counterfoil migrate`, which brings the schema up to date.
pub fn migrate(settings: &Settings) -> Result<ExitCode, Failure> {
    let (private, url) = database(&settings.as_owner())?;
    runtime()?.block_on(migrations::migrate(&url.0, settings.server_role()?.as_deref()))?;
    if let Some(mut private) = private {
        private.stop()?;
    }
    Ok(ExitCode::SUCCESS)
}
