//! At which address each session was, and since when: one row for each stay, from the sign-in or a refresh from another
//! address on. A stay ends where the next one of its session begins, or with the session, so no row is ever changed. A
//! refresh from the same address writes none.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{Fact, UserAccountEvent};
use counterfoil_domain::values::{AccountId, SessionId};

use crate::ReadModel;
use crate::read_model::{Project, Recorded, changes, table};

/// The read model `stays`.
pub const READ_MODEL: ReadModel =
    ReadModel { table: StayChange::TABLE, format: 1, changes: changes::<StayChange>, announced_on: None };

table! {
    /// The beginning of a stay. Its address is not known where the key of that event's personal part is gone.
    StayChange of "stays", kept "true",
    key { account_id: AccountId = "uuid", session_id: SessionId = "uuid", since: DateTime<Utc> = "timestamptz" }
    columns { ip_address: IpAddr = "inet" }
}

impl Project for StayChange {
    fn project(account: AccountId, recorded: &Recorded<UserAccountEvent>) -> Option<Self> {
        let event = &recorded.event;
        let session = match &event.fact {
            Fact::LoggedIn { session, .. } | Fact::TokenRefreshed { session, moved: Some(_), .. } => *session,
            Fact::OtpRequested { .. }
            | Fact::OtpResent { .. }
            | Fact::OtpRequestRefused { .. }
            | Fact::OtpRejected { .. }
            | Fact::UserRegistered { .. }
            | Fact::SignInRepeated { .. }
            | Fact::TokenRefreshed { moved: None, .. }
            | Fact::SessionReauthenticated { .. }
            | Fact::TokenRefreshRetried { .. }
            | Fact::ClientChanged { .. }
            | Fact::TokenReuseDetected { .. }
            | Fact::LoggedOut { .. }
            | Fact::DeviceRenamed { .. }
            | Fact::ProfileUpdated {}
            | Fact::LimitsLifted { .. }
            | Fact::UnlockLinkIssued { .. }
            | Fact::LockLifted { .. }
            | Fact::RolesChanged { .. }
            | Fact::AccountSuspended { .. }
            | Fact::AccountReinstated { .. }
            | Fact::SecondFactorOffered { .. }
            | Fact::SecondFactorEnrolled { .. }
            | Fact::SecondFactorPassed { .. }
            | Fact::SecondFactorRejected { .. }
            | Fact::RecoveryCodesRenewed { .. }
            | Fact::SecondFactorRemoved { .. }
            | Fact::AccessDenied { .. }
            | Fact::AuditRead { .. }
            | Fact::SharedLimitsLifted { .. }
            | Fact::RebuildOrdered { .. }
            | Fact::IdentifierRequested { .. }
            | Fact::IdentifierAdded { .. }
            | Fact::IdentifierReplaced { .. }
            | Fact::IdentifierRemoved { .. }
            | Fact::IdentifierChangeUndone { .. }
            | Fact::IdentifierRestored { .. }
            | Fact::IdentifierReleased { .. } => return None,
        };
        let ip_address = event.client.as_ref().map(|client| client.ip);
        Some(Self { ip_address, ..Self::new(account, session, event.at) })
    }
}
