//! Tasks that have to go on.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;

/// Runs what `make` makes to its end, and again when it has panicked: a fault met once must not end a service that
/// others wait for.
pub async fn restarted<F: Future<Output = ()>>(what: &'static str, make: impl Fn() -> F) {
    // What it worked on is dropped with it; the tasks that waited for that are told, and nothing of it is looked at again.
    while AssertUnwindSafe(make()).catch_unwind().await.is_err() {
        tracing::error!(what, "panicked, and starts again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_starts_again_and_one_that_ends_has_ended() {
        let starts = AtomicU32::new(0);
        super::restarted("test", async || {
            assert!(starts.fetch_add(1, Ordering::Relaxed) == 2, "not yet");
        })
        .await;
        assert_eq!(starts.load(Ordering::Relaxed), 3);
    }
}
