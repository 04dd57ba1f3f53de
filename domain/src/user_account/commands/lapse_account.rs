//! Let an identifier go that was never proved.

use chrono::{DateTime, TimeDelta, Utc};

use crate::user_account::{AccountFact, IdentifierFact, UserAccount, UserAccountEvent};
use crate::values::Channel;

/// Let go of an identifier that codes were asked for and that was never proved, once the last of the codes is old enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LapseAccount {
    pub at: DateTime<Utc>,
    /// The kind of the identifier.
    pub channel: Channel,
    /// How old the last code has to be.
    pub unused_for: TimeDelta,
}

impl LapseAccount {
    /// Nothing happens to an account that was signed in to, that has let its identifier go, or whose last code is younger.
    pub(super) fn decide(self, state: &UserAccount) -> Vec<UserAccountEvent> {
        let UserAccount::Pending(pending) = state else { return Vec::new() };
        let sent = pending.codes.phone.sent.iter().chain(&pending.codes.email.sent);
        let last_code = sent.max().copied().unwrap_or(pending.last_event_at);
        if pending.identifiers_released > 0 || self.at - last_code < self.unused_for {
            return Vec::new();
        }
        let fact = AccountFact::Identifier(IdentifierFact::IdentifierReleased {
            channel: self.channel,
            lapsed: true,
        });
        vec![UserAccountEvent { at: state.time_of(self.at), fact, person: None, client: None }]
    }
}
