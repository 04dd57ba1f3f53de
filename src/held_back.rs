//! Answers that come at a set time after the question, whatever the work was.
//!
//! The runtime's own timers do not do for that: they wait whole milliseconds from when the thread last had something to
//! do, so an answer held back by one tells by fractions of a millisecond how long the work took. A thread with nothing
//! else to do keeps the time instead.

use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// When an answer that is held back comes, after the question.
pub const ANSWERED_AFTER: Duration = Duration::from_millis(5);

type Held = (Instant, oneshot::Sender<()>);

static QUEUE: LazyLock<Sender<Held>> = LazyLock::new(|| {
    let (queue, held) = channel::<Held>();
    // All are held back equally long, so who came first is first to go.
    std::thread::spawn(move || {
        for (due, release) in held {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            drop(release);
        }
    });
    queue
});

/// Does the work, and is done with it no sooner than [`ANSWERED_AFTER`] from now.
pub async fn held_back<T>(work: impl Future<Output = T>) -> T {
    let (release, released) = oneshot::channel();
    drop(QUEUE.send((Instant::now() + ANSWERED_AFTER, release)));
    let done = work.await;
    drop(released.await);
    done
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{ANSWERED_AFTER, held_back};

    #[tokio::test]
    async fn short_work_is_held_back_and_long_work_is_not() {
        for (work, most) in [(0, 200), (1, 200), (300, 490)] {
            let work = Duration::from_millis(work);
            let began = Instant::now();
            held_back(tokio::time::sleep(work)).await;
            let took = began.elapsed();
            assert!(took >= ANSWERED_AFTER.max(work) && took < Duration::from_millis(most), "{took:?}");
        }
    }
}
