//! The first digits of phone numbers.

use std::fmt;

use super::PhoneNumber;

/// The most digits that a number has (ITU-T E.164, section 6.1).
const MOST_DIGITS: usize = 15;

/// The first digits of phone numbers, with the country code: `+98912123`. It stands for every number that begins with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(value_type = String, format = "phone-number-prefix", example = "+98912123")
)]
pub struct PhonePrefix(String);

/// The text is no prefix of a number with its country code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the first digits of a phone number with its country code")]
pub struct InvalidPhonePrefix;

impl PhonePrefix {
    /// Reads what a person typed, in the spellings that a phone number may have. It begins with the country code, after `+` or `00`.
    ///
    /// # Errors
    /// [`InvalidPhonePrefix`] when no phone number begins like that.
    pub fn parse(input: &str) -> Result<Self, InvalidPhonePrefix> {
        let stripped = PhoneNumber::strip(input).ok_or(InvalidPhonePrefix)?;
        let digits = stripped.strip_prefix('+').ok_or(InvalidPhonePrefix)?;
        let is_prefix = (1..=MOST_DIGITS).contains(&digits.len()) && !digits.starts_with('0');
        if is_prefix { Ok(Self(stripped)) } else { Err(InvalidPhonePrefix) }
    }

    /// The prefix with `+` and digits only.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the number begins with this prefix.
    pub fn covers(&self, number: &PhoneNumber) -> bool {
        number.as_str().starts_with(&self.0)
    }
}

impl fmt::Display for PhonePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidPhonePrefix, PhonePrefix};
    use crate::values::PhoneNumber;

    #[test]
    fn a_prefix_is_read_in_every_spelling_and_has_a_country_code() {
        for text in ["+98912123", "0098 912-123", "+98 (912) 123", "+\u{6f9}\u{6f8}912123", "tel:+98912123"] {
            let prefix = PhonePrefix::parse(text).expect(text);
            assert_eq!(prefix.as_str(), "+98912123");
        }
        for text in ["", "+", "00", "0912123", "912", "+0912", "+98x", "IR", "+1234567890123456"] {
            assert_eq!(PhonePrefix::parse(text), Err(InvalidPhonePrefix), "{text}");
        }
    }

    #[test]
    fn a_prefix_covers_the_numbers_that_begin_with_it() {
        let number = PhoneNumber::parse("+989121234567", None).expect("a number");
        for (prefix, covers) in
            [("+98", true), ("+98912123", true), ("+989121234567", true), ("+98913", false)]
        {
            assert_eq!(PhonePrefix::parse(prefix).expect("a prefix").covers(&number), covers, "{prefix}");
        }
    }
}
