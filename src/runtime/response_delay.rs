//! Response times that tell nothing of an account.
//!
//! An operation on an identifier takes longer where an account must be loaded or begun than where the node remembers it. Its
//! response therefore waits for the end of a period that follows the slowest path, as the node has measured its round trips
//! lately. The measurements come from all requests and are of the database, so a caller cannot train them by the identifiers
//! that they ask for.
//!
//! A timer of the runtime does not do for the wait: it fires whole milliseconds after the thread last had something to do, so
//! the fraction of a millisecond tells how long the work took. A thread with nothing else to do keeps the time instead.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// The shortest period: several times what an operation takes beside its database.
const SHORTEST: Duration = Duration::from_millis(5);

/// The longest period. Where round trips are slower still, responses come at its multiples.
const LONGEST: Duration = Duration::from_millis(300);

/// What the operation computes, apart from its round trips.
const WORK: Duration = Duration::from_millis(3);

/// How many of the latest measurements count.
const MEASUREMENTS: usize = 64;

/// The latest durations of one kind of round trip on a node.
#[derive(Clone, Debug, Default)]
pub struct RoundTripTimes(Arc<Mutex<VecDeque<Duration>>>);

impl RoundTripTimes {
    /// Measures a round trip. One that fails is not counted: it would tell how long a caller waits for a database that is away.
    ///
    /// # Errors
    /// Those of the round trip.
    pub async fn measure<T, E>(&self, round_trip: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let began = Instant::now();
        let answer = round_trip.await?;
        self.record(began.elapsed());
        Ok(answer)
    }

    fn record(&self, took: Duration) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.truncate(MEASUREMENTS - 1);
        latest.push_front(took);
    }

    /// What 19 of 20 of the latest round trips did not exceed; zero before the first.
    fn slow(&self) -> Duration {
        let mut latest: Vec<Duration> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let Some(rank) = (latest.len() * 19).div_ceil(20).checked_sub(1) else { return Duration::ZERO };
        *latest.select_nth_unstable(rank).1
    }
}

/// The period that responses wait for, where their operation makes all of these round trips on its slowest path.
pub fn period<'a>(round_trips: impl IntoIterator<Item = &'a RoundTripTimes>) -> Duration {
    let slowest: Duration = round_trips.into_iter().map(RoundTripTimes::slow).sum();
    (slowest.mul_f64(1.25) + WORK).clamp(SHORTEST, LONGEST)
}

/// Does the work, and returns at the end of a period from now: the first, or the one in which the work ends. What `is_held` is
/// false for returns at once.
pub async fn with_response_delay<T>(
    period: Duration,
    work: impl Future<Output = T>,
    is_held: impl FnOnce(&T) -> bool,
) -> T {
    let began = Instant::now();
    // In a box of its own: the operations are nested as deep as the compiler follows them.
    let done = Box::pin(work).await;
    if is_held(&done) {
        let periods = began.elapsed().div_duration_f64(period).floor() + 1.0;
        wait_until(began + period.mul_f64(periods)).await;
    }
    done
}

async fn wait_until(due: Instant) {
    let (release, released) = oneshot::channel();
    drop(TIMER.send(Held { due, release }));
    drop(released.await);
}

/// A response that waits.
struct Held {
    due: Instant,
    release: oneshot::Sender<()>,
}

static TIMER: LazyLock<Sender<Held>> = LazyLock::new(|| {
    let (sender, receiver) = channel();
    std::thread::spawn(move || release_when_due(&receiver));
    sender
});

fn release_when_due(arriving: &Receiver<Held>) {
    let mut waiting = BinaryHeap::<Held>::new();
    loop {
        let next = match waiting.peek() {
            None => arriving.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(first) => arriving.recv_timeout(first.due.saturating_duration_since(Instant::now())),
        };
        match next {
            Ok(held) => waiting.push(held),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        while waiting.peek().is_some_and(|first| first.due <= now) {
            // The caller may have gone meanwhile.
            waiting.pop().and_then(|held| held.release.send(()).ok());
        }
    }
}

/// The response that is due first is the greatest.
impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Held {}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{LONGEST, MEASUREMENTS, RoundTripTimes, SHORTEST, period, with_response_delay};

    const PERIOD: Duration = Duration::from_millis(50);

    async fn took(work: Duration, is_held: bool) -> Duration {
        let began = Instant::now();
        with_response_delay(PERIOD, tokio::time::sleep(work), |()| is_held).await;
        began.elapsed()
    }

    #[tokio::test]
    async fn a_response_comes_at_the_end_of_the_period_in_which_the_work_ends() {
        for (work, periods) in [(0, 1), (10, 1), (60, 2), (120, 3)] {
            let took = took(Duration::from_millis(work), true).await;
            assert!(took >= PERIOD * periods, "{work} ms of work: {took:?}");
        }
    }

    #[tokio::test]
    async fn a_response_that_is_not_held_comes_at_once() {
        let long = Duration::from_millis(5);
        let held = took(long, true);
        let (held, not_held) = tokio::join!(held, took(long, false));
        assert!(not_held < held, "{not_held:?} < {held:?}");
    }

    #[tokio::test]
    async fn many_responses_at_once_each_wait_for_their_own_period() {
        let each = async |periods: u32| {
            let began = Instant::now();
            with_response_delay(PERIOD * periods, async {}, |()| true).await;
            assert!(began.elapsed() >= PERIOD * periods);
        };
        futures_util::future::join_all((1..=5).rev().map(each)).await;
    }

    #[test]
    fn the_period_follows_the_slowest_path_within_its_bounds() {
        let (loads, commits) = (RoundTripTimes::default(), RoundTripTimes::default());
        assert_eq!(period([&loads, &commits]), SHORTEST);
        for _ in 0..MEASUREMENTS {
            loads.record(Duration::from_millis(20));
            commits.record(Duration::from_millis(40));
        }
        assert_eq!(period([&loads, &commits]), Duration::from_millis(78));
        for _ in 0..MEASUREMENTS {
            commits.record(Duration::from_secs(2));
        }
        assert_eq!(period([&loads, &commits]), LONGEST);
    }

    #[test]
    fn one_slow_round_trip_in_many_does_not_move_the_period() {
        let loads = RoundTripTimes::default();
        for _ in 0..MEASUREMENTS - 1 {
            loads.record(Duration::from_millis(2));
        }
        loads.record(Duration::from_secs(1));
        assert_eq!(loads.slow(), Duration::from_millis(2));
    }

    #[tokio::test]
    async fn a_round_trip_that_fails_is_not_measured() {
        let loads = RoundTripTimes::default();
        let failed = loads.measure(async { Err::<(), _>("away") }).await;
        assert_eq!((failed, loads.slow()), (Err("away"), Duration::ZERO));
    }
}
