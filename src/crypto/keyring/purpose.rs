//! What keys are for.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{KeyringError, SigningAlgorithm};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum KeyPurpose {
    /// The master key that access tokens' seal keys are derived from. 32 bytes.
    SealAccess,
    /// The master key that refresh tokens' seal keys are derived from. 32 bytes.
    SealRefresh,
    /// Signs what is inside an access token, which others may verify. An Ed25519 key pair (PKCS #8), or by choice 32
    /// bytes.
    SignAccess,
    /// Authenticates what is inside a refresh token, which only nodes read. 32 bytes.
    SignRefresh,
    /// One-time codes are derived with it. 32 bytes.
    Code,
    /// Identifiers are looked up by their hash under it. 32 bytes.
    Lookup,
    /// Wraps the keys of accounts' personal data. 32 bytes.
    Personal,
    /// The secrets of authenticators are derived with it. 32 bytes.
    SecondFactor,
    /// Recovery codes are derived with it. 32 bytes.
    RecoveryCode,
    /// Authenticates the links in messages. 32 bytes.
    Link,
    /// Authenticates the cursors of lists. 32 bytes.
    Cursor,
    /// Hashes the addresses and prefixes that limits are counted of. 32 bytes.
    Limit,
    /// Hashes the devices and networks that sessions are used from. 32 bytes.
    Client,
    /// Signs checkpoints of the log, and certificates of erasures, which others may verify. An Ed25519 key pair (PKCS #8).
    Checkpoint,
}

impl KeyPurpose {
    /// Every purpose that there is.
    pub const ALL: [Self; 14] = [
        Self::SealAccess,
        Self::SealRefresh,
        Self::SignAccess,
        Self::SignRefresh,
        Self::Code,
        Self::Lookup,
        Self::Personal,
        Self::SecondFactor,
        Self::RecoveryCode,
        Self::Link,
        Self::Cursor,
        Self::Limit,
        Self::Client,
        Self::Checkpoint,
    ];

    /// The algorithms that a key of this purpose can be for, the usual one first; none where it signs nothing.
    pub(super) fn algorithms(self) -> &'static [SigningAlgorithm] {
        match self {
            Self::SignAccess => &[SigningAlgorithm::Eddsa, SigningAlgorithm::Hs256],
            Self::SignRefresh => &[SigningAlgorithm::Hs256],
            Self::Checkpoint => &[SigningAlgorithm::Eddsa],
            Self::SealAccess
            | Self::SealRefresh
            | Self::Code
            | Self::Lookup
            | Self::Personal
            | Self::SecondFactor
            | Self::RecoveryCode
            | Self::Link
            | Self::Cursor
            | Self::Limit
            | Self::Client => &[],
        }
    }

    /// Whether keyrings were made before there was this purpose. `keys rotate` gives them its first key.
    pub(super) fn came_later(self) -> bool {
        match self {
            Self::SealAccess
            | Self::SealRefresh
            | Self::SignAccess
            | Self::SignRefresh
            | Self::Code
            | Self::Lookup
            | Self::Personal => false,
            Self::SecondFactor
            | Self::RecoveryCode
            | Self::Link
            | Self::Cursor
            | Self::Limit
            | Self::Client
            | Self::Checkpoint => true,
        }
    }

    /// The algorithm of a key of this purpose: the one that is wanted, or the usual one.
    pub(super) fn algorithm(
        self,
        wanted: Option<SigningAlgorithm>,
    ) -> Result<Option<SigningAlgorithm>, KeyringError> {
        match wanted {
            None => Ok(self.algorithms().first().copied()),
            Some(wanted) if self.algorithms().contains(&wanted) => Ok(Some(wanted)),
            Some(wanted) => Err(KeyringError::Algorithm(self, wanted)),
        }
    }
}

/// As in the keyring: `seal_access`.
impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no purpose is hidden from the command line");
        f.write_str(value.get_name())
    }
}
