//! Workers for a queue of work that nodes lease from each other.
//!
//! Every node claims what is due, works on a bounded number of items at once, and claims more when it is woken or has waited a
//! while. The claim of an item runs out by itself, so what a node leaves behind when it dies is claimed by another: an item may be
//! worked on twice, never not at all. What an item is, and how it is settled or put off, is the queue's own.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How often a worker looks for items that other nodes left.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How many items a node works on at once.
const AT_ONCE: usize = 64;

/// How long a stop waits for what is under way. Another node works again on what is cut off.
const DRAIN_WITHIN: Duration = Duration::from_secs(15);

/// A queue of work.
pub(crate) trait WorkQueue: Send + Sync + 'static {
    /// The name of the queue, for the log.
    const NAME: &'static str;
    /// What is worked on.
    type Item: Send + 'static;
    /// A part of the queue that is claimed by itself, and rests by itself.
    type Lane: Copy + Send + Sync;
    /// Why nothing could be claimed.
    type Error: fmt::Display;

    /// The lanes that this node works on.
    fn lanes(&self) -> Vec<Self::Lane>;

    /// For how long nothing of a lane is to be claimed; none when it may be claimed now.
    fn rest(&self, lane: Self::Lane) -> Option<Duration>;

    /// Whether one item is to find out first if a lane can be worked on again.
    fn is_on_trial(&self, lane: Self::Lane) -> bool;

    /// Leases at most so many items of a lane that are due, for longer than one of them can take.
    fn claim(
        &self,
        lane: Self::Lane,
        at_most: usize,
    ) -> impl Future<Output = Result<Vec<Self::Item>, Self::Error>> + Send;

    /// Works on an item, and settles it or puts it off.
    fn work_on(&self, item: Self::Item) -> impl Future<Output = ()> + Send;
}

/// The workers of a queue on one node.
#[derive(Debug)]
pub(crate) struct QueueWorkers {
    woken: Notify,
    stopping: AtomicBool,
    places: Arc<Semaphore>,
}

impl Default for QueueWorkers {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { woken: Notify::new(), stopping: AtomicBool::new(false), places }
    }
}

impl QueueWorkers {
    /// Says that an item has been put into the queue, or that a lane may be claimed again.
    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Claims and works until a stop is asked for.
    pub(crate) async fn run<Q: WorkQueue>(&self, queue: &Arc<Q>) {
        let lanes = queue.lanes();
        while !self.stopping.load(Ordering::Acquire) {
            let (mut more, mut again) = (false, LOOK_EVERY);
            for lane in lanes.iter().copied() {
                if let Some(left) = queue.rest(lane) {
                    again = again.min(left);
                    continue;
                }
                let Ok(first) = self.places.clone().acquire_owned().await else { return };
                more |= self.take(queue, lane, first).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, queue = Q::NAME, "a queue cannot be read");
                    false
                });
            }
            if !more {
                drop(tokio::time::timeout(again, self.woken.notified()).await);
            }
        }
    }

    /// Claims nothing more, and waits for what is under way.
    pub(crate) async fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.woken.notify_one();
        let all = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        drop(tokio::time::timeout(DRAIN_WITHIN, self.places.acquire_many(all)).await);
    }

    /// Claims as many items of a lane as there are places, one of which is given. Returns whether there may be more.
    async fn take<Q: WorkQueue>(
        &self,
        queue: &Arc<Q>,
        lane: Q::Lane,
        first: OwnedSemaphorePermit,
    ) -> Result<bool, Q::Error> {
        let free = if queue.is_on_trial(lane) { 1 } else { self.places.available_permits() + 1 };
        let claimed = queue.claim(lane, free).await?;
        let more = claimed.len() == free;
        let mut place = Some(first);
        for item in claimed {
            let place = match place.take() {
                Some(place) => place,
                None => match self.places.clone().acquire_owned().await {
                    Ok(place) => place,
                    Err(_) => return Ok(false),
                },
            };
            let queue = queue.clone();
            tokio::spawn(async move {
                queue.work_on(item).await;
                drop(place);
            });
        }
        Ok(more)
    }
}

/// Pauses from one second to twenty, with jitter.
pub(crate) fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_secs(20))
        .with_jitter()
        .without_max_times()
}

/// How long to pause after so many tries.
pub(crate) fn pause_after(pauses: ExponentialBuilder, tries: usize) -> Duration {
    pauses.build().nth(tries.saturating_sub(1)).unwrap_or_default()
}
