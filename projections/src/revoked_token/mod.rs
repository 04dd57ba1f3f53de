//! What the HTTP layer refuses: tokens of sessions that were ended before the tokens expired.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::{AccountId, SessionId};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::ReadModel;
use crate::read_model::{Projector, RecordedEvent, changes, table};

/// The read model `revoked_tokens`.
pub const READ_MODEL: ReadModel = ReadModel {
    table: RevokedTokenChange::TABLE,
    format: 1,
    changes: changes::<RevokedTokenChange>,
    announced_on: Some(CHANNEL),
    forgets_erased: false,
    history_since: None,
    handled: &["LoggedOut"],
};

/// On which channel every commit that ends a session says so.
pub const CHANNEL: &str = "counterfoil_ended";

table! {
    /// A session that ended before its time. Its access tokens are refused until all of them have expired, which is an hour
    /// after its end at the latest: no installation can set a longer lifetime.
    RevokedTokenChange of "revoked_tokens", kept "revoked_at > $1 - interval '1 hour'",
    key { account_id: AccountId = "uuid", session_id: SessionId = "uuid" }
    columns {
        revoked_at: DateTime<Utc> = "timestamptz",
        expires_at: DateTime<Utc> = "timestamptz",
    }
}

impl Projector for RevokedTokenChange {
    fn project(account: AccountId, recorded: &RecordedEvent<UserAccountEvent>) -> Option<Self> {
        let event = &recorded.event;
        let (session, expires_at) = event.ended_session()?;
        Some(Self { revoked_at: Some(event.at), expires_at: Some(expires_at), ..Self::new(account, session) })
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

/// A session that ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedSession {
    /// The id of the session.
    pub session: SessionId,
    /// The time at which the session ended.
    pub revoked_at: DateTime<Utc>,
    /// When it would have ended by itself.
    pub expires_at: DateTime<Utc>,
}

/// Ended sessions, and the snapshot of the database in which they were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedPage {
    /// As many as were asked for, where there are more.
    pub sessions: Vec<RevokedSession>,
    /// The snapshot, as text, by which [`since`] tells what is new.
    pub seen: String,
}

impl RevokedPage {
    fn from_rows(rows: &[Row]) -> Self {
        let seen = rows.first().map_or_else(String::new, |row| row.get("seen"));
        let revoked = |row: &Row| {
            let session: Option<Uuid> = row.get("session_id");
            let session = SessionId(session?);
            Some(RevokedSession {
                session,
                revoked_at: row.get("revoked_at"),
                expires_at: row.get("expires_at"),
            })
        };
        Self { sessions: rows.iter().filter_map(revoked).collect(), seen }
    }
}

/// Returns the sessions whose ends were committed since a snapshot, `limit` at most. Those that ended before `ended_after` are
/// left out.
///
/// # Errors
/// When the database does not answer.
pub async fn since(
    client: &impl GenericClient,
    seen: &str,
    ended_after: DateTime<Utc>,
    limit: i64,
) -> Result<RevokedPage, tokio_postgres::Error> {
    let statement = client.prepare_cached(include_str!("since.sql")).await?;
    let rows = client.query(&statement, &[&seen, &ended_after, &limit]).await?;
    Ok(RevokedPage::from_rows(&rows))
}

/// Returns the sessions that ended later than a place in their order, which is the time of their end and their id; `limit` at
/// most.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    client: &impl GenericClient,
    (ended_after, session): (DateTime<Utc>, SessionId),
    limit: i64,
) -> Result<RevokedPage, tokio_postgres::Error> {
    let statement = client.prepare_cached(include_str!("page.sql")).await?;
    let rows = client.query(&statement, &[&ended_after, &session.0, &limit]).await?;
    Ok(RevokedPage::from_rows(&rows))
}

/// Forgets sessions that ended before a time, `limit` at most; returns how many.
///
/// # Errors
/// When the database does not answer.
pub async fn prune(
    client: &impl GenericClient,
    ended_before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, tokio_postgres::Error> {
    let statement = client.prepare_cached(include_str!("prune.sql")).await?;
    client.execute(&statement, &[&ended_before, &limit]).await
}
