//! One at a time: callers with the same key wait for each other, others do not.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Lane, OwnedMutexGuard};

/// Queues by key, made when needed and forgotten when empty.
#[derive(Debug)]
pub struct KeyedMutex<K> {
    lanes: Mutex<HashMap<K, Weak<Lane<()>>>>,
}

impl<K> Default for KeyedMutex<K> {
    fn default() -> Self {
        Self { lanes: Mutex::default() }
    }
}

impl<K: Eq + Hash> KeyedMutex<K> {
    /// Waits until no other caller holds that key; the next may have it when the guard is dropped.
    pub async fn enter(&self, key: K) -> OwnedMutexGuard<()> {
        self.lane(key).lock_owned().await
    }

    fn lane(&self, key: K) -> Arc<Lane<()>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        // Empty lanes are swept when the map would grow, so sweeping costs each caller a constant share.
        if lanes.len() == lanes.capacity() {
            lanes.retain(|_, lane| lane.strong_count() > 0);
        }
        let entry = lanes.entry(key).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let lane = Arc::default();
            *entry = Arc::downgrade(&lane);
            lane
        })
    }
}

#[cfg(test)]
mod tests {
    use super::KeyedMutex;

    #[tokio::test]
    async fn the_same_key_waits_and_another_does_not() {
        let lanes = KeyedMutex::default();
        let first = lanes.enter("a").await;
        drop(lanes.enter("b").await);
        let mut second = Box::pin(lanes.enter("a"));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        drop(second.await);
    }

    #[tokio::test]
    async fn lanes_that_nobody_uses_are_forgotten() {
        let lanes = KeyedMutex::default();
        for key in 0..10_000 {
            drop(lanes.enter(key).await);
        }
        assert!(lanes.lanes.lock().expect("unpoisoned").len() < 10);
    }
}
