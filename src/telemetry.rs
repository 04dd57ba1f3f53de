//! Logs, without anything in them that is nobody's business.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::settings::Settings;

/// Writes log lines to standard error from now on. Other crates' lines are written from warnings up, whatever the
/// filter says: libraries log parameters and headers at the levels below.
///
/// # Errors
/// When it was done before.
pub fn init(settings: &Settings) -> Result<(), TryInitError> {
    let ours = Targets::new().with_target("counterfoil", LevelFilter::TRACE).with_default(LevelFilter::WARN);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if settings.log_json {
        lines.json().with_current_span(true).with_span_list(false).boxed()
    } else {
        lines.boxed()
    };
    let filter = EnvFilter::builder().parse_lossy(&settings.log_filter);
    tracing_subscriber::registry().with(lines.with_filter(ours)).with(filter).try_init()?;
    // The payload of a panic may quote a value; the place says enough to find it.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
    Ok(())
}
