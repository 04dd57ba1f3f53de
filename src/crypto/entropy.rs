//! The one place that draws random bytes: keys, nonces, ids. All of them come from the operating system's generator.

use aws_lc_rs::rand;
use chrono::{DateTime, Utc};
use counterfoil_domain::values::{AccountId, ChallengeNonce, SessionId};
use uuid::{Builder, Uuid};

/// `N` random bytes.
///
/// # Panics
/// When the operating system has no randomness to give: nothing that needs a key or a nonce may go on then.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// A new account's id.
pub fn account_id(now: DateTime<Utc>) -> AccountId {
    AccountId(uuid_v7(now))
}

/// A new session's id.
pub fn session_id(now: DateTime<Utc>) -> SessionId {
    SessionId(uuid_v7(now))
}

/// A new challenge's nonce.
pub fn challenge_nonce() -> ChallengeNonce {
    ChallengeNonce::new(bytes())
}

/// A UUID of the present millisecond and 74 random bits (RFC 9562, section 5.7).
pub fn uuid_v7(now: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &bytes()).into_uuid()
}
