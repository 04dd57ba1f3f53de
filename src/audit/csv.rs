//! Records as CSV (RFC 4180), safe to open in a spreadsheet.

use csv::{Terminator, Writer, WriterBuilder};

use super::EventRecord;

/// The columns of the CSV form, in their order.
pub const HEADINGS: [&str; 19] = [
    "position",
    "account_id",
    "sequence",
    "type",
    "version",
    "at",
    "recorded_at",
    "commit",
    "request",
    "fact",
    "identifier",
    "former_identifier",
    "fullname",
    "device_name",
    "reason",
    "ip_address",
    "user_agent",
    "client_device_name",
    "leaf",
];

/// What a file of CSV begins with for spreadsheets to know that it is UTF-8.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The line of headings.
pub fn headings() -> Vec<u8> {
    let mut writer = writer();
    let written = writer.write_record(HEADINGS);
    finish(writer, written)
}

/// Writes records as lines of CSV.
pub fn lines(records: &[EventRecord]) -> Vec<u8> {
    let mut writer = writer();
    let written = records.iter().try_for_each(|record| writer.write_record(cells(record)));
    finish(writer, written)
}

fn writer() -> Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new())
}

fn finish(writer: Writer<Vec<u8>>, written: csv::Result<()>) -> Vec<u8> {
    written.expect("rows are of one length, and memory takes them");
    writer.into_inner().expect("memory takes what is left")
}

/// The cells of a record, in the order of [`HEADINGS`].
pub fn cells(record: &EventRecord) -> [String; 19] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let time = |time: Option<chrono::DateTime<chrono::Utc>>| {
        time.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)).unwrap_or_default()
    };
    let (person, client) = (record.person.as_ref(), record.client.as_ref());
    let identifier = |identifier: Option<&counterfoil_domain::values::Identifier>| {
        identifier.map(|identifier| identifier.as_str().to_owned()).unwrap_or_default()
    };
    [
        record.position.to_string(),
        record.account_id.to_string(),
        record.sequence.to_string(),
        record.event_type.clone(),
        text(&record.version),
        time(record.at),
        time(record.recorded_at),
        text(&record.commit),
        text(&record.request),
        record.fact.as_ref().map(|fact| fact.get().to_owned()).unwrap_or_default(),
        identifier(person.and_then(|person| person.identifier.as_ref())),
        identifier(person.and_then(|person| person.former.as_ref())),
        person
            .and_then(|person| person.fullname.as_ref())
            .map(|name| name.as_str().to_owned())
            .unwrap_or_default(),
        person
            .and_then(|person| person.device_name.as_ref())
            .map(|name| name.as_str().to_owned())
            .unwrap_or_default(),
        person
            .and_then(|person| person.reason.as_ref())
            .map(|reason| reason.as_str().to_owned())
            .unwrap_or_default(),
        client.map(|client| client.ip.to_string()).unwrap_or_default(),
        client
            .and_then(|client| client.user_agent.as_ref())
            .map(|agent| agent.as_str().to_owned())
            .unwrap_or_default(),
        client
            .and_then(|client| client.device_name.as_ref())
            .map(|name| name.as_str().to_owned())
            .unwrap_or_default(),
        record.leaf.clone(),
    ]
    .map(safe)
}

/// A cell that no spreadsheet takes for a formula: those that begin as one get an apostrophe before them. A phone number
/// (`+98…`) is one of them.
pub fn safe(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn no_cell_begins_as_a_formula_does() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("+98912", "'+98912"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("Ada=1", "Ada=1"),
            ("", ""),
        ] {
            assert_eq!(safe(cell.to_owned()), written);
        }
    }
}
