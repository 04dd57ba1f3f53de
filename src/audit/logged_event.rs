//! An event as it is stored, for those who prove something of it without a database.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use crate::journal::Leaf;
use crate::journal::leaf::LeafColumns;
use crate::transparency::tree::TreeHash;

/// The columns of an event that its leaf covers, as they are stored, and its places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggedEvent {
    /// The number in the whole log, from 1.
    pub seq: i64,
    /// The type of the stream.
    pub aggregate_type: String,
    /// The account of the event.
    pub aggregate_id: String,
    /// The number in the stream of the account, from 1.
    pub sequence: i64,
    /// The name of the event.
    pub event_type: String,
    /// The version of its form.
    pub event_version: String,
    /// What happened: the text of JSON, byte for byte.
    pub payload: String,
    /// How it was written: the text of JSON, byte for byte.
    pub metadata: String,
    /// What is personal in it, sealed, in base64; null where nothing is.
    pub personal: Option<String>,
    /// Its leaf, as hexadecimal digits.
    pub leaf: String,
}

impl LoggedEvent {
    /// Reads a row of these columns.
    pub(super) fn of_row(row: &Row) -> Self {
        Self {
            seq: row.get("seq"),
            aggregate_type: row.get("aggregate_type"),
            aggregate_id: row.get("aggregate_id"),
            sequence: row.get("sequence"),
            event_type: row.get("event_type"),
            event_version: row.get("event_version"),
            payload: row.get("payload"),
            metadata: row.get("metadata"),
            personal: row.get::<_, Option<&[u8]>>("personal").map(|personal| STANDARD.encode(personal)),
            leaf: TreeHash(row.get::<_, &[u8]>("leaf").try_into().unwrap_or_default()).to_hex(),
        }
    }

    /// The sealed part; an error where it is not base64.
    pub fn sealed(&self) -> Result<Option<Vec<u8>>, base64::DecodeError> {
        self.personal.as_ref().map(|personal| STANDARD.decode(personal)).transpose()
    }

    /// The leaf that the columns come to after another leaf; none where the sealed part is not base64.
    pub fn computed_leaf(&self, before: &Leaf) -> Option<Leaf> {
        let sealed = self.sealed().ok()?;
        Some(before.next(LeafColumns {
            aggregate_type: &self.aggregate_type,
            aggregate_id: &self.aggregate_id,
            sequence: self.sequence,
            event_type: &self.event_type,
            event_version: &self.event_version,
            payload: &self.payload,
            metadata: &self.metadata,
            personal: sealed.as_deref(),
        }))
    }
}

/// The chain of an account's events.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventChain {
    sequence: i64,
    leaf: Leaf,
}

/// What is wrong with the next event of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainFault {
    /// The events between are not there.
    Missing,
    /// It is not what its leaf was made of.
    Altered,
}

impl EventChain {
    /// Takes the next event. Returns its leaf as the columns come to.
    ///
    /// # Errors
    /// [`ChainFault`]; the chain goes on from what the event says of itself.
    pub fn follow(&mut self, event: &LoggedEvent) -> Result<Leaf, ChainFault> {
        let follows = event.sequence == self.sequence + 1;
        let computed = event.computed_leaf(&self.leaf);
        let stated = TreeHash::from_hex(&event.leaf).map(|hash| Leaf(hash.0));
        (self.sequence, self.leaf) = (event.sequence, stated.unwrap_or_default());
        if !follows {
            return Err(ChainFault::Missing);
        }
        match (computed, stated) {
            (Some(computed), Some(stated)) if computed == stated => Ok(computed),
            (Some(_) | None, Some(_) | None) => Err(ChainFault::Altered),
        }
    }
}
