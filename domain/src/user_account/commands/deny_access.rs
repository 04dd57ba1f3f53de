//! Put on record that an account asked for what it may not do.

use chrono::{DateTime, TimeDelta, Utc};

use crate::user_account::{AccountFact, MissingRequirement, StaffFact, UserAccount, UserAccountEvent};
use crate::values::{Client, Role, SessionId};

/// For how long a denial is not put on record again.
const WINDOW: TimeDelta = TimeDelta::hours(1);

/// Note that an account asked for what it may not do. That it is refused has been decided already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyAccess {
    pub at: DateTime<Utc>,
    /// The session in whose name it was asked.
    pub session: SessionId,
    /// The method and the route; never words of the caller's own.
    pub action: String,
    /// The role that may.
    pub needs: Role,
    pub lacks: MissingRequirement,
    /// From where it was asked.
    pub client: Client,
}

impl DenyAccess {
    /// Nothing is recorded twice in a window, nor more than the account remembers, nor of a session that has ended: the
    /// record is bounded whatever is asked.
    pub(super) fn decide(self, state: &UserAccount) -> Vec<UserAccountEvent> {
        let at = state.time_of(self.at);
        let notes = state.member().is_some_and(|member| member.records_denial(&self.action, at));
        if !notes || state.live_session(self.session, at).is_none() {
            return Vec::new();
        }
        let fact = AccountFact::Staff(StaffFact::AccessDenied {
            action: self.action,
            needs: self.needs,
            lacks: self.lacks,
            until: at + WINDOW,
        });
        vec![UserAccountEvent { at, fact, person: None, client: Some(self.client) }]
    }
}
