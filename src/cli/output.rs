//! How commands speak: text and tables on standard output, progress and errors on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use chrono::{DateTime, SecondsFormat};
use clap::Args;
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::audit::csv::{BYTE_ORDER_MARK, safe};
use crate::read_models::rebuild::{ProgressUnit, RebuildProgress};

/// Writes a text to standard output.
pub fn text(text: &str) -> io::Result<()> {
    bytes(text.as_bytes())
}

/// Writes bytes to standard output.
pub fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // The reader has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a value as one JSON document.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    text(&(json_escaped(&serde_json::to_string_pretty(value)?) + "\n"))
}

/// Writes lines of CSV: as they are into a file or a pipe, and to a terminal without what would control it.
pub fn csv(lines: &[u8]) -> io::Result<()> {
    if io::stdout().is_terminal() {
        let lines = String::from_utf8_lossy(lines).replace('\r', "");
        text(&escaped(&lines))
    } else {
        bytes(lines)
    }
}

/// Whether a terminal would obey a character instead of showing it: a control character but the end of a line, or one that
/// changes the direction of text (Unicode bidirectional algorithm, UAX #9), hides it, or separates lines. The joiners that
/// Persian is written with are none of these.
fn controls_terminal(c: char) -> bool {
    let unseen = matches!(
        c,
        '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    unseen || c.is_control() && c != '\n'
}

/// A text with every character that a terminal would obey as its code point: `\u{202e}`.
pub fn escaped(text: &str) -> String {
    let one = |c: char| if controls_terminal(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(one).collect()
}

/// A JSON document with every character that a terminal would obey as JSON writes it: `\u202e`. Such characters stand in
/// strings only, so that it is the same document.
pub fn json_escaped(document: &str) -> String {
    let mut units = [0; 2];
    let one = |c: char| match controls_terminal(c) {
        false => c.to_string(),
        true => c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    document.chars().map(one).collect()
}

/// Writes a table with a line of headings. On a terminal the text of wide columns is broken so that the table fits; in a file or a
/// pipe each row is one line.
pub fn table<R: IntoIterator<Item = String>>(
    headings: &[&str],
    rows: impl IntoIterator<Item = R>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::default());
    table.set_header(headings.to_vec());
    if let Some(columns) = terminal_columns() {
        table.set_width(columns).set_content_arrangement(ContentArrangement::Dynamic);
    }
    for row in rows {
        table.add_row(row.into_iter().map(|cell| escaped(&cell)));
    }
    text(&format!("{table}\n"))
}

/// Writes a table in which each row is one line: on a terminal, what does not fit is cut off and marked by an ellipsis. In the long form
/// rows are as high as they need.
pub fn lines<R: IntoIterator<Item = String>>(
    headings: &[&str],
    rows: impl IntoIterator<Item = R>,
    verbose: bool,
) -> io::Result<()> {
    let Some(columns) = terminal_columns().filter(|_| !verbose) else { return table(headings, rows) };
    let mut table = Table::new();
    table.load_style(comfy_table::TableStyle::default());
    table.set_header(headings.to_vec());
    table
        .set_width(columns)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_truncation_indicator("…");
    for row in rows {
        let mut row = comfy_table::Row::from(row.into_iter().map(|cell| escaped(&cell)).collect::<Vec<_>>());
        row.max_height(1);
        table.add_row(row);
    }
    text(&format!("{table}\n"))
}

/// Returns how many columns the terminal of the standard output has; none where it is no terminal, or one that does not say.
fn terminal_columns() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(size.ws_col).filter(|columns| *columns > 0)
}

/// In which form a list is written: a table, unless another is asked for.
#[derive(Clone, Copy, Debug, Args)]
pub struct ListFormat {
    /// Write JSON instead of a table
    #[arg(long)]
    json: bool,
    /// As CSV (RFC 4180): the whole list, unless `--limit` is given.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// With a byte order mark before the CSV, by which spreadsheets know that it is UTF-8.
    #[arg(long, requires = "csv")]
    bom: bool,
}

/// How much of a list is written.
#[derive(Clone, Copy, Debug, Args)]
pub struct ListExtent {
    /// How many at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Write the whole list instead of one page
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

impl ListExtent {
    /// Returns how many items are asked for, where it is said.
    pub fn limit(self) -> Option<u32> {
        self.limit
    }

    /// How many items are written, where nothing is said: so many, or all of them in a form that is read as a whole.
    pub fn most(self, usual: usize, is_whole: bool) -> usize {
        match self.limit {
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
            None if self.all || is_whole => usize::MAX,
            None => usual,
        }
    }
}

/// A part of a list, and where it goes on.
#[derive(Debug, Serialize)]
pub struct ListPart<T, N> {
    /// The items of this part, in the list's order.
    pub items: Vec<T>,
    /// What names the place after them; none at the end of the list.
    pub next: Option<N>,
}

/// Says on standard error that a list goes on after what was written, where it does.
pub fn say_where_it_ends<T, N>(part: &ListPart<T, N>) {
    if part.next.is_some() {
        drop(writeln!(io::stderr(), "{} of more; --limit N or --all prints more", part.items.len()));
    }
}

impl ListFormat {
    /// Whether the list is to be written as a whole where nothing else is said.
    pub fn is_whole(self) -> bool {
        self.csv
    }

    /// Writes a part of a list as [`list`](Self::list) does, and says where it ends.
    pub fn part<T: Serialize, N: Serialize, const C: usize>(
        self,
        headings: [&str; C],
        part: &ListPart<T, N>,
        cells: impl Fn(&T) -> [String; C],
    ) -> io::Result<()> {
        if self.json {
            json(part)?;
        } else {
            self.list(headings, &part.items, cells)?;
        }
        say_where_it_ends(part);
        Ok(())
    }

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
        let start = if self.bom { BYTE_ORDER_MARK.as_bytes() } else { b"" };
        let mut writer = ::csv::Writer::from_writer(start.to_vec());
        writer.write_record(headings)?;
        for item in items {
            writer.write_record(cells(item).map(safe))?;
        }
        let bytes = writer.into_inner().map_err(::csv::IntoInnerError::into_error)?;
        csv(&bytes)
    }
}

/// Returns a member of an answer as a cell of a table; empty where there is none.
pub fn cell(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => value.to_string(),
    }
}

/// Returns a time of an answer as a cell: to the second, in UTC. A time of another form stays as it is.
pub fn time_cell(value: &serde_json::Value) -> String {
    let text = cell(value);
    DateTime::parse_from_rfc3339(&text)
        .map_or(text, |time| time.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// Returns what a device is called: by its name, or else by what it says of itself.
pub fn device_cell(device: &serde_json::Value) -> String {
    ["device_name", "device", "user_agent"]
        .into_iter()
        .map(|name| cell(&device[name]))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

/// Asks for a line on standard error, and reads it from standard input.
pub fn prompt(question: &str) -> io::Result<String> {
    let mut err = io::stderr().lock();
    err.write_all(question.as_bytes())?;
    err.flush()?;
    let mut line = String::new();
    if io::stdin().read_line(&mut line)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "nothing was typed"));
    }
    Ok(line.trim().to_owned())
}

/// Says something beside what is written, on standard error.
pub fn note(text: &str) {
    drop(writeln!(io::stderr(), "{}", escaped(text)));
}

/// Writes what went wrong.
pub fn error(message: &str) {
    // Where even this cannot be written there is no one to tell.
    drop(writeln!(io::stderr(), "counterfoil: {}", escaped(message)));
}

/// Counts lines that are written, of which it is not known how many there will be.
pub struct LineCount {
    unit: &'static str,
    count: usize,
    said: usize,
}

impl LineCount {
    /// How many lines are written between two reports.
    const EVERY: usize = 100_000;

    pub fn new(unit: &'static str) -> Self {
        Self { unit, count: 0, said: 0 }
    }

    /// Adds lines, and says now and then on standard error how many there are.
    pub fn add(&mut self, lines: usize) {
        self.count += lines;
        if self.count / Self::EVERY > self.said {
            self.said = self.count / Self::EVERY;
            drop(writeln!(io::stderr(), "{} {} so far", self.count, self.unit));
        }
    }

    /// Says how many there were.
    pub fn finish(self) {
        if self.count > 0 {
            drop(writeln!(io::stderr(), "{} {}", self.count, self.unit));
        }
    }
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

    pub fn show(&mut self, progress: RebuildProgress) {
        let RebuildProgress { done, of, unit, events } = progress;
        if self.unit != unit.as_str() {
            let next = Self::counting(unit.as_str(), &self.title);
            std::mem::replace(self, next).finish();
        }
        let message = if unit == ProgressUnit::Accounts { format!("{events} events") } else { String::new() };
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

#[cfg(test)]
mod tests {
    use super::{escaped, json_escaped};

    #[test]
    fn what_a_terminal_would_obey_is_written_as_its_code_point_and_names_stay_as_they_are() {
        for (text, written) in [
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\u{7}\u{9b}b", "a\\u{7}\\u{9b}b"),
            ("a\rb\tc", "a\\u{d}b\\u{9}c"),
            ("abc\u{202e}fdp.exe", "abc\\u{202e}fdp.exe"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("a\u{200f}b\u{feff}", "a\\u{200f}b\\u{feff}"),
            ("a\u{e0041}b\u{2028}", "a\\u{e0041}b\\u{2028}"),
            ("one\ntwo", "one\ntwo"),
            ("علی\u{200c}رضا Ada é 👩\u{200d}👧", "علی\u{200c}رضا Ada é 👩\u{200d}👧"),
        ] {
            assert_eq!(escaped(text), written);
        }
    }

    #[test]
    fn a_json_document_stays_the_same_document() {
        let value = serde_json::json!({"name": "a\u{202e}\u{e0041}\u{9b}\u{7f}\n\u{1b}ی", "n": 1});
        let document = serde_json::to_string_pretty(&value).expect("is JSON");
        let written = json_escaped(&document);
        assert!(!written.chars().any(super::controls_terminal), "{written:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).expect("is JSON"), value);
    }
}
