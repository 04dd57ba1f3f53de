//! Messages that wait to be sent, in the table that the commits write them to.
//!
//! A worker claims rows for a while, `FOR UPDATE SKIP LOCKED`, and settles them. When it dies meanwhile, the claim runs
//! out and another worker takes the rows: a message may then be sent twice, never not at all. A worker that settles a row names
//! the claim that it was given, so a worker that was too slow does not undo what another has done since.

use std::time::Duration;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::Purpose;
use counterfoil_domain::values::{AccountId, ChallengeNonce, Channel, Identifier};
use deadpool_postgres::Client;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Error, Row};
use utoipa::ToSchema;

use super::Notice;
use crate::crypto::personal_data::{KeyScope, PersonalData, WrappedKey};
use crate::language::Language;

/// A message before it is put into words: to whom, and about what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboundMessage {
    /// The identifier that the message goes to.
    pub to: Identifier,
    /// What the message is about.
    pub about: MessageSubject,
}

/// What a message says. It holds no code: that is derived when it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageSubject {
    /// The code of a challenge.
    Code {
        /// What the code is for.
        purpose: Purpose,
        /// From which it is derived.
        nonce: ChallengeNonce,
    },
    /// Something has happened to the account.
    Notice(Notice),
}

impl OutboundMessage {
    /// The name of what it is about, as in the `kind` column.
    pub fn kind(&self) -> &'static str {
        match &self.about {
            MessageSubject::Code { purpose, .. } => purpose.as_str(),
            MessageSubject::Notice(notice) => notice.kind(),
        }
    }
}

/// A message that a commit puts into the outbox.
#[derive(Clone, Debug)]
pub struct QueuedMessage {
    /// The message that waits.
    pub message: OutboundMessage,
    /// The language to write it in.
    pub language: Language,
    /// When there is no more use in sending it.
    pub expires_at: DateTime<Utc>,
    /// The gateway that has it already: the answer to the request itself, where that is how codes are delivered.
    pub handed_to: Option<&'static str>,
}

/// To what a message in the outbox is bound.
pub(crate) fn place(sequence: i64, number: i16) -> String {
    format!("outbox/{sequence}/{number}")
}

/// Which row of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutboxKey {
    pub(super) account: AccountId,
    pub(super) sequence: i64,
    pub(super) number: i16,
}

/// A row that a worker has taken.
#[derive(Debug)]
pub(crate) struct ClaimedMessage {
    pub(super) key: OutboxKey,
    /// When the claim runs out, by the database's clock; also its name.
    claim: DateTime<Utc>,
    /// The message; none where the account's keys are gone, or the row was altered.
    pub(super) message: Option<OutboundMessage>,
    pub(super) kind: String,
    pub(super) language: String,
    pub(super) expires_at: DateTime<Utc>,
    /// How often it has been taken, this time included.
    pub(super) attempts: usize,
    /// Whether a later code of the same kind has made it void.
    pub(super) is_void: bool,
}

/// Takes up to `most` rows of a channel that are due, for as long as that.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn claim(
    db: &Client,
    personal_data: &PersonalData,
    channel: Channel,
    most: i64,
    lasts: Duration,
) -> Result<Vec<ClaimedMessage>, Error> {
    let statement = db.prepare_cached(include_str!("sql/claim.sql")).await?;
    let rows = db.query(&statement, &[&most, &lasts.as_secs_f64(), &channel.as_str()]).await?;
    Ok(rows.iter().map(|row| ClaimedMessage::of(row, personal_data)).collect())
}

impl ClaimedMessage {
    fn of(row: &Row, personal_data: &PersonalData) -> Self {
        let account = AccountId(row.get("account_id"));
        let key = OutboxKey { account, sequence: row.get("sequence"), number: row.get("number") };
        let wrapped: Option<Vec<u8>> = row.get("wrapped");
        let stored = wrapped.map(|wrapped| WrappedKey {
            scope: KeyScope::Person.to_string(),
            wrapping_id: row.get("wrapping_id"),
            wrapped,
        });
        let keys = personal_data.unwrap(account, stored);
        let sealed: Option<&[u8]> = row.get("content");
        let place = place(key.sequence, key.number);
        Self {
            key,
            claim: row.get("due_at"),
            message: sealed.and_then(|sealed| keys.open(KeyScope::Person, &place, sealed).ok()),
            kind: row.get("kind"),
            language: row.get("language"),
            expires_at: row.get("expires_at"),
            attempts: usize::try_from(row.get::<_, i32>("attempts")).unwrap_or(1),
            is_void: row.get("is_void"),
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageState {
    /// A gateway has it.
    Sent,
    /// No gateway can deliver it.
    Failed,
    /// No gateway took it before it was of no more use.
    Expired,
    /// A later code has made it void.
    Replaced,
}

impl MessageState {
    /// The name as it stands in the table.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
        }
    }
}

/// How a message was settled.
#[derive(Clone, Debug, Default)]
pub(super) struct MessageSettlement<'a> {
    pub(super) gateway: Option<&'a str>,
    pub(super) reference: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
}

/// What a sent message costs, and on whose account it is put.
#[derive(Clone, Debug)]
pub(super) struct MessageCharge {
    pub(super) channel: Channel,
    pub(super) country: String,
    pub(super) prefix: String,
    pub(super) price: i64,
}

/// Says what became of a message, and erases its content; how many seconds after it was asked for, or nothing where the claim
/// had run out and another worker has it. A sent one goes into the message
/// ledger whether it did or not: it was paid for.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn settle(
    db: &Client,
    claimed: &ClaimedMessage,
    state: MessageState,
    settlement: &MessageSettlement<'_>,
    charge: Option<&MessageCharge>,
) -> Result<Option<f64>, Error> {
    let OutboxKey { account, sequence, number } = claimed.key;
    let MessageSettlement { gateway, reference, reason } = settlement;
    let statement = db.prepare_cached(include_str!("sql/settle.sql")).await?;
    let row = db
        .query_one(
            &statement,
            &[
                &account.0,
                &sequence,
                &number,
                &claimed.claim,
                &state.as_str(),
                gateway,
                reference,
                reason,
                &charge.map(|charge| charge.channel.as_str()),
                &charge.map(|charge| charge.country.as_str()),
                &charge.map(|charge| charge.prefix.as_str()),
                &charge.map(|charge| charge.price),
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// Puts a message back, to be taken again after a while.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn put_off(
    db: &Client,
    claimed: &ClaimedMessage,
    by: Duration,
    reason: &str,
) -> Result<(), Error> {
    let OutboxKey { account, sequence, number } = claimed.key;
    let statement = db.prepare_cached(include_str!("sql/put_off.sql")).await?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&account.0, &sequence, &number, &claimed.claim, &by.as_secs_f64(), &reason];
    db.execute(&statement, &parameters).await.map(drop)
}

/// Settles messages that had expired by then and that no worker has taken, since no gateway was there for them: their content
/// is kept for no longer than it is of use.
///
/// # Errors
/// When the database does not answer.
pub async fn expire(db: &Client, expired_by: DateTime<Utc>) -> Result<u64, Error> {
    let statement = db.prepare_cached(include_str!("sql/expire.sql")).await?;
    db.execute(&statement, &[&expired_by]).await
}

/// Forgets settled messages that had expired by then, `limit` at most; returns how many.
///
/// # Errors
/// When the database does not answer.
pub async fn prune(db: &Client, expired_by: DateTime<Utc>, limit: i64) -> Result<u64, Error> {
    let statement = db.prepare_cached(include_str!("sql/prune.sql")).await?;
    db.execute(&statement, &[&expired_by, &limit]).await
}

/// A message and what became of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MessageDelivery {
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// What it is about.
    pub kind: String,
    /// To which kind of identifier it goes.
    pub channel: String,
    /// `waiting`, `sent`, `failed`, `expired` or `replaced`.
    pub state: String,
    /// The gateway that has it.
    pub gateway: Option<String>,
    /// Under which name the gateway knows it.
    pub reference: Option<String>,
    /// What a gateway last answered when it did not take it.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was settled.
    pub settled_at: Option<DateTime<Utc>>,
    /// How many seconds it took until it was settled.
    pub took: Option<f64>,
}

impl MessageDelivery {
    pub(super) fn from_row(row: &Row) -> Self {
        Self {
            asked_at: row.get("asked_at"),
            kind: row.get("kind"),
            channel: row.get("channel"),
            state: row.get("state"),
            gateway: row.get("gateway"),
            reference: row.get("reference"),
            reason: row.get("reason"),
            attempts: row.get("attempts"),
            settled_at: row.get("settled_at"),
            took: row.get("took"),
        }
    }
}

/// The newest messages of an account, a hundred at most, the newest first. Those that were settled are known for a while only.
///
/// # Errors
/// When the database does not answer.
pub async fn of_account(db: &Client, account: AccountId) -> Result<Vec<MessageDelivery>, Error> {
    let statement = db.prepare_cached(include_str!("sql/of_account.sql")).await?;
    let rows = db.query(&statement, &[&account.0]).await?;
    Ok(rows.iter().map(MessageDelivery::from_row).collect())
}
