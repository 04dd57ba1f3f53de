//! The section `privacy`: how people are forgotten.

use std::path::PathBuf;

use chrono::TimeDelta;

use super::raw::raw_section;
use super::{SettingsError, invalid, seconds};

raw_section!(RawPrivacy { erasure_register: Option<PathBuf>, erasure_delay: u32 });

/// The section `privacy`, checked.
pub(super) struct PrivacySettings {
    pub erasure_register: Option<PathBuf>,
    pub erasure_delay: TimeDelta,
}

impl RawPrivacy {
    pub fn check(self) -> Result<PrivacySettings, SettingsError> {
        if self.erasure_register.as_ref().is_some_and(|path| path.file_name().is_none()) {
            return Err(invalid("privacy.erasure_register", "must be the path of a file"));
        }
        Ok(PrivacySettings {
            erasure_register: self.erasure_register,
            erasure_delay: seconds(self.erasure_delay),
        })
    }
}
