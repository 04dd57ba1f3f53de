//! The device list: every session an account ever had, the ended ones with how and when they ended.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{Fact, UserAccountEvent};
use counterfoil_domain::values::{AccountId, Generation, SessionId};
use deadpool_postgres::GenericClient;

use crate::ReadModel;
use crate::read_model::{Project, Recorded, changes, table};

/// The read model `user_logins`.
pub const READ_MODEL: ReadModel =
    ReadModel { table: UserLoginChange::TABLE, changes: changes::<UserLoginChange>, announced_on: None };

table! {
    /// A session, from where it was last used, and how it ended.
    UserLoginChange of "user_logins", kept "true",
    key { account_id: AccountId = "uuid", session_id: SessionId = "uuid" }
    columns {
        channel: String = "text",
        device_name: String = "text",
        user_agent: String = "text",
        ip_address: IpAddr = "inet",
        generation: Generation = "bigint",
        signed_in_at: DateTime<Utc> = "timestamptz",
        last_seen_at: DateTime<Utc> = "timestamptz",
        expires_at: DateTime<Utc> = "timestamptz",
        ends_at: DateTime<Utc> = "timestamptz",
        ended_at: DateTime<Utc> = "timestamptz",
        end_reason: String = "text",
    }
}

impl Project for UserLoginChange {
    fn project(account: AccountId, recorded: &Recorded<UserAccountEvent>) -> Option<Self> {
        let event = &recorded.event;
        let client = event.client.as_ref();
        let ip_address = || client.map(|client| client.ip);
        let user_agent = || Some(client?.user_agent.as_ref()?.as_str().to_owned());
        let device_name = || Some(client?.device_name.as_ref()?.as_str().to_owned());
        match &event.fact {
            Fact::LoggedIn { session, channel, generation, expires_at, ends_at } => Some(Self {
                account_id: account,
                session_id: *session,
                channel: Some(channel.as_str().to_owned()),
                device_name: device_name(),
                user_agent: user_agent(),
                ip_address: ip_address(),
                generation: Some(*generation),
                signed_in_at: Some(event.at),
                last_seen_at: Some(event.at),
                expires_at: Some(*expires_at),
                ends_at: Some(*ends_at),
                ended_at: None,
                end_reason: None,
            }),
            Fact::TokenRefreshed { session, generation, expires_at } => Some(Self {
                generation: Some(*generation),
                last_seen_at: Some(event.at),
                expires_at: Some(*expires_at),
                ip_address: ip_address(),
                user_agent: user_agent(),
                ..Self::of(account, *session)
            }),
            Fact::LoggedOut { session, reason, expires_at: _ } => Some(Self {
                ended_at: Some(event.at),
                end_reason: Some(reason.as_str().to_owned()),
                ..Self::of(account, *session)
            }),
            Fact::OtpRequested { .. }
            | Fact::OtpResent { .. }
            | Fact::OtpRequestRefused { .. }
            | Fact::OtpRejected { .. }
            | Fact::UserRegistered { .. }
            | Fact::TokenRefreshRetried { .. }
            | Fact::TokenReuseDetected { .. }
            | Fact::ProfileUpdated {} => None,
        }
    }
}

/// Whether a refresh token of that session and generation would be taken now.
///
/// # Errors
/// When the database does not answer.
pub async fn is_refreshable(
    client: &impl GenericClient,
    account: AccountId,
    session: SessionId,
    generation: Generation,
    now: DateTime<Utc>,
) -> Result<bool, tokio_postgres::Error> {
    let generation = i64::from(generation.0);
    let row = client
        .query_opt(include_str!("is_refreshable.sql"), &[&account.0, &session.0, &generation, &now])
        .await?;
    Ok(row.is_some())
}
