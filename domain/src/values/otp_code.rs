//! The digits a person types in.

use super::text::{ascii_digit, is_invisible};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A one-time code: six ASCII digits, leading zeros kept. Cleared from memory when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(format = "one-time-code", example = "123456")
)]
pub struct OtpCode(String);

/// The text is not six digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {} digits", OtpCode::DIGITS)]
pub struct InvalidOtpCode;

impl OtpCode {
    /// How many digits a code has.
    pub const DIGITS: usize = 6;

    /// How many codes there are: 10 to the power of [`Self::DIGITS`].
    pub const COUNT: u64 = 1_000_000;

    /// The code of a number below [`Self::COUNT`]; a larger one is reduced.
    pub fn from_number(number: u64) -> Self {
        Self(format!("{:06}", number % Self::COUNT))
    }

    /// Reads what a person typed: Persian, Arabic-Indic and full-width digits count as digits, and spaces and
    /// invisible marks around and between them are passed over.
    ///
    /// # Errors
    /// [`InvalidOtpCode`] when what is left is not exactly six digits.
    pub fn parse(input: &str) -> Result<Self, InvalidOtpCode> {
        if input.len() > 128 {
            return Err(InvalidOtpCode);
        }
        let code: String =
            input.chars().filter(|c| !c.is_whitespace() && !is_invisible(*c)).map(ascii_digit).collect();
        let right = code.len() == Self::DIGITS && code.bytes().all(|b| b.is_ascii_digit());
        right.then_some(Self(code)).ok_or(InvalidOtpCode)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Says that there is one, not what it is: it is a secret.
impl std::fmt::Debug for OtpCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OtpCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidOtpCode, OtpCode};

    #[test]
    fn digits_of_every_script_are_the_same_code() {
        for typed in ["123456", "۱۲۳۴۵۶", "١٢٣٤٥٦", "１２３４５６", " 123 456 ", "۱۲۳456", "\u{200e}123456"]
        {
            assert_eq!(OtpCode::parse(typed).expect(typed).as_str(), "123456");
        }
    }

    #[test]
    fn what_is_not_six_digits_is_no_code() {
        for typed in ["", "12345", "1234567", "12345a", "²23456", "Ⅷ23456", "12345\u{0}", "-12345", "1e5"]
        {
            assert_eq!(OtpCode::parse(typed), Err(InvalidOtpCode), "{typed:?}");
        }
    }

    #[test]
    fn a_small_number_keeps_its_leading_zeros() {
        assert_eq!(OtpCode::from_number(42).as_str(), "000042");
        assert_eq!(OtpCode::from_number(1_000_042).as_str(), "000042");
    }
}
