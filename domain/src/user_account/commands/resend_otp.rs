//! Ask for the pending code once more.

use chrono::{DateTime, Utc};

use super::request_otp::{may_send, refuse};
use crate::user_account::{Codes, Fact, Person, Policy, Refusal, UserAccount, UserAccountEvent};
use crate::values::{ChallengeNonce, Client, Identifier};

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
}

impl ResendOtp {
    pub(super) fn decide(
        self,
        state: &UserAccount,
        policy: &Policy,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        let channel = self.identifier.channel();
        let pending =
            state.codes().and_then(|codes| codes.challenge_at(at, channel)).ok_or(Refusal::NoPendingCode)?;
        if let Err((reason, until)) = may_send(state.codes(), at, policy) {
            return refuse(state.codes(), reason, until, at, self.identifier, self.client);
        }
        let (nonce, expires_at) = if pending.expires_at - at >= policy.resend_same_code {
            (pending.nonce, pending.expires_at)
        } else {
            (self.nonce, at + policy.code_lifetime)
        };
        Ok(vec![UserAccountEvent {
            at,
            fact: Fact::OtpResent { channel, purpose: pending.purpose, nonce, expires_at },
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
