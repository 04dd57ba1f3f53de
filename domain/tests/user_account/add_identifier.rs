//! Ask for a code to another identifier.

use counterfoil_domain::user_account::commands::RequestOtp;
use counterfoil_domain::user_account::{
    CodeAsked, CodeRefused, CodeRejected, CodeSent, Policy, Purpose, Refusal, SignOutReason, UserAccountEvent,
};

use counterfoil_domain::values::Channel;

use crate::fixtures::*;
use crate::known_device::{guessed_by_strangers, known};

/// A code to this account's identifier, asked for by another account.
fn wanted(seconds: i64, n: u8) -> RequestOtp {
    RequestOtp { purpose: Purpose::AddIdentifier, ..request_otp(seconds, n) }
}

/// Ten codes asked for, one an hour from an hour on.
fn ten_wanted() -> Vec<UserAccountEvent> {
    let requested = (1..=10).map(|n| identifier_requested(i64::from(n) * HOUR, email(), n));
    signed_in().into_iter().chain(requested).collect()
}

/// Where a proof lasts for longer than it takes to ask for so many.
fn lasting() -> Policy {
    Policy { proof_lasts: chrono::TimeDelta::days(2), ..Policy::default() }
}

#[test]
fn a_session_that_was_proved_more_than_ten_minutes_ago_asks_for_nothing() {
    let late = 10 + 10 * MINUTE;
    given(signed_in())
        .when(add_identifier(late, 1, email(), 2).into())
        .then_expect_events(vec![identifier_requested(late, email(), 2)]);
    for identifier in [email(), new_phone(), phone()] {
        given(signed_in())
            .when(add_identifier(late + 1, 1, identifier, 2).into())
            .then_expect_error(Refusal::ProofNotFresh);
    }
    let refreshed = vec![token_refreshed(late, 1, 2, late + 30 * DAY)];
    given([signed_in(), refreshed].concat())
        .when(add_identifier(late + 1, 1, email(), 2).into())
        .then_expect_error(Refusal::ProofNotFresh);
}

#[test]
fn a_signed_in_account_asks_for_a_code_to_an_identifier_of_either_kind() {
    for identifier in [email(), new_phone()] {
        given(signed_in())
            .when(add_identifier(20, 1, identifier.clone(), 2).into())
            .then_expect_events(vec![identifier_requested(20, identifier, 2)]);
    }
}

#[test]
fn the_identifier_it_has_is_taken() {
    given(signed_in())
        .when(add_identifier(20, 1, phone(), 2).into())
        .then_expect_error(Refusal::IdentifierTaken);
}

#[test]
fn a_session_that_has_ended_or_never_began_asks_for_nothing() {
    let ended = [signed_in(), vec![logged_out(15, 1, SignOutReason::SignedOut, 30 * DAY)]];
    for history in [vec![], vec![otp_requested(0, 1)], ended.concat()] {
        given(history)
            .when(add_identifier(20, 1, email(), 2).into())
            .then_expect_error(Refusal::SessionEnded);
    }
    given(signed_in())
        .when(add_identifier(10 + 30 * DAY, 1, email(), 2).into())
        .then_expect_error(Refusal::SessionEnded);
}

#[test]
fn a_mistyped_identifier_does_not_hold_up_the_right_one() {
    let mistyped = || [signed_in(), vec![identifier_requested(20, new_phone(), 2)]].concat();
    for right in [other_phone(), email()] {
        given(mistyped())
            .when(add_identifier(21, 1, right.clone(), 3).into())
            .then_expect_events(vec![identifier_requested(21, right, 3)]);
    }
}

#[test]
fn the_eleventh_in_24_hours_is_refused() {
    let refused = refused_asking(CodeAsked::ToAdd, email(), 11 * HOUR, CodeRefused::QuotaSpent, HOUR + DAY);
    given_under(lasting(), ten_wanted())
        .when(add_identifier(11 * HOUR, 1, email(), 11).into())
        .then_expect_events(vec![refused]);
    given_under(lasting(), ten_wanted())
        .when(add_identifier(HOUR + DAY, 1, email(), 11).into())
        .then_expect_events(vec![identifier_requested(HOUR + DAY, email(), 11)]);
}

#[test]
fn codes_for_others_are_not_counted_to_its_own_and_neither_holds_up_the_other() {
    given(signed_in())
        .and(vec![identifier_requested(55, email(), 2)])
        .when(request_otp(60, 3).into())
        .then_expect_events(vec![otp_requested_again(60, 3)]);
    given(ten_wanted())
        .when(request_otp(11 * HOUR, 11).into())
        .then_expect_events(vec![otp_requested_again(11 * HOUR, 11)]);
}

#[test]
fn an_account_paused_for_wrong_codes_asks_for_none_of_that_kind() {
    let wrong = |n: i64| adding_rejected_of(Channel::Phone, 10 + n, CodeRejected::Wrong, 4, None);
    let history = [signed_in(), (1..=10).map(wrong).collect()].concat();
    let refused = refused_asking(CodeAsked::ToAdd, new_phone(), 30, CodeRefused::Paused, 20 + HOUR);
    given(history.clone())
        .when(add_identifier(30, 1, new_phone(), 2).into())
        .then_expect_events(vec![refused]);
    given(history)
        .when(add_identifier(30, 1, email(), 2).into())
        .then_expect_events(vec![identifier_requested(30, email(), 2)]);
}

#[test]
fn wrong_codes_of_strangers_do_not_keep_a_session_from_another_number() {
    let proved = |seconds| vec![otp_requested_again(seconds - 10, 7), known(logged_in(seconds, 2))];
    let locked = || [signed_in(), guessed_by_strangers(1, 90), proved(3 * DAY)].concat();
    let now = 3 * DAY + 60;
    given(locked()).when(request_otp(now, 5).into()).then_expect_events(vec![otp_request_refused(
        now,
        CodeRefused::Locked,
        now + DAY,
    )]);
    let asked = identifier_requested(now, new_phone(), 2);
    given(locked())
        .when(add_identifier(now, 2, new_phone(), 2).into())
        .then_expect_events(vec![asked.clone()]);
    given(locked())
        .and(vec![asked.clone()])
        .when(verify_identifier(now + 1, 2, new_phone(), wrong_code()).into())
        .then_expect_events(vec![adding_rejected_of(Channel::Phone, now + 1, CodeRejected::Wrong, 4, None)]);
    let replaced = given(locked())
        .and(vec![asked])
        .when(verify_identifier(now + 1, 2, new_phone(), adding_code(2)).into())
        .inspect_result()
        .expect("replaced");
    assert_eq!(replaced[0], identifier_replaced(now + 1, new_phone()));
}

#[test]
fn the_code_to_sign_in_stays_pending_beside_it() {
    given(signed_in())
        .and(vec![otp_requested_again(60, 2), identifier_requested(70, email(), 3)])
        .when(verify_otp(80, code(2), 2).into())
        .then_expect_events(vec![logged_in(80, 2)]);
}

#[test]
fn the_account_whose_identifier_is_wanted_grants_the_code_and_counts_it() {
    for (history, n) in [(vec![], 1), (vec![otp_requested(-MINUTE, 1)], 2), (signed_in(), 2)] {
        given(history).when(wanted(60, n).into()).then_expect_events(vec![otp_wanted(60, n)]);
    }
    for first in [otp_wanted(0, 1), otp_requested(0, 1)] {
        let refused = refused_asking(CodeAsked::ForAnother, phone(), 59, CodeRefused::TooSoon, 60);
        given(vec![first.clone()]).when(wanted(59, 2).into()).then_expect_events(vec![refused]);
        given(vec![first]).when(request_otp(59, 2).into()).then_expect_events(vec![otp_request_refused(
            59,
            CodeRefused::TooSoon,
            60,
        )]);
    }
    let ten: Vec<_> = (0..10).map(|n| otp_wanted(i64::from(n) * HOUR, n)).collect();
    given(ten).when(request_otp(10 * HOUR, 11).into()).then_expect_events(vec![otp_request_refused(
        10 * HOUR,
        CodeRefused::QuotaSpent,
        DAY,
    )]);
}

#[test]
fn a_code_wanted_by_another_account_neither_signs_in_nor_voids_the_one_that_does() {
    for wrong in [code(2), adding_code(2)] {
        given([otp_wanted(0, 2)])
            .when(verify_otp(10, wrong, 1).into())
            .then_expect_error(Refusal::InvalidCode);
    }
    given([otp_wanted(0, 2)]).when(resend_otp(60, 3).into()).then_expect_error(Refusal::NoPendingCode);
    given([otp_requested(0, 1), otp_wanted(60, 2)])
        .when(verify_otp(70, code(1), 1).into())
        .then_expect_events(vec![user_registered(70), logged_in(70, 1)]);
}

#[test]
fn the_answer_is_the_code_that_goes_out_on_the_account_whose_identifier_is_wanted() {
    let sent = CodeSent::from_event(&otp_wanted(0, 1)).expect("an answer").expect("sent");
    assert_eq!((sent.purpose, sent.nonce), (Purpose::AddIdentifier, nonce(1)));
    assert_eq!(CodeSent::from_event(&identifier_requested(0, email(), 1)), None);
}
