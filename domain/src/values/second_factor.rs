//! What proves a second factor.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::OtpCode;
use super::text::{ascii_digit, is_invisible};

/// Which of the half minutes since the beginning of 1970 a code of an authenticator is of (RFC 6238, section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct TimeStep(pub u64);

/// A code that stands in for an authenticator that is lost, once: 16 letters and digits of Base32 (RFC 4648), which are 80
/// bits. Cleared from memory when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct RecoveryCode(String);

impl RecoveryCode {
    /// How many letters and digits it has.
    pub const LENGTH: usize = 16;

    /// The letters and digits, without the hyphens they are shown with.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is shown: in four groups.
    pub fn grouped(&self) -> String {
        let groups = self.0.as_bytes().chunks(4).map(String::from_utf8_lossy);
        groups.collect::<Vec<_>>().join("-")
    }
}

/// Says that there is one, not what it is: it is a secret.
impl std::fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecoveryCode(…)")
    }
}

/// What a person types in to prove the second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecondFactorCode {
    /// The six digits that the authenticator shows.
    Authenticator(OtpCode),
    /// One of the recovery codes.
    Recovery(RecoveryCode),
}

/// The text is neither six digits nor a recovery code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither {} digits nor a recovery code", OtpCode::DIGITS)]
pub struct InvalidSecondFactorCode;

impl SecondFactorCode {
    /// Reads what a person typed: digits of every script, and recovery codes in either case, with or without their hyphens.
    ///
    /// # Errors
    /// [`InvalidSecondFactorCode`].
    pub fn parse(input: &str) -> Result<Self, InvalidSecondFactorCode> {
        if let Ok(code) = OtpCode::parse(input) {
            return Ok(Self::Authenticator(code));
        }
        RecoveryCode::parse(input).map(Self::Recovery)
    }
}

impl RecoveryCode {
    /// Reads what a person typed.
    ///
    /// # Errors
    /// [`InvalidSecondFactorCode`].
    pub fn parse(input: &str) -> Result<Self, InvalidSecondFactorCode> {
        if input.len() > 128 {
            return Err(InvalidSecondFactorCode);
        }
        let typed = input.chars().filter(|c| !c.is_whitespace() && !is_invisible(*c) && *c != '-');
        let code: String = typed.map(|c| ascii_digit(c).to_ascii_uppercase()).collect();
        let is_base32 = code.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
        (code.len() == Self::LENGTH && is_base32).then_some(Self(code)).ok_or(InvalidSecondFactorCode)
    }
}

#[cfg(test)]
mod tests {
    use super::{RecoveryCode, SecondFactorCode};

    #[test]
    fn a_recovery_code_is_read_in_either_case_with_or_without_hyphens() {
        for typed in ["ABCD-EFGH-2345-67QR", "abcdefgh234567qr", " abcd efgh ۲۳۴۵ 67qr "] {
            let Ok(SecondFactorCode::Recovery(code)) = SecondFactorCode::parse(typed) else {
                panic!("{typed}");
            };
            assert_eq!((code.as_str(), code.grouped().as_str()), ("ABCDEFGH234567QR", "ABCD-EFGH-2345-67QR"));
        }
    }

    #[test]
    fn six_digits_are_the_authenticators() {
        assert!(matches!(SecondFactorCode::parse("۱۲۳ 456"), Ok(SecondFactorCode::Authenticator(_))));
    }

    #[test]
    fn what_is_neither_is_no_code() {
        for typed in ["", "12345", "ABCD-EFGH-2345-67Q", "ABCD-EFGH-2345-67Q1", "ABCDEFGH234567QRS", "é"] {
            assert!(SecondFactorCode::parse(typed).is_err(), "{typed}");
            assert!(RecoveryCode::parse(typed).is_err(), "{typed}");
        }
        assert_eq!(format!("{:?}", RecoveryCode::parse("ABCDEFGH234567QR")), "Ok(RecoveryCode(…))");
    }
}
