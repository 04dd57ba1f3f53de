//! The section `identifiers`: how numbers are read, and identifiers for tests.

use chrono::{DateTime, Utc};
use counterfoil_domain::values::{EmailAddress, Identifier, OtpCode, PhoneNumber, Region};
use serde::{Deserialize, Serialize};

use super::raw::raw_section;
use super::{Environment, SettingsError, invalid};
use crate::crypto::secret::Secret;
use crate::crypto::test_identifiers::TestIdentifiers;

raw_section!(RawIdentifiers {
    default_region: Option<String>,
    allow_test_in_production: bool,
    test: RawTestIdentifiers,
});
raw_section!(RawTestIdentifier { identifier: String, code: Secret<String>, until: DateTime<Utc> });

/// The list of test identifiers. What is no such list is refused in constant words, since the parser would repeat a code.
#[derive(Deserialize, Serialize)]
#[serde(
    untagged,
    expecting = "must be a list of tables, each with the texts `identifier`, `code` and `until`"
)]
pub(super) enum RawTestIdentifiers {
    List(Vec<RawTestIdentifier>),
}

/// The section `identifiers`, checked.
pub(super) struct IdentifierSettings {
    pub default_region: Option<Region>,
    pub test_identifiers: TestIdentifiers,
}

impl RawIdentifiers {
    pub fn check(self, environment: Environment) -> Result<IdentifierSettings, SettingsError> {
        let RawTestIdentifiers::List(listed) = self.test;
        let default_region = region(self.default_region.as_deref())?;
        let may_test = environment == Environment::Development || self.allow_test_in_production;
        let test_identifiers = test_identifiers(listed, default_region, may_test)?;
        Ok(IdentifierSettings { default_region, test_identifiers })
    }
}

fn region(code: Option<&str>) -> Result<Option<Region>, SettingsError> {
    let Some(code) = code.filter(|code| !code.is_empty()) else { return Ok(None) };
    let unknown =
        || invalid("identifiers.default_region", "is not a two-letter code of a region, such as IR");
    Region::parse(code).map(Some).ok_or_else(unknown)
}

fn test_identifiers(
    listed: Vec<RawTestIdentifier>,
    region: Option<Region>,
    allowed: bool,
) -> Result<TestIdentifiers, SettingsError> {
    let bad = |problem: &str| invalid("identifiers.test", problem);
    if !allowed && !listed.is_empty() {
        return Err(bad(
            "lets in every caller that knows it; identifiers.allow_test_in_production allows that",
        ));
    }
    let read = listed.into_iter().map(|RawTestIdentifier { identifier, code, until }| {
        let email = || EmailAddress::parse(&identifier).ok().map(Identifier::Email);
        let phone = || PhoneNumber::parse(&identifier, region).ok().map(Identifier::Phone);
        let read = if identifier.contains('@') { email() } else { phone() };
        let read = read.ok_or_else(|| bad("has an identifier that is no number and no address"))?;
        let code = OtpCode::parse(code.expose()).map_err(|_| bad("has a code that is not six digits"))?;
        Ok((read, code, until))
    });
    Ok(TestIdentifiers::new(read.collect::<Result<Vec<_>, SettingsError>>()?))
}
