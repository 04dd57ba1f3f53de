//! A clock that the test moves.

use std::sync::Mutex;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use counterfoil::runtime::clock::{Clock, SystemClock};

/// Starts at the present time and stands still.
#[derive(Debug)]
pub struct ManualClock(Mutex<DateTime<Utc>>);

impl ManualClock {
    pub fn new() -> Self {
        Self(Mutex::new(SystemClock.now().trunc_subsecs(3)))
    }

    /// Moves the time on; back, with a negative step.
    pub fn advance(&self, step: TimeDelta) {
        *self.0.lock().unwrap() += step;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}
