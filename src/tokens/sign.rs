//! The signature inside a token: a compact JWS (RFC 7515) by Ed25519 (RFC 8037).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Header, crypto};
use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::{InvalidToken, Kind};
use crate::keyring::{Keyring, Purpose};

/// The signing keys, each with the one algorithm it is for.
#[derive(Clone)]
pub(super) struct Signatures {
    verifying: HashMap<String, DecodingKey>,
    /// Held ready: jsonwebtoken would read and check the key anew for each signature, which takes as long as signing.
    signing: Arc<Ed25519KeyPair>,
    active: String,
}

impl fmt::Debug for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signatures").field("active", &self.active).finish_non_exhaustive()
    }
}

/// The header: these three and no others, so that nothing in it can point at a key elsewhere.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    typ: String,
    kid: String,
}

impl Signatures {
    pub(super) fn new(keyring: &Keyring) -> Self {
        let verifying = keyring.of(Purpose::Sign).map(|key| {
            let pair = Ed25519KeyPair::from_pkcs8(key.secret()).expect("checked when the keyring was read");
            (key.id.as_str().to_owned(), DecodingKey::from_ed_der(pair.public_key().as_ref()))
        });
        let active = keyring.active(Purpose::Sign);
        let signing = Ed25519KeyPair::from_pkcs8(active.secret()).expect("checked when the keyring was read");
        Self {
            verifying: verifying.collect(),
            signing: Arc::new(signing),
            active: active.id.as_str().to_owned(),
        }
    }

    pub(super) fn sign(&self, kind: Kind, claims: &Claims) -> String {
        let header = Header {
            typ: Some(kind.header_type().to_owned()),
            kid: Some(self.active.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        let message = format!("{}.{}", encoded(&header), encoded(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.signing.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    pub(super) fn verify(&self, kind: Kind, jwt: &[u8]) -> Result<Claims, InvalidToken> {
        let jwt = str::from_utf8(jwt).map_err(|_| InvalidToken)?;
        let (message, signature) = jwt.rsplit_once('.').ok_or(InvalidToken)?;
        let (header, claims) = message.split_once('.').ok_or(InvalidToken)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| InvalidToken);

        let header: StrictHeader = serde_json::from_slice(&decode(header)?).map_err(|_| InvalidToken)?;
        if header.alg != "EdDSA" || header.typ != kind.header_type() {
            return Err(InvalidToken);
        }
        let key = self.verifying.get(&header.kid).ok_or(InvalidToken)?;
        match crypto::verify(signature, message.as_bytes(), key, Algorithm::EdDSA) {
            Ok(true) => serde_json::from_slice(&decode(claims)?).map_err(|_| InvalidToken),
            Ok(false) | Err(_) => Err(InvalidToken),
        }
    }
}

fn encoded(part: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("texts and numbers are JSON"))
}
