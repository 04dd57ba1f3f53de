//! The section `tokens`: how tokens are made, and what access tokens say besides.

use chrono::TimeDelta;
use counterfoil_guard::LONGEST_ACCESS_LIFETIME;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;

use super::raw::raw_section;
use super::words::Words;
use super::{SettingsError, invalid, seconds};
use crate::tokens::configured_claims::{ConfiguredClaims, ProfileField};
use crate::tokens::{ExtraClaims, TokenPolicy};

raw_section!(RawTokens {
    issuer: String,
    audience: String,
    access_lifetime: u32,
    claims: serde_json::Map<String, serde_json::Value>,
    profile_claims: Words,
});

/// The section `tokens`, checked.
pub(super) struct TokenSettings {
    pub policy: TokenPolicy,
    pub claims: ConfiguredClaims,
}

impl RawTokens {
    pub fn check(self) -> Result<TokenSettings, SettingsError> {
        let access_lifetime = seconds(self.access_lifetime);
        if access_lifetime < TimeDelta::seconds(30) || access_lifetime > LONGEST_ACCESS_LIFETIME {
            return Err(invalid("tokens.access_lifetime", "must be 30 to 3600 seconds"));
        }
        let policy = TokenPolicy {
            issuer: token_party("tokens.issuer", self.issuer)?,
            audience: token_party("tokens.audience", self.audience)?,
            access_lifetime,
        };
        Ok(TokenSettings { policy, claims: claims(self.claims, self.profile_claims.into_list())? })
    }
}

fn claims(
    fixed: serde_json::Map<String, serde_json::Value>,
    fields: Vec<String>,
) -> Result<ConfiguredClaims, SettingsError> {
    ExtraClaims::new(&fixed).map_err(|error| invalid("tokens.claims", &error.to_string()))?;
    let fields = fields.into_iter().map(|name| {
        let field: Result<_, serde::de::value::Error> = ProfileField::deserialize(name.into_deserializer());
        field.map_err(|error| invalid("tokens.profile_claims", &error.to_string()))
    });
    let fields = fields.collect::<Result<_, SettingsError>>()?;
    Ok(ConfiguredClaims { fixed, fields })
}

/// The name of an issuer or an audience (RFC 7519, StringOrURI).
fn token_party(setting: &'static str, name: String) -> Result<String, SettingsError> {
    let fits =
        !name.is_empty() && name.len() <= 255 && !name.chars().any(|c| c.is_control() || c.is_whitespace());
    if fits { Ok(name) } else { Err(invalid(setting, "must be 1 to 255 characters without spaces")) }
}
