//! Ask for a code that proves the user of a session again.

use chrono::{DateTime, Utc};

use super::request_otp::{RefusedRequest, may_send};
use crate::user_account::{
    AccountFact, CodeAsked, CodeFact, PersonalDetails, Policy, Purpose, Refusal, Requester, UserAccount,
    UserAccountEvent,
};
use crate::values::{ChallengeNonce, Client, Identifier, SessionId};

/// Send a code to an identifier that the account has, so that its session proves its user without a new sign-in. The code is
/// good for this session alone, and counts against the identifier as one to sign in does, asked for by a known device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestReauthentication {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    /// The identifier by which this account was found.
    pub identifier: Identifier,
    /// 16 fresh random bytes.
    pub nonce: ChallengeNonce,
    /// From where it was asked.
    pub client: Client,
    /// Whether the settings list the identifier for tests.
    pub test: bool,
}

impl RequestReauthentication {
    pub(super) fn decide(
        self,
        state: &UserAccount,
        policy: &Policy,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.live_session(self.session, at).ok_or(Refusal::SessionEnded)?;
        let (requester, channel) = (Requester::KnownDevice, self.identifier.channel());
        if let Err(refused) = may_send(state, requester, channel, at, policy) {
            let unlock_nonce = (policy.unlock_links && !self.test).then_some(self.nonce);
            let (asked, identifier, client) = (CodeAsked::ToReauthenticate, self.identifier, self.client);
            return RefusedRequest { asked, identifier, client, unlock_nonce }
                .refuse(state, requester, refused, at);
        }
        Ok(vec![UserAccountEvent {
            at,
            fact: AccountFact::Code(CodeFact::OtpRequested {
                channel,
                purpose: Purpose::Reauthenticate,
                nonce: self.nonce,
                expires_at: at + policy.code_lifetime,
                registering: false,
                session: Some(self.session),
                requester,
                test: self.test,
                // The account has signed in before, so that its codes are paid from the reserve of the day's budget.
                withheld: false,
            }),
            person: Some(PersonalDetails { identifier: Some(self.identifier), ..PersonalDetails::default() }),
            client: Some(self.client),
        }])
    }
}
