//! The language that a person is written to in.

use serde::{Deserialize, Serialize};

/// The tag of a language (BCP 47), such as `fa` or `pt-BR`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(example = "fa"))]
pub struct LanguageTag(String);

impl LanguageTag {
    /// Reads a tag of 2 to 35 letters, digits and hyphens. `None` for anything else.
    pub fn parse(tag: &str) -> Option<Self> {
        let fits = (2..=35).contains(&tag.len());
        let plain = tag.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        (fits && plain).then(|| Self(tag.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::LanguageTag;

    #[test]
    fn a_tag_is_a_short_plain_word() {
        for tag in ["fa", "pt-BR", "zh-Hans-CN"] {
            assert_eq!(LanguageTag::parse(tag).expect(tag).as_str(), tag);
        }
        for text in ["", "f", "fa,en", "fa_IR", "فا", &"x".repeat(36)] {
            assert_eq!(LanguageTag::parse(text), None, "{text}");
        }
    }
}
