//! The second factor of staff.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::user_account::ActingStaff;
use crate::values::{AuthenticatorId, RecoveryBatchId, SessionId, TimeStep};

/// What happened to the second factor of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SecondFactorFact {
    /// The user was shown an authenticator, which becomes the account's by a code of it. It voids the one shown before.
    SecondFactorOffered {
        /// The session in which it was shown.
        session: SessionId,
        /// By which the secret is derived that the user was shown.
        authenticator: AuthenticatorId,
        /// When it cannot be confirmed any more.
        expires_at: DateTime<Utc>,
    },
    /// The user confirmed the authenticator that they were shown: it is the account's second factor, in the place of the
    /// one before, and passed in this session and no other.
    SecondFactorEnrolled {
        /// The device session that the event is about.
        session: SessionId,
        /// By which its secret is derived.
        authenticator: AuthenticatorId,
        /// The half minute whose code confirmed it.
        step: TimeStep,
        /// By which the recovery codes are derived that the user was given.
        recovery: RecoveryBatchId,
    },
    /// The user passed the second factor: the session has the rights of the account's roles for a while.
    SecondFactorPassed {
        /// The device session that the event is about.
        session: SessionId,
        /// The kind of code that passed it.
        proof: SecondFactorProof,
    },
    /// A code of the second factor was presented and did nothing.
    SecondFactorRejected {
        /// The device session that the event is about.
        session: SessionId,
        /// Why the code did nothing.
        reason: FactorRejected,
        /// For a rejection without a look at the code: when trying again can succeed, or, under a lock, when the
        /// next try is put on record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// The user was given new recovery codes; those before are void.
    RecoveryCodesRenewed {
        /// The session in which it was asked.
        session: SessionId,
        /// By which the new ones are derived.
        recovery: RecoveryBatchId,
    },
    /// The account has no second factor any more, because the user lost it.
    SecondFactorRemoved {
        /// The member of staff who removed the second factor.
        by: ActingStaff,
    },
}

/// By what a second factor was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SecondFactorProof {
    /// The code that the authenticator showed in that half minute.
    Authenticator {
        /// The half minute whose code it was.
        step: TimeStep,
    },
    /// A recovery code, which is used up.
    RecoveryCode {
        /// Its number in its batch, from 0.
        number: u8,
    },
}

impl SecondFactorProof {
    /// The name as it stands in events and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authenticator { .. } => "authenticator",
            Self::RecoveryCode { .. } => "recovery_code",
        }
    }
}

/// Why a code of a second factor does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FactorRejected {
    /// It is not a code of the authenticator, nor a recovery code.
    Wrong,
    /// It was one, and is used up.
    Spent,
    /// Too many wrong codes were tried within the hour; this one was not looked at.
    Paused,
    /// Too many wrong codes were tried in a row; this one was not looked at. Time alone does not lift it.
    Locked,
}
