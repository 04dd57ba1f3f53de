//! Where settings come from.

use std::fmt;
use std::path::Path;

use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};

use super::{OwnSection, SettingsError, invalid};

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
#[derive(Clone)]
pub struct Sources {
    pub(super) config: Config,
    /// The sections that an embedding program reads.
    pub(super) own: Vec<OwnSection>,
}

/// Shows no value, since any may be secret.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
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
            Ok((key.to_owned(), Value::new(Some(&"flag".to_owned()), written_value(key, value)?)))
        });
        let flags = flags.collect::<Result<_, SettingsError>>()?;
        let named = file.unwrap_or(Path::new("counterfoil.toml"));
        let config = Config::builder()
            .add_source(File::from_str(include_str!("default.toml"), FileFormat::Toml))
            .add_source(File::from(named).format(FileFormat::Toml).required(file.is_some()))
            .add_source(Given(environment))
            .add_source(Given(flags))
            .build()?;
        Ok(Self { config, own: Vec::new() })
    }

    /// The same, in which an embedding program reads these sections.
    #[must_use]
    pub fn with_sections(self, own: Vec<OwnSection>) -> Self {
        Self { own, ..self }
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
        let config = Config::builder().add_source(self.config.clone()).add_source(given).build()?;
        Ok(Self { config, own: self.own.clone() })
    }
}

/// The setting that an environment variable sets.
fn setting_of(variable: &str) -> Option<String> {
    let short = SHORT_NAMES.iter().find(|(short, _)| *short == variable).map(|(_, key)| (*key).to_owned());
    short.or_else(|| Some(variable.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".")))
}

/// The value of an environment variable or a flag: a list or a table where it is written as one in TOML, else a text.
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
