//! Events as the commands print them: one a line for people, or everything with `--verbose`.

use counterfoil_projections::user_login::device_kind;
use serde_json::Value;

use super::output::{cell, time_cell};

/// The members of an event that mean something to programs only: what codes and marks are made from, and numbers of tokens.
const FOR_PROGRAMS: [&str; 10] = [
    "nonce",
    "mark",
    "address",
    "session",
    "generation",
    "expires_at",
    "ends_at",
    "authenticator",
    "recovery",
    "step",
];

/// The headings of [`cells`].
pub const HEADINGS: [&str; 7] = ["#", "time", "account", "event", "what", "address", "device"];

/// Returns an event of the log as cells of a line.
pub fn cells(record: &Value, verbose: bool) -> [String; 7] {
    let known_as = ["fullname", "phone_number", "email"].map(|name| cell(&record[name]));
    let known_as = known_as.into_iter().find(|text| !text.is_empty());
    let id = cell(&record["account_id"]);
    let account = match known_as {
        Some(known_as) if !verbose => known_as,
        Some(known_as) => format!("{id} {known_as} {}", record["sequence"]),
        None => format!("{id} {}", record["sequence"]),
    };
    [
        cell(&record["position"]),
        time_cell(&record["at"]),
        account,
        cell(&record["type"]),
        what(record, verbose),
        cell(&record["client"]["ip"]),
        device(&record["client"], verbose),
    ]
}

/// Returns what an event says: its fields, who acted, why, and the personal data that its keys open.
pub fn what(event: &Value, verbose: bool) -> String {
    let fields = event["fact"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, fields)| fields.as_object())
        .flatten();
    let shown = fields.filter(|(name, value)| {
        !value.is_null() && name.as_str() != "by" && (verbose || !FOR_PROGRAMS.contains(&name.as_str()))
    });
    let mut parts: Vec<String> = shown.map(|(name, value)| part(name, value)).collect();
    let person = event["person"].as_object().into_iter().flatten();
    parts.extend(person.filter(|(name, _)| *name != "reason").map(|(name, value)| part(name, value)));
    if let Some(by) = actor(event) {
        parts.push(format!("by {by}"));
    }
    if let Some(reason) = event["person"]["reason"].as_str() {
        parts.push(format!("“{reason}”"));
    }
    parts.join(if verbose { "\n" } else { ", " })
}

fn part(name: &str, value: &Value) -> String {
    format!("{name}: {}", plain(value))
}

/// Returns a value without what only JSON needs.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            members.map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(" ")
        }
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Returns who acted, by their name where it is known.
fn actor(event: &Value) -> Option<String> {
    let named = event["actor"]["fullname"].as_str();
    let by = event["fact"].as_object()?.values().find_map(|fields| fields.get("by"))?;
    match (named, by) {
        (_, Value::Null) => None,
        (Some(name), _) => Some(name.to_owned()),
        (None, by) => Some(plain(by)),
    }
}

/// Returns what a client is called: by its name, or by the kind of device that its user agent tells.
pub fn device(client: &Value, verbose: bool) -> String {
    let user_agent = client["user_agent"].as_str();
    let kind = || user_agent.and_then(device_kind::from_user_agent);
    let name = client["device_name"].as_str().map(str::to_owned);
    if verbose {
        return [name.as_deref(), user_agent].into_iter().flatten().collect::<Vec<_>>().join("\n");
    }
    name.or_else(kind).or_else(|| user_agent.map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{cells, what};
    use serde_json::json;

    #[test]
    fn an_event_is_a_line_with_the_reason_and_the_actor_and_without_what_programs_need() {
        let event = json!({
            "position": 7, "account_id": "01a2", "sequence": 3, "type": "LoggedOut", "at": "2026-11-27T10:00:00.123456Z",
            "fact": {"LoggedOut": {"session": "01a3", "reason": "ended_by_admin", "expires_at": "x", "by": {"operator": "ada"}}},
            "person": {"reason": "stolen"},
            "client": {"ip": "192.0.2.1", "user_agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15"},
        });
        assert_eq!(what(&event, false), "reason: ended_by_admin, by operator ada, “stolen”");
        assert!(what(&event, true).contains("session: 01a3\n"));
        let [position, time, account, name, _, address, device] = cells(&event, false);
        assert_eq!(
            [&*position, &*time, &*account, &*name],
            ["7", "2026-11-27T10:00:00Z", "01a2 3", "LoggedOut"]
        );
        assert_eq!((&*address, &*device), ("192.0.2.1", "Safari on macOS"));
    }
}
