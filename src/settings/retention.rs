//! The section `retention`: how long data is kept.

use chrono::TimeDelta;

use super::raw::raw_section;
use super::{SettingsError, invalid, seconds};

raw_section!(RawRetention { never_signed_in: u32 });

/// The section `retention`, checked.
pub(super) struct RetentionSettings {
    pub never_signed_in: TimeDelta,
}

impl RawRetention {
    pub fn check(self) -> Result<RetentionSettings, SettingsError> {
        let never_signed_in = seconds(self.never_signed_in);
        // Quotas of an identifier are counted on its account, over a day.
        if never_signed_in < TimeDelta::days(1) || never_signed_in > TimeDelta::days(366) {
            return Err(invalid("retention.never_signed_in", "must be 86400 to 31622400 seconds"));
        }
        Ok(RetentionSettings { never_signed_in })
    }
}
