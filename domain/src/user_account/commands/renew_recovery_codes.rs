//! Get new recovery codes.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, Policy, Refusal, RequiredProof, SecondFactorFact, UserAccount, UserAccountEvent,
};
use crate::values::{Client, RecoveryBatchId, SessionId};

/// Put new recovery codes in the place of those there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewRecoveryCodes {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    pub recovery: RecoveryBatchId,
    /// From where it was asked.
    pub client: Client,
}

impl RenewRecoveryCodes {
    /// An authenticator that was just enrolled counts as passed and is no proof: the caller chose it themselves.
    pub(super) fn decide(
        self,
        state: &UserAccount,
        policy: &Policy,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.live_session(self.session, at).ok_or(Refusal::SessionEnded)?;
        state.authenticator().ok_or(Refusal::NoSecondFactor)?;
        state.has_passed(self.session, RequiredProof::Lately, at)?;
        state.require_fresh_proof(self.session, at, policy)?;
        let fact = AccountFact::SecondFactor(SecondFactorFact::RecoveryCodesRenewed {
            session: self.session,
            recovery: self.recovery,
        });
        Ok(vec![UserAccountEvent { at, fact, person: None, client: Some(self.client) }])
    }
}
