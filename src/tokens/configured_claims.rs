//! What access tokens say by the settings: claims that are the same for every account, and fields of the profile.

use counterfoil_projections::profile::Profile;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A field of the profile that an access token can repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileField {
    /// The proved phone number.
    PhoneNumber,
    /// The proved e-mail address.
    Email,
    /// The name that the person gave.
    Fullname,
    /// When the account began.
    DateJoined,
}

impl ProfileField {
    /// The name of the field, and of its claim.
    fn name(self) -> &'static str {
        match self {
            Self::PhoneNumber => "phone_number",
            Self::Email => "email",
            Self::Fullname => "fullname",
            Self::DateJoined => "date_joined",
        }
    }
}

/// The extra claims of the settings.
#[derive(Clone, Debug, Default)]
pub struct ConfiguredClaims {
    /// The same in every token.
    pub fixed: Map<String, Value>,
    /// From the profile; a fact that is absent is `null`.
    pub fields: Vec<ProfileField>,
}

impl ConfiguredClaims {
    /// Whether the profile has to be read for them.
    pub fn needs_profile(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Whether a claim of that name is one of them.
    pub fn sets(&self, name: &str) -> bool {
        self.fixed.contains_key(name) || self.fields.iter().any(|field| field.name() == name)
    }

    /// Returns the claims of an account with that profile.
    pub fn claims(&self, profile: Option<&Profile>) -> Map<String, Value> {
        let mut claims = self.fixed.clone();
        let Some(profile) = profile else { return claims };
        for field in &self.fields {
            let value = match field {
                ProfileField::PhoneNumber => profile.phone_number.clone().into(),
                ProfileField::Email => profile.email.clone().into(),
                ProfileField::Fullname => profile.fullname.clone().into(),
                ProfileField::DateJoined => {
                    profile.date_joined.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true).into()
                }
            };
            claims.insert(field.name().to_owned(), value);
        }
        claims
    }
}
