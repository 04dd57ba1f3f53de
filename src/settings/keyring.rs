//! The section `keyring`: where the keys come from.

use std::path::PathBuf;

use super::raw::raw_section;
use super::words::Words;
use super::{Environment, SettingsError, invalid};
use crate::crypto::keyring::KeyringSource;
use crate::crypto::secret::Secret;

raw_section!(RawKeyring { file: Option<PathBuf>, command: Option<Secret<Words>> });

impl RawKeyring {
    /// Returns whether any source of keys is set.
    pub fn is_set(&self) -> bool {
        self.file.is_some() || self.command.is_some()
    }

    /// Checks the section. Development can go without keys: it makes a file of its own.
    pub fn check(self, environment: Environment) -> Result<Option<KeyringSource>, SettingsError> {
        let words = match (self.command, self.file) {
            (None, None) if environment == Environment::Production => {
                return Err(invalid("keyring.file", "is missing; make one with `counterfoil keys new`"));
            }
            (None, file) => return Ok(file.map(KeyringSource::File)),
            (Some(_), Some(_)) => {
                return Err(invalid("keyring.command", "goes instead of keyring.file; set one of them"));
            }
            (Some(words), None) => words.expose().clone().into_command(),
        };
        let mut words = words.into_iter();
        let program = words.next().ok_or_else(|| invalid("keyring.command", "names no program"))?;
        Ok(Some(KeyringSource::Command { program, arguments: words.collect() }))
    }
}
