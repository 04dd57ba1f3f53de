//! The one aggregate: a person's account, from the first code asked for to the last device signed out.

mod aggregate;
pub mod commands;
mod error;
mod events;
mod fresh_proof;
mod identifier_changes;
mod identifier_proposal;
mod identifiers;
mod legal_hold;
mod outcome;
mod policy;
mod recorded_reads;
mod requested_erasure;
mod rule_refusals;
mod second_factor;
mod state;
mod wrong_codes;

pub use aggregate::{
    AnswerTimes, ClientMarker, NoOutage, OtpMatcher, Purpose, Requester, SecondFactorMatcher, Services,
};
pub use commands::UserAccountCommand;
pub use error::Refusal;
pub use events::{
    AccountFact, ActingStaff, BlockKind, CodeAsked, CodeFact, CodeRefused, CodeRejected, FactorRejected,
    IdentifierFact, MissingRequirement, PersonalDetails, ProfileFact, RuleStage, SecondFactorFact,
    SecondFactorProof, SessionFact, SignOutReason, StaffFact, StaffRecordFact, UserAccountEvent,
};
pub use identifier_changes::{IdentifierChanges, UNDOABLE_FOR, UndoableChange};
pub use identifier_proposal::{
    IdentifierProposal, PROPOSAL_LIFETIME, PROPOSAL_WAIT, ProposedChange, proposed_identifier,
};
pub use identifiers::HeldIdentifiers;
pub use legal_hold::LegalHold;
pub use outcome::{CodeSent, SessionProof, SessionTokens};
pub use policy::{ClientBinding, DeviceLimitPolicy, InvalidPolicy, Policy, TokenRotation};
pub use recorded_reads::RecordedReads;
pub use requested_erasure::RequestedErasure;
pub use rule_refusals::{RecordedRuleRefusal, RuleSubject};
pub use second_factor::{AuthenticatorOffer, EnrolledAuthenticator, RequiredProof, SecondFactor};
pub use state::{
    ActiveAccount, Challenge, CodeCounters, CodeState, PendingAccount, RecordedDenial, RedeemedCode,
    RefreshBurst, RegisteredAccount, Session, SuspendedAccount, UserAccount,
};
pub use wrong_codes::{UnlockLink, WrongCodes};
