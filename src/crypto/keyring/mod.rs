//! The keys of an installation: a document of JSON that no database holds.
//!
//! Each key has one purpose. For each purpose one key is active, which makes what is new. A pending one opens what
//! other nodes make with it already; retiring ones still open what is old. So a key can be replaced on several nodes,
//! one after the other, and none of them meets what it cannot open. Keys of different purposes are independent, so that
//! losing one loses one, and each can be replaced without the others.

mod check;
mod file;
mod mac;
mod purpose;
mod rotation;
mod source;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fmt, io};

use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::{digest, hkdf};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::entropy;

pub use mac::{MacKey, MacKeyRing, MacKeys, key_tag};
pub use purpose::KeyPurpose;
pub use rotation::{RotationError, RotationStep};
pub use source::{KeyringSource, follow};

/// By what a key signs. It is the key's to say and never the token's, and each key is for one (RFC 8725, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum SigningAlgorithm {
    /// Ed25519 (RFC 8037): a key that verifies cannot sign.
    Eddsa,
    /// HMAC with SHA-256 (RFC 7518, section 3.2): a key that verifies can sign.
    Hs256,
}

/// As in the keyring: `eddsa`.
impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eddsa => "eddsa",
            Self::Hs256 => "hs256",
        })
    }
}

/// The name of a key: 1 to 12 lower-case letters and digits. It stands in tokens and rows, and selects the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyId(String);

impl KeyId {
    /// The name of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyringError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let right = (1..=12).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        right.then_some(Self(text)).ok_or(KeyringError::Malformed("a key's id is 1 to 12 letters and digits"))
    }
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Opens what other nodes make with it, and will make.
    Pending,
    /// The key makes and opens.
    Active,
    /// Opens what it made.
    Retiring,
}

impl KeyState {
    /// As in the keyring: `pending`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retiring => "retiring",
        }
    }
}

/// One key of the keyring.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyringKey {
    /// The name of the key.
    pub id: KeyId,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// By what it signs, where it signs.
    pub algorithm: Option<SigningAlgorithm>,
    /// Where it is in its life.
    pub state: KeyState,
    secret: Zeroizing<Vec<u8>>,
}

impl KeyringKey {
    /// The secret: a PKCS #8 document for [`SigningAlgorithm::Eddsa`], else 32 bytes.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    fn generate(purpose: KeyPurpose, algorithm: Option<SigningAlgorithm>, state: KeyState) -> Self {
        let secret = match algorithm {
            Some(SigningAlgorithm::Eddsa) => Ed25519KeyPair::generate()
                .and_then(|pair| Ok(pair.to_pkcs8v1()?.as_ref().to_vec()))
                .expect("the operating system gives randomness"),
            Some(SigningAlgorithm::Hs256) | None => entropy::bytes::<32>().to_vec(),
        };
        let id = KeyId(format!("{:08x}", u32::from_be_bytes(entropy::bytes())));
        Self { id, purpose, algorithm, state, secret: Zeroizing::new(secret) }
    }

    /// The random bytes that the key is made of; none when it is no key of its kind.
    fn seed(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.algorithm != Some(SigningAlgorithm::Eddsa) {
            return Some(self.secret.clone());
        }
        let seed = Ed25519KeyPair::from_pkcs8(self.secret()).ok()?.seed().ok()?.as_be_bytes().ok()?;
        Some(Zeroizing::new(seed.as_ref().to_vec()))
    }

    /// A 32-byte key for the use that `info` describes, by HKDF with SHA-256 (RFC 5869).
    pub fn derive(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"counterfoil/v1")
            .extract(self.secret())
            .expand(info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(derived.as_mut()))
            .expect("32 bytes is the length of one SHA-256 output");
        derived
    }
}

impl fmt::Debug for KeyringKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, purpose, algorithm, state, secret: _ } = self;
        f.debug_struct("Key")
            .field("id", id)
            .field("purpose", purpose)
            .field("algorithm", algorithm)
            .field("state", state)
            .finish_non_exhaustive()
    }
}

/// Why there is no usable keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file of the keyring.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file can be read by others than its owner and the groups of this process, or written by others than its owner.
    #[error(
        "{0}: other users can read it; take that away with `chmod 600`, or with `chmod 640` for a group of this process"
    )]
    Exposed(PathBuf),
    /// The command that prints the keyring failed.
    #[error("keyring.command: {program}: {error}")]
    Command {
        /// The program that writes the keyring.
        program: String,
        /// What the system said; nothing that the command printed.
        error: io::Error,
    },
    /// The keyring looks identifiers up by other keys than the database does.
    #[error("the keyring has other lookup keys: no account would be found by them")]
    OtherLookup,
    /// The keyring has more lookup keys than identifiers can be found by.
    #[error("the keyring has more than two lookup keys: one is replaced by one, and then taken out")]
    ManyLookup,
    /// The file is no keyring.
    #[error("the keyring is malformed: {0}")]
    Malformed(&'static str),
    /// The file is not the JSON of a keyring. What is there instead is not told: it may be a secret in a wrong place.
    #[error("the keyring is malformed: line {line}, column {column}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The byte in the line, from 1.
        column: usize,
    },
    /// A key whose algorithm is none that its purpose knows.
    #[error("a {0} key is not for {1}")]
    Algorithm(KeyPurpose, SigningAlgorithm),
    /// A key that can be guessed.
    #[error("key {0} is too short or too regular to be random")]
    Weak(KeyId),
    /// A key that stands in documents for everybody to read.
    #[error("key {0} is an example that is known to everybody")]
    Known(KeyId),
    /// A key that is another one's secret under another name.
    #[error("key {0} has the same secret as another key")]
    Twice(KeyId),
    /// A purpose has no key, or more than one, to make what is new with.
    #[error("the keyring needs exactly one active key for {0}")]
    NotOneActive(KeyPurpose),
    /// The keyring was made before there were these purposes.
    #[error(
        "the keyring has no key for {}: give it one for each by `counterfoil keys rotate FILE PURPOSE`",
        .0.iter().map(KeyPurpose::to_string).collect::<Vec<_>>().join(", ")
    )]
    Lacking(Vec<KeyPurpose>),
    /// A purpose has more than one key that waits to become active.
    #[error("the keyring has more than one pending key for {0}")]
    ManyPending(KeyPurpose),
}

impl From<serde_json::Error> for KeyringError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json { line: error.line(), column: error.column() }
    }
}

/// The keys of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    keys: BTreeMap<(KeyPurpose, KeyId), KeyringKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyringDocument {
    version: u32,
    keys: Vec<KeyringEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyringEntry {
    id: KeyId,
    purpose: KeyPurpose,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    algorithm: Option<SigningAlgorithm>,
    state: KeyState,
    secret: Zeroizing<String>,
}

impl Keyring {
    /// A keyring of fresh keys, one for each purpose, each for the usual algorithm.
    pub fn generate() -> Self {
        Self::signing_access_by(SigningAlgorithm::Eddsa)
    }

    /// A keyring of fresh keys whose access tokens are signed by that algorithm.
    pub fn signing_access_by(access: SigningAlgorithm) -> Self {
        let keys = KeyPurpose::ALL.map(|purpose| {
            let usual = purpose.algorithms().first().copied();
            let algorithm = if purpose == KeyPurpose::SignAccess { Some(access) } else { usual };
            KeyringKey::generate(purpose, algorithm, KeyState::Active)
        });
        Self { keys: keys.map(|key| ((key.purpose, key.id.clone()), key)).into() }
    }

    /// Reads a keyring.
    ///
    /// # Errors
    /// [`KeyringError`] when it holds no complete set of strong keys, all different.
    fn parse(text: &[u8]) -> Result<Self, KeyringError> {
        let keyring = Self::parse_former(text)?;
        let lacking: Vec<KeyPurpose> = keyring.lacking().collect();
        if lacking.is_empty() { Ok(keyring) } else { Err(KeyringError::Lacking(lacking)) }
    }

    /// Reads a keyring that may lack the purposes that came later, to complete it. It cannot be served with.
    fn parse_former(text: &[u8]) -> Result<Self, KeyringError> {
        let document: KeyringDocument = serde_json::from_slice(text)?;
        if document.version != 1 {
            return Err(KeyringError::Malformed("its version is not 1"));
        }
        let (mut keys, mut seeds) = (BTreeMap::new(), Vec::new());
        for KeyringEntry { id, purpose, algorithm, state, secret } in document.keys {
            let secret = STANDARD
                .decode(secret.as_bytes())
                .map_err(|_| KeyringError::Malformed("a secret is not base64"))?;
            let algorithm = purpose.algorithm(algorithm)?;
            let key =
                KeyringKey { id: id.clone(), purpose, algorithm, state, secret: Zeroizing::new(secret) };
            let seed = key.checked_seed()?;
            if seeds.contains(&seed) {
                return Err(KeyringError::Twice(id));
            }
            seeds.push(seed);
            if keys.insert((purpose, id), key).is_some() {
                return Err(KeyringError::Malformed("two keys of one purpose have the same id"));
            }
        }
        let keyring = Self { keys };
        let lacking: Vec<KeyPurpose> = keyring.lacking().collect();
        for purpose in KeyPurpose::ALL.into_iter().filter(|purpose| !lacking.contains(purpose)) {
            let count = |state| keyring.of(purpose).filter(|key| key.state == state).count();
            if count(KeyState::Active) != 1 {
                return Err(KeyringError::NotOneActive(purpose));
            }
            if count(KeyState::Pending) > 1 {
                return Err(KeyringError::ManyPending(purpose));
            }
        }
        if keyring.of(KeyPurpose::Lookup).count() > 2 {
            return Err(KeyringError::ManyLookup);
        }
        Ok(keyring)
    }

    /// The purposes that came later and have no key at all.
    fn lacking(&self) -> impl Iterator<Item = KeyPurpose> {
        let lacks = |purpose: &KeyPurpose| purpose.came_later() && self.of(*purpose).next().is_none();
        KeyPurpose::ALL.into_iter().filter(lacks)
    }

    fn document(&self) -> KeyringDocument {
        let entry = |key: &KeyringKey| KeyringEntry {
            id: key.id.clone(),
            purpose: key.purpose,
            algorithm: key.algorithm,
            state: key.state,
            secret: Zeroizing::new(STANDARD.encode(key.secret())),
        };
        KeyringDocument { version: 1, keys: self.keys.values().map(entry).collect() }
    }

    fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
        Ok(Zeroizing::new(serde_json::to_vec_pretty(&self.document())?))
    }

    /// A number that is the same wherever the same keys are in the same states, and tells nothing of their secrets.
    pub fn fingerprint(&self) -> u32 {
        let lines = self.all().map(|key| format!("{} {} {}\n", key.purpose, key.id, key.state.as_str()));
        let digest = digest::digest(&digest::SHA256, lines.collect::<String>().as_bytes());
        digest.as_ref().iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    /// Whether every key of `before` for these purposes is still among these keys, whatever its state.
    pub fn keeps(&self, before: &Self, purposes: &[KeyPurpose]) -> bool {
        before
            .all()
            .filter(|key| purposes.contains(&key.purpose))
            .all(|key| self.find(key.purpose, key.id.as_str()).is_some_and(|kept| kept.secret == key.secret))
    }

    /// All keys, by purpose.
    pub fn all(&self) -> impl Iterator<Item = &KeyringKey> {
        self.keys.values()
    }

    /// The key that makes what is new.
    ///
    /// # Panics
    /// Never: a keyring without one is refused when it is read.
    pub fn active(&self, purpose: KeyPurpose) -> &KeyringKey {
        self.of(purpose).find(|key| key.state == KeyState::Active).expect("checked when the keyring was read")
    }

    /// The key of that name, if it may still open what is old.
    pub fn find(&self, purpose: KeyPurpose, id: &str) -> Option<&KeyringKey> {
        self.of(purpose).find(|key| key.id.as_str() == id)
    }

    /// All keys of a purpose.
    pub fn of(&self, purpose: KeyPurpose) -> impl Iterator<Item = &KeyringKey> {
        self.keys.values().filter(move |key| key.purpose == purpose)
    }
}

#[cfg(test)]
mod tests;
