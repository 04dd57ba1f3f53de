//! The identifiers by which an account is found.

use serde::{Deserialize, Serialize};

use super::{EmailAddress, PhoneNumber};

/// A phone number or an e-mail address: what a code is sent to, and what finds the account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Identifier {
    /// A phone number in E.164 form.
    Phone(PhoneNumber),
    /// An e-mail address in its canonical form.
    Email(EmailAddress),
}

/// The kind of an identifier, which is also the way a code takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A text message to a phone number.
    Phone,
    /// A message to an e-mail address.
    Email,
}

impl Channel {
    /// Every channel, in the order of the documents.
    pub const ALL: [Self; 2] = [Self::Phone, Self::Email];

    /// The name as it stands in events, tables and derived keys: `phone` or `email`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Email => "email",
        }
    }
}

impl Identifier {
    /// Returns the kind of the identifier.
    pub fn channel(&self) -> Channel {
        match self {
            Self::Phone(_) => Channel::Phone,
            Self::Email(_) => Channel::Email,
        }
    }

    /// The canonical text: E.164 for a number, lower case with an ASCII domain for an address.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Phone(number) => number.as_str(),
            Self::Email(address) => address.as_str(),
        }
    }
}
