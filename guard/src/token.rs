//! Access and refresh tokens: what they say, and how long their text may be.

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::SessionProof;
use counterfoil_domain::values::{AccountId, Generation, SessionId};

/// The longest text that is looked at as a token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// How far ahead the clock of the node that issued a token may be. The end of a token has no such leeway: it stops working when
/// it says so.
pub const LEEWAY: TimeDelta = TimeDelta::seconds(30);

/// The longest lifetime of an access token that an installation can set.
pub const LONGEST_ACCESS_LIFETIME: TimeDelta = TimeDelta::hours(1);

/// What a token is good for. One kind is never taken for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An access token proves who is calling.
    Access,
    /// A refresh token is traded for the tokens of the next generation.
    Refresh,
}

impl TokenKind {
    /// Both kinds of tokens.
    pub const ALL: [Self; 2] = [Self::Access, Self::Refresh];

    /// The beginning of the token's text.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Access => "cfa",
            Self::Refresh => "cfr",
        }
    }

    /// The `typ` of the JWT's header (RFC 8725, section 3.11).
    pub fn header_type(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Refresh => "rt+jwt",
        }
    }

    /// The `typ` of the JWT's claims.
    pub fn claim_type(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }
}

/// A token that is not valid: expired, forged, truncated, or of the wrong kind. One answer for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token is not valid")]
pub struct InvalidToken;

/// What a token of Counterfoil says. What it says of its session may be out of date: the session may have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whether it is an access or a refresh token.
    pub kind: TokenKind,
    /// The account that the token was issued to, claim `sub`.
    pub account: AccountId,
    /// The device session that the token belongs to, claim `sid`.
    pub session: SessionId,
    /// The session's generation when the token was issued.
    pub generation: Generation,
    /// When the token was issued, claim `iat`.
    pub issued_at: DateTime<Utc>,
    /// When and by what the user of the session was last proved to be there before that, by a sign-in, a code or the second
    /// factor: the claims `auth_time` and `amr` of an access token. A refresh is no proof, and refresh tokens do not have them.
    pub proof: Option<SessionProof>,
    /// When the token stops working, claim `exp`.
    pub expires_at: DateTime<Utc>,
}

impl Token {
    /// The `jti` claim: the same for every token of that kind and generation.
    pub fn id(&self) -> String {
        crate::claims::jti(self.kind, self.session, self.generation)
    }
}
