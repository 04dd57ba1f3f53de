//! The sections below `gateways`: one for each gateway, in the form that its kind has.

use std::collections::BTreeMap;

use config::{Value, ValueKind};
use serde::{Deserialize, Serialize, Serializer};

use super::{SettingsError, invalid};
use crate::crypto::secret::{MASK, Secret};
use crate::delivery::GatewaySettings;

/// The sections below `gateways`, by name.
pub(super) type RawGateways = BTreeMap<String, RawGateway>;

/// The section of a gateway before its form is known, so that what does not fit is an error with the name of the gateway.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct RawGateway(Value);

/// Serializes as the settings of its kind, and as a secret where it does not fit.
impl Serialize for RawGateway {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.clone().try_deserialize::<GatewaySettings>() {
            Ok(settings) => settings.serialize(serializer),
            Err(_) => Secret::new(MASK.to_owned()).serialize(serializer),
        }
    }
}

/// Checks the section of each gateway.
///
/// # Errors
/// The first section that does not fit, by its name.
pub(super) fn check(
    sections: RawGateways,
    development: bool,
) -> Result<BTreeMap<String, GatewaySettings>, SettingsError> {
    let checked = sections.into_iter().map(|(name, RawGateway(section))| {
        let fail = |problem: &str| invalid(format!("gateways.{name}"), problem);
        if !matches!(section.kind, ValueKind::Table(_)) {
            return Err(fail("is no section"));
        }
        let settings: GatewaySettings =
            section.try_deserialize().map_err(|error| fail(&error.to_string()))?;
        settings.check(development).map_err(|error| fail(&error.to_string()))?;
        Ok((name, settings))
    });
    checked.collect()
}
