//! The box around a token: XSalsa20-Poly1305, as in NaCl's secretbox.

use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xsalsa20poly1305::aead::Aead as _;
use xsalsa20poly1305::{KeyInit as _, Nonce, XSalsa20Poly1305};

use super::{InvalidToken, Kind};
use crate::entropy;
use crate::keyring::{Keyring, Purpose};

const VERSION: &str = "1";
const NONCE: usize = 24;

/// The seal keys of every kind and key id.
#[derive(Clone)]
pub(super) struct Seals {
    keys: HashMap<(Kind, String), XSalsa20Poly1305>,
    active: String,
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seals").field("active", &self.active).finish_non_exhaustive()
    }
}

impl Seals {
    pub(super) fn new(keyring: &Keyring) -> Self {
        let mut keys = HashMap::new();
        for master in keyring.of(Purpose::Seal) {
            for kind in Kind::ALL {
                let id = master.id.as_str();
                let info = ["token-seal", VERSION, kind.prefix(), id].join("|");
                let key = XSalsa20Poly1305::new((&*master.derive(&[info.as_bytes()])).into());
                keys.insert((kind, id.to_owned()), key);
            }
        }
        Self { keys, active: keyring.active(Purpose::Seal).id.as_str().to_owned() }
    }

    pub(super) fn seal(&self, kind: Kind, plain: &[u8]) -> String {
        let nonce = entropy::bytes::<NONCE>();
        let key = &self.keys[&(kind, self.active.clone())];
        let sealed = key.encrypt(Nonce::from_slice(&nonce), plain).expect("a token is far below 256 GiB");
        let sealed = URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat());
        format!("{}_{VERSION}_{}_{sealed}", kind.prefix(), self.active)
    }

    /// Opens a token. The key is chosen by the token's id and never tried out; exactly one spelling is taken.
    pub(super) fn open(&self, kind: Kind, text: &str) -> Result<Vec<u8>, InvalidToken> {
        let mut parts = text.splitn(4, '_');
        let mut part = || parts.next().ok_or(InvalidToken);
        let (prefix, version, key_id, sealed) = (part()?, part()?, part()?, part()?);
        if prefix != kind.prefix() || version != VERSION {
            return Err(InvalidToken);
        }
        let key = self.keys.get(&(kind, key_id.to_owned())).ok_or(InvalidToken)?;
        // The decoder refuses padding, white space, other alphabets and stray last bits (RFC 4648, section 3.5).
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| InvalidToken)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(InvalidToken)?;
        key.decrypt(Nonce::from_slice(nonce), sealed).map_err(|_| InvalidToken)
    }
}
