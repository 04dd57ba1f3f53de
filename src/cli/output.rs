//! How commands speak: text and tables on standard output, progress and errors on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::rebuild::Progress;

/// Writes text.
pub fn text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
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

/// Writes what went wrong.
pub fn error(message: &str) {
    // Where even this cannot be written there is nobody to tell.
    drop(writeln!(io::stderr(), "counterfoil: {message}"));
}

/// Shows how far long work has come: a bar on a terminal, a line now and then elsewhere.
pub struct ProgressReport {
    title: String,
    bar: Option<ProgressBar>,
    last_tenth: u64,
}

impl ProgressReport {
    pub fn new(title: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} accounts {msg} {eta}");
            let bar = ProgressBar::new(0).with_prefix(title.to_owned());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { title: title.to_owned(), bar, last_tenth: 0 }
    }

    pub fn show(&mut self, progress: Progress) {
        let Progress { accounts, of_accounts, events } = progress;
        if let Some(bar) = &self.bar {
            bar.set_length(of_accounts);
            bar.set_position(accounts);
            bar.set_message(format!("{events} events"));
            return;
        }
        let tenth = accounts * 10 / of_accounts.max(1);
        if tenth > self.last_tenth {
            self.last_tenth = tenth;
            let title = &self.title;
            drop(writeln!(io::stderr(), "{title}: {accounts} of {of_accounts} accounts, {events} events"));
        }
    }

    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
