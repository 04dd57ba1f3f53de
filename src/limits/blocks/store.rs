//! The table of the blocks. What a block is about, and why, is sealed under a key that all blocks share and `account_keys` holds, so
//! that `keys rewrap personal` reaches it like the keys of accounts.

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::{ActingStaff, BlockKind};
use counterfoil_domain::values::{AccountId, BlockId};
use counterfoil_projections::SearchPage;
use deadpool_postgres::{Client, GenericClient};
use serde::{Deserialize, Serialize};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::BlockedSubject;
use crate::crypto::personal_data::{AccountKeys, KeyScope, PersonalData, WrappedKey};

/// The id under which `account_keys` has the key of the blocks and of the notes on alarms. No account has it (UUID version 8,
/// RFC 9562).
const KEY_HOLDER: AccountId = AccountId(Uuid::from_u128(0x636f_756e_7465_8f66_8f69_6c62_6c6f_636b));

/// How long a block is kept after its end.
const KEPT_FOR: TimeDelta = TimeDelta::days(400);

/// What a block's sealed part says.
#[derive(Serialize, Deserialize)]
struct SealedPart {
    subject: String,
    reason: String,
}

/// A block as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// The id of the block.
    pub id: BlockId,
    /// The kind of its subject.
    pub kind: BlockKind,
    /// What is blocked; `None` where the key is gone.
    pub subject: Option<BlockedSubject>,
    /// When it was set.
    pub since: DateTime<Utc>,
    /// When it ends by itself.
    pub until: Option<DateTime<Utc>>,
    /// When it was lifted, or ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Why it was set, in the words of staff; `None` where the key is gone.
    pub reason: Option<String>,
    /// The member of staff who set it last.
    pub by: Option<ActingStaff>,
}

impl StoredBlock {
    /// Whether the block holds.
    pub fn is_active(&self, now: DateTime<Utc>) -> bool {
        self.ended_at.is_none() && self.until.is_none_or(|until| now < until)
    }

    fn from_row(row: &Row, keys: &AccountKeys) -> Option<Self> {
        let (id, kind): (Uuid, &str) = (row.get("id"), row.get("kind"));
        let kind = BlockKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        let sealed: Option<SealedPart> =
            keys.open(KeyScope::Person, &place(BlockId(id)), row.get("sealed")).ok();
        if sealed.is_none() {
            tracing::error!(block = %id, "a block cannot be opened, so it does not hold");
        }
        let subject = sealed.as_ref().and_then(|sealed| BlockedSubject::parse(kind, &sealed.subject));
        Some(Self {
            id: BlockId(id),
            kind,
            subject,
            since: row.get("since"),
            until: row.get("until"),
            ended_at: row.get("ended_at"),
            reason: sealed.map(|sealed| sealed.reason),
            by: serde_json::from_str(row.get("set_by")).ok(),
        })
    }
}

fn place(block: BlockId) -> String {
    format!("block/{block}")
}

/// What tells whether the blocks that have not ended are still those that were read: how many there are, and the sum of the
/// transactions that wrote them.
pub(super) type BlocksFingerprint = (i64, i64);

pub(super) async fn fingerprint(db: &Client) -> Result<BlocksFingerprint, Error> {
    let statement = db.prepare_cached(include_str!("sql/fingerprint.sql")).await?;
    let row = db.query_one(&statement, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

/// The blocks that have not been lifted, in the order in which they were set.
///
/// # Errors
/// When the database fails.
pub async fn not_ended(
    db: &impl GenericClient,
    personal_data: &PersonalData,
) -> Result<Vec<StoredBlock>, Error> {
    let keys = keys(db, personal_data).await?;
    let rows = db.query(include_str!("sql/not_ended.sql"), &[]).await?;
    Ok(rows.iter().filter_map(|row| StoredBlock::from_row(row, &keys)).collect())
}

/// The block of that id, whether or not it has ended.
///
/// # Errors
/// When the database fails.
pub async fn stored(
    db: &Client,
    personal_data: &PersonalData,
    block: BlockId,
) -> Result<Option<StoredBlock>, Error> {
    let keys = keys(db, personal_data).await?;
    let row = db.query_opt(include_str!("sql/stored.sql"), &[&block.0]).await?;
    Ok(row.and_then(|row| StoredBlock::from_row(&row, &keys)))
}

/// The blocks, the newest first: all, or those that hold now, or those that are over.
///
/// # Errors
/// When the database fails.
pub async fn list(
    db: &Client,
    personal_data: &PersonalData,
    (active, now): (Option<bool>, DateTime<Utc>),
    after: Option<BlockId>,
    limit: u8,
) -> Result<SearchPage<StoredBlock, BlockId>, Error> {
    let keys = keys(db, personal_data).await?;
    let (after, most) = (after.map(|block| block.0), i64::from(limit) + 1);
    let rows = db.query(include_str!("sql/list.sql"), &[&most, &after, &active, &now]).await?;
    let mut items: Vec<StoredBlock> =
        rows.iter().filter_map(|row| StoredBlock::from_row(row, &keys)).collect();
    let is_more = items.len() > usize::from(limit);
    items.truncate(usize::from(limit));
    let next = items.last().filter(|_| is_more).map(|last| last.id);
    Ok(SearchPage { items, next })
}

/// Sets a block, or gives the one of the same subject another end and another reason, one request after another. Returns the
/// block as it stands.
///
/// # Errors
/// When the database fails.
pub async fn change(
    db: &mut Client,
    personal_data: &PersonalData,
    wanted: StoredBlock,
    now: DateTime<Utc>,
) -> Result<StoredBlock, Error> {
    let transaction = db.transaction().await?;
    transaction.execute("LOCK TABLE blocks IN SHARE ROW EXCLUSIVE MODE", &[]).await?;
    let keys = keys_or_new(&transaction, personal_data).await?;
    let rows = transaction.query(include_str!("sql/not_ended.sql"), &[]).await?;
    let same = rows.iter().filter_map(|row| StoredBlock::from_row(row, &keys));
    let same = same.into_iter().find(|other| other.subject == wanted.subject && other.is_active(now));
    let block = match same {
        Some(same) => StoredBlock { id: same.id, since: same.since, ..wanted },
        None => wanted,
    };
    let subject = block.subject.as_ref().map(BlockedSubject::text).unwrap_or_default();
    let sealed = SealedPart { subject, reason: block.reason.clone().unwrap_or_default() };
    let sealed = keys.seal(KeyScope::Person, &place(block.id), &sealed);
    let by = serde_json::to_string(&block.by).unwrap_or_default();
    transaction
        .execute(
            include_str!("sql/set.sql"),
            &[&block.id.0, &block.kind.as_str(), &sealed, &block.since, &block.until, &by],
        )
        .await?;
    transaction.commit().await?;
    Ok(block)
}

/// Ends a block now.
///
/// # Errors
/// When the database fails.
pub async fn end(db: &Client, block: BlockId, now: DateTime<Utc>) -> Result<(), Error> {
    db.execute(include_str!("sql/end.sql"), &[&block.0, &now]).await.map(drop)
}

/// Ends the blocks whose time is over, and forgets those that ended long ago.
///
/// # Errors
/// When the database fails.
pub async fn prune(db: &Client, now: DateTime<Utc>) -> Result<(), Error> {
    let statement = db.prepare_cached(include_str!("sql/prune.sql")).await?;
    db.execute(&statement, &[&now, &(now - KEPT_FOR)]).await.map(drop)
}

/// The key of the texts of staff; none where there is no text yet.
pub(in crate::limits) async fn keys(
    db: &impl GenericClient,
    personal_data: &PersonalData,
) -> Result<AccountKeys, Error> {
    let rows = db.query(include_str!("sql/keys.sql"), &[&KEY_HOLDER.0]).await?;
    Ok(personal_data.unwrap(KEY_HOLDER, rows.iter().map(WrappedKey::of)))
}

/// The key of the texts of staff, made where there is none yet.
pub(in crate::limits) async fn keys_or_new(
    db: &impl GenericClient,
    personal_data: &PersonalData,
) -> Result<AccountKeys, Error> {
    let mut present = keys(db, personal_data).await?;
    for WrappedKey { scope, wrapping_id, wrapped } in
        personal_data.add_missing(&mut present, [KeyScope::Person])
    {
        let sql = include_str!("sql/add_key.sql");
        db.execute(sql, &[&KEY_HOLDER.0, &scope, &wrapping_id, &wrapped]).await?;
    }
    Ok(present)
}
