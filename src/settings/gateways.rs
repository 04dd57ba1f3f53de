//! The sections below `gateways`: one for each gateway, in the form that its kind has.

use std::collections::BTreeMap;

use config::Value;

use super::{SettingsError, invalid};
use crate::delivery::GatewaySettings;

/// The sections below `gateways`, by name.
pub(super) type RawGateways = BTreeMap<String, Value>;

/// Checks the section of each gateway.
///
/// # Errors
/// The first section that does not fit, by its name.
pub(super) fn check(
    sections: RawGateways,
    development: bool,
) -> Result<BTreeMap<String, GatewaySettings>, SettingsError> {
    let checked = sections.into_iter().map(|(name, section)| {
        let fail = |problem: &str| invalid(format!("gateways.{name}"), problem);
        let settings: GatewaySettings =
            section.try_deserialize().map_err(|error| fail(&error.to_string()))?;
        settings.check(development).map_err(|error| fail(&error.to_string()))?;
        Ok((name, settings))
    });
    checked.collect()
}
