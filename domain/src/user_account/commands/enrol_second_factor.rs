//! Confirm the authenticator that was shown.

use chrono::{DateTime, Utc};

use super::pass_second_factor::{Tried, try_code};
use crate::user_account::{
    AccountFact, FactorRejected, Refusal, RequiredProof, SecondFactorFact, Services, UserAccount,
    UserAccountEvent,
};
use crate::values::{Client, OtpCode, RecoveryBatchId, SessionId};

/// Make the authenticator that was shown the account's second factor, by a code of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolSecondFactor {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    /// The code that the authenticator shows.
    pub code: OtpCode,
    /// A fresh batch of recovery codes.
    pub recovery: RecoveryBatchId,
    /// From where it came.
    pub client: Client,
}

impl EnrolSecondFactor {
    /// The session has to be proved lately, and a user who has an authenticator has proved that one in it, as when the new one
    /// was shown.
    pub(super) fn decide(
        self,
        state: &UserAccount,
        services: &Services,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        let Self { session, code, recovery, client, .. } = self;
        state.live_session(session, at).ok_or(Refusal::SessionEnded)?;
        if state.authenticator().is_some() {
            state.has_passed(session, RequiredProof::Lately, at)?;
        }
        state.require_fresh_proof(session, at, &services.policy)?;
        let factor = state.member().and_then(|member| member.second_factor.as_ref());
        let factor = factor.ok_or(Refusal::InvalidCode)?;
        let offer = factor.offered.as_ref().filter(|offer| at < offer.expires_at);
        let authenticator = offer.ok_or(Refusal::InvalidCode)?.authenticator;
        let step = || services.second_factors.step(authenticator, &code, at).ok_or(FactorRejected::Wrong);
        let fact = match try_code(factor, session, at, &services.policy, step)? {
            Tried::Right(step) => AccountFact::SecondFactor(SecondFactorFact::SecondFactorEnrolled {
                session,
                authenticator,
                step,
                recovery,
            }),
            Tried::Rejected(fact) => fact,
        };
        Ok(vec![UserAccountEvent { at, fact, person: None, client: Some(client) }])
    }
}
