//! Why a command is refused.

use chrono::{DateTime, Utc};

use crate::values::RuleName;

/// A refusal, with what the caller can do about it. The HTTP layer gives each its status and code, by name.
///
/// It is the answer, not the record: a refusal that matters is an event as well (`OtpRejected`,
/// `OtpRequestRefused`), and then comes out of the outcome of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A code was sent to this identifier a moment ago.
    #[error("a code was sent a moment ago")]
    CodeTooSoon {
        /// When another may be asked for.
        until: DateTime<Utc>,
    },
    /// This identifier has had all the codes it may have in 24 hours, or has to wait after too many wrong ones.
    #[error("the identifier may get no code now")]
    CodeQuotaSpent {
        /// When another may be asked for.
        until: DateTime<Utc>,
    },
    /// There is no code to send again.
    #[error("no code is pending")]
    NoPendingCode,
    /// Wrong, expired, used up or never asked for: one answer for all.
    #[error("the code is not valid")]
    InvalidCode,
    /// Too many wrong codes.
    #[error("too many wrong codes")]
    TooManyTries {
        /// When the next try is looked at.
        until: DateTime<Utc>,
    },
    /// The code is right, and the account is signed in on as many devices as it may be. The code goes on working.
    #[error("the account is signed in on as many devices as it may be")]
    DeviceLimitReached,
    /// The account is not signed in on that device.
    #[error("the account has no such device")]
    UnknownDevice,
    /// The refresh token's session has ended, or the token is not its newest.
    #[error("the refresh token is spent or its session has ended")]
    SpentToken,
    /// The session was refreshed too often within a minute.
    #[error("the session is refreshed too often")]
    TooManyRefreshes {
        /// When the next refresh is accepted.
        until: DateTime<Utc>,
    },
    /// The administrator opened as many pages as can be put on record in a window.
    #[error("more was read than can be put on record for now")]
    TooManyReads {
        /// When the next page can be opened.
        until: DateTime<Utc>,
    },
    /// The code is right, and another account has the identifier, or this one has it already.
    #[error("an account has that identifier")]
    IdentifierTaken,
    /// The account does not have that identifier.
    #[error("the account does not have that identifier")]
    UnknownIdentifier,
    /// There is no such change of identifiers, it was undone, or its time is over.
    #[error("the change cannot be undone")]
    ChangeNotUndoable,
    /// The account has no other identifier.
    #[error("the account has no other identifier")]
    LastIdentifier,
    /// The account has an identifier of that kind, which can be replaced.
    #[error("the account has an identifier of that kind")]
    IdentifierHeld,
    /// The account does not have what staff want to replace or to release.
    #[error("the account has not that identifier to lose")]
    IdentifierNotHeld,
    /// A proposal of staff for that account is open.
    #[error("a proposed change of identifiers is open")]
    ProposalOpen,
    /// There is no such proposal, or it is not open any more.
    #[error("there is no such proposal")]
    UnknownProposal,
    /// Another member of staff has to confirm what one proposed.
    #[error("another member of staff has to confirm it")]
    OwnProposal,
    /// No identifier of that account has been proved.
    #[error("there is no such account")]
    UnknownAccount,
    /// Staff may not do that to their own account.
    #[error("staff may not do that to their own account")]
    OwnAccount,
    /// The account has not the role that it takes.
    #[error("the account has not the role that it takes")]
    RoleMissing,
    /// It takes the second factor, passed in this session and lately enough.
    #[error("it takes the second factor")]
    SecondFactorMissing,
    /// It takes a sign-in, a reauthentication or the second factor, lately enough in this session.
    #[error("the session was proved too long ago")]
    ProofNotFresh,
    /// The account has no second factor.
    #[error("the account has no second factor")]
    NoSecondFactor,
    /// An access rule of the program that embeds the service does not allow it.
    #[error("the access rule {rule} does not allow it")]
    RefusedByRule {
        /// The name of the rule.
        rule: RuleName,
    },
    /// The session in whose name the command came has ended.
    #[error("the session has ended")]
    SessionEnded,
}
