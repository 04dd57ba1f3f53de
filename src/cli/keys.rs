//! `counterfoil keys`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::Failure;
use crate::keyring::Keyring;

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a keyring of fresh keys. Keep it outside the database and its backups.
    New {
        /// The file to make; it must not exist.
        file: PathBuf,
    },
}

impl Keys {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::New { file } => Keyring::generate().create(&file)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
