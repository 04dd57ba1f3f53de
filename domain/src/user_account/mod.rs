//! The one aggregate: a person's account, from the first code asked for to the last device signed out.

mod aggregate;
pub mod commands;
mod error;
mod events;
mod fresh_proof;
mod identifier_changes;
mod identifiers;
mod outcome;
mod policy;
mod second_factor;
mod state;
mod wrong_codes;

pub use aggregate::{
    AnswerTimes, ClientMarker, NoOutage, OtpMatcher, Purpose, Requester, SecondFactorMatcher, Services,
};
pub use commands::UserAccountCommand;
pub use error::Refusal;
pub use events::{
    Actor, CodeAsked, CodeRefused, CodeRejected, Fact, FactorRejected, Lack, Person, SecondFactorProof,
    SignOutReason, UserAccountEvent,
};
pub use identifier_changes::{IdentifierChanges, UNDOABLE_FOR, UndoableChange};
pub use identifiers::HeldIdentifiers;
pub use outcome::{CodeSent, SessionProof, SessionTokens};
pub use policy::{Binding, DeviceLimitPolicy, InvalidPolicy, Policy, Rotation};
pub use second_factor::{Enrolled, Offer, Passed, SecondFactor};
pub use state::{
    Active, Challenge, Codes, Counters, Denial, Member, Pending, RedeemedCode, RefreshBurst, Session,
    Suspended, UserAccount,
};
pub use wrong_codes::{UnlockLink, WrongCodes};
