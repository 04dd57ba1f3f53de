//! Wrong codes, which bar an account from trying more: for a while, then until somebody lifts it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{CodeRefused, CodeRejected, Policy};

/// The wrong codes that were tried since the last right one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongCodes {
    /// When, over the last hour.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lately: Vec<DateTime<Utc>>,
    /// How many there were in all.
    pub in_a_row: u32,
    /// The refusal to look at a code that is on record, until its window ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted_until: Option<DateTime<Utc>>,
}

/// Why an account neither gets codes nor has them looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bar {
    /// For an hour, after too many wrong codes within one.
    Paused,
    /// Until somebody lifts it, after too many wrong codes in a row.
    Locked,
}

impl WrongCodes {
    pub(super) fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// Takes one more.
    pub(super) fn note(&mut self, at: DateTime<Utc>) {
        self.lately.retain(|wrong| at - *wrong < TimeDelta::hours(1));
        self.lately.push(at);
        self.in_a_row = self.in_a_row.saturating_add(1);
    }

    /// Whether they bar the account from trying and asking, and when that is worth another look.
    pub(super) fn barred(&self, now: DateTime<Utc>, policy: &Policy) -> Option<(Bar, DateTime<Utc>)> {
        if self.in_a_row >= policy.wrong_codes_in_a_row {
            return Some((Bar::Locked, now + TimeDelta::hours(24)));
        }
        let pause_ends = *self.lately.last()? + TimeDelta::hours(1);
        (self.lately.len() >= policy.wrong_codes_per_hour && now < pause_ends)
            .then_some((Bar::Paused, pause_ends))
    }

    /// Until when a refusal to look at a code need not be put on record again.
    pub(super) fn noted(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.noted_until.filter(|window| now < *window)
    }
}

impl From<Bar> for CodeRejected {
    fn from(bar: Bar) -> Self {
        match bar {
            Bar::Paused => Self::Paused,
            Bar::Locked => Self::Locked,
        }
    }
}

impl From<Bar> for CodeRefused {
    fn from(bar: Bar) -> Self {
        match bar {
            Bar::Paused => Self::Paused,
            Bar::Locked => Self::Locked,
        }
    }
}
