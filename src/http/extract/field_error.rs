//! What is said of a field that cannot be read.

use std::convert::Infallible;

use counterfoil_domain::values::{
    CaseNumber, InvalidEmailAddress, InvalidMailDomain, InvalidOtpCode, InvalidPhoneNumber,
    InvalidPhonePrefix, InvalidSecondFactorCode, InvalidText, Reason, UnknownRole,
};

/// An error of parsing that has words for the person who typed.
pub trait FieldError {
    /// What is shown beside the field: the name of a message of the service, or a sentence as it is to be shown in every language.
    fn message(&self) -> &'static str;
}

impl FieldError for InvalidPhoneNumber {
    fn message(&self) -> &'static str {
        match self {
            Self::Malformed => "phone_malformed",
            Self::NoCountryCode => "phone_no_country_code",
            Self::NotMobile => "phone_not_mobile",
        }
    }
}

impl FieldError for InvalidPhonePrefix {
    fn message(&self) -> &'static str {
        "prefix_malformed"
    }
}

impl FieldError for InvalidMailDomain {
    fn message(&self) -> &'static str {
        "mail_domain_malformed"
    }
}

impl FieldError for InvalidEmailAddress {
    fn message(&self) -> &'static str {
        "email_malformed"
    }
}

impl FieldError for InvalidOtpCode {
    fn message(&self) -> &'static str {
        "code_malformed"
    }
}

impl FieldError for InvalidSecondFactorCode {
    fn message(&self) -> &'static str {
        "second_factor_code_malformed"
    }
}

impl FieldError for InvalidText {
    fn message(&self) -> &'static str {
        match self {
            Self::Empty => "text_empty",
            Self::TooLong(Reason::MAX_CHARS) => "reason_too_long",
            Self::TooLong(CaseNumber::MAX_CHARS) => "case_too_long",
            Self::TooLong(_) => "text_too_long",
            Self::Unprintable => "text_unprintable",
        }
    }
}

impl FieldError for UnknownRole {
    fn message(&self) -> &'static str {
        "role_unknown"
    }
}

impl FieldError for Infallible {
    fn message(&self) -> &'static str {
        match *self {}
    }
}
