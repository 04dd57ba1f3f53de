//! At which address each session was, and since when: one row for each stay, from the sign-in or a refresh from another
//! address on. A stay ends where the next one of its session begins, or with the session, so no row is ever changed. A
//! refresh from the same address writes none.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{AccountFact, SessionFact, UserAccountEvent};
use counterfoil_domain::values::{AccountId, SessionId};

use crate::ReadModel;
use crate::read_model::{Projector, RecordedEvent, changes, table};

/// The read model `stays`.
pub const READ_MODEL: ReadModel = ReadModel {
    table: StayChange::TABLE,
    format: 1,
    changes: changes::<StayChange>,
    announced_on: None,
    forgets_erased: true,
    history_since: Some("since"),
    handled: &["LoggedIn", "TokenRefreshed"],
};

table! {
    /// The beginning of a stay. Its address is not known where the key of that event's personal part is gone.
    StayChange of "stays", kept "true",
    key { account_id: AccountId = "uuid", session_id: SessionId = "uuid", since: DateTime<Utc> = "timestamptz" }
    columns { ip_address: IpAddr = "inet" }
}

impl Projector for StayChange {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a test compares this with the events that are declared"
    )]
    fn project(account: AccountId, recorded: &RecordedEvent<UserAccountEvent>) -> Option<Self> {
        let event = &recorded.event;
        let session = match &event.fact {
            AccountFact::Session(
                SessionFact::LoggedIn { session, .. }
                | SessionFact::TokenRefreshed { session, moved: Some(_), .. },
            ) => *session,
            _ => return None,
        };
        let ip_address = event.client.as_ref().map(|client| client.ip);
        Some(Self { ip_address, ..Self::new(account, session, event.at) })
    }
}
