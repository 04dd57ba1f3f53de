//! The device list: every session an account ever had, the ended ones with how and when they ended.

pub mod device_kind;
pub mod search;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{AccountFact, ActingStaff, SessionFact, UserAccountEvent};
use counterfoil_domain::values::{AccountId, Generation, SessionId};
use deadpool_postgres::GenericClient;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ReadModel;
use crate::read_model::{Projector, RecordedEvent, changes, table};

/// The read model `user_logins`.
pub const READ_MODEL: ReadModel = ReadModel {
    table: UserLoginChange::TABLE,
    format: 2,
    changes: changes::<UserLoginChange>,
    announced_on: None,
    forgets_erased: true,
    history_since: Some("least(expires_at, ended_at)"),
    handled: &["LoggedIn", "TokenRefreshed", "LoggedOut", "DeviceRenamed"],
};

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
        ended_by: ActingStaff = "jsonb",
    }
}

impl Projector for UserLoginChange {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a test compares this with the events that are declared"
    )]
    fn project(account: AccountId, recorded: &RecordedEvent<UserAccountEvent>) -> Option<Self> {
        let event = &recorded.event;
        let client = event.client.as_ref();
        let ip_address = || client.map(|client| client.ip);
        let user_agent = || Some(client?.user_agent.as_ref()?.as_str().to_owned());
        let device_name = || Some(client?.device_name.as_ref()?.as_str().to_owned());
        match &event.fact {
            AccountFact::Session(SessionFact::LoggedIn {
                session,
                channel,
                generation,
                expires_at,
                ends_at,
                ..
            }) => Some(Self {
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
                ended_by: None,
            }),
            AccountFact::Session(SessionFact::TokenRefreshed {
                session,
                generation,
                expires_at,
                moved: _,
            }) => Some(Self {
                generation: Some(*generation),
                last_seen_at: Some(event.at),
                expires_at: Some(*expires_at),
                ip_address: ip_address(),
                user_agent: user_agent(),
                ..Self::new(account, *session)
            }),
            AccountFact::Session(SessionFact::LoggedOut { session, reason, expires_at: _, by }) => {
                Some(Self {
                    ended_at: Some(event.at),
                    end_reason: Some(reason.as_str().to_owned()),
                    ended_by: by.clone(),
                    ..Self::new(account, *session)
                })
            }
            AccountFact::Session(SessionFact::DeviceRenamed { session }) => {
                let person = event.person.as_ref();
                Some(Self {
                    device_name: person
                        .and_then(|person| Some(person.device_name.as_ref()?.as_str().to_owned())),
                    ..Self::new(account, *session)
                })
            }
            _ => None,
        }
    }
}

/// A device that is signed in, in the form that clients of the API know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Device {
    /// The id of its session.
    pub id: SessionId,
    /// The name it has been given; else what its `User-Agent` header says it is, where that can be told.
    #[schema(example = "My phone")]
    pub device_name: Option<String>,
    /// The `User-Agent` header it last sent.
    #[schema(example = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")]
    pub user_agent: Option<String>,
    /// The address it was last used from.
    #[schema(value_type = Option<String>, example = "192.0.2.7")]
    pub ip_address: Option<IpAddr>,
    /// When it signed in.
    pub signed_in_at: DateTime<Utc>,
    /// When it signed in, was last refreshed, or an access token of it was last used, up to a minute ago.
    pub last_seen_at: DateTime<Utc>,
    /// When it is signed out unless it is refreshed.
    pub expires_at: DateTime<Utc>,
}

/// The devices that an account is signed in on, the last used first.
///
/// # Errors
/// When the database does not answer.
pub async fn active(
    client: &impl GenericClient,
    account: AccountId,
    now: DateTime<Utc>,
) -> Result<Vec<Device>, tokio_postgres::Error> {
    let statement = client.prepare_cached(include_str!("active.sql")).await?;
    let rows = client.query(&statement, &[&account.0, &now]).await?;
    let devices = rows.iter().map(|row| {
        let user_agent: Option<String> = row.get("user_agent");
        let named: Option<String> = row.get("device_name");
        Device {
            id: SessionId(row.get::<_, Uuid>("session_id")),
            device_name: named.or_else(|| device_kind::from_user_agent(user_agent.as_deref()?)),
            user_agent,
            ip_address: row.get("ip_address"),
            signed_in_at: row.get("signed_in_at"),
            last_seen_at: row.get("last_seen_at"),
            expires_at: row.get("expires_at"),
        }
    });
    Ok(devices.collect())
}

/// Notes when sessions were last used, given in the order of accounts and sessions. An earlier time changes nothing.
///
/// # Errors
/// When the database does not answer.
pub async fn note_uses(
    client: &impl GenericClient,
    uses: &[((AccountId, SessionId), DateTime<Utc>)],
) -> Result<(), tokio_postgres::Error> {
    let accounts: Vec<Uuid> = uses.iter().map(|((account, _), _)| account.0).collect();
    let sessions: Vec<Uuid> = uses.iter().map(|((_, session), _)| session.0).collect();
    let times: Vec<DateTime<Utc>> = uses.iter().map(|(_, at)| *at).collect();
    let statement = client.prepare_cached(include_str!("note_uses.sql")).await?;
    client.execute(&statement, &[&accounts, &sessions, &times]).await?;
    Ok(())
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
