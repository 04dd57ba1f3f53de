//! Access and refresh tokens: a signed JWT inside a sealed box.
//!
//! `cfa_` or `cfr_`, then the format's version, the seal key's id and `base64url(nonce ‖ XSalsa20-Poly1305(JWT))`,
//! separated by `_`. The box keeps the claims from readers, the signature keeps a holder of the seal key from
//! minting. The seal key of each kind and key id is derived from a master key, which binds kind, version and key id
//! to the box without associated data: change one of them and another key fails to open it.

pub mod claims_source;
pub mod configured_claims;
mod seal;
mod sign;

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use counterfoil_domain::user_account::{SessionProof, SessionTokens};
use counterfoil_domain::values::AccountId;
use counterfoil_guard::format::Claims;
pub use counterfoil_guard::{
    AccessKeys, AccessKeysError, ExtraClaims, InvalidToken, LEEWAY, MAX_TOKEN_BYTES, Token, TokenKind,
    TooManyClaims,
};
use jsonwebtoken::jwk::JwkSet;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter};
use zeroize::Zeroizing;

use crate::crypto::keyring::{KeyPurpose, Keyring};
use seal::SealKeys;
use sign::SigningKeys;

/// How tokens are made.
#[derive(Clone, Debug)]
pub struct TokenPolicy {
    /// The claim `iss` of every token.
    pub issuer: String,
    /// The claim `aud` of every token.
    pub audience: String,
    /// How long an access token works, those included that were made while the setting was longer.
    pub access_lifetime: TimeDelta,
}

/// The tokens of one generation, ready to hand out.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedTokens {
    /// The access token of the generation.
    pub access: String,
    /// The refresh token of the generation.
    pub refresh: String,
    /// How long the access token works, from when it was issued.
    pub access_lifetime: TimeDelta,
    /// How long the refresh token works, from when it was issued.
    pub refresh_lifetime: TimeDelta,
}

/// Issues tokens and opens them.
#[derive(Clone, Debug)]
pub struct Tokens {
    keys: Arc<ArcSwap<TokenKeys>>,
    policy: TokenPolicy,
    known_bytes: u64,
}

/// What a keyring comes to, replaced as a whole.
#[derive(Debug)]
struct TokenKeys {
    keyring: Keyring,
    seals: SealKeys,
    signatures: SigningKeys,
    public: JwkSet,
    /// What tokens say that were found to be ours or made here, by the hash of their text. All of them were opened by
    /// keys that are still there: when one goes, so does the cache. To begin a new one costs opening again what is
    /// presented next, once for each key that retires; and a request that still works with the old keys puts what it
    /// finds into the old cache, where no request looks any more.
    known: Arc<Cache<[u8; 32], Token>>,
}

impl TokenKeys {
    fn new(keyring: &Keyring, known: Arc<Cache<[u8; 32], Token>>) -> Self {
        let (seals, signatures) = (SealKeys::new(keyring), SigningKeys::new(keyring));
        Self { keyring: keyring.clone(), seals, signatures, public: sign::public_keys(keyring), known }
    }
}

/// The keys that tokens depend on.
const PURPOSES: [KeyPurpose; 4] =
    [KeyPurpose::SealAccess, KeyPurpose::SealRefresh, KeyPurpose::SignAccess, KeyPurpose::SignRefresh];

/// How many bytes are taken by tokens that are known without looking at them again, where no setting says it.
const KNOWN: u64 = 8 << 20;

/// What a known token takes: its hash, what it says, and its place in the cache's tables.
const KNOWN_EACH: u64 = (size_of::<[u8; 32]>() + size_of::<Token>() + 40) as u64;

/// The share of them kept for tokens that have been presented more than once. The rest is for those made last: a token
/// waits minutes before it is presented first, and most are presented once.
const KNOWN_WELL: f64 = 0.3;

/// Access tokens are signed by HMAC, whose keys mint as well as verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("access tokens signed by hs256 cannot be verified by others: rotate sign_access to eddsa")]
pub struct SymmetricSignature;

/// Returns the keys for another service's [`AccessKeys`], as JSON: of all keys of the keyring, pending and retiring ones among
/// them. They are to be exported anew, and read anew, when a key is added.
///
/// # Errors
/// [`SymmetricSignature`] when a signing key is not Ed25519.
pub fn export_access_keys(
    keyring: &Keyring,
    policy: &TokenPolicy,
) -> Result<Zeroizing<String>, SymmetricSignature> {
    let opening = keyring.of(KeyPurpose::SealAccess);
    let opening = opening.map(|key| (key.id.as_str(), seal::seal_key(TokenKind::Access, key)));
    let verifying = keyring.of(KeyPurpose::SignAccess);
    let verifying =
        verifying.map(|key| Ok((key.id.as_str(), sign::public_half(key).ok_or(SymmetricSignature)?)));
    let verifying: Vec<_> = verifying.collect::<Result<_, _>>()?;
    Ok(AccessKeys::to_json(&policy.issuer, &policy.audience, opening, verifying.into_iter()))
}

impl Tokens {
    /// Tokens under the keyring's keys.
    pub fn new(keyring: &Keyring, policy: TokenPolicy) -> Self {
        Self::remembering(KNOWN, keyring, policy)
    }

    /// Tokens under the keyring's keys, of which so many bytes are known without looking at them again.
    pub fn remembering(bytes: u64, keyring: &Keyring, policy: TokenPolicy) -> Self {
        let keys = TokenKeys::new(keyring, Arc::new(known(bytes)));
        Self { keys: Arc::new(ArcSwap::from_pointee(keys)), policy, known_bytes: bytes }
    }

    /// Goes on with another keyring's keys, here and in every clone. Tokens of keys that are gone are refused from now
    /// on.
    pub fn use_keyring(&self, keyring: &Keyring) {
        let before = self.keys.load();
        let keeps = keyring.keeps(&before.keyring, &PURPOSES);
        let known = if keeps { before.known.clone() } else { Arc::new(known(self.known_bytes)) };
        self.keys.store(Arc::new(TokenKeys::new(keyring, known)));
    }

    /// How they are made.
    pub fn policy(&self) -> &TokenPolicy {
        &self.policy
    }

    /// Makes the tokens of a session's generation at `now`. Asked twice for one generation, it gives tokens of equal claims, but
    /// for the proof, and the extra claims of the access token, which are as they are given.
    ///
    /// The time of an account runs ahead where a node with a fast clock has changed it. No token is issued in the future all the
    /// same, since every node would refuse it until then.
    pub fn issue(
        &self,
        account: AccountId,
        session: &SessionTokens,
        proof: SessionProof,
        extra: ExtraClaims,
        now: DateTime<Utc>,
    ) -> IssuedTokens {
        let issued_at = session.issued_at.min(now);
        let access_expires_at = session.expires_at.min(issued_at + self.policy.access_lifetime);
        // As they will be read: times in tokens are whole seconds.
        let token = |kind, expires_at: DateTime<Utc>| Token {
            kind,
            account,
            session: session.session,
            generation: session.generation,
            issued_at: issued_at.trunc_subsecs(0),
            // A refresh that is repeated after a later proof gives what was issued before it.
            proof: (kind == TokenKind::Access).then(|| SessionProof {
                at: proof.at.min(issued_at).trunc_subsecs(0),
                methods: proof.methods,
            }),
            expires_at: expires_at.trunc_subsecs(0),
        };
        IssuedTokens {
            access: self.mint(token(TokenKind::Access, access_expires_at), extra),
            refresh: self.mint(token(TokenKind::Refresh, session.expires_at), ExtraClaims::default()),
            access_lifetime: access_expires_at - issued_at,
            refresh_lifetime: session.expires_at - issued_at,
        }
    }

    /// Reads a token of that kind that works now.
    ///
    /// # Errors
    /// [`InvalidToken`], whatever is wrong with it.
    pub fn open(&self, kind: TokenKind, text: &str, now: DateTime<Utc>) -> Result<Token, InvalidToken> {
        let token = self.open_expired(kind, text, now)?;
        (now < token.expires_at).then_some(token).ok_or(InvalidToken)
    }

    /// Reads a token of that kind, which may have expired: enough to sign its session out.
    ///
    /// # Errors
    /// [`InvalidToken`] when it never was one of ours.
    pub fn open_expired(
        &self,
        kind: TokenKind,
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<Token, InvalidToken> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(InvalidToken);
        }
        let TokenKeys { seals, signatures, known, .. } = &**self.keys.load();
        let TokenPolicy { issuer, audience, access_lifetime } = &self.policy;
        let name = hash(text);
        let token = match known.get(&name) {
            Some(token) => token,
            None => {
                let jwt = seals.open(kind, text)?;
                let mut token = signatures.verify(kind, &jwt)?.check(kind, issuer, audience)?;
                if kind == TokenKind::Access {
                    // One made while the lifetime was longer: ended sessions are remembered for as long as it is now.
                    token.expires_at = token.expires_at.min(token.issued_at + *access_lifetime);
                }
                known.insert(name, token);
                token
            }
        };
        let holds = token.kind == kind && token.issued_at <= now + LEEWAY;
        holds.then_some(token).ok_or(InvalidToken)
    }

    /// The extra claims of an access token of ours, whether or not it still works.
    ///
    /// # Errors
    /// [`InvalidToken`] when it never was one.
    pub fn extra_claims(&self, text: &str) -> Result<ExtraClaims, InvalidToken> {
        let TokenKeys { seals, signatures, .. } = &**self.keys.load();
        let jwt = seals.open(TokenKind::Access, text)?;
        Ok(signatures.verify(TokenKind::Access, &jwt)?.into_extra())
    }

    /// The keys by which others verify access tokens, those that are pending and retiring among them.
    pub fn public_keys(&self) -> JwkSet {
        self.keys.load().public.clone()
    }

    /// The kind that a text claims to be by its prefix, if any.
    pub fn kind_of(text: &str) -> Option<TokenKind> {
        let prefix = text.split('_').next()?;
        TokenKind::ALL.into_iter().find(|kind| kind.prefix() == prefix)
    }

    fn mint(&self, token: Token, extra: ExtraClaims) -> String {
        let claims = Claims::new(&token, &self.policy.issuer, &self.policy.audience, extra);
        let TokenKeys { seals, signatures, known, .. } = &**self.keys.load();
        let text = seals.seal(token.kind, signatures.sign(token.kind, &claims).as_bytes());
        known.insert(hash(&text), token);
        text
    }
}

fn known(bytes: u64) -> Cache<[u8; 32], Token> {
    let items = bytes / KNOWN_EACH;
    let mut options = OptionsBuilder::new();
    options.estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX));
    options.weight_capacity(items).hot_allocation(KNOWN_WELL);
    let options = options.build().expect("every number that is needed is given");
    Cache::with_options(options, UnitWeighter, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

fn hash(text: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests;
