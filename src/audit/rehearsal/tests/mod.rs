//! Rehearsals of one account whose record the same decisions left, under a policy that is known.

mod cases;
mod models;
mod same;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::commands::{
    AddIdentifier, ChangeRoles, DisownSession, EndSession, EnrolSecondFactor, Intervention, LiftLimits,
    Logout, LogoutAll, OfferSecondFactor, PassSecondFactor, RecordRuleRefusal, RefreshToken,
    ReinstateAccount, RemoveSecondFactor, RenewRecoveryCodes, RequestOtp, ResendOtp, RevokeDevice,
    SignOutAccount, SuspendAccount, UpdateProfile, VerifyIdentifier, VerifyOtp,
};
use counterfoil_domain::user_account::{
    AccountFact, ActingStaff, AnswerTimes, ClientMarker, OtpMatcher, Policy, Purpose, SecondFactorMatcher,
    Services, SessionFact, UserAccount, UserAccountCommand, UserAccountEvent,
};
use counterfoil_domain::values::{
    AccountId, AddressMark, AuthenticatorId, ChallengeNonce, Client, ClientMark, EmailAddress, FullName,
    Generation, Identifier, OperatorName, OtpCode, PhoneNumber, RecoveryBatchId, RecoveryCode, Role,
    RuleName, SecondFactorCode, SessionId, TimeStep, UserAgent,
};
use cqrs_es::Aggregate as _;
use uuid::Uuid;

use super::{AccountRehearsal, RehearsalDifference, RehearsedOutcome};

/// A service with one account, and what is on record of it.
struct Service {
    services: Services,
    now: DateTime<Utc>,
    account: UserAccount,
    commits: Vec<Vec<UserAccountEvent>>,
    /// The refresh tokens of each session, in the order they were given.
    tokens: Vec<(SessionId, Vec<Generation>)>,
    next: u8,
}

/// Knows the codes: the first byte of a nonce is its code.
struct KnownCodes;

impl OtpMatcher for KnownCodes {
    fn matches(&self, nonce: &ChallengeNonce, _: &Identifier, _: Purpose, code: &OtpCode) -> bool {
        *code == OtpCode::from_number(u64::from(nonce.as_bytes()[0]) + 1)
    }
}

/// Hashes without a key.
impl ClientMarker for KnownCodes {
    fn mark(&self, session: SessionId, client: &Client) -> ClientMark {
        ClientMark::from_client(client, |feature| {
            let bytes = session.0.as_bytes().iter().chain(feature);
            bytes.fold(1, |hash: u16, byte| hash.wrapping_mul(31).wrapping_add(u16::from(*byte)))
        })
    }

    fn address(&self, _: SessionId, client: &Client, network: u16) -> AddressMark {
        AddressMark::from_client(client, network, |host| host.iter().map(|byte| u32::from(*byte)).sum())
    }
}

/// An authenticator shows 1, then 2, and so on, in half a minute; a recovery code begins with its number as a letter.
/// What is decided in every seventh minute can be answered when that minute is over.
struct OutageEverySeventhMinute;

impl AnswerTimes for OutageEverySeventhMinute {
    fn answer_possible_at(&self, decided_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let minute = decided_at.timestamp().div_euclid(60);
        if minute % 7 != 0 {
            return Some(decided_at);
        }
        DateTime::from_timestamp((minute + 1) * 60, 0)
    }

    fn unanswered_until(&self, decided_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let possible_at = self.answer_possible_at(decided_at);
        possible_at.filter(|possible_at| *possible_at > decided_at)
    }
}

impl SecondFactorMatcher for KnownCodes {
    fn step(&self, _: AuthenticatorId, code: &OtpCode, at: DateTime<Utc>) -> Option<TimeStep> {
        let step = at.timestamp().unsigned_abs() / 30;
        (*code == OtpCode::from_number(step % 1_000_000)).then_some(TimeStep(step))
    }

    fn recovery_code(&self, _: RecoveryBatchId, code: &RecoveryCode) -> Option<u8> {
        code.as_str().bytes().next().map(|letter| letter - b'A').filter(|n| *n < RecoveryBatchId::CODES)
    }
}

fn rule() -> RuleName {
    RuleName::parse("company_only").expect("a name")
}

fn phone() -> Identifier {
    Identifier::Phone(PhoneNumber::parse("+989121234567", None).expect("a number"))
}

fn email() -> Identifier {
    Identifier::Email(EmailAddress::parse("ada@example.com").expect("an address"))
}

/// One of four clients: two devices, in two networks.
fn client(n: u8) -> Client {
    Client {
        ip: IpAddr::V4(Ipv4Addr::new(192, 0, n & 1, 7)),
        user_agent: UserAgent::from_header(if n & 2 == 0 { "Firefox/140" } else { "Chrome/140" }),
        device_name: None,
    }
}

impl Service {
    fn under(policy: Policy) -> Self {
        Self {
            services: Services {
                codes: Arc::new(KnownCodes),
                clients: Arc::new(KnownCodes),
                second_factors: Arc::new(KnownCodes),
                answers: Arc::new(OutageEverySeventhMinute),
                policy: Arc::new(policy),
            },
            now: DateTime::UNIX_EPOCH + TimeDelta::days(20_000),
            account: UserAccount::default(),
            commits: Vec::new(),
            tokens: Vec::new(),
            next: 0,
        }
    }

    fn wait(&mut self, seconds: i64) -> &mut Self {
        self.now += TimeDelta::seconds(seconds);
        self
    }

    /// Does what is asked; whether anything of it is on record.
    fn ask(&mut self, command: impl Into<UserAccountCommand>) -> bool {
        let command: UserAccountCommand = command.into();
        let events = command.decide(&self.account, &self.services).unwrap_or_default();
        for event in &events {
            if let AccountFact::Session(SessionFact::LoggedIn { session, generation, .. }) = event.fact {
                self.tokens.push((session, vec![generation]));
            }
            if let AccountFact::Session(SessionFact::TokenRefreshed { session, generation, .. }) = event.fact
                && let Some((_, tokens)) = self.tokens.iter_mut().find(|(its, _)| *its == session)
            {
                tokens.push(generation);
            }
            self.account.apply(event.clone());
        }
        let is_on_record = !events.is_empty();
        self.commits.extend(is_on_record.then_some(events));
        is_on_record
    }

    fn nonce(&mut self) -> ChallengeNonce {
        self.next = self.next.wrapping_add(1);
        ChallengeNonce::new([self.next; 16])
    }

    fn code(&mut self, purpose: Purpose, shown: Option<SessionId>) -> &mut Self {
        let (identifier, nonce) = (phone(), self.nonce());
        let (at, client) = (self.now, client(0));
        let (test, withheld) = (false, false);
        self.ask(RequestOtp {
            at,
            identifier,
            purpose,
            fullname: None,
            nonce,
            client,
            shown,
            test,
            withheld,
        });
        self
    }

    fn code_again(&mut self, shown: Option<SessionId>) -> &mut Self {
        let (identifier, nonce) = (phone(), self.nonce());
        let (at, client, test, withheld) = (self.now, client(0), false, false);
        self.ask(ResendOtp { at, identifier, nonce, client, shown, test, withheld });
        self
    }

    /// The code that is pending, or one that is wrong.
    fn pending(&self, purpose: Purpose, shown: Option<SessionId>, right: bool) -> OtpCode {
        let codes = self
            .account
            .codes_of(self.account.requester(shown))
            .filter(|codes| codes.pending(purpose).is_some());
        let pending = codes.or(self.account.codes()).and_then(|codes| codes.pending(purpose));
        let number =
            pending.filter(|_| right).map_or(0, |pending| u64::from(pending.nonce.as_bytes()[0]) + 1);
        OtpCode::from_number(number)
    }

    fn try_code(&mut self, right: bool, shown: Option<SessionId>, from: u8) -> &mut Self {
        self.try_code_by_rules(right, shown, from, None)
    }

    /// The same, where that rule does not let a right code sign in.
    fn try_code_by_rules(
        &mut self,
        right: bool,
        shown: Option<SessionId>,
        from: u8,
        refused_by: Option<RuleName>,
    ) -> &mut Self {
        let code = self.pending(Purpose::SignIn, shown, right);
        let session = SessionId(Uuid::from_u128(self.commits.len() as u128 + 1_000));
        let (at, client) = (self.now, client(from));
        self.ask(VerifyOtp {
            at,
            identifier: phone(),
            code,
            session,
            client,
            language: None,
            shown,
            test: false,
            refused_by,
        });
        self
    }

    /// Signs a device in.
    fn sign_in(&mut self) -> SessionId {
        self.code(Purpose::SignIn, None).wait(5).try_code(true, None, 0);
        self.tokens.last().expect("signed in").0
    }

    /// Presents the token that came so many before the last.
    fn refresh(&mut self, session: SessionId, behind: usize, from: u8) -> &mut Self {
        self.refresh_by_rules(session, behind, from, None)
    }

    /// The same, where that rule does not let the session go on.
    fn refresh_by_rules(
        &mut self,
        session: SessionId,
        behind: usize,
        from: u8,
        refused_by: Option<RuleName>,
    ) -> &mut Self {
        let tokens = self.tokens.iter().find(|(its, _)| *its == session);
        let token =
            tokens.and_then(|(_, tokens)| tokens.iter().rev().nth(behind).or(tokens.first()).copied());
        let generation = token.unwrap_or(Generation::FIRST);
        let (at, client) = (self.now, client(from));
        self.ask(RefreshToken { at, session, generation, client, refused_by });
        self
    }

    /// What the authenticator shows, or a code that is wrong.
    fn shown(&self, right: bool) -> OtpCode {
        let step = self.now.timestamp().unsigned_abs() / 30;
        OtpCode::from_number(if right { step } else { step + 500_000 })
    }

    fn pass_by_authenticator(&mut self, session: SessionId, right: bool) -> &mut Self {
        let code = SecondFactorCode::Authenticator(self.shown(right));
        self.ask(PassSecondFactor { at: self.now, session, code, client: client(0) });
        self
    }

    fn pass_by_recovery_code(&mut self, session: SessionId, number: u8) -> &mut Self {
        let code = format!("{}{}", char::from(b'A' + number), "A".repeat(RecoveryCode::LENGTH - 1));
        let code = SecondFactorCode::Recovery(RecoveryCode::parse(&code).expect("16 letters"));
        self.ask(PassSecondFactor { at: self.now, session, code, client: client(0) });
        self
    }

    /// Makes the account one of staff, and confirms an authenticator.
    fn employ(&mut self, session: SessionId, right: bool) -> &mut Self {
        let (at, id) = (self.now, Uuid::from_u128(self.commits.len() as u128));
        let (account, roles) = (AccountId(Uuid::nil()), [Role::Admin].into());
        self.ask(ChangeRoles { account, roles, intervention: self.staff() });
        let authenticator = AuthenticatorId(id);
        self.ask(OfferSecondFactor { at, session, authenticator, client: client(0) });
        let (code, recovery) = (self.shown(right), RecoveryBatchId(id));
        self.ask(EnrolSecondFactor { at, session, code, recovery, client: client(0) });
        self
    }

    fn staff(&self) -> Intervention {
        Intervention {
            at: self.now,
            by: ActingStaff::Operator(OperatorName::parse("ada").unwrap()),
            reason: None,
            case: None,
            client: None,
        }
    }

    /// The differences, had another policy held from after so many commits on.
    fn rehearsed(&self, policy: Policy, from: usize) -> (Vec<RehearsalDifference>, AccountRehearsal) {
        let mut rehearsal = AccountRehearsal::new(Arc::new(policy));
        for event in self.commits[..from].iter().flatten() {
            rehearsal.remember(event.clone());
        }
        let mut differences: Vec<RehearsalDifference> =
            self.commits[from..].iter().filter_map(|commit| rehearsal.take(commit)).collect();
        differences.extend(rehearsal.finish(self.now));
        (differences, rehearsal)
    }

    /// What would have been different, and why, under another policy.
    fn under_proposal(&self, policy: Policy) -> Vec<(RehearsedOutcome, &'static str)> {
        let differences = self.rehearsed(policy, 0).0.into_iter();
        differences.map(|difference| (difference.what, difference.why)).collect()
    }
}
