//! Codes that are sent and tried, and the limits and locks that they set.

use std::ops::Not;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::user_account::{ActingStaff, Purpose, Requester};
use crate::values::{ChallengeNonce, Channel, SessionId};

/// What happened to codes, and to the limits and locks that they set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CodeFact {
    /// A code was asked for and is to be sent to an identifier of this account, or one that it may become. A code to
    /// sign in makes any before it void. A code for another account to add the identifier only counts here: it is tried
    /// on the account that asked, whose event has the same nonce.
    OtpRequested {
        /// Where the code goes.
        channel: Channel,
        /// What the code is for.
        purpose: Purpose,
        /// The challenge's nonce, from which the code is derived.
        nonce: ChallengeNonce,
        /// When the code stops working.
        expires_at: DateTime<Utc>,
        /// Whether redeeming it begins the account, because the identifier has not been proved yet. A name given then is the
        /// new account's.
        registering: bool,
        /// For a code that proves the user of a session again: the session that asked, the only one that it proves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
        /// Whether a known device or a stranger asked for the code.
        #[serde(rename = "asker", default, skip_serializing_if = "Requester::is_stranger")]
        requester: Requester,
        /// Whether the identifier is one that the settings list for tests, whose code is always the same.
        #[serde(default, skip_serializing_if = "Not::not")]
        test: bool,
        /// Whether no message goes out, because what is left of the day's budget is kept for identifiers that have signed in
        /// before. The caller is not told, since that would tell whether the identifier has.
        #[serde(default, skip_serializing_if = "Not::not")]
        withheld: bool,
    },
    /// The pending code was asked for once more; a new one is made when the old has less than a minute to live. A request
    /// for a code is this too, where an outage kept the caller from hearing of the pending one.
    OtpResent {
        /// Where the code goes.
        channel: Channel,
        /// What the code is for.
        purpose: Purpose,
        /// The challenge's nonce: the former one, or a new one.
        nonce: ChallengeNonce,
        /// When the code stops working.
        expires_at: DateTime<Utc>,
        /// Whether a known device or a stranger asked for the code.
        #[serde(rename = "asker", default, skip_serializing_if = "Requester::is_stranger")]
        requester: Requester,
        /// Whether the identifier is one that the settings list for tests, whose code is always the same.
        #[serde(default, skip_serializing_if = "Not::not")]
        test: bool,
        /// Whether no message goes out, because what is left of the day's budget is kept for identifiers that have signed in
        /// before. The caller is not told, since that would tell whether the identifier has.
        #[serde(default, skip_serializing_if = "Not::not")]
        withheld: bool,
        /// When the request before this one could first be answered, where an outage kept it from being answered at once:
        /// its caller need not wait before the next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer_possible_at: Option<DateTime<Utc>>,
    },
    /// A code was refused. Recorded once a window while the reason stays the same, however often it is asked for.
    OtpRequestRefused {
        /// Why the code was refused.
        reason: CodeRefused,
        /// When asking again can succeed; under a lock, when it is next put on record.
        until: DateTime<Utc>,
        /// In which way it was asked for.
        #[serde(default, skip_serializing_if = "CodeAsked::is_to_sign_in")]
        asked: CodeAsked,
        /// Where the code was to go.
        channel: Channel,
        /// Whether a known device or a stranger asked for the code.
        #[serde(rename = "asker", default, skip_serializing_if = "Requester::is_stranger")]
        requester: Requester,
    },
    /// A code was presented and did nothing.
    OtpRejected {
        /// What a code was presented for.
        #[serde(default, skip_serializing_if = "Purpose::is_sign_in")]
        purpose: Purpose,
        /// Why the code did nothing.
        reason: CodeRejected,
        /// Where the code would have gone.
        channel: Channel,
        /// How many more tries the challenge has; none for a challenge that is gone.
        tries_left: u8,
        /// For a rejection without a look at the code: when trying again can succeed, or, under a lock, when the
        /// next try is put on record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
        /// Whether a known device or a stranger presented the code.
        #[serde(rename = "asker", default, skip_serializing_if = "Requester::is_stranger")]
        requester: Requester,
    },
    /// The limits that wrong codes and many codes had set were lifted by staff. What is pending stays.
    LimitsLifted {
        /// The member of staff who lifted the limits.
        by: ActingStaff,
    },
    /// A code was asked for while wrong codes lock an identifier, and a link that lifts the lock is to be sent there. It makes
    /// any link before it void.
    UnlockLinkIssued {
        /// The kind of the locked identifier, to which the link goes.
        channel: Channel,
        /// The nonce of the link, from which its secret part is derived.
        nonce: ChallengeNonce,
        /// When the link stops working.
        expires_at: DateTime<Utc>,
    },
    /// The owner of a locked identifier opened the link that was sent there and confirmed: codes are sent to it and looked at
    /// as if none had been. The link is spent.
    LockLifted {
        /// The kind of the identifier.
        channel: Channel,
    },
}

/// In which way a code is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CodeAsked {
    /// A code to sign in with.
    #[default]
    ToSignIn,
    /// The pending one once more.
    Again,
    /// To add an identifier, by the account that wants it.
    ToAdd,
    /// To add an identifier, for the account that wants it, of the one whose it is or may become.
    ForAnother,
    /// To prove the user of a session again.
    ToReauthenticate,
}

impl CodeAsked {
    /// Whether it is the way that events leave unsaid.
    fn is_to_sign_in(&self) -> bool {
        *self == Self::ToSignIn
    }
}

/// Why a code is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CodeRefused {
    /// The last one was sent a moment ago.
    TooSoon,
    /// As many were sent as one identifier may get in 24 hours.
    QuotaSpent,
    /// Too many wrong codes were tried within the hour.
    Paused,
    /// Too many wrong codes were tried in a row. Time alone does not lift it.
    Locked,
}

/// Why a code does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CodeRejected {
    /// It is not the code.
    Wrong,
    /// Its time is over.
    Expired,
    /// Too many wrong codes were tried within the hour; this one was not looked at.
    Paused,
    /// Too many wrong codes were tried in a row; this one was not looked at. Time alone does not lift it.
    Locked,
    /// It is the code, but the account is signed in on as many devices as it may be. Recorded once for each code,
    /// which goes on working: the user may sign a device out and try again.
    DeviceLimit,
    /// It is the code, but the account is suspended, or was after the code had been sent. Counted and answered as a wrong
    /// one, so that the suspension shows only to those who know the code.
    Suspended,
}
