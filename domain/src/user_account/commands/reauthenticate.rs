//! Prove the user of a session again, by a code.

use chrono::{DateTime, Utc};

use super::verify_otp::{Tried, try_code};
use crate::user_account::{
    AccountFact, CodeState, PersonalDetails, Purpose, Refusal, Requester, Services, SessionFact, UserAccount,
    UserAccountEvent,
};
use crate::values::{Channel, Client, Identifier, OtpCode, SessionId};

/// Redeem the code that the session asked for: its user is there. A wrong one counts as a wrong one to sign in does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reauthenticate {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    /// Where the code had gone.
    pub identifier: Identifier,
    pub code: OtpCode,
    /// From where it came.
    pub client: Client,
    /// Whether the settings list the identifier for tests.
    pub test: bool,
}

impl Reauthenticate {
    /// Nothing happens when an outage kept the caller from the answer to the same request.
    pub(super) fn decide(
        self,
        state: &UserAccount,
        services: &Services,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.live_session(self.session, at).ok_or(Refusal::SessionEnded)?;
        let (requester, purpose) = (Requester::KnownDevice, Purpose::Reauthenticate);
        // A code that another session asked for is none here, and is not used up by being tried.
        let asked_by = state.codes_of(requester).and_then(CodeState::session_to_prove);
        if asked_by.is_some_and(|session| session != self.session) {
            return Err(Refusal::InvalidCode);
        }
        let (fact, identifier) =
            match try_code(state, requester, purpose, &self.identifier, &self.code, at, services)? {
                Tried::Right(_) => {
                    let (session, channel) = (self.session, self.identifier.channel());
                    let fact = AccountFact::Session(SessionFact::SessionReauthenticated {
                        session,
                        channel,
                        test: self.test,
                    });
                    (fact, Some(self.identifier))
                }
                Tried::Repeated(_) => return Ok(Vec::new()),
                Tried::Rejected(fact) => (fact, None),
            };
        let person = identifier
            .map(|identifier| PersonalDetails { identifier: Some(identifier), ..PersonalDetails::default() });
        Ok(vec![UserAccountEvent { at, fact, person, client: Some(self.client) }])
    }
}

impl CodeState {
    /// The session that asked for the pending code to prove its user, or that such a code proved last.
    fn session_to_prove(&self) -> Option<SessionId> {
        let redeemed = || self.redeemed.as_ref().filter(|it| it.purpose == Purpose::Reauthenticate)?.session;
        self.reauthentication.as_ref().map_or_else(redeemed, |pending| pending.session)
    }
}

impl UserAccount {
    /// The kind of identifier that a session's code to prove its user went to; where it asked for none, the kind that proved
    /// its user last.
    pub fn proof_channel(&self, session: SessionId, now: DateTime<Utc>) -> Option<Channel> {
        let proved_by = self.live_session(session, now)?.channel;
        let codes = self.codes_of(Requester::KnownDevice);
        let pending = codes.and_then(|codes| codes.reauthentication.as_ref());
        Some(pending.filter(|code| code.session == Some(session)).map_or(proved_by, |code| code.channel))
    }
}
