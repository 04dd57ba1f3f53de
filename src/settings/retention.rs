//! The section `retention`: how long data is kept.

use chrono::TimeDelta;

use super::raw::raw_section;
use super::{SettingsError, invalid, seconds};
use crate::accounts::RetentionPolicy;

raw_section!(RawRetention { never_signed_in: u32, network_data: u32, history: u32 });

impl RawRetention {
    pub fn check(self) -> Result<RetentionPolicy, SettingsError> {
        let never_signed_in = seconds(self.never_signed_in);
        // Quotas of an identifier are counted on its account, over a day.
        if never_signed_in < TimeDelta::days(1) || never_signed_in > TimeDelta::days(366) {
            return Err(invalid("retention.never_signed_in", "must be 86400 to 31622400 seconds"));
        }
        let long = |setting: &'static str, period| match seconds(period) {
            // The database deletes no key of a quarter that was over less than 30 days ago.
            period if period < TimeDelta::days(30) || period > TimeDelta::days(3650) => {
                Err(invalid(setting, "must be 2592000 to 315360000 seconds"))
            }
            period => Ok(period),
        };
        Ok(RetentionPolicy {
            never_signed_in,
            network_data: long("retention.network_data", self.network_data)?,
            history: long("retention.history", self.history)?,
        })
    }
}
