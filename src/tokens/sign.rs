//! The signature inside a token: a compact JWS (RFC 7515).
//!
//! An access token is signed by Ed25519 (RFC 8037), so that other services can verify and cannot mint it, or by choice
//! by HMAC with SHA-256 (RFC 7518, section 3.2). A refresh token is read only by the nodes that issue it, so it is
//! authenticated by HMAC, which costs a tenth. By which one a token is verified is its key's to say: what the token says
//! of it has to be the same.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, OctetKeyPairParameters,
    OctetKeyPairType, PublicKeyUse,
};

use counterfoil_guard::format::{Claims, Verifier, signing_input, verify_signature};
use counterfoil_guard::{InvalidToken, TokenKind};

use crate::crypto::keyring::{self, KeyPurpose, Keyring, KeyringKey};

/// The signing keys of every kind, each with the one algorithm it is for.
#[derive(Clone)]
pub(super) struct SigningKeys {
    access: SigningKeysOfKind,
    refresh: SigningKeysOfKind,
}

#[derive(Clone)]
struct SigningKeysOfKind {
    verifying: HashMap<String, Verifier>,
    /// Held ready: jsonwebtoken would read and check the key anew for each signature, which takes as long as signing.
    signing: Signer,
    active: String,
}

fn verifier(key: &KeyringKey) -> Verifier {
    match key_algorithm(key) {
        keyring::SigningAlgorithm::Eddsa => {
            Verifier::from_ed25519_public_key(pair(key).public_key().as_ref())
        }
        keyring::SigningAlgorithm::Hs256 => Verifier::from_hmac_secret(key.secret()),
    }
}

#[derive(Clone)]
enum Signer {
    Ed25519(Arc<Ed25519KeyPair>),
    Hmac(Arc<hmac::Key>),
}

impl Signer {
    fn of(key: &KeyringKey) -> Self {
        match key_algorithm(key) {
            keyring::SigningAlgorithm::Eddsa => Self::Ed25519(Arc::new(pair(key))),
            keyring::SigningAlgorithm::Hs256 => {
                Self::Hmac(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key.secret())))
            }
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::EdDSA,
            Self::Hmac(_) => Algorithm::HS256,
        }
    }

    fn sign(&self, message: &[u8]) -> String {
        match self {
            Self::Ed25519(pair) => URL_SAFE_NO_PAD.encode(pair.sign(message)),
            Self::Hmac(key) => URL_SAFE_NO_PAD.encode(hmac::sign(key, message)),
        }
    }
}

fn key_algorithm(key: &KeyringKey) -> keyring::SigningAlgorithm {
    key.algorithm.expect("a key that signs has an algorithm")
}

/// The public half of an Ed25519 key; none where a verifier could mint as well.
pub(super) fn public_half(key: &KeyringKey) -> Option<Vec<u8>> {
    (key_algorithm(key) == keyring::SigningAlgorithm::Eddsa).then(|| pair(key).public_key().as_ref().to_vec())
}

fn pair(key: &KeyringKey) -> Ed25519KeyPair {
    Ed25519KeyPair::from_pkcs8(key.secret()).expect("checked when the keyring was read")
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (access, refresh) = (&self.access.active, &self.refresh.active);
        f.debug_struct("Signatures").field("access", access).field("refresh", refresh).finish_non_exhaustive()
    }
}

impl SigningKeys {
    pub(super) fn new(keyring: &Keyring) -> Self {
        let of_kind = |purpose| {
            let active = keyring.active(purpose);
            let verifying = keyring.of(purpose).map(|key| (key.id.to_string(), verifier(key)));
            SigningKeysOfKind {
                verifying: verifying.collect(),
                signing: Signer::of(active),
                active: active.id.to_string(),
            }
        };
        Self { access: of_kind(KeyPurpose::SignAccess), refresh: of_kind(KeyPurpose::SignRefresh) }
    }

    fn of(&self, kind: TokenKind) -> &SigningKeysOfKind {
        match kind {
            TokenKind::Access => &self.access,
            TokenKind::Refresh => &self.refresh,
        }
    }

    pub(super) fn sign(&self, kind: TokenKind, claims: &Claims) -> String {
        let SigningKeysOfKind { signing, active, verifying: _ } = self.of(kind);
        let message = signing_input(kind, signing.algorithm(), active, claims);
        let signature = signing.sign(message.as_bytes());
        format!("{message}.{signature}")
    }

    pub(super) fn verify(&self, kind: TokenKind, jwt: &[u8]) -> Result<Claims, InvalidToken> {
        verify_signature(&self.of(kind).verifying, kind, jwt)
    }
}

/// The public halves of the keys by which others verify access tokens (RFC 7517; RFC 8037, section 2). A key that only
/// its holders can verify by has none.
pub(super) fn public_keys(keyring: &Keyring) -> JwkSet {
    let pairs = keyring.of(KeyPurpose::SignAccess).filter_map(|key| Some((key, public_half(key)?)));
    let public = |(key, half): (&KeyringKey, Vec<u8>)| Jwk {
        common: CommonParameters {
            public_key_use: Some(PublicKeyUse::Signature),
            key_algorithm: Some(KeyAlgorithm::EdDSA),
            key_id: Some(key.id.to_string()),
            ..CommonParameters::default()
        },
        algorithm: AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
            key_type: OctetKeyPairType::OctetKeyPair,
            curve: EllipticCurve::Ed25519,
            x: URL_SAFE_NO_PAD.encode(half),
        }),
    };
    JwkSet { keys: pairs.map(public).collect() }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use aws_lc_rs::signature::KeyPair as _;
    use base64::Engine as _;
    use serde_json::json;

    use super::{Claims, Signer, SigningKeys, URL_SAFE_NO_PAD, key_algorithm, pair};
    use crate::crypto::keyring::{KeyPurpose, Keyring, SigningAlgorithm};
    use crate::tokens::TokenKind;

    /// Well formed, whatever they say: what is verified here is the signature.
    fn claims() -> Claims {
        let (id, text) = (uuid::Uuid::nil(), "x");
        let claims = json!({"iss": text, "aud": text, "sub": id, "sid": id, "jti": text, "gen": 0, "typ": text,
                            "iat": 0, "nbf": 0, "exp": 0, "auth_time": 0, "amr": ["otp"]});
        serde_json::from_value(claims).expect("claims")
    }

    #[test]
    fn a_token_does_not_choose_the_algorithm_of_its_key() {
        let verified = |keyring: &Keyring, algorithm: &str, signer: &Signer| {
            let kid = keyring.active(KeyPurpose::SignAccess).id.as_str();
            let header = format!(r#"{{"typ":"at+jwt","alg":"{algorithm}","kid":"{kid}"}}"#);
            let message = format!(
                "{}.{}",
                URL_SAFE_NO_PAD.encode(header),
                URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims()).expect("JSON"))
            );
            let jwt = format!("{message}.{}", signer.sign(message.as_bytes()));
            SigningKeys::new(keyring).verify(TokenKind::Access, jwt.as_bytes()).is_ok()
        };
        for (algorithm, right, other) in
            [(SigningAlgorithm::Eddsa, "EdDSA", "HS256"), (SigningAlgorithm::Hs256, "HS256", "EdDSA")]
        {
            let keyring = Keyring::signing_access_by(algorithm);
            let key = keyring.active(KeyPurpose::SignAccess);
            assert_eq!(key_algorithm(key), algorithm);
            assert!(verified(&keyring, right, &Signer::of(key)));
            for alg in [other, "none", "HS384", "ES256", "hs256", ""] {
                assert!(!verified(&keyring, alg, &Signer::of(key)), "{algorithm}: {alg}");
            }
        }
        // What everybody knows of an Ed25519 key, taken for the secret of an HMAC key.
        let keyring = Keyring::generate();
        let public = pair(keyring.active(KeyPurpose::SignAccess)).public_key().as_ref().to_vec();
        for secret in [public.clone(), URL_SAFE_NO_PAD.encode(public).into_bytes()] {
            let signer = Signer::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &secret).into());
            assert!(!verified(&keyring, "HS256", &signer));
        }
    }
}
