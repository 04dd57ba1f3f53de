//! Release an identifier that another account has proved.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, IdentifierFact, PersonalDetails, Refusal, UserAccount, UserAccountEvent,
};
use crate::values::{Client, Identifier};

/// Releases an identifier for which codes were asked here, but which was proved by another account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseIdentifier {
    pub at: DateTime<Utc>,
    pub identifier: Identifier,
    /// From where it was proved.
    pub client: Client,
}

impl ReleaseIdentifier {
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        match state {
            UserAccount::Unknown => Ok(Vec::new()),
            UserAccount::Active(_) | UserAccount::Suspended(_) => Err(Refusal::IdentifierTaken),
            UserAccount::Pending(_) => Ok(vec![UserAccountEvent {
                at: state.time_of(self.at),
                fact: AccountFact::Identifier(IdentifierFact::IdentifierReleased {
                    channel: self.identifier.channel(),
                    lapsed: false,
                }),
                person: Some(PersonalDetails {
                    identifier: Some(self.identifier),
                    ..PersonalDetails::default()
                }),
                client: Some(self.client),
            }]),
        }
    }
}
