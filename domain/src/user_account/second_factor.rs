//! The second factor of staff: codes of an authenticator app (TOTP, RFC 6238), and recovery codes in case it is lost.
//!
//! A sign-in proves one factor: a code to a phone or mailbox. What takes a role takes a second one, passed in the session that asks.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::wrong_codes::WrongCodes;
use super::{FactorRejected, Refusal, SecondFactorProof, UserAccount};
use crate::values::{AuthenticatorId, RecoveryBatchId, Role, SessionId, TimeStep};

/// For how long a session that passed the second factor has the rights of staff. This and the next are shorter than what
/// NIST SP 800-63B-4 asks for in section 2.2.3.
const STAFF_LONGEST: TimeDelta = TimeDelta::hours(12);

/// How long it keeps them without being refreshed.
const STAFF_IDLE: TimeDelta = TimeDelta::minutes(30);

/// For how long what changes something may follow without passing it again.
const LATELY: TimeDelta = TimeDelta::minutes(10);

/// What a session must have shown for what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredProof {
    /// The second factor in this session, which has been in use since.
    InSession,
    /// The same within the last ten minutes: for what ends, gives or takes something.
    Lately,
}

/// The second factor of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The authenticator that the person was shown and has not confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<AuthenticatorOffer>,
    /// The authenticator that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<EnrolledAuthenticator>,
    /// The wrong codes that were tried.
    #[serde(default, skip_serializing_if = "WrongCodes::are_none")]
    pub wrong: WrongCodes,
}

/// An authenticator that becomes the account's by a code of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthenticatorOffer {
    /// By which its secret is derived.
    pub authenticator: AuthenticatorId,
    /// When it cannot be confirmed any more.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub expires_at: DateTime<Utc>,
}

/// The authenticator of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolledAuthenticator {
    /// By which its secret is derived.
    pub authenticator: AuthenticatorId,
    /// The newest step whose code was taken: no code is taken twice, nor one of before (RFC 6238, section 5.2).
    pub last_step: TimeStep,
    /// By which the recovery codes are derived.
    pub recovery: RecoveryBatchId,
    /// The numbers of those that are used up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery_used: Vec<u8>,
}

impl EnrolledAuthenticator {
    /// How many recovery codes are left.
    pub fn recovery_left(&self) -> u8 {
        let used = u8::try_from(self.recovery_used.len()).unwrap_or(u8::MAX);
        RecoveryBatchId::CODES.saturating_sub(used)
    }
}

impl SecondFactor {
    pub(super) fn enrol(
        &mut self,
        authenticator: AuthenticatorId,
        last_step: TimeStep,
        recovery: RecoveryBatchId,
    ) {
        let enrolled =
            EnrolledAuthenticator { authenticator, last_step, recovery, recovery_used: Vec::new() };
        *self = Self { enrolled: Some(enrolled), ..Self::default() };
    }

    pub(super) fn pass(&mut self, proof: SecondFactorProof) {
        self.wrong = WrongCodes::default();
        let Some(enrolled) = &mut self.enrolled else { return };
        match proof {
            SecondFactorProof::Authenticator { step } => enrolled.last_step = step,
            SecondFactorProof::RecoveryCode { number } => enrolled.recovery_used.push(number),
        }
    }

    pub(super) fn record_rejected(
        &mut self,
        at: DateTime<Utc>,
        reason: FactorRejected,
        until: Option<DateTime<Utc>>,
    ) {
        match reason {
            FactorRejected::Wrong | FactorRejected::Spent => self.wrong.record(at),
            FactorRejected::Paused | FactorRejected::Locked => self.wrong.recorded_until = until,
        }
    }

    pub(super) fn renew_recovery_codes(&mut self, recovery: RecoveryBatchId) {
        if let Some(enrolled) = &mut self.enrolled {
            (enrolled.recovery, enrolled.recovery_used) = (recovery, Vec::new());
        }
    }
}

impl UserAccount {
    /// Whether a session may be used at `now` for what takes a role and a second factor.
    ///
    /// # Errors
    /// [`Refusal::SessionEnded`], [`Refusal::RoleMissing`], [`Refusal::SecondFactorMissing`].
    pub fn may(
        &self,
        session: SessionId,
        role: Role,
        passed: RequiredProof,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        self.live_session(session, now).ok_or(Refusal::SessionEnded)?;
        if !self.has_role(role, now) {
            return Err(Refusal::RoleMissing);
        }
        self.has_passed(session, passed, now)
    }

    /// Whether the second factor was passed in a session.
    pub(super) fn has_passed(
        &self,
        session: SessionId,
        passed: RequiredProof,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let session = self.live_session(session, now).ok_or(Refusal::SessionEnded)?;
        let at = session.second_factor_at.ok_or(Refusal::SecondFactorMissing)?;
        let is_in_use = now - at < STAFF_LONGEST && now - at.max(session.last_used_at) < STAFF_IDLE;
        let is_recent = match passed {
            RequiredProof::InSession => true,
            RequiredProof::Lately => now - at < LATELY,
        };
        (is_in_use && is_recent).then_some(()).ok_or(Refusal::SecondFactorMissing)
    }

    /// The authenticator that counts, if there is one.
    pub fn authenticator(&self) -> Option<&EnrolledAuthenticator> {
        self.member()?.second_factor.as_ref()?.enrolled.as_ref()
    }
}
