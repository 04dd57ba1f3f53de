//! The box around a token: XSalsa20-Poly1305, as in NaCl's secretbox.

use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xsalsa20poly1305::aead::Aead as _;
use xsalsa20poly1305::{KeyInit as _, Nonce, XSalsa20Poly1305};

use zeroize::Zeroizing;

use super::{InvalidToken, Kind};
use crate::crypto::entropy;
use crate::crypto::keyring::{Key, Keyring, Purpose};

const VERSION: &str = "1";
const NONCE: usize = 24;

/// The seal keys of every kind and key id.
#[derive(Clone)]
pub(super) struct Seals {
    access: OfKind,
    refresh: OfKind,
}

#[derive(Clone)]
struct OfKind {
    keys: HashMap<String, XSalsa20Poly1305>,
    active: String,
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (access, refresh) = (&self.access.active, &self.refresh.active);
        f.debug_struct("Seals").field("access", access).field("refresh", refresh).finish_non_exhaustive()
    }
}

impl Seals {
    pub(super) fn new(keyring: &Keyring) -> Self {
        let of_kind = |kind: Kind, purpose| {
            let key = |master: &Key| {
                (master.id.as_str().to_owned(), XSalsa20Poly1305::new((&*seal_key(kind, master)).into()))
            };
            let active = keyring.active(purpose).id.as_str().to_owned();
            OfKind { keys: keyring.of(purpose).map(key).collect(), active }
        };
        Self {
            access: of_kind(Kind::Access, Purpose::SealAccess),
            refresh: of_kind(Kind::Refresh, Purpose::SealRefresh),
        }
    }

    fn of(&self, kind: Kind) -> &OfKind {
        match kind {
            Kind::Access => &self.access,
            Kind::Refresh => &self.refresh,
        }
    }

    pub(super) fn seal(&self, kind: Kind, plain: &[u8]) -> String {
        let OfKind { keys, active } = self.of(kind);
        let nonce = entropy::bytes::<NONCE>();
        let sealed =
            keys[active].encrypt(Nonce::from_slice(&nonce), plain).expect("a token is far below 256 GiB");
        let sealed = URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat());
        format!("{}_{VERSION}_{active}_{sealed}", kind.prefix())
    }

    pub(super) fn open(&self, kind: Kind, text: &str) -> Result<Vec<u8>, InvalidToken> {
        open(&self.of(kind).keys, kind, text)
    }
}

/// The key that seals tokens of a kind under that key id.
pub(super) fn seal_key(kind: Kind, master: &Key) -> Zeroizing<[u8; 32]> {
    let info = ["token-seal", VERSION, kind.prefix(), master.id.as_str()].join("|");
    master.derive(&[info.as_bytes()])
}

/// Opens a token. The key is chosen by the token's id and never tried out; exactly one spelling is taken.
pub(super) fn open(
    keys: &HashMap<String, XSalsa20Poly1305>,
    kind: Kind,
    text: &str,
) -> Result<Vec<u8>, InvalidToken> {
    let mut parts = text.splitn(4, '_');
    let mut part = || parts.next().ok_or(InvalidToken);
    let (prefix, version, key_id, sealed) = (part()?, part()?, part()?, part()?);
    if prefix != kind.prefix() || version != VERSION {
        return Err(InvalidToken);
    }
    let key = keys.get(key_id).ok_or(InvalidToken)?;
    // The decoder refuses padding, white space, other alphabets and stray last bits (RFC 4648, section 3.5).
    let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| InvalidToken)?;
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(InvalidToken)?;
    key.decrypt(Nonce::from_slice(nonce), sealed).map_err(|_| InvalidToken)
}
