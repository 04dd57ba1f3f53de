//! What access tokens say besides: fixed by the settings, taken from the profile, or made by a program of one's own.

use std::fmt;

use counterfoil_domain::values::AccountId;
use counterfoil_projections::profile::Profile;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Makes the extra claims of an account's access tokens, each time tokens are made. They are what they were then for as long
/// as the token works.
///
/// ```
/// use counterfoil::tokens::configured_claims::ClaimsSource;
/// use counterfoil_domain::values::AccountId;
/// use counterfoil_projections::profile::Profile;
/// use serde_json::{Map, Value};
///
/// /// Tells other services whether a user is new here.
/// #[derive(Debug)]
/// struct Newcomers;
///
/// impl ClaimsSource for Newcomers {
///     fn reads_profile(&self) -> bool {
///         true
///     }
///
///     fn claims(&self, _: AccountId, profile: Option<&Profile>) -> Map<String, Value> {
///         let new = profile.is_some_and(|profile| profile.last_login == Some(profile.date_joined));
///         Map::from_iter([("newcomer".to_owned(), new.into())])
///     }
/// }
/// // let mut state = State::new(…)?;
/// // state.accounts.use_claims(Arc::new(Newcomers));
/// ```
pub trait ClaimsSource: fmt::Debug + Send + Sync {
    /// Whether the profile is needed. It has to be read for each refresh then.
    fn reads_profile(&self) -> bool;

    /// The claims of an account. The profile is there where it is needed.
    fn claims(&self, account: AccountId, profile: Option<&Profile>) -> Map<String, Value>;
}

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

impl ClaimsSource for ConfiguredClaims {
    fn reads_profile(&self) -> bool {
        !self.fields.is_empty()
    }

    fn claims(&self, _: AccountId, profile: Option<&Profile>) -> Map<String, Value> {
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
