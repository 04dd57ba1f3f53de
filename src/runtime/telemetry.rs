//! Logs, which hold nothing personal and no secret, and how metrics are gathered.

use std::fmt::{Debug, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::IsTerminal as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use crate::runtime::log_throttle::LogThrottle;

/// The upper bounds of the buckets of times, in seconds. They are the same on every node and in every version, so that
/// quantiles can be computed over nodes.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The upper bounds of the buckets of counts.
const COUNTS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// How often what was recorded is put into its buckets, and what was left out of the log is counted in it.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// A recorder of metrics for Prometheus, with histograms of fixed buckets.
pub fn prometheus() -> PrometheusBuilder {
    let times = Matcher::Suffix("_seconds".to_owned());
    let builder = PrometheusBuilder::new().set_buckets(&COUNTS);
    builder.and_then(|builder| builder.set_buckets_for_metric(times, &SECONDS)).expect("there are buckets")
}

/// Keeps what a recorder holds small while it is not read: without, every sample since the last reading is held. Logs how many
/// lines were left out, and calls `log_left_out` for the lines that are counted elsewhere.
pub async fn keep(metrics: PrometheusHandle, log_left_out: fn()) {
    loop {
        tokio::time::sleep(UPKEEP_EVERY).await;
        metrics.run_upkeep();
        log_left_out();
        for (line, left_out) in WARNINGS.take_left_out(Instant::now()) {
            tracing::info!(line = line.message, left_out, "lines were left out");
        }
    }
}

/// Warnings and errors, each once a second: an outage says the same of every request.
static WARNINGS: LazyLock<LogThrottle<LogLine>> = LazyLock::new(|| LogThrottle::new(1));

/// A warning or an error, whatever its error is in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct LogLine {
    message: String,
    fields: u64,
}

impl LogLine {
    fn of(event: &Event<'_>) -> Self {
        let mut line = Self::default();
        event.record(&mut line);
        line
    }
}

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => drop(write!(self.message, "{value:?}")),
            "error" => {}
            name => {
                let mut hasher = DefaultHasher::new();
                (self.fields, name, format!("{value:?}")).hash(&mut hasher);
                self.fields = hasher.finish();
            }
        }
    }
}

/// Leaves out a warning or an error that was written within the second.
struct NotRepeated;

impl<S> Filter<S> for NotRepeated {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        *event.metadata().level() > Level::WARN || WARNINGS.admit(LogLine::of(event), Instant::now())
    }
}

/// Writes log lines to standard error from now on. Other crates' lines are written from warnings up, whatever the
/// filter says: libraries log parameters and headers at the levels below.
///
/// # Errors
/// When it was done before.
pub fn init(filter: &str, as_json: bool) -> Result<(), TryInitError> {
    let ours = Targets::new().with_target("counterfoil", LevelFilter::TRACE).with_default(LevelFilter::WARN);
    // Colours are for people: not for a file, and not where they are not wanted (no-color.org).
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = std::io::stderr().is_terminal() && !unwanted;
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let lines = if as_json {
        lines.json().with_current_span(true).with_span_list(false).boxed()
    } else {
        lines.boxed()
    };
    let filter = EnvFilter::builder().parse_lossy(filter);
    tracing_subscriber::registry().with(lines.with_filter(ours.and(NotRepeated))).with(filter).try_init()?;
    // The payload of a panic may quote a value; the place says enough to find it.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex, PoisonError};

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{Layer as _, fmt};

    /// The bytes that the log has written so far.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_warning_is_written_once_a_second_whatever_its_error_and_others_are_written_as_well() {
        let written = Written::default();
        let writer = written.clone();
        let lines = fmt::layer().with_writer(move || writer.clone()).with_filter(super::NotRepeated);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            for n in 0..100 {
                tracing::error!(error = n, "a test is away");
                tracing::warn!(alarm = "a test", subject = n, "a test alarm");
                tracing::info!(n, "answered in a test");
            }
        });
        let written = written.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&written);
        let count = |message: &str| text.matches(message).count();
        // The second may end meanwhile.
        assert!((1..=3).contains(&count("a test is away")), "{text}");
        assert_eq!((count("a test alarm"), count("answered in a test")), (100, 100));
    }

    #[test]
    fn histograms_have_the_same_buckets_everywhere_so_that_nodes_can_be_added_up() {
        let recorder = super::prometheus().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("a_seconds", "route" => "/a").record(0.02);
            metrics::histogram!("in_a_batch").record(3.0);
        });
        let rendered = recorder.handle().render();
        for line in [
            "a_seconds_bucket{route=\"/a\",le=\"0.01\"} 0",
            "a_seconds_bucket{route=\"/a\",le=\"0.025\"} 1",
            "a_seconds_count{route=\"/a\"} 1",
            "in_a_batch_bucket{le=\"2\"} 0",
            "in_a_batch_bucket{le=\"4\"} 1",
        ] {
            assert!(rendered.lines().any(|each| each == line), "{line}: {rendered}");
        }
        assert!(!rendered.contains("quantile"), "{rendered}");
    }
}
