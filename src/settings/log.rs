//! The section `log`: which log lines are written, and in which form.

use super::raw::raw_section;
use super::{SettingsError, invalid};

raw_section!(RawLog { filter: String, format: String });

/// The section `log`, checked.
pub(super) struct LogSettings {
    pub filter: String,
    pub json: bool,
}

impl RawLog {
    pub fn check(self) -> Result<LogSettings, SettingsError> {
        let json = match self.format.as_str() {
            "json" => true,
            "text" => false,
            _ => return Err(invalid("log.format", "is `json` or `text`")),
        };
        match tracing_subscriber::EnvFilter::builder().parse(&self.filter) {
            Ok(_) => Ok(LogSettings { filter: self.filter, json }),
            Err(error) => Err(invalid("log.filter", &error.to_string())),
        }
    }
}
