//! Pass the second factor.

use chrono::{DateTime, Utc};

use crate::user_account::wrong_codes::CodeBar;
use crate::user_account::{
    AccountFact, EnrolledAuthenticator, FactorRejected, Policy, Refusal, SecondFactor, SecondFactorFact,
    SecondFactorProof, Services, UserAccount, UserAccountEvent,
};
use crate::values::{Client, SecondFactorCode, SessionId};

/// Prove the second factor, for the session to have the rights of the account's roles for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassSecondFactor {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    pub code: SecondFactorCode,
    /// From where it came.
    pub client: Client,
}

impl PassSecondFactor {
    pub(super) fn decide(
        self,
        state: &UserAccount,
        services: &Services,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        let Self { session, code, client, .. } = self;
        state.live_session(session, at).ok_or(Refusal::SessionEnded)?;
        let factor = state.member().and_then(|member| member.second_factor.as_ref());
        let factor = factor.ok_or(Refusal::NoSecondFactor)?;
        let enrolled = factor.enrolled.as_ref().ok_or(Refusal::NoSecondFactor)?;
        let proof = || proved(enrolled, &code, at, services);
        let fact = match try_code(factor, session, at, &services.policy, proof)? {
            Tried::Right(proof) => {
                AccountFact::SecondFactor(SecondFactorFact::SecondFactorPassed { session, proof })
            }
            Tried::Rejected(fact) => fact,
        };
        Ok(vec![UserAccountEvent { at, fact, person: None, client: Some(client) }])
    }
}

/// What a code proves. Each proves it once.
fn proved(
    enrolled: &EnrolledAuthenticator,
    code: &SecondFactorCode,
    at: DateTime<Utc>,
    services: &Services,
) -> Result<SecondFactorProof, FactorRejected> {
    let (proof, is_spent) = match code {
        SecondFactorCode::Authenticator(code) => {
            let step = services.second_factors.step(enrolled.authenticator, code, at);
            let step = step.ok_or(FactorRejected::Wrong)?;
            (SecondFactorProof::Authenticator { step }, step <= enrolled.last_step)
        }
        SecondFactorCode::Recovery(code) => {
            let number = services.second_factors.recovery_code(enrolled.recovery, code);
            let number = number.ok_or(FactorRejected::Wrong)?;
            (SecondFactorProof::RecoveryCode { number }, enrolled.recovery_used.contains(&number))
        }
    };
    if is_spent { Err(FactorRejected::Spent) } else { Ok(proof) }
}

/// What comes of a code that was tried.
pub(super) enum Tried<T> {
    /// It is right, and proves this.
    Right(T),
    /// It is not, which is to be put on record by this.
    Rejected(AccountFact),
}

/// Tries a code, unless too many wrong ones came before.
pub(super) fn try_code<T>(
    factor: &SecondFactor,
    session: SessionId,
    at: DateTime<Utc>,
    policy: &Policy,
    read: impl FnOnce() -> Result<T, FactorRejected>,
) -> Result<Tried<T>, Refusal> {
    let rejected = |reason, until| {
        Ok(Tried::Rejected(AccountFact::SecondFactor(SecondFactorFact::SecondFactorRejected {
            session,
            reason,
            until,
        })))
    };
    if let Some((bar, until)) = factor.wrong.barred(at, policy) {
        return match factor.wrong.recorded(at) {
            Some(until) => Err(Refusal::TooManyTries { until }),
            None => rejected(bar.into(), Some(until)),
        };
    }
    match read() {
        Ok(proof) => Ok(Tried::Right(proof)),
        Err(reason) => rejected(reason, None),
    }
}

impl From<CodeBar> for FactorRejected {
    fn from(bar: CodeBar) -> Self {
        match bar {
            CodeBar::Paused => Self::Paused,
            CodeBar::Locked => Self::Locked,
        }
    }
}
