//! What every part of a node runs on: the clock, tasks that restart, turns by key, delayed responses, logs and metrics.

pub mod clock;
pub(crate) mod keyed_mutex;
pub(crate) mod log_throttle;
pub(crate) mod network;
pub(crate) mod response_delay;
pub(crate) mod restart;
pub mod telemetry;
pub(crate) mod work_queue;

/// Names the one implementation of cryptography for TLS and JWT, before either is used: a missing one is an error at build time.
pub(crate) fn use_crypto_provider() {
    // One that is there already is the same, or the program's own.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}
