//! Let an identifier go that somebody else has proved.

use chrono::{DateTime, Utc};

use crate::user_account::{Fact, Person, Refusal, UserAccount, UserAccountEvent};
use crate::values::{Client, Identifier};

/// Let go of an identifier that codes were asked for and that nobody has proved here: another account has proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseIdentifier {
    /// The time.
    pub at: DateTime<Utc>,
    /// The identifier.
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
                fact: Fact::IdentifierReleased { channel: self.identifier.channel(), lapsed: false },
                person: Some(Person { identifier: Some(self.identifier), ..Person::default() }),
                client: Some(self.client),
            }]),
        }
    }
}
