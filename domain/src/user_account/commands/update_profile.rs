//! Change the full name of the user.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, PersonalDetails, ProfileFact, Refusal, UserAccount, UserAccountEvent,
};
use crate::values::{Client, FullName, SessionId};

/// Changes the full name, the only part of the profile that its user may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateProfile {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    pub fullname: FullName,
    /// From where it was asked.
    pub client: Client,
}

impl UpdateProfile {
    /// The session is looked for here as well, on the write side: no read model decides.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.live_session(self.session, at).ok_or(Refusal::SessionEnded)?;
        Ok(vec![UserAccountEvent {
            at,
            fact: AccountFact::Profile(ProfileFact::ProfileUpdated {}),
            person: Some(PersonalDetails { fullname: Some(self.fullname), ..PersonalDetails::default() }),
            client: Some(self.client),
        }])
    }
}
