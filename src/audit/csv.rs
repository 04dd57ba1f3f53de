//! Records as CSV (RFC 4180), safe to open in a spreadsheet.

use csv::{Terminator, Writer, WriterBuilder};

use super::{EventRecord, RecordActor};

/// The columns of the CSV form, in their order.
pub const HEADINGS: [&str; 20] = [
    "position",
    "time",
    "account_id",
    "sequence",
    "event",
    "session_id",
    "actor",
    "reason",
    "reason_text",
    "channel",
    "outcome",
    "ip_address",
    "device_name",
    "user_agent",
    "fullname",
    "phone_number",
    "email",
    "identifier",
    "former_identifier",
    "details",
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
pub fn cells(record: &EventRecord) -> [String; 20] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (person, client, plain) = (record.person.as_ref(), record.client.as_ref(), &record.plain);
    let identifier = |identifier: Option<&counterfoil_domain::values::Identifier>| {
        identifier.map(|identifier| identifier.as_str().to_owned()).unwrap_or_default()
    };
    let time =
        |time: chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
    let agent = client.and_then(|client| client.user_agent.as_ref());
    [
        record.position.to_string(),
        record.at.map(time).unwrap_or_default(),
        record.account_id.to_string(),
        record.sequence.to_string(),
        record.event_type.clone(),
        plain.session_id.map(|session| session.to_string()).unwrap_or_default(),
        plain.actor.as_ref().map(RecordActor::as_text).unwrap_or_default(),
        text(&plain.reason),
        text(&plain.reason_text),
        text(&plain.channel),
        plain.outcome.as_str().to_owned(),
        plain.ip_address.map(|address| address.to_string()).unwrap_or_default(),
        text(&plain.device),
        agent.map(|agent| agent.as_str().to_owned()).unwrap_or_default(),
        text(&plain.fullname),
        text(&plain.phone_number),
        text(&plain.email),
        identifier(person.and_then(|person| person.identifier.as_ref())),
        identifier(person.and_then(|person| person.former.as_ref())),
        record.fact.as_ref().map(|fact| fact.get().to_owned()).unwrap_or_default(),
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
