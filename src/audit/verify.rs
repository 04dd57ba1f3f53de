//! Whether the log is what was written.
//!
//! *Unaltered*: each event's leaf is that of its columns and of the leaf before it, and what the ledger and the heads say
//! of it is the same. *Complete*: no event is missing in a stream or after its end, each has its number, no number is
//! missing, and each stands for an event.
//!
//! *Witnessed*: the log is the one that witnesses have cosigned, up to a number.
//!
//! An attacker who may change every table and has the keys can make a shorter log that verifies, or another one. It is not the one that
//! witnesses have cosigned.

use std::fmt;

use chrono::{DateTime, SubsecRound as _, Utc};
use counterfoil_domain::user_account::UserAccount;
use cqrs_es::Aggregate as _;
use deadpool_postgres::Transaction;
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

use super::verify_tree::TreeReading;
use super::{PAGE, snapshot};
use crate::journal::leaf::LeafColumns;
use crate::journal::{Journal, JournalError, Leaf};
use crate::transparency::{TrustedKeys, WitnessVerdict};

/// How far a verification has come: events and numbers looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerificationProgress {
    /// How many events and numbers have been looked at.
    pub done: u64,
    /// How many there are to look at.
    pub of: u64,
}

/// What a verification found in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerificationReport {
    /// How many events were read.
    pub events: u64,
    /// Accounts that they are of.
    pub accounts: u64,
    /// Events that the sequencer has not come to yet.
    pub waiting: u64,
    /// The first place where something is not as it was written.
    pub altered: Option<LogPlace>,
    /// The first place where something is missing.
    pub missing: Option<LogPlace>,
    /// How many checkpoints were compared with the log.
    pub checkpoints: u64,
    /// Up to which number the log is signed by a key that is trusted.
    pub signed: i64,
    /// What each witness confirms.
    pub witnesses: Vec<WitnessVerdict>,
}

impl VerificationReport {
    /// Whether nothing that is there was altered.
    pub fn is_unaltered(&self) -> bool {
        self.altered.is_none()
    }

    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.missing.is_none()
    }

    /// How many witnesses have cosigned this log.
    pub fn witnessed_by(&self) -> usize {
        self.witnesses.iter().filter(|witness| witness.size.is_some()).count()
    }

    pub(super) fn altered(&mut self, place: impl FnOnce() -> LogPlace) {
        self.altered.get_or_insert_with(place);
    }

    pub(super) fn missing(&mut self, place: impl FnOnce() -> LogPlace) {
        self.missing.get_or_insert_with(place);
    }
}

/// A report of a verification with its three verdicts.
#[derive(Clone, Debug, Serialize)]
pub struct VerificationResult {
    /// Whether no event was altered.
    pub unaltered: bool,
    /// Whether no event is missing.
    pub complete: bool,
    /// How many witnesses have cosigned this log, each up to a number.
    pub witnessed: usize,
    /// What was read, and the first place that is altered or missing.
    #[serde(flatten)]
    pub report: VerificationReport,
}

impl From<VerificationReport> for VerificationResult {
    fn from(report: VerificationReport) -> Self {
        Self {
            unaltered: report.is_unaltered(),
            complete: report.is_complete(),
            witnessed: report.witnessed_by(),
            report,
        }
    }
}

/// A place in the log, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogPlace {
    /// The number in the whole log, where it is known.
    pub position: Option<i64>,
    /// The account of the place.
    pub account_id: Option<String>,
    /// The number in its stream.
    pub sequence: Option<i64>,
    /// What is wrong at the place.
    pub what: &'static str,
}

/// As a person is told: the position, the account and its event, as far as they are known.
impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = self.position {
            write!(f, "number {position}, ")?;
        }
        if let (Some(account), Some(sequence)) = (&self.account_id, self.sequence) {
            write!(f, "account {account}, event {sequence}, ")?;
        }
        f.write_str(self.what)
    }
}

/// Verifies the whole log, as of one moment, in flat memory.
///
/// # Errors
/// [`JournalError`] when the database does not answer.
pub async fn verify(
    journal: &Journal,
    keys: &TrustedKeys,
    progress: &mut impl FnMut(VerificationProgress),
) -> Result<VerificationReport, JournalError> {
    let mut connection = journal.database().connection().await?;
    let snapshot = snapshot(&mut connection).await?;
    let last: i64 = snapshot.query_one("SELECT seq FROM sequencer", &[]).await?.get(0);
    let rows = snapshot.query_one(include_str!("sql/rows.sql"), &[]).await?;
    let of = u64::try_from(rows.get::<_, i64>(0)).unwrap_or_default();
    let mut found = VerificationReport::default();
    let mut done = VerificationProgress { done: 0, of };
    let mut step = |rows: usize| {
        done.done += rows as u64;
        progress(done);
    };
    streams(&snapshot, &mut found, &mut step).await?;
    headless(&snapshot, &mut found).await?;
    let tree = TreeReading::new(&snapshot, keys).await?;
    numbers(&snapshot, last, tree, &mut found, &mut step).await?;
    Ok(found)
}

/// The last event of a stream so far.
#[derive(Clone, Default)]
struct StreamTip {
    aggregate_type: String,
    aggregate_id: String,
    sequence: i64,
    leaf: Leaf,
}

impl StreamTip {
    fn place(&self, what: &'static str) -> LogPlace {
        LogPlace {
            position: None,
            account_id: Some(self.aggregate_id.clone()),
            sequence: Some(self.sequence),
            what,
        }
    }

    /// The account; none where it is that of no account.
    fn account(&self) -> Option<Uuid> {
        let id = Uuid::try_parse(&self.aggregate_id).ok()?;
        (self.aggregate_type == UserAccount::TYPE && id.to_string() == self.aggregate_id).then_some(id)
    }
}

/// Every stream from its first event to its head.
async fn streams(
    snapshot: &Transaction<'_>,
    found: &mut VerificationReport,
    step: &mut impl FnMut(usize),
) -> Result<(), JournalError> {
    let statement = snapshot.prepare_cached(include_str!("sql/streams.sql")).await?;
    let mut tip = StreamTip::default();
    loop {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&tip.aggregate_type, &tip.aggregate_id, &tip.sequence, &PAGE];
        let rows = snapshot.query(&statement, &parameters).await?;
        let mut ended = Vec::new();
        for row in &rows {
            let (aggregate_type, aggregate_id): (&str, &str) =
                (row.get("aggregate_type"), row.get("aggregate_id"));
            if (aggregate_type, aggregate_id) != (&tip.aggregate_type, &tip.aggregate_id) {
                let (aggregate_type, aggregate_id) = (aggregate_type.to_owned(), aggregate_id.to_owned());
                let next = StreamTip { aggregate_type, aggregate_id, ..StreamTip::default() };
                ended.push(std::mem::replace(&mut tip, next));
                found.accounts += 1;
            }
            follow(&mut tip, row, found);
        }
        found.events += rows.len() as u64;
        if rows.is_empty() {
            ended.push(tip.clone());
        }
        ended.retain(|tip| tip.sequence > 0);
        heads(snapshot, &ended, found).await?;
        numbered(snapshot, &rows, found).await?;
        step(rows.len());
        if rows.is_empty() {
            return Ok(());
        }
    }
}

/// Takes an event to be the next of its stream.
fn follow(tip: &mut StreamTip, row: &Row, found: &mut VerificationReport) {
    let sequence: i64 = row.get("sequence");
    let stored = row.get::<_, &[u8]>("leaf").try_into().map(Leaf).unwrap_or_default();
    let leaf = tip.leaf.next(LeafColumns {
        aggregate_type: &tip.aggregate_type,
        aggregate_id: &tip.aggregate_id,
        sequence,
        event_type: row.get("event_type"),
        event_version: row.get("event_version"),
        payload: row.get("payload"),
        metadata: row.get("metadata"),
        personal: row.get("personal"),
    });
    let follows = sequence == tip.sequence + 1;
    (tip.sequence, tip.leaf) = (tip.sequence + 1, stored);
    if !follows {
        // The leaf goes on from one that is not there, so of this event nothing can be told.
        found.missing(|| tip.place("this event is not there"));
        tip.sequence = sequence;
    } else if leaf != stored {
        found.altered(|| tip.place("this event, or the one before it, is not what its leaf was made of"));
    }
    if tip.account().is_none() {
        found.altered(|| tip.place("this event is of no account"));
    }
}

/// Compares the ends of streams with their heads.
async fn heads(
    snapshot: &Transaction<'_>,
    ended: &[StreamTip],
    found: &mut VerificationReport,
) -> Result<(), JournalError> {
    let accounts: Vec<Uuid> = ended.iter().filter_map(StreamTip::account).collect();
    let statement = snapshot
        .prepare_cached("SELECT account_id, version, leaf FROM heads WHERE account_id = ANY ($1)")
        .await?;
    let rows = snapshot.query(&statement, &[&accounts]).await?;
    for tip in ended {
        let Some(account) = tip.account() else { continue };
        let head = rows.iter().find(|row| row.get::<_, Uuid>("account_id") == account);
        match head.map(|row| (row.get::<_, i64>("version"), row.get::<_, &[u8]>("leaf"))) {
            None => found.missing(|| tip.place("the account has no head")),
            Some((version, _)) if version > tip.sequence => {
                found.missing(|| tip.place("the events after this one are not there"));
            }
            Some((version, leaf)) if version < tip.sequence || leaf != tip.leaf.0 => {
                found.altered(|| tip.place("the account's head is not at this event, which is the last"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Looks for numbers of events.
async fn numbered(
    snapshot: &Transaction<'_>,
    rows: &[Row],
    found: &mut VerificationReport,
) -> Result<(), JournalError> {
    let of_accounts = rows.iter().filter(|row| {
        let id: &str = row.get("aggregate_id");
        Uuid::try_parse(id).is_ok()
    });
    let (accounts, sequences): (Vec<&str>, Vec<i64>) =
        of_accounts.map(|row| (row.get::<_, &str>("aggregate_id"), row.get::<_, i64>("sequence"))).unzip();
    let statement = snapshot.prepare_cached(include_str!("sql/unnumbered.sql")).await?;
    for row in snapshot.query(&statement, &[&accounts, &sequences]).await? {
        if row.get("passed") {
            found.missing(|| LogPlace {
                position: None,
                account_id: Some(row.get("aggregate_id")),
                sequence: Some(row.get("sequence")),
                what: "this event has no number",
            });
        } else {
            found.waiting += 1;
        }
    }
    Ok(())
}

/// Looks for accounts of which nothing is left but the head.
async fn headless(snapshot: &Transaction<'_>, found: &mut VerificationReport) -> Result<(), JournalError> {
    let sql = "SELECT account_id::text FROM heads h
                WHERE NOT EXISTS (SELECT FROM events WHERE aggregate_type = $1 AND aggregate_id = h.account_id::text)
                ORDER BY account_id LIMIT 1";
    if let Some(row) = snapshot.query_opt(sql, &[&UserAccount::TYPE]).await? {
        let (account_id, sequence) = (Some(row.get(0)), Some(1));
        found.missing(|| LogPlace { position: None, account_id, sequence, what: "this event is not there" });
    }
    Ok(())
}

/// Every number from the first to the last.
async fn numbers(
    snapshot: &Transaction<'_>,
    last: i64,
    mut tree: TreeReading<'_, '_>,
    found: &mut VerificationReport,
    step: &mut impl FnMut(usize),
) -> Result<(), JournalError> {
    let statement = snapshot.prepare_cached(include_str!("sql/numbers.sql")).await?;
    let mut before = 0;
    loop {
        let rows = snapshot.query(&statement, &[&UserAccount::TYPE, &before, &PAGE]).await?;
        step(rows.len());
        for row in &rows {
            let position: i64 = row.get("seq");
            if position != before + 1 {
                found.missing(|| nameless(before + 1, "this number is not there"));
            }
            if position > last {
                found.altered(|| nameless(position, "this number has not been given yet"));
            }
            before = position;
            tree.follow(position, row.get("leaf"), found).await?;
            let place = |what| LogPlace {
                position: Some(position),
                account_id: Some(row.get::<_, Uuid>("account_id").to_string()),
                sequence: Some(row.get("sequence")),
                what,
            };
            let Some(leaf) = row.get::<_, Option<&[u8]>>("event_leaf") else {
                found.missing(|| place("this event is not there"));
                continue;
            };
            let at = row.get::<_, Option<&str>>("event_at").and_then(time);
            let same = leaf == row.get::<_, &[u8]>("leaf")
                && row.get::<_, &str>("event_type") == row.get::<_, &str>("event_event_type")
                && row.get::<_, Option<DateTime<Utc>>>("at") == at;
            if !same {
                found.altered(|| place("the ledger says something else than the event"));
            }
            if !row.get::<_, bool>("in_span") {
                found.altered(|| place("this event's time is not where it is looked for"));
            }
        }
        if rows.is_empty() {
            break;
        }
    }
    if before < last {
        found.missing(|| nameless(before + 1, "this number is not there"));
    }
    tree.end(found).await
}

pub(super) fn nameless(position: i64, what: &'static str) -> LogPlace {
    LogPlace { position: Some(position), account_id: None, sequence: None, what }
}

/// A time as the database keeps it, in microseconds.
fn time(text: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc().round_subsecs(6))
}
