//! What holds for every history, whatever was asked and whenever.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::user_account::commands::{
    EndSession, Reauthenticate, RefreshToken, ReinstateAccount, RemoveIdentifier, RequestOtp,
    RequestReauthentication, ResendOtp, SignOutAccount, UndoIdentifierChange, VerifyOtp,
};
use counterfoil_domain::user_account::{
    AccountFact, ClientBinding, CodeFact, CodeRejected, DeviceLimitPolicy, HeldIdentifiers, IdentifierFact,
    Policy, ProfileFact, Purpose, Refusal, Requester, Services, SessionFact, SignOutReason, StaffFact,
    UserAccount, UserAccountCommand, UserAccountEvent,
};
use counterfoil_domain::values::{Channel, Identifier, OtpCode, SessionId};
use cqrs_es::Aggregate as _;
use cqrs_es::event_sink::EventSink;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::events::examples;
use crate::fixtures::*;

/// What came of random commands at random times.
#[derive(Debug)]
struct History {
    policy: Policy,
    events: Vec<UserAccountEvent>,
    account: UserAccount,
}

/// A command, as far as it does not depend on what came before.
#[derive(Clone, Copy, Debug)]
enum Step {
    Request(Channel),
    Resend(Channel),
    Verify {
        channel: Channel,
        right: bool,
    },
    Refresh {
        session: Index,
        spent: bool,
        elsewhere: bool,
    },
    Logout(Index),
    LogoutAll {
        session: Index,
        keep_current: bool,
    },
    Revoke {
        session: Index,
        device: Index,
    },
    RenameDevice {
        session: Index,
        device: Index,
    },
    Rename(Index),
    /// A code asked for by another account.
    Wanted,
    Add {
        session: Index,
        channel: Channel,
    },
    VerifyAdded {
        session: Index,
        channel: Channel,
        right: bool,
    },
    Remove {
        session: Index,
        channel: Channel,
    },
    /// The link of the change of that number, or of one that never was; whether another account has the number.
    Undo {
        change: u32,
        phone_is_taken: bool,
    },
    Release,
    /// A code to prove the user of a session again.
    AskToProve(Index),
    Prove {
        session: Index,
        right: bool,
    },
    Suspend {
        /// For so many seconds.
        seconds: Option<i64>,
    },
    Reinstate,
    EndSession(Index),
    SignOut,
    /// A code, a right code and a refresh that a rule does not allow.
    RefusedCode(Channel),
    RefusedSignIn(Channel),
    RefusedRefresh(Index),
}

impl History {
    fn from_steps((policy, steps): (Policy, Vec<(i64, Step)>)) -> Self {
        let services = services(policy.clone());
        let mut history = Self { policy, events: Vec::new(), account: UserAccount::default() };
        let mut clock = 0;
        for (n, (passed, step)) in (1..).zip(steps) {
            clock += passed;
            let before = history.account.clone();
            let command = history.command(clock, n, step);
            match handle(&mut history.account, command, &services) {
                Ok(events) => history.events.extend(events),
                Err(_) => assert_eq!(history.account, before, "a refusal that is no event changes nothing"),
            }
        }
        history
    }

    /// The step as a command; its nonce and its session are the `n`th.
    fn command(&self, clock: i64, n: u8, step: Step) -> UserAccountCommand {
        match step {
            Step::Request(channel) => {
                RequestOtp { identifier: identifier(channel), ..request_otp(clock, n) }.into()
            }
            Step::Resend(channel) => {
                ResendOtp { identifier: identifier(channel), ..resend_otp(clock, n) }.into()
            }
            Step::Verify { channel, right } => self.verify(clock, n, channel, right).into(),
            Step::Refresh { session, spent, elsewhere: moved } => {
                let client = if moved { elsewhere() } else { client() };
                RefreshToken { client, ..self.refresh(clock, session, spent) }.into()
            }
            Step::LogoutAll { session, keep_current } => {
                let mut command = logout_all(clock, n, keep_current);
                command.session = self.session(session);
                command.into()
            }
            Step::Revoke { session, device } => {
                let mut command = revoke_device(clock, n, n);
                (command.session, command.device) = (self.session(session), self.session(device));
                command.into()
            }
            Step::RenameDevice { session, device } => {
                let mut command = rename_device(clock, n, n);
                (command.session, command.device) = (self.session(session), self.session(device));
                command.into()
            }
            Step::Logout(session) => {
                let mut command = logout(clock, n);
                command.session = self.session(session);
                command.into()
            }
            Step::Wanted => RequestOtp { purpose: Purpose::AddIdentifier, ..request_otp(clock, n) }.into(),
            Step::Add { session, channel } => {
                let mut command = add_identifier(clock, n, new(channel), n);
                command.session = self.session(session);
                command.into()
            }
            Step::VerifyAdded { session, channel, right } => {
                let code = if right { self.right_code_to_add() } else { wrong_code() };
                let mut command = verify_identifier(clock, n, new(channel), code);
                command.session = self.session(session);
                command.into()
            }
            Step::Remove { session, channel } => {
                let held = HeldIdentifiers::after(&self.events);
                let identifier = held.get(channel).cloned().unwrap_or_else(|| new(channel));
                let command = remove_identifier(clock, n, identifier);
                RemoveIdentifier { session: self.session(session), held, ..command }.into()
            }
            Step::Undo { change, phone_is_taken } => {
                let taken = if phone_is_taken { vec![Channel::Phone] } else { Vec::new() };
                UndoIdentifierChange { taken, ..undo_change(clock, change, &self.events) }.into()
            }
            Step::Release => release_identifier(clock).into(),
            Step::AskToProve(session) => RequestReauthentication {
                at: at(clock),
                session: self.session(session),
                identifier: phone(),
                nonce: nonce(n),
                client: client(),
                test: false,
            }
            .into(),
            Step::Prove { session, right } => Reauthenticate {
                at: at(clock),
                session: self.session(session),
                identifier: phone(),
                code: if right { self.right_code_to_prove() } else { wrong_code() },
                client: client(),
                test: false,
            }
            .into(),
            Step::Suspend { seconds } => {
                suspend_account(clock, seconds.map(|seconds| clock + seconds)).into()
            }
            Step::Reinstate => ReinstateAccount { intervention: intervention(clock) }.into(),
            Step::EndSession(session) => {
                EndSession { session: self.session(session), intervention: intervention(clock) }.into()
            }
            Step::RefusedCode(channel) => record_rule_refusal(clock, identifier(channel)).into(),
            Step::RefusedSignIn(channel) => {
                VerifyOtp { refused_by: Some(rule()), ..self.verify(clock, n, channel, true) }.into()
            }
            Step::RefusedRefresh(session) => {
                RefreshToken { refused_by: Some(rule()), ..self.refresh(clock, session, false) }.into()
            }
            Step::SignOut => SignOutAccount { intervention: intervention(clock) }.into(),
            Step::Rename(session) => {
                let mut command = update_profile(clock, n);
                command.session = self.session(session);
                command.into()
            }
        }
    }

    /// With the right code, or a wrong one.
    fn verify(&self, clock: i64, n: u8, channel: Channel, right: bool) -> VerifyOtp {
        let code = if right { self.right_code() } else { wrong_code() };
        VerifyOtp { identifier: identifier(channel), ..verify_otp(clock, code, n) }
    }

    /// With the newest token of a session, or the one before.
    fn refresh(&self, clock: i64, session: Index, spent: bool) -> RefreshToken {
        let session = self.session(session);
        let newest = self.account.sessions().iter().find(|live| live.id == session);
        let generation = newest.map_or(1, |live| live.generation.0);
        RefreshToken { session, ..refresh_token(clock, 0, generation - u32::from(spent)) }
    }

    fn right_code(&self) -> OtpCode {
        let pending = self.account.codes().and_then(|codes| codes.challenge.as_ref());
        code(pending.map_or(0, |pending| pending.nonce.as_bytes()[0]))
    }

    fn right_code_to_add(&self) -> OtpCode {
        let pending = self.account.codes().and_then(|codes| codes.adding.as_ref());
        adding_code(pending.map_or(0, |pending| pending.nonce.as_bytes()[0]))
    }

    fn right_code_to_prove(&self) -> OtpCode {
        let codes = self.account.codes_of(Requester::KnownDevice);
        let pending = codes.and_then(|codes| codes.reauthentication.as_ref());
        proving_code(pending.map_or(0, |pending| pending.nonce.as_bytes()[0]))
    }

    /// One of the sessions there ever were, or one that never was.
    fn session(&self, which: Index) -> SessionId {
        let began = self.events.iter().filter_map(began);
        *which.get(&began.chain([session(0)]).collect::<Vec<_>>())
    }

    /// Each event with the states before and after it.
    fn folds(&self) -> impl Iterator<Item = (UserAccount, &UserAccountEvent, UserAccount)> {
        self.events.iter().scan(UserAccount::default(), |account, event| {
            let before = account.clone();
            account.apply(event.clone());
            Some((before, event, account.clone()))
        })
    }

    /// The times of the events of a kind.
    fn times(&self, of: impl Fn(&AccountFact) -> bool) -> Vec<DateTime<Utc>> {
        self.events.iter().filter(|event| of(&event.fact)).map(|event| event.at).collect()
    }
}

/// Gives the account the command. It has all it needs to decide, so it never waits.
fn handle(
    account: &mut UserAccount,
    command: UserAccountCommand,
    services: &Services,
) -> Result<Vec<UserAccountEvent>, Refusal> {
    let sink = EventSink::default();
    at_once(account.handle(command, services, &sink))?;
    Ok(at_once(sink.collect()))
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a decision waited"),
    }
}

fn identifier(channel: Channel) -> Identifier {
    match channel {
        Channel::Phone => phone(),
        Channel::Email => email(),
    }
}

/// What an account is to get in the place of the identifier it has, or beside it.
fn new(channel: Channel) -> Identifier {
    match channel {
        Channel::Phone => new_phone(),
        Channel::Email => email(),
    }
}

fn folded<'a>(events: impl IntoIterator<Item = &'a UserAccountEvent>) -> UserAccount {
    let mut account = UserAccount::default();
    for event in events {
        account.apply(event.clone());
    }
    account
}

fn last_event_at(account: &UserAccount) -> Option<DateTime<Utc>> {
    match account {
        UserAccount::Unknown => None,
        UserAccount::Pending(pending) => Some(pending.last_event_at),
        UserAccount::Active(_) | UserAccount::Suspended(_) => {
            account.member().map(|member| member.last_event_at)
        }
    }
}

fn began(event: &UserAccountEvent) -> Option<SessionId> {
    let AccountFact::Session(SessionFact::LoggedIn { session, .. }) = event.fact else { return None };
    Some(session)
}

/// Sends a code that is counted for that requester.
fn sends(fact: &AccountFact, by: Requester) -> bool {
    matches!(fact, AccountFact::Code(CodeFact::OtpRequested { requester, .. } |
CodeFact::OtpResent { requester, .. }) if *requester == by)
}

fn asks(fact: &AccountFact) -> bool {
    matches!(fact, AccountFact::Identifier(IdentifierFact::IdentifierRequested { .. }))
}

fn ended_by_change(fact: &AccountFact) -> bool {
    let reasons = [SignOutReason::IdentifierReplaced, SignOutReason::IdentifierRemoved];
    matches!(fact, AccountFact::Session(SessionFact::LoggedOut { reason, .. }) if reasons.contains(reason))
}

/// Where a code went.
fn sent_to(fact: &AccountFact) -> Option<Channel> {
    let AccountFact::Code(CodeFact::OtpRequested { channel, .. } | CodeFact::OtpResent { channel, .. }) =
        fact
    else {
        return None;
    };
    Some(*channel)
}

/// For which kind of identifier a code of that requester was wrong.
fn wrong_to(fact: &AccountFact, by: Requester) -> Option<Channel> {
    let AccountFact::Code(CodeFact::OtpRejected { reason: CodeRejected::Wrong, channel, requester, .. }) =
        fact
    else {
        return None;
    };
    (*requester == by).then_some(*channel)
}

/// Where the code had gone that was right, and began the count of wrong ones anew for who presented it.
fn right_for(fact: &AccountFact, by: Requester) -> Option<Channel> {
    if let AccountFact::Session(SessionFact::LoggedIn { channel, .. }) = fact {
        return (by == Requester::default()).then_some(*channel);
    }
    let AccountFact::Session(SessionFact::SessionReauthenticated { channel, .. }) = fact else { return None };
    (by == Requester::KnownDevice).then_some(*channel)
}

/// What a wrong code was presented for.
fn wrong_for(fact: &AccountFact) -> Option<Purpose> {
    if let AccountFact::Code(CodeFact::OtpRejected { reason: CodeRejected::Wrong, purpose, .. }) = fact {
        Some(*purpose)
    } else {
        None
    }
}

/// For what a new code can be tried from here on.
fn asked_for(fact: &AccountFact) -> Option<Purpose> {
    if matches!(fact, AccountFact::Code(CodeFact::OtpRequested { purpose: Purpose::SignIn, .. })) {
        return Some(Purpose::SignIn);
    }
    if matches!(fact, AccountFact::Code(CodeFact::OtpRequested { purpose: Purpose::Reauthenticate, .. })) {
        return Some(Purpose::Reauthenticate);
    }
    asks(fact).then_some(Purpose::AddIdentifier)
}

/// For what a code was redeemed.
fn redeemed_for(event: &UserAccountEvent) -> Option<Purpose> {
    let signed_in = began(event).map(|_| Purpose::SignIn);
    let proved = matches!(event.fact, AccountFact::Session(SessionFact::SessionReauthenticated { .. }))
        .then_some(Purpose::Reauthenticate);
    let is_restored =
        matches!(event.fact, AccountFact::Identifier(IdentifierFact::IdentifierRestored { .. }));
    signed_in.or(proved).or_else(|| event.acquired().filter(|_| !is_restored).map(|_| Purpose::AddIdentifier))
}

/// The default policy, one whose limits on wrong codes are soon met, one whose limits on all else are, and one that
/// refuses devices and changes of client.
fn policies() -> impl Strategy<Value = Policy> {
    let few_tries =
        Policy { code_tries: 2, wrong_codes_per_hour: 3, wrong_codes_in_a_row: 7, ..Policy::default() };
    let few_codes = Policy {
        codes_per_day: 4,
        session_idle: TimeDelta::days(2),
        session_absolute: TimeDelta::days(3),
        device_limit: 2,
        ..Policy::default()
    };
    let strict = Policy {
        device_limit: 2,
        device_limit_policy: DeviceLimitPolicy::Deny,
        binding: ClientBinding::DeviceAndIp,
        ..Policy::default()
    };
    prop::sample::select(vec![Policy::default(), few_tries, few_codes, strict])
}

/// Most often by phone, so that codes are asked for, tried and redeemed on one channel.
fn channels() -> impl Strategy<Value = Channel> {
    prop_oneof![7 => Just(Channel::Phone), 1 => Just(Channel::Email)]
}

/// Steps of a user who types the right code so often.
fn steps(right: f64) -> impl Strategy<Value = (i64, Step)> {
    let passed = prop_oneof![
        20 => 0..MINUTE,
        20 => MINUTE..6 * MINUTE,
        2 => HOUR..2 * HOUR,
        1 => DAY..20 * DAY,
        1 => -10 * MINUTE..0,
    ];
    let step = prop_oneof![
        6 => channels().prop_map(Step::Request),
        4 => channels().prop_map(Step::Resend),
        8 => (channels(), prop::bool::weighted(right))
            .prop_map(|(channel, right)| Step::Verify { channel, right }),
        2 => (any::<Index>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2))
            .prop_map(|(session, spent, elsewhere)| Step::Refresh { session, spent, elsewhere }),
        1 => any::<Index>().prop_map(Step::Logout),
        1 => (any::<Index>(), any::<bool>())
            .prop_map(|(session, keep_current)| Step::LogoutAll { session, keep_current }),
        1 => any::<[Index; 2]>().prop_map(|[session, device]| Step::Revoke { session, device }),
        1 => any::<[Index; 2]>().prop_map(|[session, device]| Step::RenameDevice { session, device }),
        1 => any::<Index>().prop_map(Step::Rename),
        1 => Just(Step::Wanted),
        3 => (any::<Index>(), channels()).prop_map(|(session, channel)| Step::Add { session, channel }),
        3 => (any::<Index>(), channels(), prop::bool::weighted(right))
            .prop_map(|(session, channel, right)| Step::VerifyAdded { session, channel, right }),
        1 => (any::<Index>(), channels()).prop_map(|(session, channel)| Step::Remove { session, channel }),
        1 => (0..6_u32, prop::bool::weighted(0.2))
            .prop_map(|(change, phone_is_taken)| Step::Undo { change, phone_is_taken }),
        1 => Just(Step::Release),
        2 => any::<Index>().prop_map(Step::AskToProve),
        3 => (any::<Index>(), prop::bool::weighted(right))
            .prop_map(|(session, right)| Step::Prove { session, right }),
        1 => prop::option::of(0..HOUR).prop_map(|seconds| Step::Suspend { seconds }),
        1 => Just(Step::Reinstate),
        1 => any::<Index>().prop_map(Step::EndSession),
        1 => Just(Step::SignOut),
        1 => channels().prop_map(Step::RefusedCode),
        1 => channels().prop_map(Step::RefusedSignIn),
        1 => any::<Index>().prop_map(Step::RefusedRefresh),
    ];
    (passed, step)
}

/// What [`History::of`] is made of, apart from it so that a step that panics is found and reduced to its cause.
fn histories() -> impl Strategy<Value = (Policy, Vec<(i64, Step)>)> {
    let steps =
        prop_oneof![prop::collection::vec(steps(0.05), 0..150), prop::collection::vec(steps(0.8), 0..150),];
    (policies(), steps)
}

/// Events that no account ever decided, in no order.
fn disorder() -> impl Strategy<Value = Vec<UserAccountEvent>> {
    let event = (prop::sample::select(examples()), -DAY..DAY).prop_map(|((_, event), seconds)| {
        UserAccountEvent { at: event.at + TimeDelta::seconds(seconds), ..event }
    });
    prop::collection::vec(event, 0..60)
}

proptest! {
    #[test]
    fn a_replay_of_the_stored_events_gives_the_state_they_left(steps in histories()) {
        let history = History::from_steps(steps);
        prop_assert_eq!(&folded(&history.events), &history.account);

        let stored = serde_json::to_string(&history.events).unwrap();
        let loaded: Vec<UserAccountEvent> = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&folded(&loaded), &history.account, "who the person is decides nothing");
    }

    #[test]
    fn a_state_is_read_back_as_it_was_written(steps in histories()) {
        let history = History::from_steps(steps);
        let json = serde_json::to_string(&history.account).unwrap();
        prop_assert_eq!(serde_json::from_str::<UserAccount>(&json).unwrap(), history.account);
    }

    #[test]
    fn time_never_goes_back(steps in histories()) {
        let history = History::from_steps(steps);
        prop_assert!(history.events.is_sorted_by_key(|event| event.at));
        prop_assert_eq!(last_event_at(&history.account), history.events.last().map(|event| event.at));
    }

    #[test]
    fn nobody_is_signed_in_to_a_suspended_account(steps in histories()) {
        let history = History::from_steps(steps);
        // Until when it may not be used, as the events tell.
        let mut suspension: Option<Option<DateTime<Utc>>> = None;
        for (_, event, account) in history.folds() {
            if began(event).is_some() {
                let over = suspension.is_none_or(|until| until.is_some_and(|until| until <= event.at));
                prop_assert!(over, "a user signed in");
                suspension = None;
            }
            if let AccountFact::Staff(StaffFact::AccountSuspended { until, .. }) = event.fact {
                suspension = Some(until);
            }
            if matches!(event.fact, AccountFact::Staff(StaffFact::AccountReinstated { .. })) {
                suspension = None;
            }
            if suspension.is_some() {
                prop_assert!(account.sessions().is_empty());
            }
            let now = event.at;
            let suspended = suspension.is_some_and(|until| until.is_none_or(|until| now < until));
            prop_assert_eq!(account.is_suspended(now), suspended);
        }
        let ended: Vec<_> = history.events.iter().filter_map(UserAccountEvent::ended_session).collect();
        let ids: std::collections::BTreeSet<_> = ended.iter().map(|(session, _)| *session).collect();
        prop_assert_eq!(ids.len(), ended.len(), "each session ends once");
    }

    #[test]
    fn what_is_remembered_is_bounded(steps in histories()) {
        let history = History::from_steps(steps);
        let policy = &history.policy;
        for (_, _, account) in history.folds() {
            prop_assert!(account.sessions().len() <= policy.device_limit);
            let codes = account.codes().expect("something has happened");
            prop_assert!(codes.sent_elsewhere.len() <= policy.codes_per_day);
            prop_assert!(account.rule_refusals().len() <= 20);
            let known = account.member().and_then(|member| member.known_codes.as_deref());
            for counters in Channel::ALL.map(|channel| codes.counters(channel)).into_iter()
                .chain(known.into_iter().flat_map(|known| Channel::ALL.map(|channel| known.counters(channel))))
            {
                prop_assert!(counters.sent.len() <= policy.codes_per_day);
                prop_assert!(counters.wrong.lately.len() <= policy.wrong_codes_per_hour);
                prop_assert!(counters.wrong.in_a_row <= policy.wrong_codes_in_a_row);
            }
        }
    }

    #[test]
    fn no_more_codes_are_sent_than_the_policy_allows(steps in histories()) {
        let history = History::from_steps(steps);
        let by = |requester, channel| {
            history.times(|fact| sends(fact, requester) && sent_to(fact) == Some(channel))
        };
        let [to_phone, to_email] = Channel::ALL.map(|channel| by(Requester::default(), channel));
        for pair in to_phone.windows(2).chain(to_email.windows(2)) {
            prop_assert!(pair[1] - pair[0] >= history.policy.resend_after);
        }
        for sent in [to_phone, to_email, history.times(asks)] {
            for more_than_a_day_s in sent.windows(history.policy.codes_per_day + 1) {
                let (first, last) = (more_than_a_day_s[0], more_than_a_day_s[history.policy.codes_per_day]);
                prop_assert!(last - first >= TimeDelta::hours(24));
            }
        }
    }

    #[test]
    fn a_code_takes_no_more_wrong_tries_than_the_policy_allows(steps in histories()) {
        let history = History::from_steps(steps);
        for purpose in [Purpose::SignIn, Purpose::AddIdentifier, Purpose::Reauthenticate] {
            let mut tries = 0;
            for (before, event, _) in history.folds() {
                if asked_for(&event.fact) == Some(purpose) {
                    tries = 0;
                } else if wrong_for(&event.fact) == Some(purpose) {
                    tries += 1;
                    prop_assert!(tries <= history.policy.code_tries);
                } else if redeemed_for(event) == Some(purpose) {
                    prop_assert!(tries < history.policy.code_tries);
                    let by_device = purpose == Purpose::Reauthenticate;
                    let requester = if by_device { Requester::KnownDevice } else { Requester::default() };
                    let redeemed = before.codes_of(requester).and_then(|codes| codes.pending(purpose).cloned());
                    prop_assert!(redeemed.is_some_and(|challenge| event.at < challenge.expires_at));
                }
            }
        }
    }

    #[test]
    fn wrong_tries_without_a_right_one_come_no_faster_than_the_policy_allows(steps in histories()) {
        let history = History::from_steps(steps);
        let limit = history.policy.wrong_codes_per_hour;
        for (channel, requester) in Channel::ALL.map(|channel| (channel, Requester::default())).into_iter()
            .chain([(Channel::Phone, Requester::KnownDevice)])
        {
            let since_right = history.events.split(|event| right_for(&event.fact, requester) == Some(channel)
                || requester == Requester::KnownDevice && event.released().is_some()
                || requester != Requester::KnownDevice && event.released() == Some(channel));
            let wrong = since_right.map(|events| {
                let of = |event: &&UserAccountEvent| wrong_to(&event.fact, requester) == Some(channel);
                events.iter().filter(of).collect::<Vec<_>>()
            });
            for wrong in wrong { for more_than_an_hour_s in wrong.windows(limit + 1) {
                prop_assert!(more_than_an_hour_s[limit].at - more_than_an_hour_s[0].at >= TimeDelta::hours(1));
            } }
        }
    }

    #[test]
    fn no_session_outlives_its_end_or_is_used_after_it(steps in histories()) {
        let history = History::from_steps(steps);
        for (before, event, after) in history.folds() {
            for session in after.sessions() {
                prop_assert!(session.expires_at <= session.ends_at);
            }
            if let AccountFact::Session(SessionFact::TokenRefreshed { session, generation, .. }) = event.fact {
                let spent = before.live_session(session, event.at).expect("a live session");
                prop_assert_eq!(generation, spent.generation.next());
                prop_assert_eq!(after.live_session(session, event.at).map(|it| it.ends_at), Some(spent.ends_at));
            }
            if let AccountFact::Session(SessionFact::LoggedOut { session, expires_at, .. }) = event.fact {
                let ended = before.live_session(session, event.at).expect("a live session");
                prop_assert_eq!(expires_at, ended.expires_at);
                prop_assert_eq!(after.live_session(session, event.at), None);
            }
        }
    }

    #[test]
    fn an_account_is_made_once_and_before_its_first_session(steps in histories()) {
        let history = History::from_steps(steps);
        let made = history.times(|fact| matches!(fact, AccountFact::Profile(ProfileFact::UserRegistered { .. })));
        let signed_in = history.times(|fact| matches!(fact, AccountFact::Session(SessionFact::LoggedIn { .. })));
        prop_assert_eq!(made.len(), usize::from(!signed_in.is_empty()));
        prop_assert_eq!(made.first(), signed_in.first());
    }

    #[test]
    fn an_identifier_is_replaced_where_there_was_one_and_no_other_session_outlives_it(steps in histories()) {
        let history = History::from_steps(steps);
        let mut to_end = 0;
        for (before, event, after) in history.folds() {
            if matches!(
                event.fact,
                AccountFact::Identifier(IdentifierFact::IdentifierReplaced { .. } |
IdentifierFact::IdentifierRemoved { by_undo: false, .. })
            ) {
                to_end += before.live_sessions(event.at).count() - 1;
            }
            to_end -= usize::from(ended_by_change(&event.fact));
            prop_assert!(after.identifiers_released() >= before.identifiers_released());
            prop_assert_eq!(event.released().is_some(), after.identifiers_released() > before.identifiers_released());
            if let Some(channel) = event.acquired() {
                prop_assert!(after.has(channel));
                let is_restored = matches!(event.fact, AccountFact::Identifier(IdentifierFact::IdentifierRestored { .. }));
                let is_replaced = matches!(event.fact, AccountFact::Identifier(IdentifierFact::IdentifierReplaced { .. }));
                prop_assert!(is_restored || before.has(channel) == is_replaced);
            }
            if let AccountFact::Identifier(IdentifierFact::IdentifierRemoved { channel, .. }) = event.fact {
                prop_assert!(before.has(channel) && !after.has(channel));
                prop_assert!(after.member().is_some_and(|member| !member.identifiers.is_empty()));
            }
        }
        prop_assert_eq!(to_end, 0);
    }

    #[test]
    fn an_undone_change_leaves_no_session_and_no_identifier_that_came_with_it_or_later(steps in histories()) {
        let history = History::from_steps(steps);
        let undone = |event: &UserAccountEvent| {
            let AccountFact::Identifier(IdentifierFact::IdentifierChangeUndone { change, not_restored }) = &event.fact else { return None };
            not_restored.is_empty().then_some(*change)
        };
        for (n, event) in history.events.iter().enumerate() {
            let Some(change) = undone(event) else { continue };
            let ends = |event: &&UserAccountEvent| matches!(event.fact, AccountFact::Identifier(IdentifierFact::IdentifierRestored { .. } |
IdentifierFact::IdentifierRemoved { by_undo: true, .. }) |
AccountFact::Session(SessionFact::LoggedOut { .. }));
            let commit = history.events[n + 1..].iter().take_while(ends).count();
            let until = &history.events[..=n + commit];
            let (after, held) = (folded(until), HeldIdentifiers::after(until));
            prop_assert_eq!(&held, &HeldIdentifiers::before_change(until, change));
            prop_assert!(after.live_sessions(event.at).next().is_none());
            prop_assert!(Channel::ALL.iter().all(|kind| after.has(*kind) == held.get(*kind).is_some()));
            prop_assert!((change..change + 20).all(|later| after.undoable_change(later, event.at).is_none()));
        }
    }

    #[test]
    fn events_in_any_order_and_more_than_once_load_and_take_commands(
        events in disorder(),
        steps in prop::collection::vec(steps(0.5), 0..10),
    ) {
        let twice = events.iter().flat_map(|event| [event, event]);
        for account in [folded(&events), folded(twice)] {
            let json = serde_json::to_string(&account).unwrap();
            prop_assert_eq!(&serde_json::from_str::<UserAccount>(&json).unwrap(), &account);

            let mut history = History { policy: Policy::default(), events: events.clone(), account };
            let services = services(history.policy.clone());
            for (n, (clock, step)) in (1..).zip(&steps) {
                let command = history.command(*clock, n, *step);
                let earliest = last_event_at(&history.account);
                for event in handle(&mut history.account, command, &services).unwrap_or_default() {
                    prop_assert!(Some(event.at) >= earliest);
                }
            }
        }
    }
}
