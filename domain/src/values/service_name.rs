//! The name of a program that acts on accounts.

use serde::{Deserialize, Serialize};

/// The name of a program that acts on accounts, such as `billing`. It is not personal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(example = "billing"))]
pub struct ServiceName(String);

impl ServiceName {
    /// Reads a name of 1 to 40 small letters, digits, hyphens and underscores. `None` for anything else.
    pub fn parse(name: &str) -> Option<Self> {
        let fits = (1..=40).contains(&name.len());
        let plain =
            name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_');
        (fits && plain).then(|| Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::ServiceName;

    #[test]
    fn a_name_is_a_short_plain_word() {
        for name in ["billing", "a", "crm-2", "night_watch"] {
            assert_eq!(ServiceName::parse(name).expect(name).as_str(), name);
        }
        for text in ["", "Billing", "a b", "a.b", "ü", &"x".repeat(41)] {
            assert_eq!(ServiceName::parse(text), None, "{text}");
        }
    }
}
