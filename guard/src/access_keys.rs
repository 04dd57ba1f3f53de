//! What another service needs to read access tokens by itself: keys that open and verify, and make none.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use xsalsa20poly1305::{KeyInit as _, XSalsa20Poly1305};
use zeroize::Zeroizing;

use crate::format::{Verifier, open_box, verify_signature};
use crate::{ExtraClaims, InvalidToken, LEEWAY, MAX_TOKEN_BYTES, Token, TokenKind};

/// The keys of a service that is given access tokens. A service that has them reads access tokens; it can neither mint one nor
/// open a refresh token.
#[derive(Clone)]
pub struct AccessKeys {
    issuer: String,
    audience: String,
    boxes: HashMap<String, XSalsa20Poly1305>,
    verifiers: HashMap<String, Verifier>,
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKeys").field("audience", &self.audience).finish_non_exhaustive()
    }
}

/// Why there are no usable access keys.
#[derive(Debug, thiserror::Error)]
pub enum AccessKeysError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The file is not what `counterfoil keys guard` writes.
    #[error("the access keys are malformed")]
    Malformed,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    issuer: String,
    audience: String,
    /// Keys of boxes, derived for access tokens: never the master keys.
    open: Vec<Entry>,
    /// The Ed25519 public keys that verify signatures.
    verify: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    key: Zeroizing<String>,
}

impl Entry {
    fn read(self) -> Result<(String, Zeroizing<[u8; 32]>), AccessKeysError> {
        let key = STANDARD.decode(&*self.key).map(Zeroizing::new).map_err(|_| AccessKeysError::Malformed)?;
        let key = <[u8; 32]>::try_from(key.as_slice()).map_err(|_| AccessKeysError::Malformed)?;
        Ok((self.id, Zeroizing::new(key)))
    }
}

impl AccessKeys {
    /// Writes the keys for another service as JSON: those that open boxes, and Ed25519 public keys of 32 bytes that verify
    /// signatures, each with its id. The server calls this; [`parse`](Self::parse) reads it.
    pub fn to_json<'a>(
        issuer: &str,
        audience: &str,
        opening: impl Iterator<Item = (&'a str, Zeroizing<[u8; 32]>)>,
        verifying: impl Iterator<Item = (&'a str, Vec<u8>)>,
    ) -> Zeroizing<String> {
        let entry = |id: &str, key: &[u8]| Entry { id: id.to_owned(), key: STANDARD.encode(key).into() };
        let document = Document {
            version: 1,
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            open: opening.map(|(id, key)| entry(id, &*key)).collect(),
            verify: verifying.map(|(id, key)| entry(id, &key)).collect(),
        };
        serde_json::to_string_pretty(&document).expect("texts and numbers are JSON").into()
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// [`AccessKeysError::Malformed`] when it is something else.
    pub fn parse(text: &[u8]) -> Result<Self, AccessKeysError> {
        let document: Document = serde_json::from_slice(text).map_err(|_| AccessKeysError::Malformed)?;
        if document.version != 1 || document.open.is_empty() || document.verify.is_empty() {
            return Err(AccessKeysError::Malformed);
        }
        let (mut boxes, mut verifiers) = (HashMap::new(), HashMap::new());
        for entry in document.open {
            let (id, key) = entry.read()?;
            boxes.insert(id, XSalsa20Poly1305::new((&*key).into()));
        }
        for entry in document.verify {
            let (id, key) = entry.read()?;
            verifiers.insert(id, Verifier::from_ed25519_public_key(&*key));
        }
        Ok(Self { issuer: document.issuer, audience: document.audience, boxes, verifiers })
    }

    /// Reads the file that `counterfoil keys guard` wrote.
    ///
    /// # Errors
    /// [`AccessKeysError`] when it cannot be read.
    pub fn read(path: &Path) -> Result<Self, AccessKeysError> {
        Self::parse(&Zeroizing::new(std::fs::read(path)?))
    }

    /// Reads an access token that works now, as far as the token itself can tell: its session may have ended. With it come
    /// the claims that the installation adds.
    ///
    /// # Errors
    /// [`InvalidToken`], whatever is wrong with it.
    pub fn open(&self, text: &str, now: DateTime<Utc>) -> Result<(Token, ExtraClaims), InvalidToken> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(InvalidToken);
        }
        let jwt = open_box(&self.boxes, TokenKind::Access, text)?;
        let claims = verify_signature(&self.verifiers, TokenKind::Access, &jwt)?;
        let token = claims.check(TokenKind::Access, &self.issuer, &self.audience)?;
        let holds = token.issued_at <= now + LEEWAY && now < token.expires_at;
        holds.then(|| (token, claims.into_extra())).ok_or(InvalidToken)
    }
}
