//! How often a log line may be repeated: what is left out is counted, and the counts are logged instead.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time that lines are counted over.
const WINDOW: Duration = Duration::from_secs(1);

/// How many kinds of lines are counted at a time. Any more are written.
const KINDS: usize = 10_000;

/// Lets so many lines of a kind be written in a second.
#[derive(Debug)]
pub struct LogThrottle<K> {
    per_second: u32,
    kinds: Mutex<HashMap<K, LineCount>>,
}

#[derive(Debug)]
struct LineCount {
    since: Instant,
    written: u32,
    left_out: u64,
}

impl<K: Eq + Hash> LogThrottle<K> {
    /// A rate for each kind of line.
    pub fn new(per_second: u32) -> Self {
        Self { per_second, kinds: Mutex::default() }
    }

    /// Whether a line of that kind may be written now; counts it.
    pub fn admit(&self, kind: K, now: Instant) -> bool {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.len() >= KINDS && !kinds.contains_key(&kind) {
            return true;
        }
        let counted = kinds.entry(kind).or_insert(LineCount { since: now, written: 0, left_out: 0 });
        if now.duration_since(counted.since) >= WINDOW {
            (counted.since, counted.written) = (now, 0);
        }
        let admitted = counted.written < self.per_second;
        if admitted {
            counted.written += 1;
        } else {
            counted.left_out += 1;
        }
        admitted
    }

    /// How many lines of each kind were left out since the last time, and forgets kinds of which there are no more.
    pub fn take_left_out(&self, now: Instant) -> Vec<(K, u64)>
    where
        K: Clone,
    {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = kinds.iter_mut().filter(|(_, counted)| counted.left_out > 0);
        let left_out = left_out.map(|(kind, counted)| (kind.clone(), std::mem::take(&mut counted.left_out)));
        let left_out = left_out.collect();
        kinds.retain(|_, counted| now.duration_since(counted.since) < WINDOW);
        left_out
    }
}

#[cfg(test)]
mod tests {
    use super::LogThrottle;
    use std::time::{Duration, Instant};

    #[test]
    fn so_many_lines_of_a_kind_are_written_in_a_second_and_the_others_counted() {
        let (rate, began) = (LogThrottle::new(10), Instant::now());
        let written =
            |kind, at| (0..100).filter(|_| rate.admit(kind, began + Duration::from_millis(at))).count();
        assert_eq!(
            (written("a", 0), written("b", 0), written("a", 900), written("a", 1_000)),
            (10, 10, 0, 10)
        );
        let later = began + Duration::from_millis(1_500);
        let mut left_out = rate.take_left_out(later);
        left_out.sort_unstable();
        assert_eq!(left_out, [("a", 280), ("b", 90)]);
        assert!(rate.take_left_out(later).is_empty());
        assert_eq!(written("a", 2_000), 10, "what was counted is not counted again");
    }
}
