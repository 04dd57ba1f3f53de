//! The keys of an installation: a file of JSON that no database holds.
//!
//! Each key has one purpose. For each purpose one key is active, which makes what is new; others may be retiring,
//! which still open what is old. Keys for tokens, codes, lookups and personal data are independent, so that losing
//! one loses one.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::{hkdf, signature::KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::entropy;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The master key that access tokens' seal keys are derived from. 32 bytes.
    SealAccess,
    /// The master key that refresh tokens' seal keys are derived from. 32 bytes.
    SealRefresh,
    /// Signs what is inside an access token, which others may verify. An Ed25519 key pair (PKCS #8).
    SignAccess,
    /// Authenticates what is inside a refresh token, which nobody else reads. 32 bytes.
    SignRefresh,
    /// One-time codes are derived with it. 32 bytes.
    Code,
    /// Identifiers are looked up by their hash under it. 32 bytes.
    Lookup,
    /// Wraps the keys of accounts' personal data. 32 bytes.
    Personal,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 7] = [
        Self::SealAccess,
        Self::SealRefresh,
        Self::SignAccess,
        Self::SignRefresh,
        Self::Code,
        Self::Lookup,
        Self::Personal,
    ];

    /// Whether its keys are Ed25519 key pairs; the others are 32 random bytes.
    fn is_key_pair(self) -> bool {
        self == Self::SignAccess
    }
}

/// The name of a key: 1 to 12 lower-case letters and digits. It stands in tokens and rows, and selects the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyId(String);

impl KeyId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
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

/// Whether a key makes what is new, or only opens what is old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Makes and opens.
    Active,
    /// Opens.
    Retiring,
}

/// One key.
#[derive(Clone)]
pub struct Key {
    /// Its name.
    pub id: KeyId,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether it makes what is new.
    pub state: KeyState,
    secret: Zeroizing<Vec<u8>>,
}

impl Key {
    /// The secret: 32 bytes, or a PKCS #8 document for [`Purpose::SignAccess`].
    pub fn secret(&self) -> &[u8] {
        &self.secret
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

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, purpose, state, secret: _ } = self;
        f.debug_struct("Key")
            .field("id", id)
            .field("purpose", purpose)
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
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Others than its owner can read the file.
    #[error("{0}: other users can read it; take that away with `chmod 600`")]
    Exposed(PathBuf),
    /// The file is no keyring.
    #[error("the keyring is malformed: {0}")]
    Malformed(&'static str),
    /// The file is not the JSON of a keyring.
    #[error("the keyring is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// A key that anybody could guess.
    #[error("key {0} is too short or too regular to be random")]
    Weak(String),
    /// A purpose has no key, or more than one, to make what is new with.
    #[error("the keyring needs exactly one active key for {0:?}")]
    NotOneActive(Purpose),
}

/// The keys of an installation.
#[derive(Clone, Debug)]
pub struct Keyring {
    keys: BTreeMap<(Purpose, KeyId), Key>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: KeyId,
    purpose: Purpose,
    state: KeyState,
    secret: Zeroizing<String>,
}

impl Keyring {
    /// A keyring of fresh keys, one for each purpose.
    pub fn generate() -> Self {
        let keys = Purpose::ALL.map(|purpose| {
            let secret = if purpose.is_key_pair() {
                Ed25519KeyPair::generate()
                    .and_then(|pair| Ok(pair.to_pkcs8v1()?.as_ref().to_vec()))
                    .expect("the operating system gives randomness")
            } else {
                entropy::bytes::<32>().to_vec()
            };
            let id = KeyId(format!("{:08x}", u32::from_be_bytes(entropy::bytes())));
            (
                (purpose, id.clone()),
                Key { id, purpose, state: KeyState::Active, secret: Zeroizing::new(secret) },
            )
        });
        Self { keys: keys.into() }
    }

    /// Reads a keyring from a file that its owner alone can read.
    ///
    /// # Errors
    /// [`KeyringError`] when it cannot be read, can be read by others, or holds no complete set of strong keys.
    pub fn read(path: &Path) -> Result<Self, KeyringError> {
        let file_error = |error| KeyringError::File { path: path.to_owned(), error };
        let mode = fs::metadata(path).map_err(file_error)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(KeyringError::Exposed(path.to_owned()));
        }
        let text = Zeroizing::new(fs::read(path).map_err(file_error)?);
        Self::parse(&text)
    }

    /// Writes the keyring to a new file, readable by its owner alone.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create(&self, path: &Path) -> Result<(), KeyringError> {
        let file_error = |error| KeyringError::File { path: path.to_owned(), error };
        let text = Zeroizing::new(serde_json::to_vec_pretty(&self.document())?);
        // Linked into place when complete, so that another node never reads half of it.
        let draft = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)
            .map_err(file_error)?;
        let written =
            file.write_all(&text).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&draft, path));
        fs::remove_file(&draft).map_err(file_error)?;
        written.map_err(file_error)
    }

    fn parse(text: &[u8]) -> Result<Self, KeyringError> {
        let document: Document = serde_json::from_slice(text)?;
        if document.version != 1 {
            return Err(KeyringError::Malformed("its version is not 1"));
        }
        let mut keys = BTreeMap::new();
        for Entry { id, purpose, state, secret } in document.keys {
            let secret = STANDARD
                .decode(secret.as_bytes())
                .map_err(|_| KeyringError::Malformed("a secret is not base64"))?;
            let key = Key { id: id.clone(), purpose, state, secret: Zeroizing::new(secret) };
            key.check()?;
            if keys.insert((purpose, id), key).is_some() {
                return Err(KeyringError::Malformed("two keys of one purpose have the same id"));
            }
        }
        let keyring = Self { keys };
        for purpose in Purpose::ALL {
            if keyring.of(purpose).filter(|key| key.state == KeyState::Active).count() != 1 {
                return Err(KeyringError::NotOneActive(purpose));
            }
        }
        Ok(keyring)
    }

    fn document(&self) -> Document {
        let entry = |key: &Key| Entry {
            id: key.id.clone(),
            purpose: key.purpose,
            state: key.state,
            secret: Zeroizing::new(STANDARD.encode(key.secret())),
        };
        Document { version: 1, keys: self.keys.values().map(entry).collect() }
    }

    /// The key that makes what is new.
    ///
    /// # Panics
    /// Never: a keyring without one is refused when it is read.
    pub fn active(&self, purpose: Purpose) -> &Key {
        self.of(purpose).find(|key| key.state == KeyState::Active).expect("checked when the keyring was read")
    }

    /// The key of that name, if it may still open what is old.
    pub fn find(&self, purpose: Purpose, id: &str) -> Option<&Key> {
        self.of(purpose).find(|key| key.id.as_str() == id)
    }

    /// All keys of a purpose.
    pub fn of(&self, purpose: Purpose) -> impl Iterator<Item = &Key> {
        self.keys.values().filter(move |key| key.purpose == purpose)
    }
}

impl Key {
    fn check(&self) -> Result<(), KeyringError> {
        let weak = || KeyringError::Weak(self.id.as_str().to_owned());
        if self.purpose.is_key_pair() {
            let pair = Ed25519KeyPair::from_pkcs8(self.secret()).map_err(|_| weak())?;
            return (pair.public_key().as_ref().len() == 32).then_some(()).ok_or_else(weak);
        }
        let mut bytes = self.secret().to_vec();
        bytes.sort_unstable();
        bytes.dedup();
        // 32 random bytes have about 30 different values; fewer than 16 happens once in 10^15 keyrings.
        (self.secret().len() == 32 && bytes.len() >= 16).then_some(()).ok_or_else(weak)
    }
}

#[cfg(test)]
mod tests {
    use super::{Keyring, KeyringError, Purpose};

    #[test]
    fn a_generated_keyring_reads_back_and_can_be_used() {
        let keyring = Keyring::generate();
        let text = serde_json::to_vec(&keyring.document()).expect("json");
        let read = Keyring::parse(&text).expect("reads back");
        for purpose in Purpose::ALL {
            assert_eq!(read.active(purpose).secret(), keyring.active(purpose).secret());
        }
    }

    #[test]
    fn weak_short_and_missing_keys_are_refused() {
        let text = serde_json::to_string(&Keyring::generate().document()).expect("json");
        let mut document: serde_json::Value = serde_json::from_str(&text).expect("json");
        for secret in ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "c2hvcnQ=", ""] {
            document["keys"][0]["secret"] = secret.into();
            let refused = Keyring::parse(document.to_string().as_bytes());
            assert!(matches!(refused, Err(KeyringError::Weak(_))), "{secret:?}: {refused:?}");
        }
        document["keys"].as_array_mut().expect("keys").remove(0);
        let refused = Keyring::parse(document.to_string().as_bytes());
        assert!(matches!(refused, Err(KeyringError::NotOneActive(Purpose::SealAccess))), "{refused:?}");
    }

    #[test]
    fn a_key_never_shows_its_secret() {
        let shown = format!("{:?}", Keyring::generate());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
