//! Where the keys of a node come from. In the development profile a file of them is made where it is missing.

use std::path::Path;

use super::StartError;
use crate::crypto::keyring::{Keyring, KeyringError, KeyringSource};
use crate::settings::{Environment, Settings};

/// Where the development profile keeps what it makes.
pub const DEVELOPMENT_FOLDER: &str = ".counterfoil";

/// Returns where the keys come from: as configured, or a file in the development folder.
pub fn keyring_source(settings: &Settings) -> KeyringSource {
    let default = || KeyringSource::File(Path::new(DEVELOPMENT_FOLDER).join("keyring.json"));
    settings.keyring.clone().unwrap_or_else(default)
}

/// Reads the keys of a server.
///
/// # Errors
/// When they cannot be read or made.
pub(super) async fn server_keyring(settings: &Settings) -> Result<Keyring, StartError> {
    let source = keyring_source(settings);
    let development = settings.environment == Environment::Development;
    if let KeyringSource::File(path) = &source
        && development
        && !path.exists()
    {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        match Keyring::generate().create(path) {
            Ok(()) => tracing::info!(file = %path.display(), "made a keyring"),
            // A node that was started at the same time made it first: its keys are the keys.
            Err(KeyringError::File { .. }) if path.exists() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(source.read().await?)
}
