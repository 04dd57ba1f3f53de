//! A meter as staff see it: whose it is, how much is used, and when there is room again.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Inner;
use super::limit::LimitKind;
use super::meter::StoredMeter;

/// A meter that is used enough to be of interest.
#[derive(Clone, Debug, Serialize)]
pub struct UsedMeter {
    /// The limit of the meter.
    pub limit: &'static str,
    /// Whose it is: a country, `service`, a prefix after its country (`IR.+98912123`), or the hash of an address, a network, a
    /// mailbox or a mail domain.
    pub subject: String,
    /// How much is used.
    pub used: i64,
    /// How much may be.
    pub most: i64,
    /// When there is room again; none where there is room now.
    pub until: Option<DateTime<Utc>>,
}

impl Inner {
    /// A stored meter as it stands now; none when it is empty, or of no limit that is set.
    pub(super) fn meter(&self, stored: &StoredMeter) -> Option<(LimitKind, UsedMeter)> {
        let mut limits = LimitKind::ALL.into_iter();
        let (limit, subject) = limits
            .find_map(|limit| Some((limit, stored.meter.strip_prefix(limit.place())?.strip_prefix('/')?)))?;
        let (rule, most) = limit.rule(&self.policy, subject)?;
        let now = self.now();
        let (used, room_at) = if rule.slots == 0 {
            let ahead = stored.until - now;
            // The time rounded up: as good as used while any of it is left.
            let used = (ahead.max(0) + rule.every - 1) / rule.every;
            (used, Some(stored.until - (most - 1).saturating_mul(rule.every)))
        } else {
            let oldest = (now / rule.every).max(stored.slot) - i64::from(rule.slots) + 1;
            let slots = stored.counts.iter().zip((0..=stored.slot).rev());
            let counted = slots.filter(|(count, slot)| *slot >= oldest && **count > 0);
            let leaves_first = counted.clone().map(|(_, slot)| slot).min();
            let room_at = leaves_first.map(|slot| (slot + i64::from(rule.slots)) * rule.every);
            (counted.map(|(count, _)| count).sum(), room_at)
        };
        let until = room_at.filter(|room_at| used >= most && now < *room_at);
        let until = until.and_then(DateTime::from_timestamp_micros);
        let meter = UsedMeter { limit: limit.name(), subject: subject.to_owned(), used, most, until };
        (used > 0).then_some((limit, meter))
    }
}
