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

use super::sign::{self, Verifier};
use super::{ExtraClaims, InvalidToken, Kind, LEEWAY, MAX_TOKEN_BYTES, Token, TokenPolicy, seal};
use crate::crypto::keyring::{Keyring, Purpose};

/// The keys of a service that is given access tokens. Whoever has them reads access tokens; he cannot mint one, nor open a
/// refresh token.
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
    /// Access tokens are signed by HMAC, whose keys mint as well as verify.
    #[error("access tokens signed by hs256 cannot be verified by others: rotate sign_access to eddsa")]
    Symmetric,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    issuer: String,
    audience: String,
    /// Keys of boxes, derived for access tokens: never the master keys.
    open: Vec<Entry>,
    /// Ed25519 public keys.
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
    /// The keys for another service, as JSON: of all keys of the keyring, pending and retiring ones among them. It is to be
    /// made anew, and read anew, when a key is added.
    ///
    /// # Errors
    /// [`AccessKeysError::Symmetric`] when a signing key is not Ed25519.
    pub fn export(keyring: &Keyring, policy: &TokenPolicy) -> Result<Zeroizing<String>, AccessKeysError> {
        let entry = |id: &str, key: &[u8]| Entry { id: id.to_owned(), key: STANDARD.encode(key).into() };
        let verify = keyring.of(Purpose::SignAccess).map(|key| {
            let public = sign::public_half(key).ok_or(AccessKeysError::Symmetric)?;
            Ok(entry(key.id.as_str(), &public))
        });
        let open = keyring.of(Purpose::SealAccess);
        let open = open.map(|key| entry(key.id.as_str(), &*seal::seal_key(Kind::Access, key)));
        let document = Document {
            version: 1,
            issuer: policy.issuer.clone(),
            audience: policy.audience.clone(),
            open: open.collect(),
            verify: verify.collect::<Result<_, AccessKeysError>>()?,
        };
        Ok(serde_json::to_string_pretty(&document).expect("texts and numbers are JSON").into())
    }

    /// Reads what [`export`](Self::export) made.
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
            verifiers.insert(id, Verifier::of_public(&*key));
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
        let jwt = seal::open(&self.boxes, Kind::Access, text)?;
        let claims = sign::verify(&self.verifiers, Kind::Access, &jwt)?;
        let token = claims.check(Kind::Access, &self.issuer, &self.audience)?;
        let holds = token.issued_at <= now + LEEWAY && now < token.expires_at;
        holds.then(|| (token, claims.extra())).ok_or(InvalidToken)
    }
}
