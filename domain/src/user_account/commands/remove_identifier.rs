//! Take an identifier from the account.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, HeldIdentifiers, IdentifierFact, PersonalDetails, Policy, Refusal, SignOutReason,
    UserAccount, UserAccountEvent,
};
use crate::values::{Client, Identifier, SessionId};

/// Removes an identifier, which finds the account no more. A copied access token is not enough: the session has to be
/// proved lately. The last identifier stays, since without one the account could not be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveIdentifier {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    pub identifier: Identifier,
    /// The identifiers of the account as it stands; the state itself has only their kinds.
    pub held: HeldIdentifiers,
    /// From where it was asked.
    pub client: Client,
}

impl RemoveIdentifier {
    /// All other sessions end, as after a replacement: one of them may have begun by the identifier that is removed.
    pub(super) fn decide(
        self,
        state: &UserAccount,
        policy: &Policy,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.require_fresh_proof(self.session, at, policy)?;
        let channel = self.identifier.channel();
        if !state.has(channel) || self.held.get(channel) != Some(&self.identifier) {
            return Err(Refusal::UnknownIdentifier);
        }
        if state.member().is_some_and(|member| member.identifiers.len() == 1) {
            return Err(Refusal::LastIdentifier);
        }
        let removed = UserAccountEvent {
            at,
            fact: AccountFact::Identifier(IdentifierFact::IdentifierRemoved { channel, by_undo: false }),
            person: Some(PersonalDetails { former: Some(self.identifier), ..PersonalDetails::default() }),
            client: Some(self.client.clone()),
        };
        let others = state.live_sessions(at).filter(|session| session.id != self.session);
        let ended = others.map(|it| it.ended(at, SignOutReason::IdentifierRemoved, &self.client));
        Ok([removed].into_iter().chain(ended).collect())
    }
}
