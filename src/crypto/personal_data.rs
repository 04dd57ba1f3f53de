//! Personal data at rest: sealed under keys of the account it belongs to.
//!
//! An account has one key for who its user is and, for each quarter of a year, one for where they were, so that old network
//! data can be let go while the account lives. Keys are random, kept wrapped in `account_keys`, and never leave this
//! module in the clear. All sealing is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random nonce and the
//! place of the ciphertext as associated data, so that nothing sealed can be moved elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use chrono::{DateTime, Datelike as _, Utc};
use counterfoil_domain::user_account::{PersonalDetails, UserAccountEvent};
use counterfoil_domain::values::{AccountId, Client, Identifier};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::crypto::entropy;
use crate::crypto::keyring::{KeyPurpose, KeyState, Keyring, KeyringKey};

const NONCE: usize = 24;

/// What cannot be opened: altered, moved, or sealed under a key that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed data cannot be opened")]
pub struct UnsealError;

/// What a key of an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyScope {
    /// Who the person is, and the account's state.
    Person,
    /// From where the user came in a quarter of a year.
    Origin {
        /// The year, in UTC.
        year: i32,
        /// The quarter, 1 to 4.
        quarter: u32,
    },
}

impl KeyScope {
    /// The scope of the place that a command of that time came from.
    pub fn origin_at(at: DateTime<Utc>) -> Self {
        Self::Origin { year: at.year(), quarter: at.month0() / 3 + 1 }
    }
}

/// As in the `scope` column: `person`, or `origin-2026Q4`.
impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person => f.write_str("person"),
            Self::Origin { year, quarter } => write!(f, "origin-{year}Q{quarter}"),
        }
    }
}

impl FromStr for KeyScope {
    type Err = UnsealError;

    fn from_str(text: &str) -> Result<Self, UnsealError> {
        if text == "person" {
            return Ok(Self::Person);
        }
        let (year, quarter) =
            text.strip_prefix("origin-").and_then(|rest| rest.split_once('Q')).ok_or(UnsealError)?;
        let (year, quarter) =
            (year.parse().map_err(|_| UnsealError)?, quarter.parse().map_err(|_| UnsealError)?);
        Ok(Self::Origin { year, quarter })
    }
}

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// What it is for, as [`KeyScope`] writes it.
    pub scope: String,
    /// The key of the keyring that it is wrapped with.
    pub wrapping_id: String,
    /// The key, wrapped by a key of the keyring.
    pub wrapped: Vec<u8>,
}

impl WrappedKey {
    /// Reads a row of `account_keys`.
    pub fn of(row: &tokio_postgres::Row) -> Self {
        Self { scope: row.get("scope"), wrapping_id: row.get("wrapping_id"), wrapped: row.get("wrapped") }
    }
}

/// By what an identifier is found: keyed hashes of 32 bytes, worth nothing without the keys. There is one for each lookup key
/// of the keyring: one, or two while the key is being replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupHashes {
    /// The hash under the active key, by which a new row is written.
    pub active: Vec<u8>,
    /// The name of the active key.
    pub key_id: Arc<str>,
    /// The hash under the other key.
    pub other: Option<Vec<u8>>,
    /// Whether the other key is the older one of the two.
    other_is_older: bool,
}

impl LookupHashes {
    /// Every hash, the active one first.
    pub fn all(&self) -> impl Iterator<Item = &Vec<u8>> {
        std::iter::once(&self.active).chain(&self.other)
    }

    /// The hash that is unique among all rows that are written while there are two keys, whichever of them is active on a
    /// node: the one under the older key. None while there is one key.
    pub fn guard(&self) -> Option<&[u8]> {
        let other = self.other.as_ref()?;
        Some(if self.other_is_older { other } else { &self.active })
    }
}

/// Wraps and unwraps accounts' keys, and hashes identifiers for their lookup.
#[derive(Clone)]
pub struct PersonalData {
    keys: Arc<ArcSwap<WrappingKeys>>,
}

struct WrappingKeys {
    wrapping: BTreeMap<String, XChaCha20Poly1305>,
    active: String,
    lookup: LookupKey,
    /// Pending or retiring, while the lookup key is being replaced.
    other_lookup: Option<LookupKey>,
}

struct LookupKey {
    id: Arc<str>,
    state: KeyState,
    key: hmac::Key,
}

impl LookupKey {
    fn new(key: &KeyringKey) -> Self {
        let derived = hmac::Key::new(hmac::HMAC_SHA256, &*key.derive(&[b"identifier"]));
        Self { id: key.id.as_str().into(), state: key.state, key: derived }
    }

    fn hash(&self, text: &str) -> Vec<u8> {
        hmac::sign(&self.key, text.as_bytes()).as_ref().to_vec()
    }
}

impl fmt::Debug for PersonalData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonalData").field("active", &self.keys.load().active).finish_non_exhaustive()
    }
}

impl WrappingKeys {
    fn new(keyring: &Keyring) -> Self {
        let cipher = |info: &[&[u8]], key: &KeyringKey| XChaCha20Poly1305::new((&*key.derive(info)).into());
        Self {
            wrapping: keyring
                .of(KeyPurpose::Personal)
                .map(|key| (key.id.as_str().to_owned(), cipher(&[b"wrap"], key)))
                .collect(),
            active: keyring.active(KeyPurpose::Personal).id.as_str().to_owned(),
            lookup: LookupKey::new(keyring.active(KeyPurpose::Lookup)),
            other_lookup: keyring
                .of(KeyPurpose::Lookup)
                .find(|key| key.state != KeyState::Active)
                .map(LookupKey::new),
        }
    }

    fn wrap(&self, account: AccountId, scope: String, secret: &[u8]) -> WrappedKey {
        let wrapped = seal(&self.wrapping[&self.active], &wrapped_place(account, &scope), secret);
        WrappedKey { scope, wrapping_id: self.active.clone(), wrapped }
    }

    fn unwrap(&self, account: AccountId, stored: &WrappedKey) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let WrappedKey { scope, wrapping_id, wrapped } = stored;
        let key = self.wrapping.get(wrapping_id).ok_or(UnsealError)?;
        open(key, &wrapped_place(account, scope), wrapped).map(Zeroizing::new)
    }
}

fn wrapped_place(account: AccountId, scope: &str) -> Vec<u8> {
    [b"account-key", account.0.as_bytes().as_slice(), scope.as_bytes()].concat()
}

impl PersonalData {
    /// Personal data under the keyring's keys.
    pub fn new(keyring: &Keyring) -> Self {
        Self { keys: Arc::new(ArcSwap::from_pointee(WrappingKeys::new(keyring))) }
    }

    /// Goes on with another keyring's keys, here and in every clone. What was unwrapped stays so.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.keys.store(Arc::new(WrappingKeys::new(keyring)));
    }

    /// The name of the key that new keys are wrapped with.
    pub fn wrapping_id(&self) -> String {
        self.keys.load().active.clone()
    }

    /// A key as it is to be stored from now on: the same one, wrapped with the active key.
    ///
    /// # Errors
    /// [`UnsealError`] when it cannot be unwrapped.
    pub fn rewrap(&self, account: AccountId, stored: &WrappedKey) -> Result<WrappedKey, UnsealError> {
        let keys = self.keys.load();
        Ok(keys.wrap(account, stored.scope.clone(), &keys.unwrap(account, stored)?))
    }

    /// By what an identifier is found.
    pub fn lookup(&self, identifier: &Identifier) -> LookupHashes {
        let text = format!("{}\0{}", identifier.channel().as_str(), identifier.as_str());
        let keys = self.keys.load();
        let other = keys.other_lookup.as_ref();
        LookupHashes {
            active: keys.lookup.hash(&text),
            key_id: keys.lookup.id.clone(),
            other: other.map(|key| key.hash(&text)),
            other_is_older: other.is_some_and(|key| key.state == KeyState::Retiring),
        }
    }

    /// The name of the key under whose hashes new identifiers are found.
    pub fn lookup_key_id(&self) -> Arc<str> {
        self.keys.load().lookup.id.clone()
    }

    /// An account's keys as they were stored. A key that cannot be unwrapped is one that is gone.
    pub fn unwrap(&self, account: AccountId, stored: impl IntoIterator<Item = WrappedKey>) -> AccountKeys {
        let mut keys = AccountKeys { account, keys: Vec::new() };
        let wrapping = self.keys.load();
        for stored in stored {
            let opened = wrapping.unwrap(account, &stored).ok();
            let cipher = opened.and_then(|secret| XChaCha20Poly1305::new_from_slice(&secret).ok());
            if let (Some(cipher), Ok(scope)) = (cipher, stored.scope.parse()) {
                keys.keys.push((scope, cipher));
            }
        }
        keys
    }

    /// An account's keys in the clear, for a reader who is to verify what they open.
    pub fn unwrap_secrets(
        &self,
        account: AccountId,
        stored: impl IntoIterator<Item = WrappedKey>,
    ) -> BTreeMap<KeyScope, Zeroizing<Vec<u8>>> {
        let wrapping = self.keys.load();
        let opened = stored
            .into_iter()
            .filter_map(|stored| Some((stored.scope.parse().ok()?, wrapping.unwrap(account, &stored).ok()?)));
        opened.collect()
    }

    /// Makes the keys that an account lacks, and gives them as they are to be stored.
    pub fn add_missing(
        &self,
        keys: &mut AccountKeys,
        scopes: impl IntoIterator<Item = KeyScope>,
    ) -> Vec<WrappedKey> {
        let mut added = Vec::new();
        for scope in scopes {
            if keys.has(scope) {
                continue;
            }
            let secret = Zeroizing::new(entropy::bytes::<32>());
            keys.keys.push((scope, XChaCha20Poly1305::new((&*secret).into())));
            added.push(self.keys.load().wrap(keys.account, scope.to_string(), &*secret));
        }
        added
    }
}

/// The keys of one account.
#[derive(Clone)]
pub struct AccountKeys {
    account: AccountId,
    keys: Vec<(KeyScope, XChaCha20Poly1305)>,
}

impl fmt::Debug for AccountKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKeys").field("account", &self.account).finish_non_exhaustive()
    }
}

impl AccountKeys {
    /// The keys of these secrets, 32 bytes each.
    pub fn from_secrets(account: AccountId, secrets: &BTreeMap<KeyScope, Zeroizing<Vec<u8>>>) -> Self {
        let cipher = |secret: &Zeroizing<Vec<u8>>| XChaCha20Poly1305::new_from_slice(secret).ok();
        let keys = secrets.iter().filter_map(|(scope, secret)| Some((*scope, cipher(secret)?)));
        Self { account, keys: keys.collect() }
    }

    /// Whether the personal part of an event says who, and whether it says where from; `None` where it is none.
    pub fn sealed_parts(personal: &[u8]) -> Option<(bool, bool)> {
        let (length, rest) = personal.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (person, client) = rest.split_at_checked(length)?;
        Some((!person.is_empty(), !client.is_empty()))
    }

    /// How much memory the keys take besides the value itself, in bytes.
    pub fn heap_bytes(&self) -> usize {
        self.keys.capacity() * size_of::<(KeyScope, XChaCha20Poly1305)>()
    }

    /// Whether there is a key of that scope.
    pub fn has(&self, scope: KeyScope) -> bool {
        self.key(scope).is_some()
    }

    fn key(&self, scope: KeyScope) -> Option<&XChaCha20Poly1305> {
        self.keys.iter().find(|(its, _)| *its == scope).map(|(_, key)| key)
    }

    /// Seals a value under the key of `scope`, bound to `place`.
    ///
    /// # Panics
    /// When the account has no key of that scope: sealing makes it first.
    pub fn seal<T: Serialize>(&self, scope: KeyScope, place: &str, value: &T) -> Vec<u8> {
        let plain = Zeroizing::new(serde_json::to_vec(value).expect("texts and numbers are JSON"));
        let key = self.key(scope).expect("keys are made before anything is sealed");
        seal(key, &self.place(place), &plain)
    }

    /// Opens what [`Self::seal`] sealed.
    ///
    /// # Errors
    /// [`UnsealError`] when the key is gone, or the bytes are not what was sealed there.
    pub fn open<T: DeserializeOwned>(
        &self,
        scope: KeyScope,
        place: &str,
        sealed: &[u8],
    ) -> Result<T, UnsealError> {
        let key = self.key(scope).ok_or(UnsealError)?;
        let plain = Zeroizing::new(open(key, &self.place(place), sealed)?);
        serde_json::from_slice(&plain).map_err(|_| UnsealError)
    }

    /// The personal part of an event: who, then where from, each sealed under its own key.
    pub fn seal_event(&self, sequence: i64, event: &UserAccountEvent) -> Option<Vec<u8>> {
        if event.person.is_none() && event.client.is_none() {
            return None;
        }
        let place = event_place(sequence, event.name());
        let person = event.person.as_ref().map(|person| self.seal(KeyScope::Person, &place, person));
        let client =
            event.client.as_ref().map(|client| self.seal(KeyScope::origin_at(event.at), &place, client));
        let person = person.unwrap_or_default();
        let person_length = u32::try_from(person.len()).expect("a name and an address are short");
        Some([&person_length.to_be_bytes()[..], &person, &client.unwrap_or_default()].concat())
    }

    /// Puts the personal part back into an event; what cannot be opened any more stays away.
    pub fn reveal_event(&self, sequence: i64, event: &mut UserAccountEvent, personal: &[u8]) {
        (event.person, event.client) = self.open_event(sequence, event.name(), event.at, personal);
    }

    /// The personal part of the event of that name and time, as far as it can still be opened.
    pub fn open_event(
        &self,
        sequence: i64,
        event_type: &str,
        at: DateTime<Utc>,
        personal: &[u8],
    ) -> (Option<PersonalDetails>, Option<Client>) {
        let Some((length, rest)) = personal.split_first_chunk::<4>() else { return (None, None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((person, client)) = rest.split_at_checked(length) else { return (None, None) };
        let place = event_place(sequence, event_type);
        (
            self.open(KeyScope::Person, &place, person).ok(),
            self.open(KeyScope::origin_at(at), &place, client).ok(),
        )
    }

    fn place(&self, place: &str) -> Vec<u8> {
        [self.account.0.as_bytes(), place.as_bytes()].concat()
    }
}

fn event_place(sequence: i64, event_type: &str) -> String {
    format!("event/{sequence}/{event_type}")
}

fn seal(key: &XChaCha20Poly1305, place: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce = entropy::bytes::<NONCE>();
    let sealed = key
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: place })
        .expect("the message is far below 256 GiB");
    [nonce.as_slice(), &sealed].concat()
}

fn open(key: &XChaCha20Poly1305, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(UnsealError)?;
    key.decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: place }).map_err(|_| UnsealError)
}

#[cfg(test)]
mod tests {
    use super::{KeyScope, PersonalData, UnsealError};
    use crate::crypto::{entropy, keyring::Keyring};
    use crate::runtime::clock::{Clock as _, SystemClock};

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let personal = PersonalData::new(&Keyring::generate());
        let mut keys = personal.unwrap(entropy::account_id(SystemClock.now()), []);
        let stored = personal.add_missing(&mut keys, [KeyScope::Person]);
        let sealed = keys.seal(KeyScope::Person, "here", &"Ada");

        let again = personal.unwrap(keys.account, stored.clone());
        assert_eq!(again.open::<String>(KeyScope::Person, "here", &sealed), Ok("Ada".to_owned()));
        assert_eq!(again.open::<String>(KeyScope::Person, "there", &sealed), Err(UnsealError));
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                again.open::<String>(KeyScope::Person, "here", &altered),
                Err(UnsealError),
                "bit {bit}"
            );
        }

        let other = personal.unwrap(entropy::account_id(SystemClock.now()), stored);
        assert_eq!(other.open::<String>(KeyScope::Person, "here", &sealed), Err(UnsealError));
    }
}
