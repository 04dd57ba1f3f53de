//! The box around a token: XSalsa20-Poly1305, as in NaCl's secretbox.

use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xsalsa20poly1305::aead::Aead as _;
use xsalsa20poly1305::{KeyInit as _, Nonce, XSalsa20Poly1305};

use zeroize::Zeroizing;

use counterfoil_guard::format::{NONCE_BYTES, VERSION, open_box};
use counterfoil_guard::{InvalidToken, TokenKind};

use crate::crypto::entropy;
use crate::crypto::keyring::{KeyPurpose, Keyring, KeyringKey};

/// The seal keys of every kind and key id.
#[derive(Clone)]
pub(super) struct SealKeys {
    access: SealKeysOfKind,
    refresh: SealKeysOfKind,
}

#[derive(Clone)]
struct SealKeysOfKind {
    keys: HashMap<String, XSalsa20Poly1305>,
    active: String,
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (access, refresh) = (&self.access.active, &self.refresh.active);
        f.debug_struct("Seals").field("access", access).field("refresh", refresh).finish_non_exhaustive()
    }
}

impl SealKeys {
    pub(super) fn new(keyring: &Keyring) -> Self {
        let of_kind = |kind: TokenKind, purpose| {
            let key = |master: &KeyringKey| {
                (master.id.as_str().to_owned(), XSalsa20Poly1305::new((&*seal_key(kind, master)).into()))
            };
            let active = keyring.active(purpose).id.as_str().to_owned();
            SealKeysOfKind { keys: keyring.of(purpose).map(key).collect(), active }
        };
        Self {
            access: of_kind(TokenKind::Access, KeyPurpose::SealAccess),
            refresh: of_kind(TokenKind::Refresh, KeyPurpose::SealRefresh),
        }
    }

    fn of(&self, kind: TokenKind) -> &SealKeysOfKind {
        match kind {
            TokenKind::Access => &self.access,
            TokenKind::Refresh => &self.refresh,
        }
    }

    pub(super) fn seal(&self, kind: TokenKind, plain: &[u8]) -> String {
        let SealKeysOfKind { keys, active } = self.of(kind);
        let nonce = entropy::bytes::<NONCE_BYTES>();
        let sealed =
            keys[active].encrypt(Nonce::from_slice(&nonce), plain).expect("a token is far below 256 GiB");
        let sealed = URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat());
        format!("{}_{VERSION}_{active}_{sealed}", kind.prefix())
    }

    pub(super) fn open(&self, kind: TokenKind, text: &str) -> Result<Vec<u8>, InvalidToken> {
        open_box(&self.of(kind).keys, kind, text)
    }
}

/// The key that seals tokens of a kind under that key id.
pub(super) fn seal_key(kind: TokenKind, master: &KeyringKey) -> Zeroizing<[u8; 32]> {
    let info = ["token-seal", VERSION, kind.prefix(), master.id.as_str()].join("|");
    master.derive(&[info.as_bytes()])
}
