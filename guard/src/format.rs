//! The form of a token, for the server that issues tokens and for this crate, which opens them.
//!
//! `cfa_` or `cfr_`, then the version of the form, the id of the seal key and `base64url(nonce ‖ XSalsa20-Poly1305(JWT))`,
//! separated by `_`. The JWT is a compact JWS (RFC 7515).

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::{Deserialize, Serialize};
use xsalsa20poly1305::aead::Aead as _;
use xsalsa20poly1305::{Nonce, XSalsa20Poly1305};

pub use crate::claims::Claims;
use crate::{InvalidToken, TokenKind};

/// The version of the form.
pub const VERSION: &str = "1";

/// The length of the nonce, in bytes.
pub const NONCE_BYTES: usize = 24;

/// A key that verifies signatures, with the one algorithm that it is for.
#[derive(Clone, Debug)]
pub struct Verifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Verifier {
    /// Verifies by an Ed25519 public key of 32 bytes (RFC 8037).
    pub fn from_ed25519_public_key(key: &[u8]) -> Self {
        Self { algorithm: Algorithm::EdDSA, key: DecodingKey::from_ed_der(key) }
    }

    /// Verifies by the secret of HMAC with SHA-256 (RFC 7518, section 3.2).
    pub fn from_hmac_secret(secret: &[u8]) -> Self {
        Self { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret) }
    }
}

/// The header of the JWT: these three members and no others, so that nothing in it can point at a key elsewhere.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: Algorithm,
    kid: String,
}

/// Opens the box of a token. The key is chosen by the token's id and never tried out, and exactly one spelling is taken.
///
/// # Errors
/// [`InvalidToken`], whatever is wrong with the text.
pub fn open_box(
    keys: &HashMap<String, XSalsa20Poly1305>,
    kind: TokenKind,
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
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(InvalidToken)?;
    key.decrypt(Nonce::from_slice(nonce), sealed).map_err(|_| InvalidToken)
}

/// Returns the claims of a JWT that was signed by the key that it names.
///
/// # Errors
/// [`InvalidToken`], whatever is wrong with the JWT.
pub fn verify_signature(
    keys: &HashMap<String, Verifier>,
    kind: TokenKind,
    jwt: &[u8],
) -> Result<Claims, InvalidToken> {
    let jwt = str::from_utf8(jwt).map_err(|_| InvalidToken)?;
    let (message, signature) = jwt.rsplit_once('.').ok_or(InvalidToken)?;
    let (header, claims) = message.split_once('.').ok_or(InvalidToken)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| InvalidToken);

    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| InvalidToken)?;
    let Verifier { algorithm, key } = keys.get(&header.kid).ok_or(InvalidToken)?;
    if header.alg != *algorithm || header.typ != kind.header_type() {
        return Err(InvalidToken);
    }
    let signed = crypto::verify(signature, message.as_bytes(), key, *algorithm).unwrap_or(false);
    if !signed {
        return Err(InvalidToken);
    }
    let claims = serde_json::from_slice(&decode(claims)?).map_err(|_| InvalidToken)?;
    // JSON, and a UUID in it, can be spelled in many ways; the spelling of the issuer is the one that is taken.
    (message == spelled(&header, &claims)).then_some(claims).ok_or(InvalidToken)
}

/// Returns what is signed: the header and the claims, encoded.
pub fn signing_input(kind: TokenKind, algorithm: Algorithm, key_id: &str, claims: &Claims) -> String {
    let (typ, kid) = (kind.header_type().to_owned(), key_id.to_owned());
    spelled(&Header { typ, alg: algorithm, kid }, claims)
}

fn spelled(header: &Header, claims: &Claims) -> String {
    format!("{}.{}", encoded(header), encoded(claims))
}

fn encoded(part: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("texts and numbers are JSON"))
}
