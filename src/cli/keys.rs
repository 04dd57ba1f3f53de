//! The commands `counterfoil keys …`, which make and rotate keys.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::{Failure, output, setup};
use crate::crypto::keyring::{
    KeyPurpose, KeyState, Keyring, KeyringKey, RotationError, RotationStep, SigningAlgorithm,
};
use crate::journal::RehashReport;
use crate::settings::{Settings, SettingsError, Sources};
use crate::tokens::export_access_keys;

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a keyring of fresh keys. Keep it outside the database and its backups.
    New {
        /// The file to make; it must not exist.
        file: PathBuf,
        /// By what access tokens are signed.
        #[arg(long, default_value = "eddsa")]
        algorithm: SigningAlgorithm,
    },
    /// Print the keys' names and states, never their secrets.
    List {
        /// The file of the keyring
        file: PathBuf,
        /// Write JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Replace a key, in two steps: add a pending key, and when every node has read it make it the active one.
    Rotate {
        /// The file of the keyring
        file: PathBuf,
        /// What the key is for.
        purpose: KeyPurpose,
        /// By what the new key signs, instead of what the present one does.
        #[arg(long)]
        algorithm: Option<SigningAlgorithm>,
    },
    /// Take a retiring or pending key out. What was made with it opens no more: before a `personal` or `lookup` key goes,
    /// `rewrap` must have left nothing under it. A `lookup` key under which identifiers are found is not taken out.
    Retire {
        /// The file of the keyring
        file: PathBuf,
        /// What the key is for.
        purpose: KeyPurpose,
        /// The name of the key
        id: String,
    },
    /// Write the keys with which another service reads access tokens and makes none (see the crate `counterfoil-guard`), of the
    /// keyring and for the audience of the settings. Secret all the same: they open tokens.
    Guard {
        /// The file to make; it must not exist.
        file: PathBuf,
    },
    /// Put what the database holds under the active key of a purpose, so that former ones can be retired: wrap accounts'
    /// keys anew with the `personal` key, or hash identifiers anew with the `lookup` key. Run it when every node has read
    /// the keyring, while they serve; it can be interrupted and begun again. Exit status 1 when something is left.
    Rewrap {
        /// The purpose of the key
        #[arg(default_value = "personal")]
        purpose: Rewrappable,
    },
}

/// A purpose under whose keys the database holds something.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Rewrappable {
    Personal,
    Lookup,
}

impl KeysCommand {
    pub fn run(self, sources: impl FnOnce() -> Result<Sources, SettingsError>) -> Result<ExitCode, Failure> {
        match self {
            Self::Guard { file } => guard(&sources()?.check()?, &file)?,
            Self::Rewrap { purpose: Rewrappable::Personal } => return rewrap(&sources()?.check()?),
            Self::Rewrap { purpose: Rewrappable::Lookup } => return rehash(&sources()?.check()?),
            Self::New { file, algorithm } => Keyring::signing_access_by(algorithm).create(&file)?,
            Self::List { file, json } => list(&Keyring::read_former(&file)?, json)?,
            Self::Rotate { file, purpose, algorithm } => {
                let (rotated, fingerprint) = Keyring::change(&file, |keyring| {
                    let rotated = keyring.rotate(purpose, algorithm)?;
                    Ok::<_, RotationError>((rotated, keyring.fingerprint()))
                })?;
                output::text(&next_step(purpose, &rotated, fingerprint))?;
            }
            Self::Retire { file, purpose, id } => {
                if purpose == KeyPurpose::Lookup {
                    refuse_while_identifiers_are_found_by(&id, &sources()?.check()?)?;
                }
                Keyring::change(&file, |keyring| keyring.retire(purpose, &id))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn guard(settings: &Settings, file: &Path) -> Result<(), Failure> {
    let keyring = setup::runtime()?.block_on(setup::keyring(settings))?;
    let keys = export_access_keys(&keyring, &settings.tokens)?;
    let mut made = File::options().write(true).create_new(true).mode(0o600).open(file)?;
    made.write_all(keys.as_bytes())?;
    Ok(made.sync_all()?)
}

fn rewrap(settings: &Settings) -> Result<ExitCode, Failure> {
    let done = setup::with_journal(&settings.as_owner(), async |journal| Ok(journal.rewrap().await?))?;
    output::text(&format!("{} keys wrapped anew, {} cannot be unwrapped\n", done.rewrapped, done.lost))?;
    Ok(if done.lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn rehash(settings: &Settings) -> Result<ExitCode, Failure> {
    let done = setup::with_journal(&settings.as_owner(), async |journal| {
        let mut report = output::ProgressReport::counting("identifiers", "rewrap");
        let done = journal.rehash(&mut |done, of| report.count(done, of, "")).await?;
        report.finish();
        Ok(done)
    })?;
    let RehashReport { rehashed, lost, held } = done;
    output::text(&format!(
        "{rehashed} identifiers hashed anew, {lost} cannot be opened, {held} were held by requests or by another account\n"
    ))?;
    Ok(if lost + held == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn refuse_while_identifiers_are_found_by(id: &str, settings: &Settings) -> Result<(), Failure> {
    let left = setup::with_journal(settings, async |journal| Ok(journal.hashed_with(id).await?))?;
    if left == 0 {
        return Ok(());
    }
    Err(format!(
        "{left} identifiers are still found by the lookup key {id}, or by one whose name was not kept: run `keys rewrap \
         lookup` first, while another key is active"
    )
    .into())
}

/// A keyring, for people and programs to look at.
#[derive(Serialize)]
struct KeyringSummary {
    /// What `counterfoil_keyring_fingerprint` is on every node that has read it.
    fingerprint: u32,
    keys: Vec<ShownKey>,
}

#[derive(Serialize)]
struct ShownKey {
    purpose: KeyPurpose,
    id: String,
    state: KeyState,
    algorithm: Option<SigningAlgorithm>,
}

fn list(keyring: &Keyring, json: bool) -> Result<(), Failure> {
    let key = |key: &KeyringKey| ShownKey {
        purpose: key.purpose,
        id: key.id.to_string(),
        state: key.state,
        algorithm: key.algorithm,
    };
    let shown = KeyringSummary { fingerprint: keyring.fingerprint(), keys: keyring.all().map(key).collect() };
    if json {
        output::json(&shown)?;
        return Ok(());
    }
    let rows = shown.keys.into_iter().map(|key| {
        let algorithm = key.algorithm.map(|algorithm| algorithm.to_string()).unwrap_or_default();
        [key.purpose.to_string(), key.id, key.state.as_str().to_owned(), algorithm]
    });
    output::table(&["purpose", "id", "state", "algorithm"], rows)?;
    output::text(&format!("fingerprint {}\n", shown.fingerprint))?;
    Ok(())
}

/// What was done and what is next, for the operator who rotates.
fn next_step(purpose: KeyPurpose, rotated: &RotationStep, fingerprint: u32) -> String {
    match rotated {
        RotationStep::Begun(id) => {
            format!("The {purpose} key {id} is the first of its purpose, and active.\n")
        }
        RotationStep::Added(id) => format!(
            "The {purpose} key {id} is pending. When every node has read it (its metric \
             counterfoil_keyring_fingerprint is {fingerprint}), run this again to make it active.\n"
        ),
        RotationStep::Activated { active, retiring } => format!(
            "The {purpose} key {active} is active, {retiring} is retiring. Take that out (`keys retire FILE {purpose} \
             {retiring}`) {}.\n",
            when_to_retire(purpose)
        ),
    }
}

/// When nothing is left that only the former key opens.
fn when_to_retire(purpose: KeyPurpose) -> &'static str {
    match purpose {
        KeyPurpose::SealAccess | KeyPurpose::SignAccess => {
            "when the access tokens made with it have expired (tokens.access_lifetime)"
        }
        KeyPurpose::SealRefresh | KeyPurpose::SignRefresh => {
            "when the refresh tokens made with it have expired (sessions.idle)"
        }
        KeyPurpose::Code => "when the codes made with it have expired (codes.lifetime)",
        KeyPurpose::Personal => "when `keys rewrap` has left no account's keys wrapped with it",
        KeyPurpose::Lookup => {
            "when every node has read this and `keys rewrap lookup` has left no identifier under it"
        }
        KeyPurpose::SecondFactor => {
            "when every authenticator enrolled with it has been replaced: its codes are not taken any more after that"
        }
        KeyPurpose::RecoveryCode => "when every batch of recovery codes made with it has been replaced",
        KeyPurpose::Link => "when the sessions that links made with it can end are over (sessions.absolute)",
        KeyPurpose::Cursor => "when no list that was begun before is read any more",
        KeyPurpose::Limit => "at once",
        KeyPurpose::Checkpoint => {
            "when auditors and witnesses verify with the key that is active now (`counterfoil audit keys`); keep its line for them"
        }
        KeyPurpose::Client => "when the sessions that were begun before have ended (sessions.absolute)",
    }
}
