//! What is counted, by which rule, and what comes of it.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// A minute, an hour and a day, in microseconds.
pub(super) const MINUTE: i64 = 60_000_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// A rule that a meter counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterRule {
    /// In microseconds: how long until one that was counted is used up or, with slots, how long a slot is.
    pub every: i64,
    /// How many slots the window has, the present one included; 0 for a rate (GCRA, ITU-T I.371).
    pub slots: i32,
}

impl MeterRule {
    /// One is used up every so many microseconds.
    pub const fn rate(every: i64) -> Self {
        Self { every, slots: 0 }
    }

    /// All that was counted within a time, and within at most a twelfth more: by whole slots, on the strict side.
    pub const fn window(length: i64) -> Self {
        Self { every: length / 12, slots: 13 }
    }

    /// The present day (UTC).
    pub const DAILY: Self = Self { every: DAY, slots: 1 };
}

/// One request's call on one meter.
#[derive(Clone, Debug)]
pub struct MeterEntry {
    /// The meter's name: `level/limit/subject`, wider levels later in the order of names.
    pub meter: String,
    /// The rule of all calls on that meter.
    pub rule: MeterRule,
    /// The most that it may come to.
    pub most: i64,
    /// How much is counted; 0 only looks, less gives back.
    pub cost: i64,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CountOutcome {
    /// All entries were counted; what the window of the last comes to, 0 where that is a rate.
    All(i64),
    /// One had no room, so none was counted.
    Refused {
        /// Which entry, from 0.
        entry: usize,
        /// When there can be room again.
        wait: Duration,
    },
}

impl CountOutcome {
    /// Reads a store's answer: the entry that refused, from 1, or 0.
    pub(super) fn from_answer(refused: i64, wait: i64, total: i64) -> Self {
        match usize::try_from(refused).ok().and_then(|refused| refused.checked_sub(1)) {
            Some(entry) => {
                Self::Refused { entry, wait: Duration::from_micros(u64::try_from(wait).unwrap_or_default()) }
            }
            None => Self::All(total),
        }
    }
}

/// A meter as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMeter {
    /// The name of the meter.
    pub meter: String,
    /// For a rate, when all that was counted is used up; in microseconds since 1970.
    pub until: i64,
    /// The number of the newest slot.
    pub slot: i64,
    /// What was counted in each slot, the newest first.
    pub counts: Vec<i64>,
}

/// The store does not answer. What was to be counted may have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store of the limits does not answer: {0}")]
pub struct StoreUnavailable(pub String);

/// What all nodes count in.
#[async_trait]
pub trait MeterStore: Send + Sync {
    /// Counts a request against its meters, all of them or none, before any other request is looked at.
    ///
    /// # Errors
    /// [`StoreUnavailable`] when the store does not answer.
    async fn count(
        &self,
        present: DateTime<Utc>,
        entries: Vec<MeterEntry>,
    ) -> Result<CountOutcome, StoreUnavailable>;

    /// All meters, by name.
    ///
    /// # Errors
    /// [`StoreUnavailable`] when the store does not answer.
    async fn stored(&self) -> Result<Vec<StoredMeter>, StoreUnavailable>;

    /// The meters of these names that have been counted on.
    ///
    /// # Errors
    /// [`StoreUnavailable`] when the store does not answer.
    async fn find(&self, meters: &[String]) -> Result<Vec<StoredMeter>, StoreUnavailable>;

    /// Forgets what these meters have counted.
    ///
    /// # Errors
    /// [`StoreUnavailable`] when the store does not answer.
    async fn forget(&self, meters: &[String]) -> Result<(), StoreUnavailable>;
}
