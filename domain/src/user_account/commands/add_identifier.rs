//! Ask for a code to another identifier.

use chrono::{DateTime, Utc};

use super::request_otp::{RefusedRequest, within_quota};
use crate::user_account::{
    AccountFact, CodeAsked, IdentifierFact, PersonalDetails, Policy, Refusal, UserAccount, UserAccountEvent,
};
use crate::values::{ChallengeNonce, Client, Identifier, SessionId};

/// Let a code go to an identifier that is to become the account's: beside the one of the other kind, or in the place of
/// the one of the same. A copied access token is not enough: the session has to be proved lately. Whether one can go there,
/// the account whose it is or may become says ([`RequestOtp`](super::RequestOtp)): the wait between two codes belongs to
/// the identifier, so that a mistyped one does not hold up the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddIdentifier {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    pub identifier: Identifier,
    /// The one that the account has of that kind.
    pub former: Option<Identifier>,
    /// 16 fresh random bytes.
    pub nonce: ChallengeNonce,
    /// From where it was asked.
    pub client: Client,
}

impl AddIdentifier {
    pub(super) fn decide(
        self,
        state: &UserAccount,
        policy: &Policy,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.require_fresh_proof(self.session, at, policy)?;
        if self.former.as_ref() == Some(&self.identifier) {
            return Err(Refusal::IdentifierTaken);
        }
        let channel = self.identifier.channel();
        // What strangers tried does not keep a device that is signed in from it.
        let requester = state.requester(Some(self.session));
        let barred = state.barred(requester, channel, at, policy);
        let may_ask = barred.map_or_else(
            || within_quota(state.codes().map_or(&[], |codes| &codes.sent_elsewhere), at, policy),
            |(bar, until)| Err((bar.into(), until)),
        );
        if let Err(refused) = may_ask {
            let (asked, identifier, client) = (CodeAsked::ToAdd, self.identifier, self.client);
            // The identifier is not one whose lock the account could lift.
            let refusal = RefusedRequest { asked, identifier, client, unlock_nonce: None };
            return refusal.refuse(state, requester, refused, at);
        }
        Ok(vec![UserAccountEvent {
            at,
            fact: AccountFact::Identifier(IdentifierFact::IdentifierRequested {
                channel,
                nonce: self.nonce,
                expires_at: at + policy.code_lifetime,
            }),
            person: Some(PersonalDetails { identifier: Some(self.identifier), ..PersonalDetails::default() }),
            client: Some(self.client),
        }])
    }
}
