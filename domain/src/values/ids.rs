//! Identities, a type for each, so that one cannot be passed for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(example = "01a2102b-9989-7532-acd2-ac1c6690aa6d"))]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// An account, and the name of its event stream. A version 7 UUID (RFC 9562) made by the server.
    AccountId
}

uuid_id! {
    /// A change of an account's identifiers that staff proposed. A version 7 UUID.
    ProposalId
}

uuid_id! {
    /// A device session: one sign-in on one device. A version 7 UUID whose random part is 74 bits; it names a
    /// session, and never gives access to it.
    SessionId
}

uuid_id! {
    /// An authenticator of an account: by it, and a key that the domain never holds, the secret is derived that the user's
    /// app and the service share. A version 7 UUID; it is no secret.
    AuthenticatorId
}

uuid_id! {
    /// The recovery codes that an account was given together, derived by it as the secret of an authenticator is. A version
    /// 7 UUID.
    RecoveryBatchId
}

uuid_id! {
    /// A block that staff have set. A version 7 UUID.
    BlockId
}

impl RecoveryBatchId {
    /// How many codes there are in it.
    pub const CODES: u8 = 10;
}

/// The nonce of a challenge: 128 random bits that, with the code key, give the code. It also names the challenge.
///
/// Written as 32 lower-case hexadecimal digits. It is no secret: without the key it tells nothing about the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = "^[0-9a-f]{32}$", example = "00112233445566778899aabbccddeeff"))]
pub struct ChallengeNonce([u8; 16]);

impl ChallengeNonce {
    /// A nonce of the given random bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for ChallengeNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).as_simple().fmt(f)
    }
}

impl From<ChallengeNonce> for String {
    fn from(nonce: ChallengeNonce) -> Self {
        nonce.to_string()
    }
}

impl TryFrom<String> for ChallengeNonce {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Uuid::try_parse(&text).map(|uuid| Self(uuid.into_bytes()))
    }
}
