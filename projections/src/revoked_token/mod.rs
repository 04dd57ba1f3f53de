//! What the HTTP layer refuses: tokens of sessions that were ended before the tokens expired.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::{AccountId, SessionId};
use deadpool_postgres::GenericClient;
use uuid::Uuid;

use crate::ReadModel;
use crate::read_model::{Project, Recorded, changes, table};

/// The read model `revoked_tokens`.
pub const READ_MODEL: ReadModel = ReadModel {
    table: RevokedTokenChange::TABLE,
    format: 1,
    changes: changes::<RevokedTokenChange>,
    announced_on: Some(CHANNEL),
};

/// On which channel every commit that ends a session says so.
pub const CHANNEL: &str = "counterfoil_ended";

/// A snapshot that knows nothing.
const NOTHING_SEEN: &str = "1:1:";

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
        let (session, expires_at) = event.ended_session()?;
        Some(Self { revoked_at: Some(event.at), expires_at: Some(expires_at), ..Self::of(account, session) })
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

/// A session whose tokens are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The session.
    pub session: SessionId,
    /// When the last of its tokens has expired anyway.
    pub expires_at: DateTime<Utc>,
}

/// The sessions that were ended since a snapshot, all where there is none, and the snapshot to ask by next. One whose
/// tokens have expired may be left out.
///
/// # Errors
/// When the database does not answer.
pub async fn since(
    client: &impl GenericClient,
    seen: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(Vec<Revoked>, String), tokio_postgres::Error> {
    let statement = client.prepare_cached(include_str!("since.sql")).await?;
    let rows = client.query(&statement, &[&seen.unwrap_or(NOTHING_SEEN), &now]).await?;
    let seen = rows.first().map_or(NOTHING_SEEN.to_owned(), |row| row.get("seen"));
    let revoked = rows.iter().filter_map(|row| {
        let session: Option<Uuid> = row.get("session_id");
        Some(Revoked { session: SessionId(session?), expires_at: row.get("expires_at") })
    });
    Ok((revoked.collect(), seen))
}

/// Forgets the sessions whose tokens have all expired; the number of them.
///
/// # Errors
/// When the database does not answer.
pub async fn prune(client: &impl GenericClient, now: DateTime<Utc>) -> Result<u64, tokio_postgres::Error> {
    client.execute(&client.prepare_cached(include_str!("prune.sql")).await?, &[&now]).await
}
