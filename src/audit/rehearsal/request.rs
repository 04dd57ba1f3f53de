//! From what is on record of a command, back to the command.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::commands::{
    AddIdentifier, DisownSession, EndSession, EnrolSecondFactor, Intervention, Logout, LogoutAll,
    PassSecondFactor, Reauthenticate, RefreshToken, RemoveIdentifier, RequestOtp, RequestReauthentication,
    ResendOtp, RevokeDevice, SignOutAccount, SuspendAccount, VerifyIdentifier, VerifyOtp,
};
use counterfoil_domain::user_account::{
    AccountFact, ActingStaff, CodeAsked, CodeFact, CodeRejected, FactorRejected, IdentifierFact, ProfileFact,
    Purpose, Requester, RuleStage, SecondFactorFact, SecondFactorProof, SessionFact, SignOutReason,
    StaffFact, UserAccount, UserAccountCommand, UserAccountEvent,
};
use counterfoil_domain::values::{
    AccountId, ChallengeNonce, Channel, Client, EmailAddress, Generation, Identifier, OtpCode, PhoneNumber,
    RecoveryBatchId, RecoveryCode, RuleName, SecondFactorCode, SessionId,
};
use uuid::Uuid;

use super::on_record::OnRecord;

/// How a command on record is done again.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is used at once")]
pub(super) enum CommandReplay {
    /// As it was: no policy decides it.
    AsItWas,
    /// Not at all: it takes a session, and none would have been left.
    WithoutSession,
    /// The command is decided anew.
    Command { command: UserAccountCommand, on_record: OnRecord },
}

/// Who asked, as far as the event says.
pub(super) fn requester(event: &UserAccountEvent) -> Requester {
    if let AccountFact::Code(
        CodeFact::OtpRequested { requester, .. }
        | CodeFact::OtpResent { requester, .. }
        | CodeFact::OtpRequestRefused { requester, .. }
        | CodeFact::OtpRejected { requester, .. },
    )
    | AccountFact::Session(
        SessionFact::LoggedIn { requester, .. } | SessionFact::SignInRefused { requester, .. },
    ) = event.fact
    {
        return requester;
    }
    if let AccountFact::Identifier(
        IdentifierFact::IdentifierRequested { .. }
        | IdentifierFact::IdentifierAdded { .. }
        | IdentifierFact::IdentifierReplaced { .. },
    ) = event.fact
    {
        return Requester::KnownDevice;
    }
    Requester::Stranger
}

/// For which kind of identifier the code was or would have been.
pub(super) fn channel(event: &UserAccountEvent) -> Channel {
    if let AccountFact::Code(
        CodeFact::OtpRequested { channel, .. }
        | CodeFact::OtpResent { channel, .. }
        | CodeFact::OtpRequestRefused { channel, .. }
        | CodeFact::OtpRejected { channel, .. },
    )
    | AccountFact::Session(
        SessionFact::LoggedIn { channel, .. }
        | SessionFact::SessionReauthenticated { channel, .. }
        | SessionFact::SignInRefused { channel: Some(channel), .. },
    )
    | AccountFact::Identifier(
        IdentifierFact::IdentifierRequested { channel, .. }
        | IdentifierFact::IdentifierAdded { channel }
        | IdentifierFact::IdentifierReplaced { channel }
        | IdentifierFact::IdentifierRemoved { channel, .. },
    ) = event.fact
    {
        return channel;
    }
    Channel::Phone
}

/// The session whose refresh token came.
pub(super) fn session(event: &UserAccountEvent) -> Option<SessionId> {
    let AccountFact::Session(
        SessionFact::SignInRepeated { session, .. }
        | SessionFact::TokenRefreshed { session, .. }
        | SessionFact::TokenRefreshRetried { session, .. }
        | SessionFact::SignInRefused { session: Some(session), .. }
        | SessionFact::LoggedOut { session, .. },
    ) = event.fact
    else {
        return None;
    };
    Some(session)
}

/// The session that begins when a code lets a caller in that did not: named by the code.
fn session_of_code(account: &UserAccount, requester: Requester) -> SessionId {
    let pending = account.codes_of(requester).and_then(|codes| codes.challenge.as_ref());
    SessionId(pending.map_or_else(Uuid::nil, |pending| Uuid::from_bytes(*pending.nonce.as_bytes())))
}

/// How the command that left these events on the account is done again on the other one, which calls sessions by other
/// names. Neither has taken them yet.
pub(super) fn replay(
    commit: &[UserAccountEvent],
    recorded: &UserAccount,
    rehearsed: &UserAccount,
    named: &dyn Fn(SessionId) -> SessionId,
) -> CommandReplay {
    let (Some(first), Some(last)) = (commit.first(), commit.last()) else { return CommandReplay::AsItWas };
    let asked = RecordedCommand { at: last.at, commit, recorded, rehearsed, named };
    match &last.fact {
        AccountFact::Code(fact) => asked.of_code(fact),
        AccountFact::Session(fact) => asked.of_session(first, fact),
        AccountFact::Identifier(fact) => asked.of_identifier(fact),
        AccountFact::SecondFactor(fact) => asked.of_second_factor(fact),
        AccountFact::Profile(ProfileFact::ProfileUpdated {}) => asked.in_the_name_of_any(),
        AccountFact::Profile(ProfileFact::DataExported { session }) => {
            asked.in_the_name_of(asked.live(*session), |_| CommandReplay::AsItWas)
        }
        AccountFact::Profile(
            ProfileFact::UserRegistered { .. }
            | ProfileFact::ErasureRequested { .. }
            | ProfileFact::ErasureCancelled {}
            | ProfileFact::AccountErased { .. },
        ) => CommandReplay::AsItWas,
        AccountFact::Staff(fact) => asked.of_staff(fact),
        AccountFact::StaffRecord(fact) => match fact.by() {
            ActingStaff::Account(_) => asked.in_the_name_of_any(),
            ActingStaff::Operator(_) | ActingStaff::Service(_) => CommandReplay::AsItWas,
        },
    }
}

/// What is known of a command when it came.
struct RecordedCommand<'a> {
    at: DateTime<Utc>,
    commit: &'a [UserAccountEvent],
    recorded: &'a UserAccount,
    rehearsed: &'a UserAccount,
    named: &'a dyn Fn(SessionId) -> SessionId,
}

/// By deciding anew, with the right code where it takes one.
fn again(command: impl Into<UserAccountCommand>) -> CommandReplay {
    CommandReplay::Command { command: command.into(), on_record: OnRecord::right() }
}

impl RecordedCommand<'_> {
    /// Returns how a command about codes is done again.
    fn of_code(&self, fact: &CodeFact) -> CommandReplay {
        match fact {
            CodeFact::OtpRequested { channel, nonce, session: Some(session), test, .. } => {
                self.code_to_reauthenticate(self.live(*session), *channel, *nonce, *test)
            }
            CodeFact::OtpRequested {
                channel,
                purpose,
                nonce,
                session: None,
                requester,
                test,
                withheld,
                ..
            } => {
                let command = self.code(*channel, *purpose, *nonce, *requester, *test);
                again(RequestOtp { withheld: *withheld, ..command })
            }
            CodeFact::OtpResent { channel, nonce, requester, test, withheld, answer_possible_at, .. } => {
                let command = self.code_again(*channel, *nonce, *requester, *test);
                let command = ResendOtp { withheld: *withheld, ..command }.into();
                CommandReplay::Command { command, on_record: OnRecord::right().answered(*answer_possible_at) }
            }
            CodeFact::OtpRequestRefused { asked: how, channel, requester, .. } => {
                self.refused_code(*how, *channel, *requester)
            }
            CodeFact::OtpRejected { purpose, reason, channel, requester, .. } => {
                self.rejected_code(*purpose, *reason, *channel, *requester)
            }
            CodeFact::LimitsLifted { .. }
            | CodeFact::UnlockLinkIssued { .. }
            | CodeFact::LockLifted { .. } => CommandReplay::AsItWas,
        }
    }

    /// Returns how a command about a session is done again, whose commit begins with that event.
    fn of_session(&self, first: &UserAccountEvent, fact: &SessionFact) -> CommandReplay {
        match fact {
            SessionFact::LoggedIn {
                session,
                channel,
                mark,
                address,
                seen,
                language,
                requester,
                test,
                ..
            } => {
                let first = self.recorded.member().and_then(|member| member.first_session);
                let marks = [mark.map(|mark| (*session, mark)), first.zip(*seen)];
                let replaced = self.replaced();
                let command = VerifyOtp {
                    at: self.at,
                    identifier: placeholder(*channel),
                    code: OtpCode::from_number(0),
                    session: *session,
                    client: nowhere(),
                    language: language.clone(),
                    shown: replaced.or_else(|| self.shown(*requester)),
                    test: *test,
                    refused_by: None,
                };
                let marks = marks.into_iter().flatten().collect();
                let on_record =
                    OnRecord { right: true, marks, replaced, address: *address, ..OnRecord::default() };
                CommandReplay::Command { command: command.into(), on_record }
            }
            SessionFact::SessionReauthenticated { session, channel, .. } => self
                .in_the_name_of(self.live(*session), |session| {
                    again(reauthenticate(self.at, session, *channel))
                }),
            SessionFact::SignInRepeated { session, .. } => {
                self.in_the_name_of(self.live(*session), |_| CommandReplay::AsItWas)
            }
            SessionFact::TokenRefreshed { session, .. } => {
                self.refresh(*session, None, None, |newest| newest)
            }
            SessionFact::TokenRefreshRetried { session, answer_possible_at, .. } => {
                let parent = |newest: Generation| Generation(newest.0.saturating_sub(1));
                self.refresh(*session, None, *answer_possible_at, parent)
            }
            SessionFact::LoggedOut { session, reason, by, .. } => {
                self.ended(first, *session, *reason, by.clone())
            }
            SessionFact::SignInRefused { rule, stage, channel, session, requester, .. } => {
                self.refused_by_rule(*rule, *stage, *channel, *session, *requester)
            }
            SessionFact::DeviceRenamed { session } => {
                let caller = self.live(*session).and_then(|_| self.some_session(None));
                self.in_the_name_of(caller, |_| CommandReplay::AsItWas)
            }
            SessionFact::ClientChanged { .. } | SessionFact::TokenReuseDetected { .. } => {
                CommandReplay::AsItWas
            }
        }
    }

    /// Returns how a change of identifiers is done again.
    fn of_identifier(&self, fact: &IdentifierFact) -> CommandReplay {
        match fact {
            IdentifierFact::IdentifierRequested { channel, nonce, .. } => self.code_to_add(*channel, *nonce),
            IdentifierFact::IdentifierAdded { channel } | IdentifierFact::IdentifierReplaced { channel } => {
                let caller = self.some_session(None);
                self.in_the_name_of(caller, |session| again(verify_identifier(self.at, session, *channel)))
            }
            IdentifierFact::IdentifierRemoved { channel, by_undo: false } => {
                let caller = self.some_session(None);
                self.in_the_name_of(caller, |session| again(remove_identifier(self.at, session, *channel)))
            }
            IdentifierFact::IdentifierReleased { .. }
            | IdentifierFact::IdentifierRemoved { by_undo: true, .. }
            | IdentifierFact::IdentifierChangeUndone { .. }
            | IdentifierFact::IdentifierRestored { .. }
            | IdentifierFact::IdentifierChangeProposed { .. }
            | IdentifierFact::IdentifierChangeConfirmed { .. }
            | IdentifierFact::IdentifierChangeWithdrawn { .. } => CommandReplay::AsItWas,
        }
    }

    /// Returns how a command about a second factor is done again.
    fn of_second_factor(&self, fact: &SecondFactorFact) -> CommandReplay {
        match fact {
            SecondFactorFact::SecondFactorOffered { session, .. }
            | SecondFactorFact::RecoveryCodesRenewed { session, .. } => {
                self.in_the_name_of(self.live(*session), |_| CommandReplay::AsItWas)
            }
            SecondFactorFact::SecondFactorEnrolled { session, step, recovery, .. } => {
                let proof = Some(SecondFactorProof::Authenticator { step: *step });
                self.in_the_name_of(self.live(*session), |session| self.enrol(session, *recovery, proof))
            }
            SecondFactorFact::SecondFactorPassed { session, proof } => {
                self.in_the_name_of(self.live(*session), |session| self.pass(session, Some(*proof)))
            }
            SecondFactorFact::SecondFactorRejected { session, reason, .. } => {
                let newest = self.rehearsed.authenticator().map(|enrolled| enrolled.last_step);
                let spent = newest.map(|step| SecondFactorProof::Authenticator { step });
                let proof = spent.filter(|_| *reason == FactorRejected::Spent);
                self.in_the_name_of(self.live(*session), |session| match self.recorded.authenticator() {
                    Some(_) => self.pass(session, proof),
                    None => self.enrol(session, RecoveryBatchId(Uuid::nil()), proof),
                })
            }
            SecondFactorFact::SecondFactorRemoved { .. } => CommandReplay::AsItWas,
        }
    }

    /// Returns how an action of staff is done again.
    fn of_staff(&self, fact: &StaffFact) -> CommandReplay {
        match fact {
            StaffFact::AccountSuspended { until, by } => {
                let (at, by) = (self.at, by.clone());
                let intervention = Intervention { at, by, reason: None, case: None, client: None };
                // Not that of the administrator who suspends it, which is all that is self.
                let account = AccountId(Uuid::nil());
                again(SuspendAccount { account, until: *until, intervention })
            }
            StaffFact::RolesChanged { .. }
            | StaffFact::AccountReinstated { .. }
            | StaffFact::LegalHoldPlaced { .. }
            | StaffFact::LegalHoldReleased { .. }
            | StaffFact::AccessDenied { .. } => CommandReplay::AsItWas,
        }
    }

    /// Returns the command as it was, if a session is left in whose name it can be given.
    fn in_the_name_of_any(&self) -> CommandReplay {
        self.in_the_name_of(self.some_session(None), |_| CommandReplay::AsItWas)
    }

    /// A request for a code that was refused.
    fn refused_code(&self, how: CodeAsked, channel: Channel, requester: Requester) -> CommandReplay {
        let nonce = ChallengeNonce::new([0; 16]);
        match how {
            CodeAsked::ToSignIn => again(self.code(channel, Purpose::SignIn, nonce, requester, false)),
            CodeAsked::ForAnother => {
                again(self.code(channel, Purpose::AddIdentifier, nonce, requester, false))
            }
            CodeAsked::Again => again(self.code_again(channel, nonce, requester, false)),
            CodeAsked::ToAdd => self.code_to_add(channel, nonce),
            CodeAsked::ToReauthenticate => {
                self.code_to_reauthenticate(self.some_session(None), channel, nonce, false)
            }
        }
    }

    /// A code that did nothing.
    fn rejected_code(
        &self,
        purpose: Purpose,
        reason: CodeRejected,
        channel: Channel,
        requester: Requester,
    ) -> CommandReplay {
        // Whether a code was right that was not looked at is not known.
        let right = matches!(reason, CodeRejected::DeviceLimit | CodeRejected::Suspended);
        // A wrong code is on record where one is pending, or where the one redeemed last could be presented again.
        let is_pending = self
            .recorded
            .pending_codes(requester, purpose)
            .is_some_and(|codes| codes.pending(purpose).is_some());
        // No answer was possible yet: without a grace period, only that lets the redeemed code be presented again.
        let later = self.at + TimeDelta::milliseconds(1);
        let answer_possible_at = (reason == CodeRejected::Wrong && !is_pending).then_some(later);
        let on_record = OnRecord { right, answer_possible_at, ..OnRecord::default() };
        match purpose {
            Purpose::SignIn => {
                let command = VerifyOtp {
                    at: self.at,
                    identifier: placeholder(channel),
                    code: OtpCode::from_number(0),
                    session: session_of_code(self.recorded, requester),
                    client: nowhere(),
                    language: None,
                    shown: self.shown(requester),
                    test: false,
                    refused_by: None,
                };
                CommandReplay::Command { command: command.into(), on_record }
            }
            Purpose::AddIdentifier => {
                self.in_the_name_of(self.some_session(None), |session| CommandReplay::Command {
                    command: verify_identifier(self.at, session, channel).into(),
                    on_record,
                })
            }
            Purpose::Reauthenticate => {
                let pending =
                    self.recorded.codes_of(requester).and_then(|codes| codes.reauthentication.as_ref());
                let asked_by = pending.and_then(|code| code.session);
                let session = asked_by.map_or_else(|| self.some_session(None), |session| self.live(session));
                self.in_the_name_of(session, |session| CommandReplay::Command {
                    command: reauthenticate(self.at, session, channel).into(),
                    on_record,
                })
            }
        }
    }

    /// A refusal by a rule, which stays one under any limits: no account decides about a refused code, and one that decides about a
    /// sign-in or a refresh can only refuse it as well.
    fn refused_by_rule(
        &self,
        rule: RuleName,
        stage: RuleStage,
        channel: Option<Channel>,
        session: Option<SessionId>,
        requester: Requester,
    ) -> CommandReplay {
        let is_pending = || self.recorded.codes_of(requester).is_some_and(|codes| codes.challenge.is_some());
        match (stage, session) {
            // A session on the same device would have made room for the new one, and none says on which device it was asked.
            (RuleStage::SignIn, _) if is_pending() && requester == Requester::KnownDevice => {
                CommandReplay::AsItWas
            }
            (RuleStage::SignIn, _) if is_pending() => again(VerifyOtp {
                at: self.at,
                identifier: placeholder(channel.unwrap_or(Channel::Phone)),
                code: OtpCode::from_number(0),
                session: session_of_code(self.recorded, requester),
                client: nowhere(),
                language: None,
                shown: self.shown(requester),
                test: false,
                refused_by: Some(rule),
            }),
            (RuleStage::Refresh, Some(session)) => self.refresh(session, Some(rule), None, |newest| newest),
            // A sign-in that repeated an unanswered one was refused, too.
            (RuleStage::Code | RuleStage::SignIn | RuleStage::Refresh, _) => CommandReplay::AsItWas,
        }
    }

    /// The end of a session, which came of what the first event of the commit tells, or of nothing else.
    fn ended(
        &self,
        first: &UserAccountEvent,
        session: SessionId,
        reason: SignOutReason,
        by: Option<ActingStaff>,
    ) -> CommandReplay {
        let (at, client, name) = (self.at, nowhere(), (self.named)(session));
        let by = by.unwrap_or(ActingStaff::Account(AccountId(Uuid::nil())));
        let intervention = Intervention { at, by, reason: None, case: None, client: None };
        match reason {
            SignOutReason::SignedOut => again(Logout { at, session: name, client }),
            SignOutReason::Disowned => again(DisownSession { at, session: name, client }),
            SignOutReason::EndedByAdmin if self.commit.len() == 1 => {
                again(EndSession { session: name, intervention })
            }
            SignOutReason::EndedByAdmin => again(SignOutAccount { intervention }),
            SignOutReason::SignedOutEverywhere => {
                let kept = self.kept();
                let caller = kept.map_or_else(|| self.some_session(None), |kept| self.live(kept));
                let keep_current = kept.is_some();
                self.in_the_name_of(caller, |session| again(LogoutAll { at, session, keep_current, client }))
            }
            SignOutReason::DeviceRevoked => {
                let caller = self.some_session(Some(session));
                self.in_the_name_of(caller, |session| {
                    again(RevokeDevice { at, session, device: name, client })
                })
            }
            SignOutReason::IdentifierReplaced => {
                let AccountFact::Identifier(IdentifierFact::IdentifierReplaced { channel }) = first.fact
                else {
                    return CommandReplay::AsItWas;
                };
                let caller = self.kept().and_then(|kept| self.live(kept));
                self.in_the_name_of(caller, |session| again(verify_identifier(at, session, channel)))
            }
            SignOutReason::IdentifierRemoved => {
                let AccountFact::Identifier(IdentifierFact::IdentifierRemoved { channel, .. }) = first.fact
                else {
                    return CommandReplay::AsItWas;
                };
                let caller = self.kept().and_then(|kept| self.live(kept));
                self.in_the_name_of(caller, |session| again(remove_identifier(at, session, channel)))
            }
            SignOutReason::TokenReuse => {
                let AccountFact::Session(SessionFact::TokenReuseDetected { presented, .. }) = first.fact
                else {
                    return CommandReplay::AsItWas;
                };
                self.refresh(session, None, None, |_| presented)
            }
            // Which of the two that could have been taken is not on record.
            SignOutReason::ClientChanged => self.refresh(session, None, None, |newest| newest),
            SignOutReason::DeviceLimit
            | SignOutReason::SignedInAgain
            | SignOutReason::Suspended
            | SignOutReason::Erased
            | SignOutReason::IdentifierChangeUndone => CommandReplay::AsItWas,
        }
    }

    fn code(
        &self,
        channel: Channel,
        purpose: Purpose,
        nonce: ChallengeNonce,
        requester: Requester,
        test: bool,
    ) -> RequestOtp {
        RequestOtp {
            at: self.at,
            identifier: placeholder(channel),
            purpose,
            fullname: None,
            nonce,
            client: nowhere(),
            shown: self.shown(requester),
            test,
            withheld: false,
        }
    }

    fn code_again(
        &self,
        channel: Channel,
        nonce: ChallengeNonce,
        requester: Requester,
        test: bool,
    ) -> ResendOtp {
        let (identifier, client, shown) = (placeholder(channel), nowhere(), self.shown(requester));
        ResendOtp { at: self.at, identifier, nonce, client, shown, test, withheld: false }
    }

    fn code_to_add(&self, channel: Channel, nonce: ChallengeNonce) -> CommandReplay {
        self.in_the_name_of(self.some_session(None), |session| {
            let (identifier, client) = (placeholder(channel), nowhere());
            let command = AddIdentifier { at: self.at, session, identifier, former: None, nonce, client };
            CommandReplay::Command { command: command.into(), on_record: OnRecord::default() }
        })
    }

    fn code_to_reauthenticate(
        &self,
        session: Option<SessionId>,
        channel: Channel,
        nonce: ChallengeNonce,
        test: bool,
    ) -> CommandReplay {
        self.in_the_name_of(session, |session| {
            let (at, identifier, client) = (self.at, placeholder(channel), nowhere());
            again(RequestReauthentication { at, session, identifier, nonce, client, test })
        })
    }

    /// The client held a token as old as the one that it presented, whatever it is called in the rehearsal.
    fn refresh(
        &self,
        session: SessionId,
        refused_by: Option<RuleName>,
        answer_possible_at: Option<DateTime<Utc>>,
        presented: impl FnOnce(Generation) -> Generation,
    ) -> CommandReplay {
        let changed = self.commit.iter().find_map(|event| {
            let AccountFact::Session(SessionFact::ClientChanged { mark, .. }) = event.fact else {
                return None;
            };
            Some(mark)
        });
        let recorded = self.recorded.sessions().iter().find(|other| other.id == session);
        let name = (self.named)(session);
        let rehearsed = self.rehearsed.sessions().iter().find(|other| other.id == name);
        let newest = recorded.map_or(Generation::FIRST, |session| session.generation);
        let generation = presented(newest);
        let generation = rehearsed.map_or(generation, |own| as_old(generation, newest, own.generation));
        let mark = changed.or(recorded.and_then(|session| session.mark));
        let moved = self.commit.iter().find_map(|event| {
            let AccountFact::Session(SessionFact::TokenRefreshed { moved, .. }) = event.fact else {
                return None;
            };
            moved
        });
        let address = moved.or(recorded.and_then(|session| session.address));
        let (at, client) = (self.at, nowhere());
        let command = RefreshToken { at, session: name, generation, client, refused_by };
        let marks = mark.map(|mark| (name, mark)).into_iter().collect();
        let on_record = OnRecord { marks, address, answer_possible_at, ..OnRecord::default() };
        CommandReplay::Command { command: command.into(), on_record }
    }

    fn enrol(
        &self,
        session: SessionId,
        recovery: RecoveryBatchId,
        proof: Option<SecondFactorProof>,
    ) -> CommandReplay {
        let (at, code, client) = (self.at, OtpCode::from_number(0), nowhere());
        let command = EnrolSecondFactor { at, session, code, recovery, client };
        CommandReplay::Command {
            command: command.into(),
            on_record: OnRecord { proof, ..OnRecord::default() },
        }
    }

    fn pass(&self, session: SessionId, proof: Option<SecondFactorProof>) -> CommandReplay {
        static RECOVERY_CODE: LazyLock<RecoveryCode> =
            LazyLock::new(|| RecoveryCode::parse("AAAA-AAAA-AAAA-AAAA").expect("16 letters"));
        let code = match proof {
            Some(SecondFactorProof::RecoveryCode { .. }) => SecondFactorCode::Recovery(RECOVERY_CODE.clone()),
            Some(SecondFactorProof::Authenticator { .. }) | None => {
                SecondFactorCode::Authenticator(OtpCode::from_number(0))
            }
        };
        let command = PassSecondFactor { at: self.at, session, code, client: nowhere() };
        CommandReplay::Command {
            command: command.into(),
            on_record: OnRecord { proof, ..OnRecord::default() },
        }
    }

    fn in_the_name_of(
        &self,
        session: Option<SessionId>,
        act: impl FnOnce(SessionId) -> CommandReplay,
    ) -> CommandReplay {
        session.map_or(CommandReplay::WithoutSession, act)
    }

    /// The session as the rehearsal names it, if it is live there.
    fn live(&self, session: SessionId) -> Option<SessionId> {
        self.rehearsed.live_session((self.named)(session), self.at).map(|session| session.id)
    }

    /// The session in whose name a command came is not on record: one that is live in both, the last used, other than
    /// that one. Where there is none, it is certain that its own would have ended.
    fn some_session(&self, other_than: Option<SessionId>) -> Option<SessionId> {
        let candidates =
            self.recorded.live_sessions(self.at).filter(|session| Some(session.id) != other_than);
        let in_both = candidates.filter_map(|session| Some((session.last_used_at, self.live(session.id)?)));
        in_both.max_by_key(|(last_used_at, _)| *last_used_at).map(|(_, session)| session)
    }

    /// The session that the command left when it ended the others; none where it left none.
    fn kept(&self) -> Option<SessionId> {
        let ended = |session| {
            self.commit.iter().any(|event| event.ended_session().is_some_and(|(ended, _)| ended == session))
        };
        self.recorded.live_sessions(self.at).map(|session| session.id).find(|session| !ended(*session))
    }

    /// The session that the sign-in replaced, as the rehearsal names it, if it is live there.
    fn replaced(&self) -> Option<SessionId> {
        let replaced = self.commit.iter().find_map(|event| {
            let AccountFact::Session(SessionFact::LoggedOut { session, reason, .. }) = event.fact else {
                return None;
            };
            (reason == SignOutReason::SignedInAgain).then_some(session)
        });
        self.live(replaced?)
    }

    /// The session of a token that came along is not on record, only that the account knew it.
    fn shown(&self, requester: Requester) -> Option<SessionId> {
        let member = self.recorded.member().filter(|_| requester == Requester::KnownDevice)?;
        let live = self.recorded.sessions().iter().map(|session| session.id);
        let mut known = live.chain(member.known_devices.iter().copied()).map(self.named);
        known.find(|session| self.rehearsed.requester(Some(*session)) == Requester::KnownDevice)
    }
}

/// The generation of a token that is as old as the one that was presented. Where tokens are not rotated all that were given
/// in the rehearsal are of its one generation.
fn as_old(presented: Generation, newest: Generation, own: Generation) -> Generation {
    if own < newest && presented <= newest {
        return presented.min(own);
    }
    Generation(own.0.saturating_add(presented.0).saturating_sub(newest.0))
}

fn verify_identifier(at: DateTime<Utc>, session: SessionId, channel: Channel) -> VerifyIdentifier {
    let (identifier, code) = (placeholder(channel), OtpCode::from_number(0));
    VerifyIdentifier { at, session, identifier, former: None, code, client: nowhere() }
}

fn remove_identifier(at: DateTime<Utc>, session: SessionId, channel: Channel) -> RemoveIdentifier {
    let (identifier, client) = (placeholder(channel), nowhere());
    let held = [identifier.clone()].into_iter().collect();
    RemoveIdentifier { at, session, identifier, held, client }
}

fn reauthenticate(at: DateTime<Utc>, session: SessionId, channel: Channel) -> Reauthenticate {
    let (identifier, code, client) = (placeholder(channel), OtpCode::from_number(0), nowhere());
    Reauthenticate { at, session, identifier, code, client, test: false }
}

/// An identifier of that kind. Which one no decision asks, and who it was is no business of a rehearsal.
fn placeholder(channel: Channel) -> Identifier {
    static PHONE: LazyLock<Identifier> = LazyLock::new(|| {
        Identifier::Phone(PhoneNumber::parse("+12015550123", None).expect("a number for examples"))
    });
    static EMAIL: LazyLock<Identifier> = LazyLock::new(|| {
        Identifier::Email(EmailAddress::parse("user@example.com").expect("an address for examples"))
    });
    match channel {
        Channel::Phone => PHONE.clone(),
        Channel::Email => EMAIL.clone(),
    }
}

fn nowhere() -> Client {
    Client { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), user_agent: None, device_name: None }
}
