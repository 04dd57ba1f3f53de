//! Where the keyring comes from, and how a running node learns that it has changed.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::signal::unix::Signal;
use zeroize::Zeroizing;

use super::{KeyPurpose, Keyring, KeyringError, KeyringKey};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// After this, no request is left that began with the keyring before and may still write: a command, a connection and a
/// statement take 6.6 seconds at most.
const SETTLED_WITHIN: Duration = Duration::from_secs(7);

/// How long a command may take.
const PRINT_WITHIN: Duration = Duration::from_secs(30);

/// Where the keyring comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyringSource {
    /// A file that no other user can read; a group of the server's process may.
    File(PathBuf),
    /// A program and its arguments, whose standard output is the keyring. It is started as it is, without a shell.
    Command {
        /// The program that writes the keyring.
        program: String,
        /// Its arguments, which may be secret.
        arguments: Vec<String>,
    },
}

impl fmt::Debug for KeyringSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Command { program, arguments: _ } => {
                f.debug_struct("Command").field("program", program).finish_non_exhaustive()
            }
        }
    }
}

/// By which a change of a file is noticed without reading it: its number, size and when it changed.
type Stamp = (u64, u64, i64, i64);

impl KeyringSource {
    /// Reads the keyring.
    ///
    /// # Errors
    /// [`KeyringError`], which tells nothing of what a command printed.
    pub async fn read(&self) -> Result<Keyring, KeyringError> {
        match self {
            Self::File(path) => Keyring::read(path),
            Self::Command { program, arguments } => {
                let printed = printed_by(program, arguments).await;
                let printed =
                    printed.map_err(|error| KeyringError::Command { program: program.clone(), error })?;
                Keyring::parse(&printed)
            }
        }
    }

    /// None for a command, and for a file that is not there.
    fn stamp(&self) -> Option<Stamp> {
        let Self::File(path) = self else { return None };
        let its = fs::metadata(path).ok()?;
        Some((its.ino(), its.size(), its.ctime(), its.ctime_nsec()))
    }
}

async fn printed_by(program: &str, arguments: &[String]) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut command = Command::new(program);
    // What it complains about may quote a secret as well.
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "it did not end in time");
    let output = tokio::time::timeout(PRINT_WITHIN, command.output()).await.map_err(late)??;
    let printed = Zeroizing::new(output.stdout);
    if output.status.success() { Ok(printed) } else { Err(io::Error::other(output.status.to_string())) }
}

/// Hands on each new keyring that the source comes to hold, for ever. A file is looked at twice a second; either source
/// is read when the process is told to. What cannot be used is reported, and the keyring before it stays.
pub async fn follow(
    source: KeyringSource,
    mut present: Keyring,
    mut told: Signal,
    take: impl Fn(&Keyring),
) -> ! {
    let fingerprint = metrics::gauge!("counterfoil_keyring_fingerprint");
    fingerprint.set(present.fingerprint());
    // The first look reads what may have changed since the start.
    let (mut seen, mut is_told) = (None, false);
    loop {
        let stamp = source.stamp();
        if is_told || stamp != seen {
            seen = stamp;
            match source.read().await.and_then(|new| new.succeeding(&present)) {
                Ok(new) if new == present => {}
                Ok(new) => {
                    take(&new);
                    // The next step must not meet what was begun before this one: two requests for one new identifier
                    // would not know of each other.
                    if !new.has_lookup_keys_of(&present) {
                        tokio::time::sleep(SETTLED_WITHIN).await;
                    }
                    fingerprint.set(new.fingerprint());
                    tracing::info!(fingerprint = new.fingerprint(), "took a new keyring");
                    present = new;
                }
                Err(error) => {
                    metrics::counter!("counterfoil_keyring_refused_total").increment(1);
                    tracing::error!(%error, "the keyring cannot be taken; the one before it stays");
                }
            }
        }
        is_told = tokio::select! {
            _ = told.recv() => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
    }
}

impl Keyring {
    /// This keyring, if a node that runs with `present` can go on with it.
    fn succeeding(self, present: &Self) -> Result<Self, KeyringError> {
        let (now, before) = (self.active(KeyPurpose::Lookup), present.active(KeyPurpose::Lookup));
        let has = |keyring: &Self, key: &KeyringKey| {
            keyring.of(KeyPurpose::Lookup).any(|its| its.secret() == key.secret())
        };
        if has(&self, before) || has(present, now) { Ok(self) } else { Err(KeyringError::OtherLookup) }
    }

    /// Whether the lookup keys are those of another keyring, in the same states.
    fn has_lookup_keys_of(&self, other: &Self) -> bool {
        self.of(KeyPurpose::Lookup).eq(other.of(KeyPurpose::Lookup))
    }
}
