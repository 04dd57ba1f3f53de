//! The example values that the tests share: one user, their devices, their commands and what comes of them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::commands::{
    AddIdentifier, Intervention, Logout, LogoutAll, RecordRuleRefusal, RefreshToken, ReleaseIdentifier,
    RemoveIdentifier, RenameDevice, RequestOtp, ResendOtp, RevokeDevice, SuspendAccount,
    UndoIdentifierChange, UpdateProfile, VerifyIdentifier, VerifyOtp,
};
use counterfoil_domain::user_account::{
    AccountFact, ActingStaff, AnswerTimes, ClientMarker, CodeAsked, CodeFact, CodeRefused, CodeRejected,
    HeldIdentifiers, IdentifierFact, NoOutage, OtpMatcher, PersonalDetails, Policy, ProfileFact, Purpose,
    Requester, SecondFactorFact, SecondFactorMatcher, Services, SessionFact, SignOutReason, StaffFact,
    UserAccount, UserAccountEvent,
};
use counterfoil_domain::values::{
    AccountId, AddressMark, AuthenticatorId, ChallengeNonce, Channel, Client, ClientChange, ClientMark,
    DeviceName, EmailAddress, FullName, Generation, Identifier, OperatorName, OtpCode, PhoneNumber,
    ProposalId, Reason, RecoveryBatchId, RecoveryCode, Role, RuleName, SessionId, TimeStep, UserAgent,
};
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// The time, in seconds since the start of 2026.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_767_225_600 + seconds)
}

pub(crate) fn phone() -> Identifier {
    Identifier::Phone(PhoneNumber::parse("+989121234567", None).expect("a mobile number"))
}

pub(crate) fn other_phone() -> Identifier {
    Identifier::Phone(PhoneNumber::parse("+989127654321", None).expect("a mobile number"))
}

/// The number that takes the place of [`phone`].
pub(crate) fn new_phone() -> Identifier {
    Identifier::Phone(PhoneNumber::parse("+989121234568", None).expect("a mobile number"))
}

pub(crate) fn other_email() -> Identifier {
    Identifier::Email(EmailAddress::parse("eve@example.com").expect("an address"))
}

pub(crate) fn email() -> Identifier {
    Identifier::Email(EmailAddress::parse("ada@example.com").expect("an address"))
}

pub(crate) fn fullname() -> FullName {
    FullName::parse("Ada Lovelace").expect("a name")
}

pub(crate) fn device_name() -> DeviceName {
    DeviceName::parse("Ada’s tablet").expect("a name")
}

pub(crate) fn client() -> Client {
    Client {
        ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        user_agent: UserAgent::from_header("Firefox/140.0"),
        device_name: Some(DeviceName::parse("Ada’s laptop").expect("a name")),
    }
}

/// Another browser, in the same network.
pub(crate) fn other_browser() -> Client {
    Client { user_agent: UserAgent::from_header("Chrome/140.0"), ..client() }
}

/// The same browser, in another network.
pub(crate) fn elsewhere() -> Client {
    Client { ip: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), ..client() }
}

/// The mark of a client of `session(s)`.
pub(crate) fn mark(s: u8, client: &Client) -> ClientMark {
    KnownCodes.mark(session(s), client)
}

/// The mark of the address of a client of `session(s)`.
pub(crate) fn address(s: u8, client: &Client) -> AddressMark {
    KnownCodes.address(session(s), client, mark(s, client).network)
}

pub(crate) fn session(n: u8) -> SessionId {
    SessionId(Uuid::from_u128(u128::from(n)))
}

pub(crate) fn authenticator(n: u8) -> AuthenticatorId {
    AuthenticatorId(Uuid::from_u128(u128::from(n)))
}

/// Recovery codes that were given together.
pub(crate) fn batch(n: u8) -> RecoveryBatchId {
    RecoveryBatchId(Uuid::from_u128(u128::from(n)))
}

pub(crate) fn nonce(n: u8) -> ChallengeNonce {
    ChallengeNonce::new([n; 16])
}

/// The right code of `nonce(n)`: for 1 it is `111111`.
pub(crate) fn code(n: u8) -> OtpCode {
    OtpCode::from_number(111_111 * u64::from(n))
}

/// The right code of `nonce(n)` to add an identifier.
pub(crate) fn adding_code(n: u8) -> OtpCode {
    OtpCode::from_number(900_000 + u64::from(n))
}

/// The right code of `nonce(n)` to prove the user of a session again.
pub(crate) fn proving_code(n: u8) -> OtpCode {
    OtpCode::from_number(800_000 + u64::from(n))
}

/// The right code of no nonce there is.
pub(crate) fn wrong_code() -> OtpCode {
    OtpCode::from_number(123_456)
}

/// Knows the codes of [`phone`], [`new_phone`] and [`email`], and of no other identifier.
struct KnownCodes;

impl OtpMatcher for KnownCodes {
    fn matches(
        &self,
        nonce: &ChallengeNonce,
        identifier: &Identifier,
        purpose: Purpose,
        presented: &OtpCode,
    ) -> bool {
        let right = match purpose {
            Purpose::SignIn => code(nonce.as_bytes()[0]),
            Purpose::AddIdentifier => adding_code(nonce.as_bytes()[0]),
            Purpose::Reauthenticate => proving_code(nonce.as_bytes()[0]),
        };
        *presented == right && [phone(), new_phone(), email()].contains(identifier)
    }
}

/// Commits that were decided within these seconds could be answered at their end; `None` for an outage that lasts.
pub(crate) struct Outage(pub(crate) i64, pub(crate) Option<i64>);

impl AnswerTimes for Outage {
    fn answer_possible_at(&self, decided_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let Self(from, until) = self;
        let covers = at(*from) <= decided_at && until.is_none_or(|until| decided_at < at(until));
        if covers { until.map(at) } else { Some(decided_at) }
    }

    fn unanswered_until(&self, decided_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let possible_at = self.answer_possible_at(decided_at);
        possible_at.filter(|possible_at| *possible_at > decided_at)
    }
}

/// The same, on another node than the one whose callers got no answer.
pub(crate) struct OutageElsewhere(pub(crate) Outage);

impl AnswerTimes for OutageElsewhere {
    fn answer_possible_at(&self, decided_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.answer_possible_at(decided_at)
    }

    fn unanswered_until(&self, _: DateTime<Utc>) -> Option<DateTime<Utc>> {
        None
    }
}

/// Hashes without a key.
impl ClientMarker for KnownCodes {
    fn mark(&self, session: SessionId, client: &Client) -> ClientMark {
        ClientMark::from_client(client, |feature| {
            let bytes = session.0.as_bytes().iter().chain(feature);
            bytes.fold(0, |hash: u16, byte| hash.wrapping_mul(31).wrapping_add(u16::from(*byte)))
        })
    }

    fn address(&self, session: SessionId, client: &Client, network: u16) -> AddressMark {
        AddressMark::from_client(client, network, |host| {
            let bytes = session.0.as_bytes().iter().chain(host);
            bytes.fold(0, |hash: u32, byte| hash.wrapping_mul(31).wrapping_add(u32::from(*byte)))
        })
    }
}

/// The code that `authenticator(n)` shows: its number and the half minute.
pub(crate) fn factor_code(n: u8, seconds: i64) -> OtpCode {
    OtpCode::from_number(u64::from(n) * 100_000 + step(seconds).0 % 100_000)
}

/// The recovery code of a number in `batch(n)`.
pub(crate) fn recovery_code(n: u8, number: u8) -> RecoveryCode {
    let letter = |n: u8| char::from(b'A' + n);
    RecoveryCode::parse(&format!("{}{}{}", letter(n), letter(number), "A".repeat(14))).expect("16 letters")
}

/// The half minute of a time.
pub(crate) fn step(seconds: i64) -> TimeStep {
    TimeStep(at(seconds).timestamp().unsigned_abs() / 30)
}

impl SecondFactorMatcher for KnownCodes {
    fn step(&self, authenticator: AuthenticatorId, code: &OtpCode, at: DateTime<Utc>) -> Option<TimeStep> {
        let n = authenticator.0.as_bytes()[15];
        let now = (at - self::at(0)).num_seconds();
        let near = [now - 30, now, now + 30].into_iter().find(|near| factor_code(n, *near) == *code);
        near.map(step)
    }

    fn recovery_code(&self, batch: RecoveryBatchId, code: &RecoveryCode) -> Option<u8> {
        (0..RecoveryBatchId::CODES).find(|number| recovery_code(batch.0.as_bytes()[15], *number) == *code)
    }
}

pub(crate) fn services(policy: Policy) -> Services {
    Services {
        codes: Arc::new(KnownCodes),
        clients: Arc::new(KnownCodes),
        second_factors: Arc::new(KnownCodes),
        answers: Arc::new(NoOutage),
        policy: Arc::new(policy),
    }
}

/// An account to which this has happened, and that goes by the default policy.
pub(crate) fn given(history: impl Into<Vec<UserAccountEvent>>) -> AggregateTestExecutor<UserAccount> {
    given_under(Policy::default(), history)
}

/// The same, on a node that has seen an outage.
pub(crate) fn given_after(
    outage: impl AnswerTimes + 'static,
    history: impl Into<Vec<UserAccountEvent>>,
) -> AggregateTestExecutor<UserAccount> {
    let services = Services { answers: Arc::new(outage), ..services(Policy::default()) };
    TestFramework::with(services).given(history.into())
}

pub(crate) fn given_under(
    policy: Policy,
    history: impl Into<Vec<UserAccountEvent>>,
) -> AggregateTestExecutor<UserAccount> {
    TestFramework::with(services(policy)).given(history.into())
}

// Commands, each given at a time in seconds.

pub(crate) fn request_otp(seconds: i64, n: u8) -> RequestOtp {
    RequestOtp {
        at: at(seconds),
        identifier: phone(),
        purpose: Purpose::SignIn,
        fullname: None,
        nonce: nonce(n),
        client: client(),
        shown: None,
        test: false,
        withheld: false,
    }
}

pub(crate) fn resend_otp(seconds: i64, n: u8) -> ResendOtp {
    ResendOtp {
        at: at(seconds),
        identifier: phone(),
        nonce: nonce(n),
        client: client(),
        shown: None,
        test: false,
        withheld: false,
    }
}

pub(crate) fn verify_otp(seconds: i64, code: OtpCode, s: u8) -> VerifyOtp {
    VerifyOtp {
        at: at(seconds),
        identifier: phone(),
        code,
        session: session(s),
        client: client(),
        language: None,
        shown: None,
        test: false,
        refused_by: None,
    }
}

pub(crate) fn refresh_token(seconds: i64, s: u8, generation: u32) -> RefreshToken {
    RefreshToken {
        at: at(seconds),
        session: session(s),
        generation: Generation(generation),
        client: client(),
        refused_by: None,
    }
}

/// A rule that the tests refuse by.
pub(crate) fn rule() -> RuleName {
    RuleName::parse("company_only").expect("a name")
}

/// A rule refused a code to that identifier.
pub(crate) fn record_rule_refusal(seconds: i64, identifier: Identifier) -> RecordRuleRefusal {
    let (rule, purpose) = (rule(), Purpose::SignIn);
    RecordRuleRefusal { at: at(seconds), rule, identifier, purpose, client: client() }
}

pub(crate) fn logout(seconds: i64, s: u8) -> Logout {
    Logout { at: at(seconds), session: session(s), client: client() }
}

pub(crate) fn logout_all(seconds: i64, s: u8, keep_current: bool) -> LogoutAll {
    LogoutAll { at: at(seconds), session: session(s), keep_current, client: client() }
}

/// From `session(s)`, of `session(device)`.
pub(crate) fn revoke_device(seconds: i64, s: u8, device: u8) -> RevokeDevice {
    RevokeDevice { at: at(seconds), session: session(s), device: session(device), client: client() }
}

/// From `session(s)`, of `session(device)`.
pub(crate) fn rename_device(seconds: i64, s: u8, device: u8) -> RenameDevice {
    let (name, client) = (device_name(), client());
    RenameDevice { at: at(seconds), session: session(s), device: session(device), name, client }
}

pub(crate) fn update_profile(seconds: i64, s: u8) -> UpdateProfile {
    UpdateProfile { at: at(seconds), session: session(s), fullname: fullname(), client: client() }
}

/// From `session(s)`, of an account that has [`phone`].
pub(crate) fn add_identifier(seconds: i64, s: u8, identifier: Identifier, n: u8) -> AddIdentifier {
    AddIdentifier {
        at: at(seconds),
        session: session(s),
        former: Some(phone()).filter(|phone| phone.channel() == identifier.channel()),
        identifier,
        nonce: nonce(n),
        client: client(),
    }
}

/// From `session(s)`, of an account that has [`phone`].
pub(crate) fn verify_identifier(
    seconds: i64,
    s: u8,
    identifier: Identifier,
    code: OtpCode,
) -> VerifyIdentifier {
    VerifyIdentifier {
        at: at(seconds),
        session: session(s),
        former: Some(phone()).filter(|phone| phone.channel() == identifier.channel()),
        identifier,
        code,
        client: client(),
    }
}

pub(crate) fn release_identifier(seconds: i64) -> ReleaseIdentifier {
    ReleaseIdentifier { at: at(seconds), identifier: phone(), client: client() }
}

/// The request, in that session, to remove an identifier from an account that has [`phone`] and [`email`].
pub(crate) fn remove_identifier(seconds: i64, s: u8, identifier: Identifier) -> RemoveIdentifier {
    let held = [phone(), email()].into_iter().collect();
    RemoveIdentifier { at: at(seconds), session: session(s), identifier, held, client: client() }
}

/// The link of a change, opened after these events.
pub(crate) fn undo_change(seconds: i64, change: u32, events: &[UserAccountEvent]) -> UndoIdentifierChange {
    UndoIdentifierChange {
        at: at(seconds),
        change,
        former: HeldIdentifiers::before_change(events, change),
        held: HeldIdentifiers::after(events),
        taken: Vec::new(),
        client: client(),
    }
}

// Events, each as the decisions make it.

/// An event that tells nothing of the person.
pub(crate) fn event(seconds: i64, fact: AccountFact) -> UserAccountEvent {
    UserAccountEvent { at: at(seconds), fact, person: None, client: Some(client()) }
}

/// An event in which a user used or proved an identifier.
pub(crate) fn event_of(identifier: Identifier, seconds: i64, fact: AccountFact) -> UserAccountEvent {
    UserAccountEvent {
        person: Some(PersonalDetails { identifier: Some(identifier), ..PersonalDetails::default() }),
        ..event(seconds, fact)
    }
}

/// A code asked for by phone, before the number has been proved.
pub(crate) fn otp_requested(seconds: i64, n: u8) -> UserAccountEvent {
    requested(phone(), seconds, n, true)
}

/// The same by e-mail.
pub(crate) fn otp_requested_by_email(seconds: i64, n: u8) -> UserAccountEvent {
    requested(email(), seconds, n, true)
}

/// The same by phone, of an account that exists.
pub(crate) fn otp_requested_again(seconds: i64, n: u8) -> UserAccountEvent {
    requested(phone(), seconds, n, false)
}

/// A code asked for by another account, which wants [`phone`].
pub(crate) fn otp_wanted(seconds: i64, n: u8) -> UserAccountEvent {
    let fact = AccountFact::Code(CodeFact::OtpRequested {
        channel: Channel::Phone,
        purpose: Purpose::AddIdentifier,
        nonce: nonce(n),
        expires_at: at(seconds + 5 * MINUTE),
        registering: false,
        session: None,
        requester: Requester::Stranger,
        test: false,
        withheld: false,
    });
    event_of(phone(), seconds, fact)
}

fn requested(identifier: Identifier, seconds: i64, n: u8, registering: bool) -> UserAccountEvent {
    let fact = AccountFact::Code(CodeFact::OtpRequested {
        channel: identifier.channel(),
        purpose: Purpose::SignIn,
        nonce: nonce(n),
        expires_at: at(seconds + 5 * MINUTE),
        registering,
        session: None,
        requester: Requester::Stranger,
        test: false,
        withheld: false,
    });
    event_of(identifier, seconds, fact)
}

pub(crate) fn otp_resent(seconds: i64, n: u8, expires_at: i64) -> UserAccountEvent {
    let fact = AccountFact::Code(CodeFact::OtpResent {
        channel: Channel::Phone,
        purpose: Purpose::SignIn,
        nonce: nonce(n),
        expires_at: at(expires_at),
        requester: Requester::Stranger,
        test: false,
        withheld: false,
        answer_possible_at: None,
    });
    event_of(phone(), seconds, fact)
}

pub(crate) fn otp_request_refused(seconds: i64, reason: CodeRefused, until: i64) -> UserAccountEvent {
    refused_asking(CodeAsked::ToSignIn, phone(), seconds, reason, until)
}

/// A code refused that was asked for in that way.
pub(crate) fn refused_asking(
    asked: CodeAsked,
    identifier: Identifier,
    seconds: i64,
    reason: CodeRefused,
    until: i64,
) -> UserAccountEvent {
    let requester = if asked == CodeAsked::ToAdd { Requester::KnownDevice } else { Requester::default() };
    let (until, channel) = (at(until), identifier.channel());
    event_of(
        identifier,
        seconds,
        AccountFact::Code(CodeFact::OtpRequestRefused { reason, until, asked, channel, requester }),
    )
}

pub(crate) fn otp_rejected(
    seconds: i64,
    reason: CodeRejected,
    tries_left: u8,
    until: Option<i64>,
) -> UserAccountEvent {
    let (purpose, channel) = (Purpose::SignIn, Channel::Phone);
    let (until, requester) = (until.map(at), Requester::Stranger);
    event(
        seconds,
        AccountFact::Code(CodeFact::OtpRejected { purpose, reason, channel, tries_left, until, requester }),
    )
}

pub(crate) fn otp_wrong(seconds: i64, tries_left: u8) -> UserAccountEvent {
    otp_rejected(seconds, CodeRejected::Wrong, tries_left, None)
}

/// A code asked for, and wrong ones tried in the seconds after it.
pub(crate) fn wrongly_tried(seconds: i64, n: u8, times: u8) -> Vec<UserAccountEvent> {
    let tries = (1..=times).map(|nth| otp_wrong(seconds + i64::from(nth), 5 - nth));
    std::iter::once(otp_requested(seconds, n)).chain(tries).collect()
}

/// Ten wrong codes, the last of them at 65 seconds.
pub(crate) fn ten_wrong() -> Vec<UserAccountEvent> {
    [wrongly_tried(0, 1, 5), wrongly_tried(60, 2, 5)].concat()
}

/// So many wrong codes without a right one, five an hour; in the `n`th hour, counted from 0, the nonce is `n`.
pub(crate) fn wrong_in_a_row(times: u8) -> Vec<UserAccountEvent> {
    (0..times.div_ceil(5))
        .flat_map(|hour| wrongly_tried(i64::from(hour) * HOUR, hour, (times - hour * 5).min(5)))
        .collect()
}

pub(crate) fn user_registered(seconds: i64) -> UserAccountEvent {
    let fact = AccountFact::Profile(ProfileFact::UserRegistered { channel: Channel::Phone });
    event_of(phone(), seconds, fact)
}

/// A session that lives for 30 days unless it is refreshed, and for 90 in any case.
pub(crate) fn logged_in(seconds: i64, s: u8) -> UserAccountEvent {
    let fact = AccountFact::Session(SessionFact::LoggedIn {
        session: session(s),
        channel: Channel::Phone,
        generation: Generation::FIRST,
        expires_at: at(seconds + 30 * DAY),
        ends_at: at(seconds + 90 * DAY),
        mark: Some(mark(s, &client())),
        address: Some(address(s, &client())),
        // The first of the sessions is `session(1)` everywhere.
        seen: (s != 1).then(|| mark(1, &client())),
        unfamiliar: None,
        language: None,
        requester: Requester::Stranger,
        test: false,
    });
    event_of(phone(), seconds, fact)
}

pub(crate) fn token_refreshed(seconds: i64, s: u8, generation: u32, expires_at: i64) -> UserAccountEvent {
    let fact = AccountFact::Session(SessionFact::TokenRefreshed {
        session: session(s),
        generation: Generation(generation),
        expires_at: at(expires_at),
        moved: None,
    });
    event(seconds, fact)
}

/// The refresh of `session(s)`, when it came from another address than what came before.
pub(crate) fn moved_to(client: Client, s: u8, mut refreshed: UserAccountEvent) -> UserAccountEvent {
    if let AccountFact::Session(SessionFact::TokenRefreshed { moved, .. }) = &mut refreshed.fact {
        *moved = Some(address(s, &client));
    }
    from(client, refreshed)
}

pub(crate) fn token_refresh_retried(
    seconds: i64,
    s: u8,
    generation: u32,
    issued_at: i64,
    expires_at: i64,
) -> UserAccountEvent {
    let fact = AccountFact::Session(SessionFact::TokenRefreshRetried {
        session: session(s),
        generation: Generation(generation),
        issued_at: at(issued_at),
        expires_at: at(expires_at),
        answer_possible_at: None,
    });
    event(seconds, fact)
}

/// A refresh token of `session(s)` that came from another client than before.
pub(crate) fn client_changed(seconds: i64, s: u8, change: ClientChange, client: Client) -> UserAccountEvent {
    let fact = AccountFact::Session(SessionFact::ClientChanged {
        session: session(s),
        change,
        mark: mark(s, &client),
    });
    from(client, event(seconds, fact))
}

/// The event, when another client brought it about.
pub(crate) fn from(client: Client, event: UserAccountEvent) -> UserAccountEvent {
    UserAccountEvent { client: Some(client), ..event }
}

/// A reuse, and the session's end that follows from it.
pub(crate) fn token_reused(
    seconds: i64,
    s: u8,
    presented: u32,
    newest: u32,
    expires_at: i64,
) -> Vec<UserAccountEvent> {
    let fact = AccountFact::Session(SessionFact::TokenReuseDetected {
        session: session(s),
        presented: Generation(presented),
        newest: Generation(newest),
    });
    vec![event(seconds, fact), logged_out(seconds, s, SignOutReason::TokenReuse, expires_at)]
}

pub(crate) fn logged_out(seconds: i64, s: u8, reason: SignOutReason, expires_at: i64) -> UserAccountEvent {
    let fact = AccountFact::Session(SessionFact::LoggedOut {
        session: session(s),
        reason,
        expires_at: at(expires_at),
        by: None,
    });
    event(seconds, fact)
}

/// The administrator who intervenes.
pub(crate) fn admin() -> ActingStaff {
    ActingStaff::Account(account(1))
}

pub fn operator() -> ActingStaff {
    ActingStaff::Operator(OperatorName::parse("ada").expect("a name"))
}

pub(crate) fn account(n: u8) -> AccountId {
    AccountId(Uuid::from_u128(u128::from(n)))
}

pub(crate) fn proposal(n: u8) -> ProposalId {
    ProposalId(Uuid::from_u128(u128::from(n)))
}

pub(crate) fn reason() -> Reason {
    Reason::parse("Ada says her tablet was stolen").expect("a reason")
}

/// By the administrator, from the office.
pub(crate) fn intervention(seconds: i64) -> Intervention {
    Intervention {
        at: at(seconds),
        by: admin(),
        reason: Some(reason()),
        case: None,
        client: Some(elsewhere()),
    }
}

/// The event, when the administrator brought it about.
pub(crate) fn by_admin(event: UserAccountEvent) -> UserAccountEvent {
    let person = Some(PersonalDetails { reason: Some(reason()), ..PersonalDetails::default() });
    UserAccountEvent { person, ..from(elsewhere(), event) }
}

/// A session that the administrator ended.
pub(crate) fn ended_by_admin(
    seconds: i64,
    s: u8,
    reason: SignOutReason,
    expires_at: i64,
) -> UserAccountEvent {
    let (session, expires_at) = (session(s), at(expires_at));
    by_admin(event(
        seconds,
        AccountFact::Session(SessionFact::LoggedOut { session, reason, expires_at, by: Some(admin()) }),
    ))
}

pub(crate) fn account_suspended(seconds: i64, until: Option<i64>) -> UserAccountEvent {
    by_admin(event(
        seconds,
        AccountFact::Staff(StaffFact::AccountSuspended { until: until.map(at), by: admin() }),
    ))
}

pub(crate) fn account_reinstated(seconds: i64) -> UserAccountEvent {
    by_admin(event(seconds, AccountFact::Staff(StaffFact::AccountReinstated { by: admin() })))
}

pub(crate) fn roles_changed<const N: usize>(seconds: i64, roles: [Role; N]) -> UserAccountEvent {
    by_admin(event(seconds, AccountFact::Staff(StaffFact::RolesChanged { roles: roles.into(), by: admin() })))
}

/// [`signed_in`], and suspended at 60 seconds.
pub(crate) fn suspended(until: Option<i64>) -> Vec<UserAccountEvent> {
    let end = ended_by_admin(60, 1, SignOutReason::Suspended, 10 + 30 * DAY);
    [signed_in(), vec![end, account_suspended(60, until)]].concat()
}

/// Another user's account, suspended.
pub(crate) fn suspend_account(seconds: i64, until: Option<i64>) -> SuspendAccount {
    let (account, until) = (account(2), until.map(at));
    SuspendAccount { account, until, intervention: intervention(seconds) }
}

pub(crate) fn device_renamed(seconds: i64, device: u8) -> UserAccountEvent {
    UserAccountEvent {
        person: Some(PersonalDetails { device_name: Some(device_name()), ..PersonalDetails::default() }),
        ..event(seconds, AccountFact::Session(SessionFact::DeviceRenamed { session: session(device) }))
    }
}

pub(crate) fn profile_updated(seconds: i64) -> UserAccountEvent {
    UserAccountEvent {
        person: Some(PersonalDetails { fullname: Some(fullname()), ..PersonalDetails::default() }),
        ..event(seconds, AccountFact::Profile(ProfileFact::ProfileUpdated {}))
    }
}

/// A code asked for by an account that wants an identifier.
pub(crate) fn identifier_requested(seconds: i64, identifier: Identifier, n: u8) -> UserAccountEvent {
    let fact = AccountFact::Identifier(IdentifierFact::IdentifierRequested {
        channel: identifier.channel(),
        nonce: nonce(n),
        expires_at: at(seconds + 5 * MINUTE),
    });
    event_of(identifier, seconds, fact)
}

/// A wrong code for an address that is wanted.
pub(crate) fn adding_rejected(
    seconds: i64,
    reason: CodeRejected,
    tries_left: u8,
    until: Option<i64>,
) -> UserAccountEvent {
    adding_rejected_of(Channel::Email, seconds, reason, tries_left, until)
}

/// A wrong code for an identifier of that kind that is wanted.
pub(crate) fn adding_rejected_of(
    channel: Channel,
    seconds: i64,
    reason: CodeRejected,
    tries_left: u8,
    until: Option<i64>,
) -> UserAccountEvent {
    let purpose = Purpose::AddIdentifier;
    let (until, requester) = (until.map(at), Requester::KnownDevice);
    event(
        seconds,
        AccountFact::Code(CodeFact::OtpRejected { purpose, reason, channel, tries_left, until, requester }),
    )
}

/// A link that lifts the lock of an identifier, issued with `nonce(n)`.
pub(crate) fn unlock_link_issued(seconds: i64, identifier: Identifier, n: u8) -> UserAccountEvent {
    let (channel, nonce, expires_at) = (identifier.channel(), nonce(n), at(seconds + DAY));
    event_of(
        identifier,
        seconds,
        AccountFact::Code(CodeFact::UnlockLinkIssued { channel, nonce, expires_at }),
    )
}

pub(crate) fn lock_lifted(seconds: i64, channel: Channel) -> UserAccountEvent {
    event(seconds, AccountFact::Code(CodeFact::LockLifted { channel }))
}

pub(crate) fn identifier_added(seconds: i64, identifier: Identifier) -> UserAccountEvent {
    let fact = AccountFact::Identifier(IdentifierFact::IdentifierAdded { channel: identifier.channel() });
    event_of(identifier, seconds, fact)
}

/// A number that took the place of [`phone`].
pub(crate) fn identifier_replaced(seconds: i64, identifier: Identifier) -> UserAccountEvent {
    let fact = AccountFact::Identifier(IdentifierFact::IdentifierReplaced { channel: identifier.channel() });
    let person =
        PersonalDetails { identifier: Some(identifier), former: Some(phone()), ..PersonalDetails::default() };
    UserAccountEvent { person: Some(person), ..event(seconds, fact) }
}

pub(crate) fn identifier_removed(seconds: i64, identifier: Identifier) -> UserAccountEvent {
    let fact = AccountFact::Identifier(IdentifierFact::IdentifierRemoved {
        channel: identifier.channel(),
        by_undo: false,
    });
    let person = PersonalDetails { former: Some(identifier), ..PersonalDetails::default() };
    UserAccountEvent { person: Some(person), ..event(seconds, fact) }
}

/// A former identifier that finds the account again, in the place of that one.
pub(crate) fn identifier_restored(
    seconds: i64,
    identifier: Identifier,
    former: Option<Identifier>,
) -> UserAccountEvent {
    let fact = AccountFact::Identifier(IdentifierFact::IdentifierRestored { channel: identifier.channel() });
    let person = PersonalDetails { identifier: Some(identifier), former, ..PersonalDetails::default() };
    UserAccountEvent { person: Some(person), ..event(seconds, fact) }
}

/// An identifier that goes because the change that brought it is undone.
pub(crate) fn identifier_removed_by_undo(seconds: i64, identifier: Identifier) -> UserAccountEvent {
    let fact = AccountFact::Identifier(IdentifierFact::IdentifierRemoved {
        channel: identifier.channel(),
        by_undo: true,
    });
    UserAccountEvent { fact, ..identifier_removed(seconds, identifier) }
}

pub(crate) fn change_undone(seconds: i64, change: u32, not_restored: &[Channel]) -> UserAccountEvent {
    event(
        seconds,
        AccountFact::Identifier(IdentifierFact::IdentifierChangeUndone {
            change,
            not_restored: not_restored.to_vec(),
        }),
    )
}

pub(crate) fn identifier_released(seconds: i64) -> UserAccountEvent {
    event_of(
        phone(),
        seconds,
        AccountFact::Identifier(IdentifierFact::IdentifierReleased {
            channel: Channel::Phone,
            lapsed: false,
        }),
    )
}

/// The enrolment of `authenticator(n)` with `batch(1)`.
pub(crate) fn factor_enrolled(seconds: i64, s: u8, n: u8) -> UserAccountEvent {
    let (session, authenticator, recovery) = (session(s), authenticator(n), batch(1));
    event(
        seconds,
        AccountFact::SecondFactor(SecondFactorFact::SecondFactorEnrolled {
            session,
            authenticator,
            step: step(seconds),
            recovery,
        }),
    )
}

/// An administrator who enrolled `authenticator(1)` at 100 seconds, in `session(1)`.
pub(crate) fn staff_with_factor() -> Vec<UserAccountEvent> {
    [signed_in(), vec![roles_changed(60, [Role::Admin]), factor_enrolled(100, 1, 1)]].concat()
}

/// A first sign-in, asked for at 0 and done at 10 seconds, on `session(1)`.
pub(crate) fn signed_in() -> Vec<UserAccountEvent> {
    vec![otp_requested(0, 1), user_registered(10), logged_in(10, 1)]
}
