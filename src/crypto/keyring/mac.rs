//! The keys of one purpose, as they authenticate and derive by HMAC with SHA-256.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use aws_lc_rs::{digest, hmac};

use super::{KeyId, KeyPurpose, KeyState, Keyring, KeyringKey};

/// The keys of one purpose, derived for one use. They follow the keyring: every clone changes with it.
#[derive(Clone)]
pub struct MacKeys {
    purpose: KeyPurpose,
    derived_for: &'static [u8],
    keys: Arc<ArcSwap<MacKeyRing>>,
}

/// The keys of one purpose as they stand in one keyring.
pub struct MacKeyRing {
    /// The active one first.
    keys: Vec<MacKey>,
}

/// One key, with its name.
pub struct MacKey {
    id: KeyId,
    key: hmac::Key,
}

impl fmt::Debug for MacKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MacKeys").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

impl MacKeys {
    /// The keyring's keys of that purpose, derived for a use.
    pub fn new(keyring: &Keyring, purpose: KeyPurpose, derived_for: &'static [u8]) -> Self {
        let keys = MacKeyRing::new(keyring, purpose, derived_for);
        Self { purpose, derived_for, keys: Arc::new(ArcSwap::from_pointee(keys)) }
    }

    /// Goes on with another keyring's keys, here and in every clone.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.keys.store(Arc::new(MacKeyRing::new(keyring, self.purpose, self.derived_for)));
    }

    /// The keys as they stand. What is made and checked together is made and checked with one load.
    pub fn load(&self) -> Guard<Arc<MacKeyRing>> {
        self.keys.load()
    }
}

impl MacKeyRing {
    fn new(keyring: &Keyring, purpose: KeyPurpose, derived_for: &[u8]) -> Self {
        let derive = |key: &KeyringKey| MacKey {
            id: key.id.clone(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &*key.derive(&[derived_for])),
        };
        let others = keyring.of(purpose).filter(|key| key.state != KeyState::Active);
        Self { keys: std::iter::once(keyring.active(purpose)).chain(others).map(derive).collect() }
    }

    /// The key that makes what is new.
    pub fn active(&self) -> &MacKey {
        &self.keys[0]
    }

    /// Every key, the active one first.
    pub fn all(&self) -> impl Iterator<Item = &MacKey> {
        self.keys.iter()
    }

    /// The keys that are not active.
    pub fn others(&self) -> &[MacKey] {
        &self.keys[1..]
    }

    /// The key whose name those four bytes stand for.
    pub fn find_by_tag(&self, tag: [u8; 4]) -> Option<&MacKey> {
        self.keys.iter().find(|key| key_tag(&key.id) == tag)
    }

    /// The key of that name.
    pub fn find(&self, id: &str) -> Option<&MacKey> {
        self.keys.iter().find(|key| key.id.as_str() == id)
    }
}

impl MacKey {
    /// The name of the key.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Four bytes that stand for its name where there is room for no more.
    pub fn tag(&self) -> [u8; 4] {
        key_tag(&self.id)
    }

    /// The HMAC key itself.
    pub fn key(&self) -> &hmac::Key {
        &self.key
    }
}

/// The first four bytes of SHA-256 of a key's name.
pub fn key_tag(id: &KeyId) -> [u8; 4] {
    let digest = digest::digest(&digest::SHA256, id.as_str().as_bytes());
    std::array::from_fn(|byte| digest.as_ref()[byte])
}
