//! Prove the user of a session again, by a code.

use counterfoil_domain::user_account::commands::{Reauthenticate, RequestOtp, RequestReauthentication};
use counterfoil_domain::user_account::{
    AccountFact, CodeAsked, CodeFact, CodeRefused, CodeRejected, CodeSent, Purpose, Refusal, Requester,
    SessionFact, SignOutReason, UserAccountEvent,
};
use counterfoil_domain::values::{Channel, Identifier, OtpCode};

use crate::fixtures::*;

/// A request for a code, from `session(s)`.
fn ask(seconds: i64, s: u8, n: u8) -> RequestReauthentication {
    RequestReauthentication {
        at: at(seconds),
        session: session(s),
        identifier: phone(),
        nonce: nonce(n),
        client: client(),
        test: false,
    }
}

/// A code presented, from `session(s)`.
fn prove(seconds: i64, s: u8, code: OtpCode) -> Reauthenticate {
    let (at, session) = (at(seconds), session(s));
    Reauthenticate { at, session, identifier: phone(), code, client: client(), test: false }
}

fn asked(seconds: i64, s: u8, n: u8) -> UserAccountEvent {
    asked_at(phone(), seconds, s, n)
}

fn asked_at(identifier: Identifier, seconds: i64, s: u8, n: u8) -> UserAccountEvent {
    let fact = AccountFact::Code(CodeFact::OtpRequested {
        channel: identifier.channel(),
        purpose: Purpose::Reauthenticate,
        nonce: nonce(n),
        expires_at: at(seconds + 5 * MINUTE),
        registering: false,
        session: Some(session(s)),
        requester: Requester::KnownDevice,
        test: false,
        withheld: false,
    });
    event_of(identifier, seconds, fact)
}

fn proved(seconds: i64, s: u8) -> UserAccountEvent {
    let fact = AccountFact::Session(SessionFact::SessionReauthenticated {
        session: session(s),
        channel: Channel::Phone,
        test: false,
    });
    event_of(phone(), seconds, fact)
}

fn rejected(seconds: i64, reason: CodeRejected, tries_left: u8, until: Option<i64>) -> UserAccountEvent {
    let (purpose, channel, requester) = (Purpose::Reauthenticate, Channel::Phone, Requester::KnownDevice);
    let until = until.map(at);
    event(
        seconds,
        AccountFact::Code(CodeFact::OtpRejected { purpose, reason, channel, tries_left, until, requester }),
    )
}

fn refused(seconds: i64, reason: CodeRefused, until: i64) -> UserAccountEvent {
    let (asked, channel) = (CodeAsked::ToReauthenticate, Channel::Phone);
    let requester = Requester::KnownDevice;
    event_of(
        phone(),
        seconds,
        AccountFact::Code(CodeFact::OtpRequestRefused {
            reason,
            until: at(until),
            asked,
            channel,
            requester,
        }),
    )
}

/// Signed in at 10 seconds by `session(1)`, at 20 by `session(2)`; the first asks for a code an hour later.
fn pending() -> Vec<UserAccountEvent> {
    [signed_in(), vec![logged_in(20, 2), asked(HOUR, 1, 5)]].concat()
}

#[test]
fn the_code_proves_the_session_that_asked_and_it_may_change_how_the_account_is_found() {
    given(signed_in()).when(ask(HOUR, 1, 5).into()).then_expect_events(vec![asked(HOUR, 1, 5)]);
    given(pending())
        .when(prove(HOUR + 20, 1, proving_code(5)).into())
        .then_expect_events(vec![proved(HOUR + 20, 1)]);
    let after = [pending(), vec![proved(HOUR + 20, 1)]].concat();
    let late = HOUR + 20 + 10 * MINUTE;
    given(after.clone())
        .when(add_identifier(late, 1, email(), 6).into())
        .then_expect_events(vec![identifier_requested(late, email(), 6)]);
    for (seconds, s) in [(late + 1, 1), (HOUR + 30, 2)] {
        given(after.clone())
            .when(add_identifier(seconds, s, email(), 6).into())
            .then_expect_error(Refusal::ProofNotFresh);
    }
}

#[test]
fn the_answer_is_the_code_that_goes_out() {
    let sent = CodeSent::from_event(&asked(0, 1, 5)).expect("an answer").expect("sent");
    assert_eq!((sent.purpose, sent.nonce, sent.channel), (Purpose::Reauthenticate, nonce(5), Channel::Phone));
}

#[test]
fn a_session_that_has_ended_or_never_began_asks_for_nothing_and_proves_nothing() {
    let ended = [pending(), vec![logged_out(HOUR + 10, 1, SignOutReason::SignedOut, 10 + 30 * DAY)]];
    for history in [vec![], vec![otp_requested(0, 1)], ended.concat()] {
        given(history.clone()).when(ask(2 * HOUR, 1, 6).into()).then_expect_error(Refusal::SessionEnded);
        given(history)
            .when(prove(HOUR + 20, 1, proving_code(5)).into())
            .then_expect_error(Refusal::SessionEnded);
    }
}

#[test]
fn the_code_of_another_session_is_none_here_and_stays_good_for_its_own() {
    for code in [proving_code(5), wrong_code()] {
        given(pending()).when(prove(HOUR + 20, 2, code).into()).then_expect_error(Refusal::InvalidCode);
    }
    // The next session to ask voids it.
    let taken_over = [pending(), vec![asked(HOUR + 60, 2, 6)]].concat();
    given(taken_over.clone())
        .when(prove(HOUR + 70, 1, proving_code(5)).into())
        .then_expect_error(Refusal::InvalidCode);
    given(taken_over)
        .when(prove(HOUR + 70, 2, proving_code(6)).into())
        .then_expect_events(vec![proved(HOUR + 70, 2)]);
}

#[test]
fn it_neither_signs_in_nor_adds_an_identifier_nor_does_a_code_for_those_prove_the_user() {
    let beside =
        [pending(), vec![identifier_requested(HOUR + 1, email(), 6), otp_requested_again(HOUR + 2, 7)]];
    let history = beside.concat();
    for code in [code(7), adding_code(6), adding_code(5), code(5)] {
        let wrong = rejected(HOUR + 20, CodeRejected::Wrong, 4, None);
        given(history.clone()).when(prove(HOUR + 20, 1, code).into()).then_expect_events(vec![wrong]);
    }
    given(history.clone())
        .when(verify_otp(HOUR + 20, proving_code(5), 3).into())
        .then_expect_events(vec![otp_wrong(HOUR + 20, 4)]);
    given(history)
        .when(verify_identifier(HOUR + 20, 1, email(), proving_code(5)).into())
        .then_expect_events(vec![adding_rejected(HOUR + 20, CodeRejected::Wrong, 4, None)]);
}

#[test]
fn a_code_works_once_until_it_expires_and_for_five_tries() {
    let used = [pending(), vec![proved(HOUR + 20, 1)]].concat();
    given(used).when(prove(HOUR + 30, 1, proving_code(5)).into()).then_expect_error(Refusal::InvalidCode);
    let end = HOUR + 5 * MINUTE;
    given(pending()).when(prove(end, 1, proving_code(5)).into()).then_expect_events(vec![rejected(
        end,
        CodeRejected::Expired,
        0,
        None,
    )]);
    let wrong = |n: u8| rejected(HOUR + i64::from(n), CodeRejected::Wrong, 5 - n, None);
    let four = [pending(), (1..=4).map(wrong).collect()].concat();
    given(four.clone()).when(prove(HOUR + 20, 1, wrong_code()).into()).then_expect_events(vec![rejected(
        HOUR + 20,
        CodeRejected::Wrong,
        0,
        None,
    )]);
    given([four, vec![wrong(5)]].concat())
        .when(prove(HOUR + 20, 1, proving_code(5)).into())
        .then_expect_error(Refusal::InvalidCode);
}

#[test]
fn codes_and_wrong_codes_count_with_those_of_a_known_device_that_signs_in() {
    let shown = |command: RequestOtp| RequestOtp { shown: Some(session(1)), ..command };
    given(pending()).when(ask(HOUR + 59, 1, 6).into()).then_expect_events(vec![refused(
        HOUR + 59,
        CodeRefused::TooSoon,
        HOUR + 60,
    )]);
    given(pending())
        .when(shown(request_otp(HOUR + 59, 6)).into())
        .inspect_result()
        .map(|events| {
            assert!(
                matches!(events[0].fact, AccountFact::Code(CodeFact::OtpRequestRefused { .. })),
                "{events:?}"
            );
        })
        .expect("on record");
    // A stranger is not held up by it.
    given(pending())
        .when(request_otp(HOUR + 59, 6).into())
        .then_expect_events(vec![otp_requested_again(HOUR + 59, 6)]);

    let ten = (0..10).map(|n| asked(HOUR + 60 * i64::from(n), 1, n));
    let ten = signed_in().into_iter().chain(ten).collect::<Vec<_>>();
    given(ten).when(ask(2 * HOUR, 1, 6).into()).then_expect_events(vec![refused(
        2 * HOUR,
        CodeRefused::QuotaSpent,
        HOUR + DAY,
    )]);

    let wrong = (1..=10).map(|n| rejected(HOUR + n, CodeRejected::Wrong, 4, None));
    let paused = pending().into_iter().chain(wrong).collect::<Vec<_>>();
    let until = 2 * HOUR + 10;
    given(paused.clone())
        .when(prove(HOUR + 20, 1, proving_code(5)).into())
        .then_expect_events(vec![rejected(HOUR + 20, CodeRejected::Paused, 0, Some(until))]);
    given(paused).when(ask(HOUR + 60, 1, 6).into()).then_expect_events(vec![refused(
        HOUR + 60,
        CodeRefused::Paused,
        until,
    )]);
}

#[test]
fn a_hundred_wrong_codes_in_a_row_lock_it_and_the_right_one_begins_the_count_anew() {
    let wrong = |from: i64, count: i64| {
        (0..count).map(move |n| rejected(from + n * HOUR, CodeRejected::Wrong, 4, None))
    };
    let locked = [signed_in(), wrong(HOUR, 100).collect(), vec![asked(102 * HOUR, 1, 5)]].concat();
    let tried = 102 * HOUR + 10;
    given(locked).when(prove(tried, 1, proving_code(5)).into()).then_expect_events(vec![rejected(
        tried,
        CodeRejected::Locked,
        0,
        Some(tried + DAY),
    )]);
    let again = [
        signed_in(),
        wrong(HOUR, 99).collect(),
        vec![asked(102 * HOUR, 1, 5), proved(102 * HOUR + 1, 1)],
        wrong(103 * HOUR, 1).collect(),
        vec![asked(104 * HOUR, 1, 6)],
    ];
    given(again.concat())
        .when(prove(104 * HOUR + 10, 1, proving_code(6)).into())
        .then_expect_events(vec![proved(104 * HOUR + 10, 1)]);
}

#[test]
fn a_proof_that_an_outage_kept_from_its_answer_is_accepted_again_in_its_session_and_changes_nothing() {
    let history = || [pending(), vec![proved(HOUR + 20, 1)]].concat();
    let outage = || Outage(HOUR + 15, Some(HOUR + 25));
    let again = |s| prove(HOUR + 30, s, proving_code(5));
    given_after(outage(), history()).when(again(1).into()).then_expect_events(Vec::new());
    given_after(outage(), history()).when(again(2).into()).then_expect_error(Refusal::InvalidCode);
    given(history()).when(again(1).into()).then_expect_error(Refusal::InvalidCode);
}

#[test]
fn a_proof_does_not_keep_a_known_device_from_the_code_that_it_asked_for_without_a_token() {
    let history = [pending(), vec![otp_requested_again(HOUR + 10, 7), proved(HOUR + 20, 1)]].concat();
    let mut command = verify_otp(HOUR + 30, code(7), 3);
    command.shown = Some(session(2));
    let events = given(history).when(command.into()).inspect_result().expect("signed in");
    assert!(
        events.iter().any(|event| matches!(event.fact, AccountFact::Session(SessionFact::LoggedIn { .. }))),
        "{events:?}"
    );
}

#[test]
fn what_takes_the_identifier_away_voids_the_code() {
    let replaced = [pending(), vec![identifier_replaced(HOUR + 10, new_phone())]].concat();
    given(replaced).when(prove(HOUR + 20, 1, proving_code(5)).into()).then_expect_error(Refusal::InvalidCode);
}
