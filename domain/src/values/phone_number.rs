//! Phone numbers, in the one spelling that all others come down to.

use std::fmt;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType};
use serde::{Deserialize, Serialize};

use super::text::{ascii_digit, is_invisible};

/// A region of the numbering plan: an ISO 3166-1 alpha-2 code such as `IR`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region(rlibphonenumber::enums::Region);

impl Region {
    /// Reads a two-letter code, in either case. `None` when libphonenumber has no such region.
    pub fn parse(code: &str) -> Option<Self> {
        code.to_ascii_uppercase().parse().ok().map(Self)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({self})")
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A phone number that can receive a message, in E.164 form (`+989121234567`).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(format = "phone-number", example = "+989121234567")
)]
pub struct PhoneNumber(String);

/// Why a text is no phone number we can send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhoneNumber {
    /// It holds something that is no part of a number, or is no number that was ever handed out.
    #[error("not a phone number")]
    Malformed,
    /// It has no country code, and no region is configured to read it in.
    #[error("has no country code")]
    NoCountryCode,
    /// It is a number, but of a kind that takes no text messages: a landline, a toll-free or a premium number.
    #[error("cannot receive messages")]
    NotMobile,
}

impl PhoneNumber {
    /// Reads what a person typed: spaces, dashes, dots, brackets, `tel:`, a leading `0`, `00` or `+`, digits of
    /// several scripts. Anything else is refused, never passed over.
    ///
    /// # Errors
    /// [`InvalidPhoneNumber`] says why the text is no number to send to.
    pub fn parse(input: &str, default_region: Option<Region>) -> Result<Self, InvalidPhoneNumber> {
        let digits = Self::strip(input).ok_or(InvalidPhoneNumber::Malformed)?;
        if !digits.starts_with('+') && default_region.is_none() {
            return Err(InvalidPhoneNumber::NoCountryCode);
        }
        let number = PHONE_NUMBER_UTIL
            .parse(&digits, default_region.map(|region| region.0))
            .map_err(|_| InvalidPhoneNumber::Malformed)?;
        if !number.is_valid() {
            return Err(InvalidPhoneNumber::Malformed);
        }
        match PHONE_NUMBER_UTIL.get_number_type(&number) {
            PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile => {
                Ok(Self(number.format_as(PhoneNumberFormat::E164).into_owned()))
            }
            PhoneNumberType::FixedLine
            | PhoneNumberType::TollFree
            | PhoneNumberType::PremiumRate
            | PhoneNumberType::SharedCost
            | PhoneNumberType::VoIP
            | PhoneNumberType::PersonalNumber
            | PhoneNumberType::Pager
            | PhoneNumberType::UAN
            | PhoneNumberType::VoiceMail
            | PhoneNumberType::Unknown => Err(InvalidPhoneNumber::NotMobile),
        }
    }

    /// `+` and digits only, or nothing when the text holds anything that is no part of a number.
    ///
    /// libphonenumber alone would read letters as keypad digits and cut extensions off: two spellings of a number
    /// that is not the person's.
    pub(super) fn strip(input: &str) -> Option<String> {
        if input.len() > 128 {
            return None;
        }
        let text = input.trim();
        let text = text.strip_prefix("tel:").unwrap_or(text);
        let mut stripped = String::with_capacity(text.len());
        for c in text.chars().map(ascii_digit) {
            match c {
                '0'..='9' => stripped.push(c),
                '+' | '\u{FF0B}' if stripped.is_empty() => stripped.push('+'),
                '-' | '.' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}' | '\u{2212}' => {}
                c if is_invisible(c) || (c.is_whitespace() && !c.is_control()) => {}
                _ => return None,
            }
        }
        Some(match stripped.strip_prefix("00") {
            Some(international) => format!("+{international}"),
            None => stripped,
        })
    }

    /// The number in E.164 form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region it was handed out in; none for the few that belong to no region.
    pub fn region(&self) -> Option<Region> {
        let number = PHONE_NUMBER_UTIL.parse(&self.0, None).ok()?;
        number.get_region_code().map(Region)
    }

    /// The number without its last four digits: the range that a fraudster who is paid by the message fills with numbers.
    pub fn prefix(&self) -> &str {
        &self.0[..self.0.len().saturating_sub(4)]
    }
}

/// Says that there is one, not what it is: it is personal.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidPhoneNumber, PhoneNumber, Region};
    use proptest::prelude::*;

    fn iran() -> Option<Region> {
        Region::parse("ir")
    }

    #[test]
    fn every_spelling_is_the_same_number() {
        for typed in [
            "09121234567",
            "+989121234567",
            "00989121234567",
            "989121234567",
            "9121234567",
            "0912 123 4567",
            "0912-123-4567",
            "0912.123.4567",
            "(0912) 123-4567",
            "+98 (912) 123 45 67",
            "+98\u{a0}912\u{a0}1234567",
            "\u{200e}+98 912 123 4567\u{200f}",
            "\u{202a}+989121234567\u{202c}",
            "۰۹۱۲۱۲۳۴۵۶۷",
            "٠٩١٢١٢٣٤٥٦٧",
            "０９１２１２３４５６７",
            "+۹۸۹۱۲۱۲۳۴۵۶۷",
            "۰۰۹۸۹۱۲۱۲۳۴۵۶۷",
            "tel:+98-912-123-4567",
            "  09121234567  ",
            "0912\u{2013}123\u{2011}4567",
        ] {
            let number = PhoneNumber::parse(typed, iran()).map(|n| n.as_str().to_owned());
            assert_eq!(number, Ok("+989121234567".to_owned()), "{typed:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused_and_not_trimmed_into_one() {
        for typed in [
            "",
            "abc09121234567",
            "0912123456x",
            "0912 123 4567 ext. 9",
            "+989121234567;ext=9",
            "++989121234567",
            "+98+9121234567",
            "0912123\u{0}4567",
            "0912\n1234567",
            "09121234567🙂",
            "1",
            ".;phone-context=",
            "+dwPAA;phone-context=AA",
            "1-800-FLOWERS",
            "²9121234567",
        ] {
            assert_eq!(PhoneNumber::parse(typed, iran()), Err(InvalidPhoneNumber::Malformed), "{typed:?}");
        }
        assert_eq!(PhoneNumber::parse(&"9".repeat(1_000_000), iran()), Err(InvalidPhoneNumber::Malformed));
    }

    #[test]
    fn a_number_has_a_region_and_a_prefix() {
        for (number, region, prefix) in [
            ("+989121234567", "IR", "+98912123"),
            ("+447400123456", "GB", "+44740012"),
            ("+447781123456", "GG", "+44778112"),
        ] {
            let number = PhoneNumber::parse(number, None).expect("valid");
            assert_eq!(number.region().expect("one").to_string(), region);
            assert_eq!(number.prefix(), prefix);
        }
    }

    #[test]
    fn a_landline_and_a_toll_free_number_take_no_messages() {
        for typed in ["+982188776655", "+18002345678", "+449012345678"] {
            assert_eq!(PhoneNumber::parse(typed, None), Err(InvalidPhoneNumber::NotMobile), "{typed}");
        }
    }

    #[test]
    fn without_a_region_a_number_needs_its_country_code() {
        assert_eq!(PhoneNumber::parse("09121234567", None), Err(InvalidPhoneNumber::NoCountryCode));
        assert!(PhoneNumber::parse("+989121234567", None).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,64}") {
            drop(PhoneNumber::parse(&text, iran()));
        }

        #[test]
        fn no_string_of_digits_and_marks_makes_the_parser_panic(text in "[+0-9۰-۹ ().-]{0,40}") {
            drop(PhoneNumber::parse(&text, None));
            if let Ok(number) = PhoneNumber::parse(&text, iran()) {
                prop_assert_eq!(PhoneNumber::parse(number.as_str(), None), Ok(number));
            }
        }
    }
}
