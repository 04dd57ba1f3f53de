//! What every part of a node runs on: the clock, tasks that restart, turns by key, delayed responses, logs and metrics.

pub mod clock;
pub(crate) mod keyed_mutex;
pub(crate) mod log_throttle;
pub(crate) mod network;
pub(crate) mod response_delay;
pub(crate) mod restart;
pub mod telemetry;
pub(crate) mod work_queue;
