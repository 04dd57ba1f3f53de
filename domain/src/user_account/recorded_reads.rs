//! The record of what an administrator reads, which is bounded whatever they ask for.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Refusal, RegisteredAccount};

/// For how long the same page is not put on record again.
const WINDOW: TimeDelta = TimeDelta::minutes(10);

/// How many reads a window has at most: more than a person opens, one every two seconds.
const MOST: u32 = 300;

/// How many of the last pages are remembered.
const REMEMBERED: usize = 20;

/// The reads of an administrator that are on record, until their window ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedReads {
    /// When the window ends.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub until: DateTime<Utc>,
    /// How many reads are on record in it.
    pub count: u32,
    /// The last pages that were opened, each with the mark of what was searched for, where something was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<(String, Option<u32>)>,
}

impl RecordedReads {
    /// Adds a read, in a new window where the last one has ended.
    pub(super) fn add(&mut self, at: DateTime<Utc>, what: &str, search: Option<u32>) {
        if at >= self.until {
            *self = Self { until: at + WINDOW, ..Self::default() };
        }
        self.count += 1;
        self.pages.drain(..(self.pages.len() + 1).saturating_sub(REMEMBERED));
        self.pages.push((what.to_owned(), search));
    }
}

impl RegisteredAccount {
    /// Returns whether a read is to be put on record: each page and each search once a window, unless so many others came between
    /// that it is not remembered.
    ///
    /// # Errors
    /// [`Refusal::TooManyReads`] where the window has as many as it may have, so that nothing is shown without a record.
    pub(super) fn records_read(
        &self,
        what: &str,
        search: Option<u32>,
        at: DateTime<Utc>,
    ) -> Result<bool, Refusal> {
        let Some(reads) = self.reads.as_deref().filter(|reads| at < reads.until) else { return Ok(true) };
        if reads.pages.iter().any(|(page, mark)| page == what && *mark == search) {
            return Ok(false);
        }
        if reads.count >= MOST {
            return Err(Refusal::TooManyReads { until: reads.until });
        }
        Ok(true)
    }
}
