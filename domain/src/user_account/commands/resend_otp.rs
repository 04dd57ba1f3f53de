//! Ask for the pending code once more.

use chrono::{DateTime, Utc};

use super::request_otp::{CodeMessage, PendingCode, RefusedRequest, may_send, unanswered_code};
use crate::user_account::{
    Challenge, CodeAsked, CodeState, Refusal, Requester, Services, UserAccount, UserAccountEvent,
};
use crate::values::{ChallengeNonce, Channel, Client, Identifier, SessionId};

/// Send the pending code once more. It resets nothing: not the wrong tries, not the quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResendOtp {
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
    /// Whether no message may go out: the day's budget is spent but for what is kept for identifiers that have signed in before.
    pub withheld: bool,
}

impl ResendOtp {
    pub(super) fn decide(
        self,
        state: &UserAccount,
        services: &Services,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let policy = &services.policy;
        let at = state.time_of(self.at);
        let channel = self.identifier.channel();
        let pending_of =
            |requester| state.codes_of(requester).and_then(|codes| codes.challenge_at(at, channel));
        // A device that is known may have asked before it showed that.
        let requester = state.requester(self.shown);
        let requester = if pending_of(requester).is_some() { requester } else { Requester::Stranger };
        let challenge = pending_of(requester).ok_or(Refusal::NoPendingCode)?;
        let pending = match unanswered_code(state, requester, channel, at, services) {
            Some(unanswered) => unanswered,
            None => PendingCode { challenge, requester, answer_possible_at: None },
        };
        if pending.answer_possible_at.is_none()
            && let Err(refused) = may_send(state, requester, channel, at, policy)
        {
            let may_link = policy.unlock_links && !self.test && !self.withheld;
            let unlock_nonce = may_link.then_some(self.nonce);
            let (asked, identifier, client) = (CodeAsked::Again, self.identifier, self.client);
            return RefusedRequest { asked, identifier, client, unlock_nonce }
                .refuse(state, requester, refused, at);
        }
        let Self { nonce, identifier, client, test, withheld, .. } = self;
        let message = CodeMessage { nonce, identifier, client, test, withheld };
        Ok(vec![pending.sent_again(at, message, policy)])
    }
}

impl CodeState {
    /// The challenge that a code for this channel would be tried against, unless it has expired.
    pub(super) fn challenge_at(&self, now: DateTime<Utc>, channel: Channel) -> Option<&Challenge> {
        self.challenge.as_ref().filter(|challenge| challenge.channel == channel && now < challenge.expires_at)
    }
}
