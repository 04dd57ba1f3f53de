//! The signature inside a token: a compact JWS (RFC 7515).
//!
//! An access token is signed by Ed25519 (RFC 8037), so that other services can verify and cannot mint it. A refresh
//! token is read by nobody but the nodes that issue it, so it is authenticated by HMAC with SHA-256 (RFC 7518, section
//! 3.2), which costs a tenth.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Header, crypto};
use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::{InvalidToken, Kind};
use crate::keyring::{Key, Keyring, Purpose};

/// The signing keys of every kind, each with the one algorithm it is for.
#[derive(Clone)]
pub(super) struct Signatures {
    access: OfKind,
    refresh: OfKind,
}

#[derive(Clone)]
struct OfKind {
    algorithm: Algorithm,
    verifying: HashMap<String, DecodingKey>,
    /// Held ready: jsonwebtoken would read and check the key anew for each signature, which takes as long as signing.
    signing: Signer,
    active: String,
}

#[derive(Clone)]
enum Signer {
    Ed25519(Arc<Ed25519KeyPair>),
    Hmac(Arc<hmac::Key>),
}

impl Signer {
    fn sign(&self, message: &[u8]) -> String {
        match self {
            Self::Ed25519(pair) => URL_SAFE_NO_PAD.encode(pair.sign(message)),
            Self::Hmac(key) => URL_SAFE_NO_PAD.encode(hmac::sign(key, message)),
        }
    }
}

impl fmt::Debug for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (access, refresh) = (&self.access.active, &self.refresh.active);
        f.debug_struct("Signatures").field("access", access).field("refresh", refresh).finish_non_exhaustive()
    }
}

/// The header: these three and no others, so that nothing in it can point at a key elsewhere.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: Algorithm,
    typ: String,
    kid: String,
}

impl Signatures {
    pub(super) fn new(keyring: &Keyring) -> Self {
        let pair =
            |key: &Key| Ed25519KeyPair::from_pkcs8(key.secret()).expect("checked when the keyring was read");
        let of_kind = |purpose, algorithm, signer: &dyn Fn(&Key) -> Signer, verifier: &dyn Fn(&Key) -> _| {
            let active = keyring.active(purpose);
            let verifying = keyring.of(purpose).map(|key| (key.id.as_str().to_owned(), verifier(key)));
            OfKind {
                algorithm,
                verifying: verifying.collect(),
                signing: signer(active),
                active: active.id.as_str().to_owned(),
            }
        };
        Self {
            access: of_kind(
                Purpose::SignAccess,
                Algorithm::EdDSA,
                &|key| Signer::Ed25519(Arc::new(pair(key))),
                &|key| DecodingKey::from_ed_der(pair(key).public_key().as_ref()),
            ),
            refresh: of_kind(
                Purpose::SignRefresh,
                Algorithm::HS256,
                &|key| Signer::Hmac(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key.secret()))),
                &|key| DecodingKey::from_secret(key.secret()),
            ),
        }
    }

    fn of(&self, kind: Kind) -> &OfKind {
        match kind {
            Kind::Access => &self.access,
            Kind::Refresh => &self.refresh,
        }
    }

    pub(super) fn sign(&self, kind: Kind, claims: &Claims) -> String {
        let OfKind { algorithm, signing, active, verifying: _ } = self.of(kind);
        let header = Header {
            typ: Some(kind.header_type().to_owned()),
            kid: Some(active.clone()),
            ..Header::new(*algorithm)
        };
        let message = format!("{}.{}", encoded(&header), encoded(claims));
        let signature = signing.sign(message.as_bytes());
        format!("{message}.{signature}")
    }

    pub(super) fn verify(&self, kind: Kind, jwt: &[u8]) -> Result<Claims, InvalidToken> {
        let jwt = str::from_utf8(jwt).map_err(|_| InvalidToken)?;
        let (message, signature) = jwt.rsplit_once('.').ok_or(InvalidToken)?;
        let (header, claims) = message.split_once('.').ok_or(InvalidToken)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| InvalidToken);

        let OfKind { algorithm, verifying, .. } = self.of(kind);
        let header: StrictHeader = serde_json::from_slice(&decode(header)?).map_err(|_| InvalidToken)?;
        if header.alg != *algorithm || header.typ != kind.header_type() {
            return Err(InvalidToken);
        }
        let key = verifying.get(&header.kid).ok_or(InvalidToken)?;
        match crypto::verify(signature, message.as_bytes(), key, *algorithm) {
            Ok(true) => serde_json::from_slice(&decode(claims)?).map_err(|_| InvalidToken),
            Ok(false) | Err(_) => Err(InvalidToken),
        }
    }
}

fn encoded(part: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("texts and numbers are JSON"))
}
