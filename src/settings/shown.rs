//! What is shown of the settings: each value with its origin, unless its type says that it is secret.

use config::{Value, ValueKind};
use serde::Serialize;
use serde_json::Value as Json;

use super::raw::masked_section;
use super::{Sources, own_section};
use crate::crypto::secret::{MASK, SECRET_MARK};

/// A setting with its value and its origin, for people to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownSetting {
    /// The name of the setting.
    pub key: String,
    /// The value, masked where it is secret.
    pub value: String,
    /// The place that the value came from.
    pub origin: String,
}

impl Sources {
    /// Returns every value that is set, with its origin. A value is shown if its section fits the type of the section and
    /// that type does not make it a secret; so nothing is shown of a section with a setting that does not exist.
    pub fn shown(&self) -> Vec<ShownSetting> {
        let mut shown = Vec::new();
        if let ValueKind::Table(sections) = &self.config.cache.kind {
            for (name, section) in sections {
                let masked = masked_section(name, section.clone());
                let masked = own_section::masked(&self.own, name, section, masked);
                collect(section, name, "default", masked.as_ref(), &mut shown);
            }
        }
        for (key, value) in own_section::defaults(&self.own, &self.config.cache) {
            let value = match (mark_of(&value), value.as_str()) {
                (Some(masked), _) => masked.to_owned(),
                (None, Some(text)) => text.to_owned(),
                (None, None) => value.to_string(),
            };
            shown.push(ShownSetting { key, value, origin: "default".to_owned() });
        }
        shown.sort_by(|a, b| a.key.cmp(&b.key));
        shown
    }
}

/// Adds the settings at that path. `masked` is the same place in the section as its type serializes.
fn collect(value: &Value, path: &str, inherited: &str, masked: Option<&Json>, shown: &mut Vec<ShownSetting>) {
    let origin = value.origin().unwrap_or(inherited);
    // Below a secret there is nothing that may be shown.
    let inner = masked.filter(|masked| mark_of(masked).is_none());
    if let ValueKind::Table(table) = &value.kind {
        for (key, value) in table {
            let masked = inner.and_then(|masked| masked.get(key));
            collect(value, &format!("{path}.{key}"), origin, masked, shown);
        }
    } else if let ValueKind::Array(items) = &value.kind
        && items.iter().any(|item| matches!(item.kind, ValueKind::Table(_)))
    {
        for (n, item) in items.iter().enumerate() {
            let masked = inner.and_then(|masked| masked.get(n));
            collect(item, &format!("{path}[{n}]"), origin, masked, shown);
        }
    } else {
        let value = text_of(value, masked);
        shown.push(ShownSetting { key: path.to_owned(), value, origin: origin.to_owned() });
    }
}

/// Returns what may be shown of a value: all of it only where the type of its section has it and makes no part of it a secret.
fn text_of(value: &Value, masked: Option<&Json>) -> String {
    match masked {
        None | Some(Json::Null) => MASK.to_owned(),
        Some(masked) => match mark_of(masked) {
            Some(text) => text.to_owned(),
            None if has_mark(masked) => MASK.to_owned(),
            None => plain_text(value),
        },
    }
}

/// Returns a value as text, and a list as its items with commas between them.
fn plain_text(value: &Value) -> String {
    let ValueKind::Array(items) = &value.kind else { return value.to_string() };
    items.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

/// Returns what may be shown of a secret.
fn mark_of(masked: &Json) -> Option<&str> {
    masked.get(SECRET_MARK)?.as_str()
}

/// Returns whether there is a secret in it.
fn has_mark(masked: &Json) -> bool {
    match masked {
        Json::Object(fields) => fields.contains_key(SECRET_MARK) || fields.values().any(has_mark),
        Json::Array(items) => items.iter().any(has_mark),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}
