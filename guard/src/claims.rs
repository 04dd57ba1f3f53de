//! The claims of the JWT inside a token.

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::SessionProof;
use counterfoil_domain::values::{AccountId, AuthenticationMethods, Generation, SessionId};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::{ExtraClaims, InvalidToken, Token, TokenKind};

/// The claims: all required, of which `auth_time` and `amr` belong to access tokens, all strictly typed, no others.
///
/// Times are whole seconds since 1970 (RFC 7519, section 2); a fraction, a text or a number out of range is no time. Nothing
/// personal is among them, but what an installation puts into `ext`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    sid: Uuid,
    jti: String,
    #[serde(rename = "gen")]
    generation: u32,
    typ: String,
    iat: u32,
    nbf: u32,
    exp: u32,
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    auth_time: Option<u32>,
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    amr: Option<MethodNames>,
    #[serde(default, skip_serializing_if = "ExtraClaims::is_empty")]
    ext: ExtraClaims,
}

impl Claims {
    /// Returns the claims of a token that this issuer makes for that audience.
    pub fn new(token: &Token, issuer: &str, audience: &str, ext: ExtraClaims) -> Self {
        let issued_at = seconds(token.issued_at);
        Self {
            iss: issuer.to_owned(),
            aud: audience.to_owned(),
            sub: token.account.0,
            sid: token.session.0,
            jti: token.id(),
            generation: token.generation.0,
            typ: token.kind.claim_type().to_owned(),
            iat: issued_at,
            nbf: issued_at,
            exp: seconds(token.expires_at),
            auth_time: token.proof.map(|proof| seconds(proof.at)),
            amr: token.proof.map(|proof| MethodNames(proof.methods)),
            ext,
        }
    }

    /// Returns the claims of the installation's own.
    pub fn into_extra(self) -> ExtraClaims {
        self.ext
    }

    /// Returns the token that the claims describe, whether or not its time has come or gone.
    ///
    /// # Errors
    /// [`InvalidToken`] when a claim is not as the issuer makes it for that kind.
    pub fn check(&self, kind: TokenKind, issuer: &str, audience: &str) -> Result<Token, InvalidToken> {
        let (session, generation) = (SessionId(self.sid), Generation(self.generation));
        let holds = self.iss == issuer
            && self.aud == audience
            && self.typ == kind.claim_type()
            && generation >= Generation::FIRST
            && self.jti == jti(kind, session, generation)
            && self.nbf == self.iat
            && self.iat <= self.exp
            && self.auth_time.is_none_or(|auth_time| auth_time <= self.iat)
            && [self.auth_time.is_some(), self.amr.is_some()] == [kind == TokenKind::Access; 2]
            && (self.ext.is_empty() || kind == TokenKind::Access && self.ext.are_members());
        let time = |seconds: u32| DateTime::from_timestamp(i64::from(seconds), 0).ok_or(InvalidToken);
        let (issued_at, expires_at) = (time(self.iat)?, time(self.exp)?);
        let proof = match (self.auth_time, &self.amr) {
            (Some(at), Some(methods)) => Some(SessionProof { at: time(at)?, methods: methods.0 }),
            _ => None,
        };
        let token =
            Token { kind, account: AccountId(self.sub), session, generation, issued_at, proof, expires_at };
        holds.then_some(token).ok_or(InvalidToken)
    }
}

/// The methods as a list of their names.
#[derive(Debug)]
struct MethodNames(AuthenticationMethods);

impl Serialize for MethodNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.names().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MethodNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let methods = AuthenticationMethods::from_names(&names);
        methods.map(Self).ok_or_else(|| D::Error::custom("no method has that name"))
    }
}

/// A claim that may be missing and is never null.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The `jti` claim, which is the same for the same generation, however often its tokens are made.
pub(crate) fn jti(kind: TokenKind, session: SessionId, generation: Generation) -> String {
    format!("{}.{}.{}", session, generation.0, kind.claim_type())
}

fn seconds(time: DateTime<Utc>) -> u32 {
    u32::try_from(time.timestamp().max(0)).unwrap_or(u32::MAX)
}
