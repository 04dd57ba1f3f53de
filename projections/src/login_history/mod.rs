//! What happened to an account's sign-ins, line by line. No sign-in decision reads it, so it follows the ledger
//! instead of making every commit dearer. Refreshes are left to the log: they are most of it, and a session's row in
//! the device list tells the last.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{
    AccountFact, CodeFact, IdentifierFact, ProfileFact, SecondFactorFact, SessionFact, StaffFact,
    UserAccountEvent,
};
use counterfoil_domain::values::{AccountId, SessionId};
use deadpool_postgres::GenericClient;
use serde::Serialize;
use tokio_postgres::Row;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::read_model::{Projector, RecordedEvent, changes, table};
use crate::{AccountStream, ReadModel};

/// The read model `login_history`.
pub const READ_MODEL: ReadModel = ReadModel {
    table: LoginHistoryChange::TABLE,
    format: 1,
    changes: changes::<LoginHistoryChange>,
    announced_on: None,
    forgets_erased: true,
    history_since: Some("at"),
    handled: &[
        "OtpRequested",
        "OtpResent",
        "UserRegistered",
        "IdentifierRequested",
        "IdentifierAdded",
        "IdentifierReplaced",
        "IdentifierRemoved",
        "IdentifierChangeUndone",
        "IdentifierRestored",
        "IdentifierReleased",
        "IdentifierChangeProposed",
        "IdentifierChangeConfirmed",
        "IdentifierChangeWithdrawn",
        "LimitsLifted",
        "UnlockLinkIssued",
        "LockLifted",
        "SecondFactorRemoved",
        "AccountSuspended",
        "AccountReinstated",
        "OtpRequestRefused",
        "OtpRejected",
        "LoggedIn",
        "LoggedOut",
        "ClientChanged",
        "SessionReauthenticated",
        "TokenReuseDetected",
        "SignInRefused",
        "SecondFactorEnrolled",
        "RecoveryCodesRenewed",
        "SecondFactorPassed",
        "SecondFactorRejected",
        "DataExported",
        "ErasureRequested",
        "ErasureCancelled",
        "AccountErased",
    ],
};

table! {
    /// A line of the history.
    LoginHistoryChange of "login_history", kept "true",
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

impl Projector for LoginHistoryChange {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a test compares this with the events that are declared"
    )]
    fn project(account: AccountId, recorded: &RecordedEvent<UserAccountEvent>) -> Option<Self> {
        let RecordedEvent { sequence, event } = recorded;
        let (session, reason) = match &event.fact {
            AccountFact::Code(
                CodeFact::OtpRequested { .. }
                | CodeFact::OtpResent { .. }
                | CodeFact::LimitsLifted { .. }
                | CodeFact::UnlockLinkIssued { .. }
                | CodeFact::LockLifted { .. },
            )
            | AccountFact::Profile(
                ProfileFact::UserRegistered { .. }
                | ProfileFact::ErasureRequested { .. }
                | ProfileFact::ErasureCancelled {}
                | ProfileFact::AccountErased { .. },
            )
            | AccountFact::Identifier(
                IdentifierFact::IdentifierRequested { .. }
                | IdentifierFact::IdentifierAdded { .. }
                | IdentifierFact::IdentifierReplaced { .. }
                | IdentifierFact::IdentifierRemoved { .. }
                | IdentifierFact::IdentifierChangeUndone { .. }
                | IdentifierFact::IdentifierRestored { .. }
                | IdentifierFact::IdentifierReleased { .. }
                | IdentifierFact::IdentifierChangeProposed { .. }
                | IdentifierFact::IdentifierChangeConfirmed { .. }
                | IdentifierFact::IdentifierChangeWithdrawn { .. },
            )
            | AccountFact::SecondFactor(SecondFactorFact::SecondFactorRemoved { .. })
            | AccountFact::Staff(StaffFact::AccountSuspended { .. } | StaffFact::AccountReinstated { .. }) => {
                (None, None)
            }
            AccountFact::Code(CodeFact::OtpRequestRefused { reason, .. }) => (None, name_of(reason)),
            AccountFact::Code(CodeFact::OtpRejected { reason, .. }) => (None, name_of(reason)),
            AccountFact::Session(SessionFact::LoggedIn { session, .. }) => (Some(*session), None),
            AccountFact::Session(SessionFact::LoggedOut { session, reason, expires_at: _, by: _ }) => {
                (Some(*session), name_of(reason))
            }
            AccountFact::Session(SessionFact::ClientChanged { session, change, mark: _ }) => {
                (Some(*session), name_of(change))
            }
            AccountFact::Session(SessionFact::SignInRefused { session, rule, .. }) => {
                (*session, Some(rule.to_string()))
            }
            AccountFact::Session(SessionFact::SessionReauthenticated { session, channel, test: _ }) => {
                (Some(*session), name_of(channel))
            }
            AccountFact::Session(SessionFact::TokenReuseDetected { session, .. })
            | AccountFact::Profile(ProfileFact::DataExported { session })
            | AccountFact::SecondFactor(
                SecondFactorFact::SecondFactorEnrolled { session, .. }
                | SecondFactorFact::RecoveryCodesRenewed { session, .. },
            ) => (Some(*session), None),
            AccountFact::SecondFactor(SecondFactorFact::SecondFactorPassed { session, proof }) => {
                (Some(*session), Some(proof.as_str().to_owned()))
            }
            AccountFact::SecondFactor(SecondFactorFact::SecondFactorRejected { session, reason, .. }) => {
                (Some(*session), name_of(reason))
            }
            _ => return None,
        };
        // The address of staff is theirs, and the user may read this.
        let client = event.client.as_ref().filter(|_| event.by().is_none());
        Some(Self {
            at: Some(event.at),
            event: Some(event.name()),
            session_id: session,
            reason,
            device_name: client.and_then(|client| Some(client.device_name.as_ref()?.as_str().to_owned())),
            user_agent: client.and_then(|client| Some(client.user_agent.as_ref()?.as_str().to_owned())),
            ip_address: client.map(|client| client.ip),
            ..Self::new(account, *sequence)
        })
    }
}

/// Deletes the lines of accounts whose erasure is in a page that was written to a table of this form.
///
/// # Errors
/// When the database does not answer.
pub async fn delete_erased(
    client: &impl GenericClient,
    table: &str,
    page: &[AccountStream<'_>],
) -> Result<(), tokio_postgres::Error> {
    let erased = page.iter().filter(|stream| stream.events.iter().any(|recorded| recorded.event.erases()));
    let erased: Vec<Uuid> = erased.map(|stream| stream.account.0).collect();
    if !erased.is_empty() {
        client.execute(&format!("DELETE FROM {table} WHERE account_id = ANY($1)"), &[&erased]).await?;
    }
    Ok(())
}

/// A line of a user's history, in the form that clients of the API know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = HistoryLine)]
pub struct HistoryLine {
    /// Which of the account's events it tells of.
    pub sequence: i64,
    /// When the event happened.
    pub at: Option<DateTime<Utc>>,
    /// What happened: the event's name.
    #[schema(example = "LoggedIn")]
    pub event: Option<String>,
    /// The session that the event is about.
    pub session_id: Option<Uuid>,
    /// Why the event happened.
    #[schema(example = "signed_out")]
    pub reason: Option<String>,
    /// The name that the device gave itself.
    #[schema(example = "My phone")]
    pub device_name: Option<String>,
    /// The `User-Agent` header of the request.
    #[schema(example = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")]
    pub user_agent: Option<String>,
    /// The address that the request came from.
    #[schema(value_type = Option<String>, example = "192.0.2.7")]
    pub ip_address: Option<IpAddr>,
}

impl HistoryLine {
    /// Reads a row of `login_history`.
    #[doc(hidden)]
    pub fn from_row(row: &Row) -> Self {
        Self {
            sequence: row.get("sequence"),
            at: row.get("at"),
            event: row.get("event"),
            session_id: row.get("session_id"),
            reason: row.get("reason"),
            device_name: row.get("device_name"),
            user_agent: row.get("user_agent"),
            ip_address: row.get("ip_address"),
        }
    }
}

/// The lines of an account before that of an event, the newest first. The read model may be a moment behind the log.
///
/// # Errors
/// When the database does not answer.
pub async fn page(
    client: &impl GenericClient,
    account: AccountId,
    before: i64,
    limit: u8,
) -> Result<Vec<HistoryLine>, tokio_postgres::Error> {
    let statement = client.prepare_cached(include_str!("page.sql")).await?;
    let rows = client.query(&statement, &[&account.0, &before, &i64::from(limit)]).await?;
    Ok(rows.iter().map(HistoryLine::from_row).collect())
}

/// A reason as its name stands in the event.
fn name_of(reason: &impl Serialize) -> Option<String> {
    serde_json::to_value(reason).ok()?.as_str().map(str::to_owned)
}
