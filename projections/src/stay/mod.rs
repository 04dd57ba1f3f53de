//! At which address each session was, and since when: one row for each stay, from the sign-in or a refresh from another
//! address on. A stay ends where the next one of its session begins, or with the session, so no row is ever changed. A
//! refresh from the same address writes none.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{
    AccountFact, CodeFact, IdentifierFact, ProfileFact, SecondFactorFact, SessionFact, StaffFact,
    UserAccountEvent,
};
use counterfoil_domain::values::{AccountId, SessionId};

use crate::ReadModel;
use crate::read_model::{Projector, RecordedEvent, changes, table};

/// The read model `stays`.
pub const READ_MODEL: ReadModel =
    ReadModel { table: StayChange::TABLE, format: 1, changes: changes::<StayChange>, announced_on: None };

table! {
    /// The beginning of a stay. Its address is not known where the key of that event's personal part is gone.
    StayChange of "stays", kept "true",
    key { account_id: AccountId = "uuid", session_id: SessionId = "uuid", since: DateTime<Utc> = "timestamptz" }
    columns { ip_address: IpAddr = "inet" }
}

impl Projector for StayChange {
    fn project(account: AccountId, recorded: &RecordedEvent<UserAccountEvent>) -> Option<Self> {
        let event = &recorded.event;
        let session = match &event.fact {
            AccountFact::Session(SessionFact::LoggedIn { session, .. })
            | AccountFact::Session(SessionFact::TokenRefreshed { session, moved: Some(_), .. }) => *session,
            AccountFact::Code(CodeFact::OtpRequested { .. })
            | AccountFact::Code(CodeFact::OtpResent { .. })
            | AccountFact::Code(CodeFact::OtpRequestRefused { .. })
            | AccountFact::Code(CodeFact::OtpRejected { .. })
            | AccountFact::Profile(ProfileFact::UserRegistered { .. })
            | AccountFact::Session(SessionFact::SignInRepeated { .. })
            | AccountFact::Session(SessionFact::TokenRefreshed { moved: None, .. })
            | AccountFact::Session(SessionFact::SessionReauthenticated { .. })
            | AccountFact::Session(SessionFact::TokenRefreshRetried { .. })
            | AccountFact::Session(SessionFact::ClientChanged { .. })
            | AccountFact::Session(SessionFact::TokenReuseDetected { .. })
            | AccountFact::Session(SessionFact::LoggedOut { .. })
            | AccountFact::Session(SessionFact::DeviceRenamed { .. })
            | AccountFact::Profile(ProfileFact::ProfileUpdated {})
            | AccountFact::Code(CodeFact::LimitsLifted { .. })
            | AccountFact::Code(CodeFact::UnlockLinkIssued { .. })
            | AccountFact::Code(CodeFact::LockLifted { .. })
            | AccountFact::Staff(StaffFact::RolesChanged { .. })
            | AccountFact::Staff(StaffFact::AccountSuspended { .. })
            | AccountFact::Staff(StaffFact::AccountReinstated { .. })
            | AccountFact::SecondFactor(SecondFactorFact::SecondFactorOffered { .. })
            | AccountFact::SecondFactor(SecondFactorFact::SecondFactorEnrolled { .. })
            | AccountFact::SecondFactor(SecondFactorFact::SecondFactorPassed { .. })
            | AccountFact::SecondFactor(SecondFactorFact::SecondFactorRejected { .. })
            | AccountFact::SecondFactor(SecondFactorFact::RecoveryCodesRenewed { .. })
            | AccountFact::SecondFactor(SecondFactorFact::SecondFactorRemoved { .. })
            | AccountFact::Staff(StaffFact::AccessDenied { .. })
            | AccountFact::Staff(StaffFact::AuditRead { .. })
            | AccountFact::Staff(StaffFact::SharedLimitsLifted { .. })
            | AccountFact::Staff(StaffFact::RebuildOrdered { .. })
            | AccountFact::Identifier(IdentifierFact::IdentifierRequested { .. })
            | AccountFact::Identifier(IdentifierFact::IdentifierAdded { .. })
            | AccountFact::Identifier(IdentifierFact::IdentifierReplaced { .. })
            | AccountFact::Identifier(IdentifierFact::IdentifierRemoved { .. })
            | AccountFact::Identifier(IdentifierFact::IdentifierChangeUndone { .. })
            | AccountFact::Identifier(IdentifierFact::IdentifierRestored { .. })
            | AccountFact::Identifier(IdentifierFact::IdentifierReleased { .. }) => return None,
        };
        let ip_address = event.client.as_ref().map(|client| client.ip);
        Some(Self { ip_address, ..Self::new(account, session, event.at) })
    }
}
