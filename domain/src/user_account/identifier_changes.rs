//! The changes of an account's identifiers that can still be undone.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{AccountFact, IdentifierFact, UserAccountEvent};
use crate::values::Channel;

/// How long a change can be undone.
pub const UNDOABLE_FOR: TimeDelta = TimeDelta::hours(72);

/// How many changes can be undone at a time. Later ones are not kept: an intruder who makes many does not push out the
/// first, and undoing that undoes them all.
const AT_MOST: usize = 20;

/// The changes of an account's identifiers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierChanges {
    /// How many there ever were.
    pub count: u32,
    /// Those that can still be undone, the oldest first. Some may be too old by now.
    pub undoable: Vec<UndoableChange>,
}

/// A change of identifiers that can be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoableChange {
    /// Its number among all changes of the account, from 1.
    pub number: u32,
    /// When it cannot be undone any more.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub until: DateTime<Utc>,
    /// The kind of which it brought an identifier; none where it removed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acquired: Option<Channel>,
}

impl UserAccountEvent {
    /// Whether it is a change of identifiers that can be undone, which restoring them is not.
    pub fn changes_identifiers(&self) -> bool {
        matches!(
            self.fact,
            AccountFact::Identifier(
                IdentifierFact::IdentifierAdded { .. }
                    | IdentifierFact::IdentifierReplaced { .. }
                    | IdentifierFact::IdentifierRemoved { by_undo: false, .. }
            )
        )
    }
}

impl IdentifierChanges {
    pub(super) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.undoable.capacity() * size_of::<UndoableChange>()
    }

    pub(super) fn record(&mut self, at: DateTime<Utc>, acquired: Option<Channel>) {
        self.count = self.count.saturating_add(1);
        self.undoable.retain(|change| at < change.until);
        if self.undoable.len() < AT_MOST {
            self.undoable.push(UndoableChange { number: self.count, until: at + UNDOABLE_FOR, acquired });
        }
    }

    /// That change was undone, with all later ones. It can be undone again while something of it is not restored.
    pub(super) fn undo(&mut self, number: u32, is_complete: bool) {
        self.undoable.retain(|change| change.number < number || (!is_complete && change.number == number));
    }

    /// The change of that number, if it can be undone at `now`.
    pub fn undoable(&self, number: u32, now: DateTime<Utc>) -> Option<&UndoableChange> {
        self.undoable.iter().find(|change| change.number == number && now < change.until)
    }

    /// To which of the identifiers that the account had before that change a link goes that undoes it.
    ///
    /// Only to those that it had for as long as a change can be undone: an identifier that came lately may be an
    /// intruder's, whom the owner gets rid of by the change. Where all of them came lately, to all.
    pub fn may_undo(&self, number: u32, held: &[Channel]) -> Vec<Channel> {
        let came_lately = |kind: &&Channel| {
            self.undoable.iter().any(|other| other.number < number && other.acquired == Some(**kind))
        };
        let settled: Vec<Channel> = held.iter().filter(|kind| !came_lately(kind)).copied().collect();
        if settled.is_empty() { held.to_vec() } else { settled }
    }
}
