//! The log, read: what an auditor asks it, by the command line and over HTTP. Nothing here writes.
//!
//! What comes out holds personal data, opened as far as its keys are there: an auditor may see it. No
//! secret is in it, since none is in the log: the nonce of a code is worth nothing without the key that codes are made
//! with, and of tokens there is only their generation.

mod account_export;
mod changes;
pub mod csv;
pub mod evidence;
pub mod feed;
mod log;
mod logged_event;
pub mod long_reading;
mod page_query;
mod plain_members;
pub mod proof_folder;
mod record;
pub mod rehearsal;
mod standing;
mod verify;
mod verify_tree;

use deadpool_postgres::{Client, Transaction};
use tokio_postgres::{Error, IsolationLevel};

pub use account_export::{AccountDocument, AccountExport};
pub use changes::StateChange;
use log::PAGE;
pub use log::{EventFilter, EventPages, PageOrder, SealedPage, end, known_end, page};
pub use logged_event::LoggedEvent;
pub use plain_members::{PlainMembers, RecordActor, RecordOutcome};
pub use record::EventRecord;
pub use standing::{
    AccountEvent, AccountStanding, FactorStanding, HistoryStep, PendingCode, SignedIn, WindowCounts,
    standing_at, steps,
};
pub use verify::{LogPlace, VerificationProgress, VerificationReport, VerificationResult, verify};

/// The database as it is at this moment, to be read for as long as that takes.
async fn snapshot(connection: &mut Client) -> Result<Transaction<'_>, Error> {
    let snapshot = connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let snapshot = snapshot.read_only(true).start().await?;
    snapshot.batch_execute("SET LOCAL statement_timeout = 0").await?;
    Ok(snapshot)
}
