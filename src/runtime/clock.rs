//! The one place that knows what time it is.

use chrono::{DateTime, SubsecRound as _, Utc};

/// Tells the time. Injected, so that tests can move it.
pub trait Clock: Send + Sync {
    /// The present time, in whole microseconds: what PostgreSQL keeps, so that a time read back is the time written.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes in")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}
