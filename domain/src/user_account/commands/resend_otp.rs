//! Ask for the pending code once more.

use chrono::{DateTime, Utc};

use super::request_otp::{may_send, refuse};
use crate::user_account::{
    Asker, CodeAsked, Codes, Fact, Person, Policy, Purpose, Refusal, UserAccount, UserAccountEvent,
};
use crate::values::{ChallengeNonce, Client, Identifier, SessionId};

/// Send the pending code once more. It resets nothing: not the wrong tries, not the quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResendOtp {
    /// The time.
    pub at: DateTime<Utc>,
    /// Where the code is to go.
    pub identifier: Identifier,
    /// 16 fresh random bytes, for when the pending code is about to expire.
    pub nonce: ChallengeNonce,
    /// From where it was asked.
    pub client: Client,
    /// The session of a token that came along, of this account.
    pub shown: Option<SessionId>,
    /// Whether the settings list the identifier for tests.
    pub test: bool,
}

impl ResendOtp {
    pub(super) fn decide(
        self,
        state: &UserAccount,
        policy: &Policy,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        let channel = self.identifier.channel();
        let pending_of = |asker| state.codes_of(asker).and_then(|codes| codes.challenge_at(at, channel));
        // A device that is known may have asked before it showed that.
        let asker = state.asker(self.shown);
        let asker = if pending_of(asker).is_some() { asker } else { Asker::Anybody };
        let pending = pending_of(asker).ok_or(Refusal::NoPendingCode)?;
        if let Err(refused) = may_send(state.codes_of(asker), at, policy) {
            return refuse(state, asker, refused, at, CodeAsked::Again, self.identifier, self.client);
        }
        let (nonce, expires_at) = if pending.expires_at - at >= policy.resend_same_code {
            (pending.nonce, pending.expires_at)
        } else {
            (self.nonce, at + policy.code_lifetime)
        };
        Ok(vec![UserAccountEvent {
            at,
            fact: Fact::OtpResent {
                channel,
                purpose: Purpose::SignIn,
                nonce,
                expires_at,
                asker,
                test: self.test,
            },
            person: Some(Person { identifier: Some(self.identifier), ..Person::default() }),
            client: Some(self.client),
        }])
    }
}

impl Codes {
    /// The challenge that a code for this channel would be tried against, unless it has expired.
    fn challenge_at(
        &self,
        now: DateTime<Utc>,
        channel: crate::values::Channel,
    ) -> Option<&crate::user_account::Challenge> {
        self.challenge.as_ref().filter(|challenge| challenge.channel == channel && now < challenge.expires_at)
    }
}
