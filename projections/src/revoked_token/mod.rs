//! What the HTTP layer refuses: tokens of sessions that were ended before the tokens expired.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{Fact, UserAccountEvent};
use counterfoil_domain::values::{AccountId, SessionId};
use deadpool_postgres::GenericClient;
use uuid::Uuid;

use crate::ReadModel;
use crate::read_model::{Project, Recorded, changes, table};

/// The read model `revoked_tokens`.
pub const READ_MODEL: ReadModel =
    ReadModel { table: RevokedTokenChange::TABLE, changes: changes::<RevokedTokenChange> };

table! {
    /// A session all of whose tokens are refused, until they have expired anyway.
    RevokedTokenChange of "revoked_tokens", kept "expires_at > $1",
    key { account_id: AccountId = "uuid", session_id: SessionId = "uuid" }
    columns {
        revoked_at: DateTime<Utc> = "timestamptz",
        expires_at: DateTime<Utc> = "timestamptz",
    }
}

impl Project for RevokedTokenChange {
    fn project(account: AccountId, recorded: &Recorded<UserAccountEvent>) -> Option<Self> {
        let event = &recorded.event;
        match event.fact {
            Fact::LoggedOut { session, expires_at, reason: _ } => Some(Self {
                revoked_at: Some(event.at),
                expires_at: Some(expires_at),
                ..Self::of(account, session)
            }),
            Fact::OtpRequested { .. }
            | Fact::OtpResent { .. }
            | Fact::OtpRequestRefused { .. }
            | Fact::OtpRejected { .. }
            | Fact::UserRegistered { .. }
            | Fact::LoggedIn { .. }
            | Fact::TokenRefreshed { .. }
            | Fact::ProfileUpdated {} => None,
        }
    }
}

/// Of sessions, those whose tokens are refused.
///
/// # Errors
/// When the database does not answer.
pub async fn revoked(
    client: &impl GenericClient,
    sessions: &[(AccountId, SessionId)],
) -> Result<HashSet<SessionId>, tokio_postgres::Error> {
    let (accounts, ids): (Vec<Uuid>, Vec<Uuid>) =
        sessions.iter().map(|(account, session)| (account.0, session.0)).unzip();
    let statement = client.prepare_cached(include_str!("revoked.sql")).await?;
    let rows = client.query(&statement, &[&accounts, &ids]).await?;
    Ok(rows.iter().map(|row| SessionId(row.get(0))).collect())
}

/// Forgets the sessions whose tokens have all expired; the number of them.
///
/// # Errors
/// When the database does not answer.
pub async fn prune(client: &impl GenericClient, now: DateTime<Utc>) -> Result<u64, tokio_postgres::Error> {
    client.execute(&client.prepare_cached(include_str!("prune.sql")).await?, &[&now]).await
}
