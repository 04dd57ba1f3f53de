//! One account on its way through its record, and beside it as it would have gone under another policy.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{
    AccountFact, CodeAsked, CodeFact, CodeRefused, CodeRejected, FactorRejected, IdentifierFact, Policy,
    ProfileFact, Purpose, Refusal, RuleStage, SecondFactorFact, SessionFact, SignOutReason, StaffFact,
    UserAccount, UserAccountEvent,
};
use counterfoil_domain::values::{ClientChange, SessionId};
use cqrs_es::Aggregate as _;
use serde::Serialize;

use super::request::{self, CommandReplay};

/// Why a request was refused that an access rule refused.
const REFUSED_BY_RULE: &str = "refused_by_rule";

/// What a caller asked an account for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RehearsedRequest {
    /// To sign in with a code.
    SignIn,
    /// The request for a code.
    Code,
    /// The next tokens of a session.
    Refresh,
    /// Anything else that takes a session, or staff.
    Other,
}

/// What the rehearsal comes to where the record says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RehearsedOutcome {
    /// A request was granted, and would have been refused.
    Refused(RehearsedRequest),
    /// A request was refused, and would have been granted.
    LetThrough(RehearsedRequest),
    /// A code was not looked at, and would have been. Whether it was right is not known.
    LookedAt,
    /// A session would have ended earlier.
    EndedEarlier,
    /// A session would have gone on for longer.
    EndedLater,
}

/// A difference between the record and the rehearsal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RehearsalDifference {
    /// When the command was decided.
    pub at: DateTime<Utc>,
    /// What the rehearsal came to instead.
    pub what: RehearsedOutcome,
    /// Why it would have been refused or would have ended; of what was let through, why it was refused, and of a session
    /// that would have gone on, why it ended. As events name it.
    pub why: &'static str,
}

/// The end of a session: the one it came to, or would if it were not used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SessionEnd {
    at: DateTime<Utc>,
    why: &'static str,
}

/// An account with the ends of all sessions that it ever had.
#[derive(Clone, Debug, Default)]
pub(super) struct SimulatedAccount {
    pub(super) account: UserAccount,
    ends: HashMap<SessionId, SessionEnd>,
}

impl SimulatedAccount {
    fn follow(&mut self, event: UserAccountEvent) {
        let (at, fact) = (event.at, event.fact.clone());
        self.account.apply(event);
        if let AccountFact::Session(SessionFact::LoggedOut { session, reason, .. }) = fact {
            self.ends.insert(session, SessionEnd { at, why: reason.as_str() });
        }
        if let AccountFact::Session(
            SessionFact::LoggedIn { session, .. } | SessionFact::TokenRefreshed { session, .. },
        ) = fact
        {
            let sessions = self.account.sessions().iter();
            let ends = sessions.filter(|other| other.id == session).map(|session| {
                let why = if session.expires_at == session.ends_at { "absolute" } else { "idle" };
                (session.id, SessionEnd { at: session.expires_at, why })
            });
            self.ends.extend(ends);
        }
    }
}

/// An account in rehearsal.
///
/// A caller who knew the right code read it where it was sent. They are taken to know any code that would have been sent there
/// instead, and none where none would have been. What people would have asked for instead of what they did, no record
/// knows.
#[derive(Clone, Debug)]
pub struct AccountRehearsal {
    proposal: Arc<Policy>,
    recorded: SimulatedAccount,
    pub(super) rehearsed: SimulatedAccount,
    begun: bool,
    /// Sessions that go by another name in the rehearsal, since they would have begun earlier.
    names: HashMap<SessionId, SessionId>,
    /// The session of a code that let no caller in and would have, until another code is sent or the code lets them in.
    let_in: Option<SessionId>,
    /// What became of the code that would be pending.
    lost: Option<&'static str>,
}

impl AccountRehearsal {
    /// Of an account to which nothing has happened yet.
    pub fn new(proposal: Arc<Policy>) -> Self {
        Self {
            proposal,
            recorded: SimulatedAccount::default(),
            rehearsed: SimulatedAccount::default(),
            begun: false,
            names: HashMap::new(),
            let_in: None,
            lost: None,
        }
    }

    /// What the events of a command grant, if they do.
    pub fn granted(commit: &[UserAccountEvent]) -> Option<RehearsedRequest> {
        let last = commit.last()?;
        let is_refused = refused(commit).is_some()
            || matches!(last.fact, AccountFact::Staff(StaffFact::AccessDenied { .. }));
        (!is_refused && !is_test(last)).then(|| request_of(last))
    }

    /// What the events of a command refuse because of an access rule, if they do.
    pub fn refused_by_rule(commit: &[UserAccountEvent]) -> Option<RehearsedRequest> {
        let last = commit.last()?;
        (refused(commit) == Some(REFUSED_BY_RULE)).then(|| request_of(last))
    }

    /// Takes an event from before the proposal.
    pub fn remember(&mut self, event: UserAccountEvent) {
        self.recorded.follow(event);
    }

    /// Takes the events of a command, and does the same under the proposal: how that differs.
    pub fn take(&mut self, commit: &[UserAccountEvent]) -> Option<RehearsalDifference> {
        if !self.begun {
            self.rehearsed = self.recorded.clone();
            self.begun = true;
        }
        let difference = self.rehearse(commit);
        for event in commit {
            self.recorded.follow(event.clone());
        }
        difference
    }

    fn rehearse(&mut self, commit: &[UserAccountEvent]) -> Option<RehearsalDifference> {
        let last = commit.last()?;
        let request = request_of(last);
        let was = refused(commit);
        let replay = request::replay(commit, &self.recorded.account, &self.rehearsed.account, &|session| {
            self.named(session)
        });
        let would = match replay {
            CommandReplay::AsItWas => Ok(commit.to_vec()),
            CommandReplay::WithoutSession => Err("session_ended"),
            CommandReplay::Command { command, on_record } => {
                let decided = command.decide(&self.rehearsed.account, &on_record.services(&self.proposal));
                decided.map_err(|refusal| self.reason(refusal, last))
            }
        };
        let reason = would.as_ref().map_or_else(|why| Some(*why), |events| refused(events));
        let differs = |what, why| Some(RehearsalDifference { at: last.at, what, why });

        // It was not looked at whether this code is right, and now it would have been.
        if let Some(despite) = unseen(last)
            && reason == Some("wrong")
        {
            return differs(RehearsedOutcome::LookedAt, despite);
        }
        if let AccountFact::Session(SessionFact::LoggedIn { session, mark, .. }) = last.fact
            && reason == Some("no_code")
            && let Some(earlier) = self.let_in.take()
        {
            self.names.insert(session, earlier);
            if let Some(mark) = mark {
                let fact = AccountFact::Session(SessionFact::ClientChanged {
                    session: earlier,
                    change: ClientChange::Device,
                    mark,
                });
                self.rehearsed.follow(UserAccountEvent { fact, ..last.clone() });
            }
            return None;
        }

        let events = would.unwrap_or_default();
        self.learn(last, &events, reason);
        for event in events {
            self.rehearsed.follow(event);
        }
        match (was, reason) {
            // No message goes to an identifier for tests, and no user signs in by it.
            _ if is_test(last) => None,
            (None, Some("no_code" | "expired")) if request == RehearsedRequest::SignIn => {
                differs(RehearsedOutcome::Refused(request), self.lost.or(reason).unwrap_or("no_code"))
            }
            (None, Some(why)) => differs(RehearsedOutcome::Refused(request), why),
            (Some(despite), None) => differs(RehearsedOutcome::LetThrough(request), despite),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }

    /// Takes down what became of codes, to tell later why there is none.
    fn learn(&mut self, last: &UserAccountEvent, events: &[UserAccountEvent], reason: Option<&'static str>) {
        if let AccountFact::Code(
            CodeFact::OtpRequested { purpose: Purpose::SignIn, .. } | CodeFact::OtpResent { .. },
        ) = last.fact
            && reason.is_some()
        {
            self.lost = Some("code_not_sent");
        }
        for event in events {
            if let AccountFact::Code(
                CodeFact::OtpRequested { purpose: Purpose::SignIn, .. } | CodeFact::OtpResent { .. },
            ) = event.fact
            {
                (self.lost, self.let_in) = (None, None);
            }
            if let AccountFact::Code(CodeFact::OtpRejected {
                purpose: Purpose::SignIn,
                reason,
                tries_left: 0,
                ..
            }) = event.fact
            {
                match reason {
                    CodeRejected::Wrong | CodeRejected::Suspended => self.lost = Some("tries_spent"),
                    CodeRejected::Expired => self.lost = self.lost.or(Some("expired")),
                    CodeRejected::Paused | CodeRejected::Locked | CodeRejected::DeviceLimit => {}
                }
            }
            if let (
                AccountFact::Session(SessionFact::LoggedIn { session, .. }),
                AccountFact::Code(CodeFact::OtpRejected { .. }),
            ) = (&event.fact, &last.fact)
            {
                self.let_in = Some(*session);
            }
        }
    }

    /// What the rehearsal calls a session.
    fn named(&self, session: SessionId) -> SessionId {
        self.names.get(&session).copied().unwrap_or(session)
    }

    /// Why the rehearsal refuses without a record.
    fn reason(&self, refusal: Refusal, last: &UserAccountEvent) -> &'static str {
        let codes = self.rehearsed.account.codes_of(request::requester(last));
        let counters = codes.map(|codes| codes.counters(request::channel(last)));
        match refusal {
            Refusal::CodeTooSoon { .. } => "too_soon",
            Refusal::CodeQuotaSpent { .. } => {
                let noted = counters.and_then(|counters| counters.recorded_refusal);
                noted.map_or("quota_spent", |(reason, _)| refusal_name(reason))
            }
            Refusal::NoPendingCode | Refusal::InvalidCode => "no_code",
            Refusal::TooManyTries { .. } => {
                let account = &self.rehearsed.account;
                let factor = account.member().and_then(|member| member.second_factor.as_ref());
                let ceiling = self.proposal.wrong_codes_in_a_row;
                let is_locked = if is_of_second_factor(last) {
                    factor.is_some_and(|factor| factor.wrong.in_a_row >= ceiling)
                } else {
                    let (requester, channel) = (request::requester(last), request::channel(last));
                    account.is_locked(requester, channel, last.at, &self.proposal)
                };
                if is_locked { "locked" } else { "paused" }
            }
            Refusal::DeviceLimitReached => "device_limit",
            Refusal::TooManyRefreshes { .. } => "too_many_refreshes",
            Refusal::TooManyReads { .. } => "too_many_reads",
            Refusal::RefusedByRule { .. } => REFUSED_BY_RULE,
            Refusal::SpentToken => request::session(last).map_or("session_ended", |session| {
                let end = self.rehearsed.ends.get(&self.named(session));
                end.map_or("not_signed_in", |end| end.why)
            }),
            Refusal::SecondFactorMissing | Refusal::NoSecondFactor => "second_factor_missing",
            Refusal::ProofNotFresh => "proof_not_fresh",
            Refusal::UnknownDevice | Refusal::SessionEnded => "session_ended",
            Refusal::IdentifierTaken
            | Refusal::UnknownIdentifier
            | Refusal::LastIdentifier
            | Refusal::ChangeNotUndoable
            | Refusal::IdentifierHeld
            | Refusal::IdentifierNotHeld
            | Refusal::ProposalOpen
            | Refusal::UnknownProposal
            | Refusal::OwnProposal
            | Refusal::UnknownAccount
            | Refusal::OwnAccount
            | Refusal::RoleMissing => "not_signed_in",
        }
    }

    /// How the sessions' ends differ, where they came before that time.
    pub fn finish(&self, until: DateTime<Utc>) -> impl Iterator<Item = RehearsalDifference> {
        let both = self.recorded.ends.iter().filter_map(move |(session, recorded)| {
            Some((recorded, self.rehearsed.ends.get(&self.named(*session))?))
        });
        both.filter_map(move |(recorded, rehearsed)| {
            let (what, end) = if rehearsed.at < recorded.at {
                (RehearsedOutcome::EndedEarlier, rehearsed)
            } else {
                (RehearsedOutcome::EndedLater, recorded)
            };
            let differs = rehearsed.at != recorded.at && end.at < until;
            differs.then_some(RehearsalDifference { at: end.at, what, why: end.why })
        })
    }
}

/// What was asked for.
fn request_of(last: &UserAccountEvent) -> RehearsedRequest {
    match last.fact {
        AccountFact::Code(
            CodeFact::OtpRequested { .. }
            | CodeFact::OtpResent { .. }
            | CodeFact::OtpRequestRefused {
                asked:
                    CodeAsked::ToSignIn | CodeAsked::Again | CodeAsked::ForAnother | CodeAsked::ToReauthenticate,
                ..
            },
        )
        | AccountFact::Session(SessionFact::SignInRefused { stage: RuleStage::Code, .. }) => {
            RehearsedRequest::Code
        }
        AccountFact::Session(
            SessionFact::LoggedIn { .. }
            | SessionFact::SignInRepeated { .. }
            | SessionFact::SignInRefused { stage: RuleStage::SignIn, .. },
        )
        | AccountFact::Code(CodeFact::OtpRejected { purpose: Purpose::SignIn, .. }) => {
            RehearsedRequest::SignIn
        }
        AccountFact::Session(
            SessionFact::TokenRefreshed { .. }
            | SessionFact::TokenRefreshRetried { .. }
            | SessionFact::TokenReuseDetected { .. }
            | SessionFact::SignInRefused { stage: RuleStage::Refresh, .. }
            | SessionFact::LoggedOut {
                reason: SignOutReason::TokenReuse | SignOutReason::ClientChanged, ..
            },
        ) => RehearsedRequest::Refresh,
        AccountFact::Code(
            CodeFact::OtpRequestRefused { asked: CodeAsked::ToAdd, .. }
            | CodeFact::OtpRejected { purpose: Purpose::AddIdentifier | Purpose::Reauthenticate, .. }
            | CodeFact::LimitsLifted { .. }
            | CodeFact::UnlockLinkIssued { .. }
            | CodeFact::LockLifted { .. },
        )
        | AccountFact::Session(
            SessionFact::SessionReauthenticated { .. }
            | SessionFact::ClientChanged { .. }
            | SessionFact::LoggedOut { .. }
            | SessionFact::DeviceRenamed { .. },
        )
        | AccountFact::Profile(
            ProfileFact::UserRegistered { .. }
            | ProfileFact::ProfileUpdated {}
            | ProfileFact::DataExported { .. }
            | ProfileFact::ErasureRequested { .. }
            | ProfileFact::ErasureCancelled {}
            | ProfileFact::AccountErased { .. },
        )
        | AccountFact::Identifier(
            IdentifierFact::IdentifierRequested { .. }
            | IdentifierFact::IdentifierAdded { .. }
            | IdentifierFact::IdentifierReplaced { .. }
            | IdentifierFact::IdentifierRemoved { .. }
            | IdentifierFact::IdentifierChangeUndone { .. }
            | IdentifierFact::IdentifierRestored { .. }
            | IdentifierFact::IdentifierReleased { .. }
            | IdentifierFact::IdentifierChangeProposed { .. }
            | IdentifierFact::IdentifierChangeConfirmed { .. }
            | IdentifierFact::IdentifierChangeWithdrawn { .. },
        )
        | AccountFact::Staff(
            StaffFact::RolesChanged { .. }
            | StaffFact::AccountSuspended { .. }
            | StaffFact::AccountReinstated { .. }
            | StaffFact::LegalHoldPlaced { .. }
            | StaffFact::LegalHoldReleased { .. }
            | StaffFact::AccessDenied { .. },
        )
        | AccountFact::StaffRecord(_)
        | AccountFact::SecondFactor(
            SecondFactorFact::SecondFactorOffered { .. }
            | SecondFactorFact::SecondFactorEnrolled { .. }
            | SecondFactorFact::SecondFactorPassed { .. }
            | SecondFactorFact::SecondFactorRejected { .. }
            | SecondFactorFact::RecoveryCodesRenewed { .. }
            | SecondFactorFact::SecondFactorRemoved { .. },
        ) => RehearsedRequest::Other,
    }
}

/// Why the events of a command refuse it; none where they grant it.
fn refused(events: &[UserAccountEvent]) -> Option<&'static str> {
    let last = events.last()?;
    if let AccountFact::Code(CodeFact::OtpRequestRefused { reason, .. }) = last.fact {
        return Some(refusal_name(reason));
    }
    if let AccountFact::Code(CodeFact::OtpRejected { reason, .. }) = last.fact {
        return Some(rejection_name(reason));
    }
    if let AccountFact::Session(SessionFact::SignInRefused { .. }) = last.fact {
        return Some(REFUSED_BY_RULE);
    }
    if let AccountFact::SecondFactor(SecondFactorFact::SecondFactorRejected { reason, .. }) = last.fact {
        return Some(factor_rejection_name(reason));
    }
    let AccountFact::Session(SessionFact::LoggedOut { reason, .. }) = last.fact else { return None };
    matches!(reason, SignOutReason::TokenReuse | SignOutReason::ClientChanged).then(|| reason.as_str())
}

/// Why a code was not looked at, where it was not.
fn unseen(last: &UserAccountEvent) -> Option<&'static str> {
    if let AccountFact::SecondFactor(SecondFactorFact::SecondFactorRejected { reason, .. }) = last.fact {
        return matches!(reason, FactorRejected::Paused | FactorRejected::Locked)
            .then(|| factor_rejection_name(reason));
    }
    let AccountFact::Code(CodeFact::OtpRejected { reason, .. }) = last.fact else { return None };
    match reason {
        CodeRejected::Expired | CodeRejected::Paused | CodeRejected::Locked => Some(rejection_name(reason)),
        CodeRejected::Wrong | CodeRejected::DeviceLimit | CodeRejected::Suspended => None,
    }
}

/// Whether it is of an identifier for tests.
fn is_test(last: &UserAccountEvent) -> bool {
    let (AccountFact::Code(CodeFact::OtpRequested { test, .. } | CodeFact::OtpResent { test, .. })
    | AccountFact::Session(SessionFact::LoggedIn { test, .. })) = last.fact
    else {
        return false;
    };
    test
}

/// Whether it is of a code of a second factor.
fn is_of_second_factor(last: &UserAccountEvent) -> bool {
    matches!(
        last.fact,
        AccountFact::SecondFactor(
            SecondFactorFact::SecondFactorEnrolled { .. }
                | SecondFactorFact::SecondFactorPassed { .. }
                | SecondFactorFact::SecondFactorRejected { .. }
        )
    )
}

fn factor_rejection_name(reason: FactorRejected) -> &'static str {
    match reason {
        FactorRejected::Wrong => "wrong",
        FactorRejected::Spent => "spent",
        FactorRejected::Paused => "paused",
        FactorRejected::Locked => "locked",
    }
}

fn refusal_name(reason: CodeRefused) -> &'static str {
    match reason {
        CodeRefused::TooSoon => "too_soon",
        CodeRefused::QuotaSpent => "quota_spent",
        CodeRefused::Paused => "paused",
        CodeRefused::Locked => "locked",
    }
}

fn rejection_name(reason: CodeRejected) -> &'static str {
    match reason {
        CodeRejected::Wrong => "wrong",
        CodeRejected::Expired => "expired",
        CodeRejected::Paused => "paused",
        CodeRejected::Locked => "locked",
        CodeRejected::DeviceLimit => "device_limit",
        CodeRejected::Suspended => "suspended",
    }
}
