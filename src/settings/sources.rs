//! Where settings come from, and what is shown of them.

use std::path::Path;

use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};

use super::{SettingsError, invalid};
use crate::postgres::masked;

/// Names that every deployment sets, beside the long form.
const SHORT_NAMES: [(&str, &str); 4] = [
    ("DATABASE_URL", "database.url"),
    ("COUNTERFOIL_LISTEN", "server.listen"),
    ("COUNTERFOIL_KEYRING", "keyring.file"),
    ("COUNTERFOIL_PROFILE", "profile"),
];

const PREFIX: &str = "COUNTERFOIL__";

/// Settings that are lists of tables. Their values may be secret, so a text that is none is not repeated in an error.
const LISTS_OF_TABLES: [&str; 2] = ["identifiers.test", "oauth.clients"];

/// Settings before they are checked, with their origins.
#[derive(Clone, Debug)]
pub struct Sources(pub(super) Config);

/// A value for people to look at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Shown {
    /// The name of the setting.
    pub key: String,
    /// Its value, masked where it is secret.
    pub value: String,
    /// Where it came from.
    pub origin: String,
}

/// Values that do not come from a file.
#[derive(Clone, Debug)]
struct Given(Vec<(String, Value)>);

impl Source for Given {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.iter().cloned().collect())
    }
}

impl Sources {
    /// Returns the variables of the process's environment. Variables of other programs may hold any bytes, and those that
    /// are not UTF-8 are left out.
    ///
    /// # Errors
    /// When a variable of this program is not UTF-8.
    pub fn environment() -> Result<impl Iterator<Item = (String, String)>, SettingsError> {
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => variables.push((name, value)),
                Err(_) if setting_of(&name).is_some() => return Err(invalid(name, "is not UTF-8")),
                Err(_) => {}
            }
        }
        Ok(variables.into_iter())
    }

    /// Reads all sources: the defaults, the file (`counterfoil.toml` unless another is named), the given
    /// environment, the given flags.
    ///
    /// # Errors
    /// When a file that was named is missing, or one cannot be parsed.
    pub fn read(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: impl Iterator<Item = (&'static str, String)>,
    ) -> Result<Self, SettingsError> {
        let environment = environment.filter_map(|(name, value)| {
            let key = setting_of(&name)?;
            let kind = written_value(&key, value);
            Some(kind.map(|kind| (key, Value::new(Some(&format!("environment {name}")), kind))))
        });
        let environment = environment.collect::<Result<_, SettingsError>>()?;
        let flags = flags.map(|(key, value)| {
            (key.to_owned(), Value::new(Some(&"flag".to_owned()), ValueKind::String(value)))
        });
        let named = file.unwrap_or(Path::new("counterfoil.toml"));
        let config = Config::builder()
            .add_source(File::from_str(include_str!("default.toml"), FileFormat::Toml))
            .add_source(File::from(named).format(FileFormat::Toml).required(file.is_some()))
            .add_source(Given(environment))
            .add_source(Given(flags.collect()))
            .build()?;
        Ok(Self(config))
    }

    /// The same, with these settings in the place of what was set.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn with(&self, settings: impl IntoIterator<Item = (String, String)>) -> Result<Self, SettingsError> {
        let given = settings
            .into_iter()
            .map(|(key, value)| (key, Value::new(Some(&"proposal".to_owned()), ValueKind::String(value))));
        let given = Given(given.collect());
        Ok(Self(Config::builder().add_source(self.0.clone()).add_source(given).build()?))
    }

    /// Every value that is set, with its origin.
    pub fn shown(&self) -> Vec<Shown> {
        let mut shown = Vec::new();
        collect(&self.0.cache, "", "default", &mut shown);
        shown.sort_by(|a, b| a.key.cmp(&b.key));
        shown
    }
}

/// The setting that an environment variable sets.
fn setting_of(variable: &str) -> Option<String> {
    let short = SHORT_NAMES.iter().find(|(short, _)| *short == variable).map(|(_, key)| (*key).to_owned());
    short.or_else(|| Some(variable.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".")))
}

/// The value of an environment variable: a list or a table where it is written as one in TOML, else a text.
fn written_value(setting: &str, text: String) -> Result<ValueKind, SettingsError> {
    let written = text.trim_start().starts_with(['[', '{']).then(|| {
        let line = File::from_str(&format!("value = {text}"), FileFormat::Toml);
        Config::builder().add_source(line).build()?.get::<Value>("value")
    });
    match written {
        Some(Ok(value)) => Ok(value.kind),
        // An IPv6 address begins like a list.
        Some(Err(_)) | None if !LISTS_OF_TABLES.contains(&setting) => Ok(ValueKind::String(text)),
        Some(Err(_)) | None => {
            Err(invalid(setting.to_owned(), "is not a list of tables, such as [{ key = \"value\" }]"))
        }
    }
}

fn collect(value: &Value, path: &str, inherited: &str, shown: &mut Vec<Shown>) {
    let origin = value.origin().unwrap_or(inherited);
    if let ValueKind::Table(table) = &value.kind {
        for (key, value) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            collect(value, &path, origin, shown);
        }
        return;
    }
    if let ValueKind::Array(items) = &value.kind
        && items.iter().any(|item| matches!(item.kind, ValueKind::Table(_)))
    {
        for (item, n) in items.iter().zip(0..) {
            collect(item, &format!("{path}[{n}]"), origin, shown);
        }
        return;
    }
    let text = value.to_string();
    let value_shown = match path {
        "database.url" | "database.migration_url" | "limits.redis_url" => masked(&text),
        // A person who knows it can sign in by it.
        _ if path.starts_with("identifiers.test[") && path.ends_with("].code") => "…".to_owned(),
        // An argument may be what the secret store is opened with.
        "keyring.command" => "…".to_owned(),
        _ if path.starts_with("gateways.") && !shown_in_full(path.rsplit('.').next().unwrap_or(path)) => {
            "…".to_owned()
        }
        _ => text,
    };
    shown.push(Shown { key: path.to_owned(), value: value_shown, origin: origin.to_owned() });
}

/// Whether a setting of a gateway, named without its section, may be shown. Those that are not known to hold no secret
/// may not.
fn shown_in_full(setting: &str) -> bool {
    [
        "kind",
        "account_sid",
        "messaging_service_sid",
        "from",
        "sender",
        "template",
        "server",
        "tls",
        "ehlo_name",
    ]
    .contains(&setting)
}
