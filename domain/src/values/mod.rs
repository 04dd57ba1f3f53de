//! Values that are right once they exist: parsed at the edge, never validated again.

mod authentication_methods;
mod client;
mod device_name;
mod email_address;
mod full_name;
mod generation;
mod identifier;
mod ids;
mod language_tag;
mod operator_name;
mod otp_code;
mod phone_number;
mod reason;
mod role;
mod rule_name;
mod second_factor;
mod service_name;
mod text;

pub use authentication_methods::AuthenticationMethods;
pub use client::{AddressMark, Client, ClientChange, ClientMark, UserAgent};
pub use device_name::DeviceName;
pub use email_address::{EmailAddress, InvalidEmailAddress};
pub use full_name::FullName;
pub use generation::Generation;
pub use identifier::{Channel, Identifier};
pub use ids::{AccountId, AuthenticatorId, ChallengeNonce, RecoveryBatchId, SessionId};
pub use language_tag::LanguageTag;
pub use operator_name::OperatorName;
pub use otp_code::{InvalidOtpCode, OtpCode};
pub use phone_number::{InvalidPhoneNumber, PhoneNumber, Region};
pub use reason::Reason;
pub use role::{Role, UnknownRole};
pub use rule_name::RuleName;
pub use second_factor::{InvalidSecondFactorCode, RecoveryCode, SecondFactorCode, TimeStep};
pub use service_name::ServiceName;
pub use text::InvalidText;
