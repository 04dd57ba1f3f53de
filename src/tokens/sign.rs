//! The signature inside a token: a compact JWS (RFC 7515) by Ed25519 (RFC 8037).

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, crypto};
use serde::Deserialize;

use super::claims::Claims;
use super::{InvalidToken, Kind};
use crate::keyring::{Keyring, Purpose};

/// The signing keys, each with the one algorithm it is for.
#[derive(Clone)]
pub(super) struct Signatures {
    verifying: HashMap<String, DecodingKey>,
    signing: EncodingKey,
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
        Self {
            verifying: verifying.collect(),
            signing: EncodingKey::from_ed_der(active.secret()),
            active: active.id.as_str().to_owned(),
        }
    }

    pub(super) fn sign(&self, kind: Kind, claims: &Claims) -> String {
        let header = Header {
            typ: Some(kind.header_type().to_owned()),
            kid: Some(self.active.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        jsonwebtoken::encode(&header, claims, &self.signing)
            .expect("the key is an Ed25519 key, the claims are JSON")
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
