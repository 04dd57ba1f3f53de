//! The section `privacy`: how people are forgotten.

use std::path::PathBuf;

use super::raw::raw_section;
use super::{SettingsError, invalid};

raw_section!(RawPrivacy { erasure_register: Option<PathBuf> });

/// The section `privacy`, checked.
pub(super) struct PrivacySettings {
    pub erasure_register: Option<PathBuf>,
}

impl RawPrivacy {
    pub fn check(self) -> Result<PrivacySettings, SettingsError> {
        if self.erasure_register.as_ref().is_some_and(|path| path.file_name().is_none()) {
            return Err(invalid("privacy.erasure_register", "must be the path of a file"));
        }
        Ok(PrivacySettings { erasure_register: self.erasure_register })
    }
}
