//! What happened to an account's sign-ins, line by line. No sign-in decision reads it, so it follows the ledger
//! instead of making every commit dearer. Refreshes are left to the log: they are most of it, and a session's row in
//! the device list tells the last.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{Fact, UserAccountEvent};
use counterfoil_domain::values::{AccountId, SessionId};

use crate::ReadModel;
use crate::read_model::{Project, Recorded, changes, table};

/// The read model `login_history`.
pub const READ_MODEL: ReadModel = ReadModel {
    table: LoginHistoryChange::TABLE,
    changes: changes::<LoginHistoryChange>,
    announced_on: None,
};

/// The events of which no line is made.
pub const PASSED_OVER: [&str; 7] = [
    "TokenRefreshed",
    "TokenRefreshRetried",
    "DeviceRenamed",
    "ProfileUpdated",
    "RolesChanged",
    "AccessDenied",
    "AuditRead",
];

table! {
    /// A line of the history. Rows of events that the ledger has and the follower has come to are the ones to compare.
    LoginHistoryChange of "login_history", kept "EXISTS (
        SELECT FROM ledger l, followers f
         WHERE f.name = 'login_history' AND l.seq <= f.seq
           AND l.account_id = candidate.account_id AND l.sequence = candidate.sequence)",
    key { account_id: AccountId = "uuid", sequence: i64 = "bigint" }
    columns {
        at: DateTime<Utc> = "timestamptz",
        event: &'static str = "text",
        session_id: SessionId = "uuid",
        reason: String = "text",
        device_name: String = "text",
        user_agent: String = "text",
        ip_address: IpAddr = "inet",
    }
}

impl Project for LoginHistoryChange {
    fn project(account: AccountId, recorded: &Recorded<UserAccountEvent>) -> Option<Self> {
        let Recorded { sequence, event } = recorded;
        let (session, reason) = match &event.fact {
            Fact::OtpRequested { .. }
            | Fact::OtpResent { .. }
            | Fact::UserRegistered { .. }
            | Fact::IdentifierRequested { .. }
            | Fact::IdentifierAdded { .. }
            | Fact::IdentifierReplaced { .. }
            | Fact::IdentifierReleased { .. }
            | Fact::LimitsLifted { .. }
            | Fact::AccountSuspended { .. }
            | Fact::AccountReinstated { .. } => (None, None),
            Fact::OtpRequestRefused { reason, .. } => (None, name_of(reason)),
            Fact::OtpRejected { reason, .. } => (None, name_of(reason)),
            Fact::LoggedIn { session, .. } => (Some(*session), None),
            Fact::LoggedOut { session, reason, expires_at: _, by: _ } => (Some(*session), name_of(reason)),
            Fact::ClientChanged { session, change, mark: _ } => (Some(*session), name_of(change)),
            Fact::TokenReuseDetected { session, .. } => (Some(*session), None),
            Fact::TokenRefreshed { .. }
            | Fact::TokenRefreshRetried { .. }
            | Fact::DeviceRenamed { .. }
            | Fact::ProfileUpdated {}
            | Fact::RolesChanged { .. }
            | Fact::AccessDenied { .. }
            | Fact::AuditRead { .. } => return None,
        };
        // From where staff intervened is theirs, and the person may read this.
        let client = event.client.as_ref().filter(|_| event.by().is_none());
        Some(Self {
            at: Some(event.at),
            event: Some(event.name()),
            session_id: session,
            reason,
            device_name: client.and_then(|client| Some(client.device_name.as_ref()?.as_str().to_owned())),
            user_agent: client.and_then(|client| Some(client.user_agent.as_ref()?.as_str().to_owned())),
            ip_address: client.map(|client| client.ip),
            ..Self::of(account, *sequence)
        })
    }
}

/// A reason as its name stands in the event.
fn name_of(reason: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(reason).ok()?.as_str().map(str::to_owned)
}
