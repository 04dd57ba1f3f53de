//! Show an authenticator, which the person may confirm.

use chrono::{DateTime, TimeDelta, Utc};

use crate::user_account::{
    AccountFact, Policy, Refusal, RequiredProof, SecondFactorFact, UserAccount, UserAccountEvent,
};
use crate::values::{AuthenticatorId, Client, SessionId};

/// For how long it can be confirmed.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// Show staff a new authenticator. It counts once a code of it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferSecondFactor {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    pub authenticator: AuthenticatorId,
    /// From where it was asked.
    pub client: Client,
}

impl OfferSecondFactor {
    /// A copied access token is not enough: the session has to be proved lately. A user who has an authenticator proves that
    /// one before they get another. Accounts without a role need none.
    pub(super) fn decide(
        self,
        state: &UserAccount,
        policy: &Policy,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.live_session(self.session, at).ok_or(Refusal::SessionEnded)?;
        if state.member().is_none_or(|member| member.roles.is_empty()) {
            return Err(Refusal::RoleMissing);
        }
        if state.authenticator().is_some() {
            state.has_passed(self.session, RequiredProof::Lately, at)?;
        }
        state.require_fresh_proof(self.session, at, policy)?;
        let Self { session, authenticator, client, .. } = self;
        let fact = AccountFact::SecondFactor(SecondFactorFact::SecondFactorOffered {
            session,
            authenticator,
            expires_at: at + LIFETIME,
        });
        Ok(vec![UserAccountEvent { at, fact, person: None, client: Some(client) }])
    }
}
