//! Redeem the code that went to another identifier.

use chrono::{DateTime, Utc};

use super::verify_otp::{Tried, try_code};
use crate::user_account::{
    AccountFact, IdentifierFact, PersonalDetails, Purpose, Refusal, Services, SignOutReason, UserAccount,
    UserAccountEvent,
};
use crate::values::{Client, Identifier, OtpCode, SessionId};

/// Make an identifier the account's, by the code that went there. Whether another account has it is asked after this has
/// been decided and before it becomes true, so that only callers who have proved the identifier learn it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyIdentifier {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    /// Where the code had gone.
    pub identifier: Identifier,
    /// The one that the account has of that kind.
    pub former: Option<Identifier>,
    pub code: OtpCode,
    /// From where it came.
    pub client: Client,
}

impl VerifyIdentifier {
    /// Nothing happens when an outage kept the caller from the answer to the same request.
    pub(super) fn decide(
        self,
        state: &UserAccount,
        services: &Services,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.live_session(self.session, at).ok_or(Refusal::SessionEnded)?;
        let purpose = Purpose::AddIdentifier;
        let requester = state.requester(Some(self.session));
        let tried = try_code(state, requester, purpose, &self.identifier, &self.code, at, services)?;
        let event = |fact, person| UserAccountEvent { at, fact, person, client: Some(self.client.clone()) };
        match tried {
            Tried::Right(_) => {}
            Tried::Rejected(fact) => return Ok(vec![event(fact, None)]),
            // The client repeats a request that was not answered.
            Tried::Repeated(_) if self.former.as_ref() == Some(&self.identifier) => return Ok(Vec::new()),
            Tried::Repeated(_) => return Err(Refusal::InvalidCode),
        }
        let channel = self.identifier.channel();
        let identifier = Some(self.identifier);
        if !state.has(channel) {
            let person = PersonalDetails { identifier, ..PersonalDetails::default() };
            return Ok(vec![event(
                AccountFact::Identifier(IdentifierFact::IdentifierAdded { channel }),
                Some(person),
            )]);
        }
        let person = PersonalDetails { identifier, former: self.former, ..PersonalDetails::default() };
        let replaced =
            event(AccountFact::Identifier(IdentifierFact::IdentifierReplaced { channel }), Some(person));
        let others = state.live_sessions(at).filter(|session| session.id != self.session);
        let ended = others.map(|it| it.ended(at, SignOutReason::IdentifierReplaced, &self.client));
        Ok([replaced].into_iter().chain(ended).collect())
    }
}
