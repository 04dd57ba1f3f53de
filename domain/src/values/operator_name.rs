//! The name of the operator at the server's command line.

use serde::{Deserialize, Serialize};

/// The name by which the operating system knows the operator who typed a command at the server. It stands in events in clear, so
/// that an auditor can tell operators apart when every key is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(example = "ada"))]
pub struct OperatorName(String);

impl OperatorName {
    /// Reads a name of 1 to 64 letters, digits and `._-@+$`, which is what operating systems use. `None` for anything else.
    pub fn parse(name: &str) -> Option<Self> {
        let fits = (1..=64).contains(&name.len());
        let plain = name.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-@+$".contains(&c));
        (fits && plain).then(|| Self(name.to_owned()))
    }

    /// The name as the operating system has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::OperatorName;

    #[test]
    fn a_name_is_what_operating_systems_call_their_users() {
        for name in ["root", "ada.lovelace", "svc-auth$", "ada@example.com", "a"] {
            assert_eq!(OperatorName::parse(name).expect(name).as_str(), name);
        }
        for text in ["", "a b", "a\nb", "ü", &"x".repeat(65)] {
            assert_eq!(OperatorName::parse(text), None, "{text}");
        }
    }
}
