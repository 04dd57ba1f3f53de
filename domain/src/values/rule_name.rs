//! The names of access rules.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of an access rule of a program that embeds the service: 1 to 40 of the characters `a` to `z`, `0` to `9` and `_`.
/// It stands in events, answers and metrics.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName {
    letters: [u8; Self::LONGEST],
    length: u8,
}

impl RuleName {
    /// How many characters a name may have.
    pub const LONGEST: usize = 40;

    /// Reads a name. `None` for a text that is none.
    pub const fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.is_empty() || text.len() > Self::LONGEST {
            return None;
        }
        let (mut letters, mut length) = ([0; Self::LONGEST], 0_u8);
        while (length as usize) < text.len() {
            let letter = text[length as usize];
            if !matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'_') {
                return None;
            }
            letters[length as usize] = letter;
            length += 1;
        }
        Some(Self { letters, length })
    }

    pub fn as_str(&self) -> &str {
        // They are ASCII.
        str::from_utf8(&self.letters[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RuleName").field(&self.as_str()).finish()
    }
}

impl Serialize for RuleName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RuleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not the name of a rule"))
    }
}

#[cfg(test)]
mod tests {
    use super::RuleName;

    #[test]
    fn a_name_is_a_short_word_in_snake_case() {
        let longest = "x".repeat(RuleName::LONGEST);
        for name in ["company_only", "a", "_", "0", "rule_2", &longest] {
            let parsed = RuleName::parse(name).expect(name);
            assert_eq!((parsed.as_str(), parsed.to_string().as_str()), (name, name));
            let json = serde_json::to_string(&parsed).expect("JSON");
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<RuleName>(&json).expect(name), parsed);
        }
    }

    #[test]
    fn anything_else_is_no_name() {
        let too_long = "x".repeat(RuleName::LONGEST + 1);
        for text in ["", "Company", "company-only", "company only", "é", "a\0", &too_long] {
            assert_eq!(RuleName::parse(text), None, "{text}");
            assert!(
                serde_json::from_str::<RuleName>(&serde_json::json!(text).to_string()).is_err(),
                "{text}"
            );
        }
    }
}
