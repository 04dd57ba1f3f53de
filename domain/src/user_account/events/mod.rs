//! What has happened to an account, by families. Past tense, never changed once stored; a golden file keeps each stored form.
//!
//! An event that is added stands in its family here, in the family's part of the state, and in the read models that want it.

mod codes;
mod family;
mod identifiers;
mod profile;
mod second_factor;
mod sessions;
mod staff;
mod staff_records;

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use codes::{CodeAsked, CodeFact, CodeRefused, CodeRejected};
pub use identifiers::IdentifierFact;
pub use profile::ProfileFact;
pub use second_factor::{FactorRejected, SecondFactorFact, SecondFactorProof};
pub use sessions::{RuleStage, SessionFact, SignOutReason};
pub use staff::{MissingRequirement, StaffFact};
pub use staff_records::{BlockKind, StaffRecordFact};

use crate::values::{
    AccountId, CaseNumber, Channel, Client, DeviceName, FullName, Identifier, OperatorName, Reason,
    ServiceName, SessionId,
};

/// One event of an account's stream.
///
/// Its JSON holds the time and the fact. Personal data (who the user is and from where the command came) stands apart: it is
/// stored sealed beside the JSON, under keys of the account, and is absent (`None`) once those keys are gone. No
/// decision and no state depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAccountEvent {
    /// When it was decided, by the application's clock; never earlier than the event before it in the stream.
    pub at: DateTime<Utc>,
    /// What happened, without personal data.
    pub fact: AccountFact,
    /// The personal data of the user, where the event has any.
    #[serde(skip)]
    pub person: Option<PersonalDetails>,
    /// From which device and network the command came.
    #[serde(skip)]
    pub client: Option<Client>,
}

/// The personal data of an event. It is sealed in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonalDetails {
    /// The number or address that was used or proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Identifier>,
    /// The number or address that it took the place of, or that was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Identifier>,
    /// The full name that the user gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fullname: Option<FullName>,
    /// The name given to a device. (The one that a device gives itself at sign-in is its [`Client`]'s.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<DeviceName>,
    /// Why staff intervened, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The number of the case that staff worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseNumber>,
    /// What a member of staff searched for, where it may be personal: a name, an address, a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// The member of staff, or the program, that acted on an account other than their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActingStaff {
    /// The operator of the service, by the command line on the server.
    Operator(OperatorName),
    /// The administrator who has that account.
    Account(AccountId),
    /// A program that the service is part of.
    Service(ServiceName),
}

/// By which the streams of operators and programs are named.
const RECORD_STREAMS: Uuid = Uuid::from_u128(0x636f_756e_7465_8f66_8f69_6c73_7461_6666);

impl ActingStaff {
    /// Returns the stream that holds what they read and what they did to the service as a whole: that of their own account, or one
    /// named after the operator or the program (UUID version 5, RFC 9562), which no person can sign in to.
    pub fn record_stream(&self) -> AccountId {
        let named = |name: String| AccountId(Uuid::new_v5(&RECORD_STREAMS, name.as_bytes()));
        match self {
            Self::Operator(name) => named(format!("operator:{}", name.as_str())),
            Self::Account(account) => *account,
            Self::Service(name) => named(format!("service:{}", name.as_str())),
        }
    }
}

/// What happened, without anything personal, by the family of the event. Which family an event belongs to is not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AccountFact {
    /// Something happened to codes, or to the limits and locks that they set.
    Code(CodeFact),
    /// Something happened to a device session.
    Session(SessionFact),
    /// Something happened to the identifiers of the account.
    Identifier(IdentifierFact),
    /// Something happened to the second factor of the account.
    SecondFactor(SecondFactorFact),
    /// Something happened to the account itself or its profile.
    Profile(ProfileFact),
    /// Staff did something, or were not allowed to.
    Staff(StaffFact),
    /// A member of staff read something, or did something to the service as a whole.
    StaffRecord(StaffRecordFact),
}

impl AccountFact {
    fn name(&self) -> &'static str {
        match self {
            Self::Code(fact) => fact.into(),
            Self::Session(fact) => fact.into(),
            Self::Identifier(fact) => fact.into(),
            Self::SecondFactor(fact) => fact.into(),
            Self::Profile(fact) => fact.into(),
            Self::Staff(fact) => fact.into(),
            Self::StaffRecord(fact) => fact.into(),
        }
    }
}

impl UserAccountEvent {
    /// The version of the JSON that this code writes. A change of form raises it and adds an upcaster.
    pub const VERSION: &'static str = "1";

    /// The names of all events.
    pub const NAMES: &'static [&'static str] = &family::NAMES;

    /// The event's name, as in the `event_type` column.
    pub fn name(&self) -> &'static str {
        self.fact.name()
    }

    /// The session that the event ends, and until when a token of it could still be presented.
    pub fn ended_session(&self) -> Option<(SessionId, DateTime<Utc>)> {
        let AccountFact::Session(SessionFact::LoggedOut { session, expires_at, .. }) = self.fact else {
            return None;
        };
        Some((session, expires_at))
    }

    /// Whether the event is about a code for which no message goes out.
    pub fn is_withheld(&self) -> bool {
        matches!(
            self.fact,
            AccountFact::Code(
                CodeFact::OtpRequested { withheld: true, .. } | CodeFact::OtpResent { withheld: true, .. }
            )
        )
    }

    /// Whether the event says that the account was erased.
    pub fn erases(&self) -> bool {
        matches!(self.fact, AccountFact::Profile(ProfileFact::AccountErased { .. }))
    }

    /// The kind of identifier that the event makes the account's; the personal part of the event says which one.
    pub fn acquired(&self) -> Option<Channel> {
        let AccountFact::Identifier(
            IdentifierFact::IdentifierAdded { channel }
            | IdentifierFact::IdentifierReplaced { channel }
            | IdentifierFact::IdentifierRestored { channel },
        ) = self.fact
        else {
            return None;
        };
        Some(channel)
    }

    /// The kind of identifier that finds the account no more, or no more by the one it had.
    pub fn released(&self) -> Option<Channel> {
        let AccountFact::Identifier(
            IdentifierFact::IdentifierReplaced { channel }
            | IdentifierFact::IdentifierRemoved { channel, .. }
            | IdentifierFact::IdentifierRestored { channel }
            | IdentifierFact::IdentifierReleased { channel, lapsed: _ },
        ) = self.fact
        else {
            return None;
        };
        Some(channel)
    }

    /// Returns the member of staff who brought the event about; `None` where the user did, or time.
    pub fn by(&self) -> Option<ActingStaff> {
        if let AccountFact::Session(SessionFact::LoggedOut { by, .. }) = &self.fact {
            return by.clone();
        }
        if let AccountFact::StaffRecord(record) = &self.fact {
            return Some(record.by().clone());
        }
        if let AccountFact::Identifier(IdentifierFact::IdentifierChangeConfirmed { by, .. })
        | AccountFact::Profile(
            ProfileFact::ErasureRequested { by, .. } | ProfileFact::AccountErased { by },
        ) = &self.fact
        {
            return by.clone();
        }
        let (AccountFact::Staff(
            StaffFact::RolesChanged { by, .. }
            | StaffFact::AccountSuspended { by, .. }
            | StaffFact::AccountReinstated { by }
            | StaffFact::LegalHoldPlaced { by, .. }
            | StaffFact::LegalHoldReleased { by },
        )
        | AccountFact::SecondFactor(SecondFactorFact::SecondFactorRemoved { by })
        | AccountFact::Identifier(
            IdentifierFact::IdentifierChangeProposed { by, .. }
            | IdentifierFact::IdentifierChangeWithdrawn { by, .. },
        )
        | AccountFact::Code(CodeFact::LimitsLifted { by })) = &self.fact
        else {
            return None;
        };
        Some(by.clone())
    }
}

impl DomainEvent for UserAccountEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        Self::VERSION.to_owned()
    }
}
