//! How commands speak: text and tables on standard output, progress and errors on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::audit::csv::safe;
use crate::rebuild::{Progress, Unit};

/// Writes text.
pub fn text(text: &str) -> io::Result<()> {
    bytes(text.as_bytes())
}

/// Writes bytes.
pub fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // Whoever reads us has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a value as one JSON document.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    text(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// Writes a table with a line of headings.
pub fn table<R: IntoIterator<Item = String>>(
    headings: &[&str],
    rows: impl IntoIterator<Item = R>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::default());
    table.set_header(headings.to_vec());
    for row in rows {
        table.add_row(row);
    }
    text(&format!("{table}\n"))
}

/// In which form a list is written: a table, unless another is asked for.
#[derive(Clone, Copy, Debug, Args)]
pub struct Form {
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// As CSV (RFC 4180).
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

impl Form {
    /// Writes a list, a row of cells for each item where it is no JSON.
    pub fn list<T: Serialize, const N: usize>(
        self,
        headings: [&str; N],
        items: &[T],
        cells: impl Fn(&T) -> [String; N],
    ) -> io::Result<()> {
        if self.json {
            return json(&items);
        }
        if !self.csv {
            return table(&headings, items.iter().map(cells));
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(headings)?;
        for item in items {
            writer.write_record(cells(item).map(safe))?;
        }
        let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
        text(&String::from_utf8_lossy(&bytes))
    }
}

/// A time as people and programs read it (RFC 3339); empty where there is none.
pub fn time(time: Option<DateTime<Utc>>) -> String {
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true)).unwrap_or_default()
}

/// Writes what went wrong.
pub fn error(message: &str) {
    // Where even this cannot be written there is nobody to tell.
    drop(writeln!(io::stderr(), "counterfoil: {message}"));
}

/// Shows how far long work has come: a bar on a terminal, a line now and then elsewhere.
pub struct ProgressReport {
    title: String,
    unit: &'static str,
    bar: Option<ProgressBar>,
    last_tenth: u64,
}

impl ProgressReport {
    pub fn new(title: &str) -> Self {
        Self::counting("accounts", title)
    }

    /// Of work that is counted in something else than accounts.
    pub fn counting(unit: &'static str, title: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let template = format!("{{prefix}} {{wide_bar}} {{pos}}/{{len}} {unit} {{msg}} {{eta}}");
            let style = ProgressStyle::with_template(&template);
            let bar = ProgressBar::new(0).with_prefix(title.to_owned());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { title: title.to_owned(), unit, bar, last_tenth: 0 }
    }

    pub fn show(&mut self, progress: Progress) {
        let Progress { done, of, unit, events } = progress;
        if self.unit != unit.as_str() {
            let next = Self::counting(unit.as_str(), &self.title);
            std::mem::replace(self, next).finish();
        }
        let message = if unit == Unit::Accounts { format!("{events} events") } else { String::new() };
        self.count(done, of, &message);
    }

    /// Shows that so many are done of so many.
    pub fn count(&mut self, done: u64, of: u64, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(done);
            bar.set_message(message.to_owned());
            return;
        }
        let tenth = done * 10 / of.max(1);
        if tenth > self.last_tenth {
            self.last_tenth = tenth;
            let Self { title, unit, .. } = self;
            let message = if message.is_empty() { String::new() } else { format!(", {message}") };
            drop(writeln!(io::stderr(), "{title}: {done} of {of} {unit}{message}"));
        }
    }

    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
