//! Staff suspend an account, and reinstate it.

use counterfoil_domain::user_account::commands::{ReinstateAccount, SuspendAccount};
use counterfoil_domain::user_account::{CodeRejected, Policy, Refusal, SignOutReason, UserAccountEvent};

use crate::fixtures::*;

fn reinstate(seconds: i64) -> ReinstateAccount {
    ReinstateAccount { intervention: intervention(seconds) }
}

#[test]
fn every_session_ends_at_once() {
    let history = [signed_in(), vec![logged_in(20, 2)]].concat();
    given(history).when(suspend_account(60, None).into()).then_expect_events(vec![
        ended_by_admin(60, 1, SignOutReason::Suspended, 10 + 30 * DAY),
        ended_by_admin(60, 2, SignOutReason::Suspended, 20 + 30 * DAY),
        account_suspended(60, None),
    ]);
    given(suspended(None)).when(refresh_token(61, 1, 1).into()).then_expect_error(Refusal::SpentToken);
    given(suspended(None)).when(update_profile(61, 1).into()).then_expect_error(Refusal::SessionEnded);
}

#[test]
fn codes_are_sent_as_to_any_other_account() {
    given(suspended(None))
        .when(request_otp(61, 2).into())
        .then_expect_events(vec![otp_requested_again(61, 2)]);
    given([suspended(None), vec![otp_requested_again(61, 2)]].concat())
        .when(resend_otp(200, 3).into())
        .then_expect_events(vec![otp_resent(200, 2, 61 + 5 * MINUTE)]);
}

/// A caller with the right code gets the answer to a wrong one, and it counts as one.
#[test]
fn no_code_begins_a_session_and_the_right_one_is_answered_and_counted_as_a_wrong_one() {
    let rejected = |seconds, tries_left| otp_rejected(seconds, CodeRejected::Suspended, tries_left, None);
    let mut history: Vec<UserAccountEvent> = [suspended(None), vec![otp_requested_again(61, 2)]].concat();
    for (seconds, tries_left) in [(62, 4), (63, 3), (64, 2), (65, 1), (66, 0)] {
        let rejected = rejected(seconds, tries_left);
        assert_eq!(rejected.refusal(), otp_wrong(seconds, tries_left).refusal());
        given(history.clone())
            .when(verify_otp(seconds, code(2), 2).into())
            .then_expect_events(vec![rejected.clone()]);
        given(history.clone())
            .when(verify_otp(seconds, wrong_code(), 2).into())
            .then_expect_events(vec![otp_wrong(seconds, tries_left)]);
        history.push(rejected);
    }
    given(history.clone()).when(verify_otp(67, code(2), 2).into()).then_expect_error(Refusal::InvalidCode);
    let policy = Policy { wrong_codes_per_hour: 5, ..Policy::default() };
    given_under(policy, history)
        .when(verify_otp(67, code(2), 2).into())
        .then_expect_events(vec![otp_rejected(67, CodeRejected::Paused, 0, Some(66 + HOUR))]);
}

#[test]
fn it_can_be_used_again_from_its_time_on() {
    let history = [suspended(Some(300)), vec![otp_requested_again(200, 2)]].concat();
    given(history.clone()).when(verify_otp(299, code(2), 2).into()).then_expect_events(vec![otp_rejected(
        299,
        CodeRejected::Suspended,
        4,
        None,
    )]);
    given(history.clone())
        .when(verify_otp(300, code(2), 2).into())
        .then_expect_events(vec![logged_in(300, 2)]);
    given([history, vec![logged_in(300, 2)]].concat())
        .when(refresh_token(310, 2, 1).into())
        .then_expect_events(vec![token_refreshed(310, 2, 2, 310 + 30 * DAY)]);
}

#[test]
fn it_can_be_used_again_once_it_is_reinstated() {
    given(suspended(None)).when(reinstate(70).into()).then_expect_events(vec![account_reinstated(70)]);
    let history = [suspended(None), vec![account_reinstated(70), otp_requested_again(80, 2)]].concat();
    given(history).when(verify_otp(90, code(2), 2).into()).then_expect_events(vec![logged_in(90, 2)]);
}

/// Nor is it of use when the suspension ends by itself, or when it is asked for again while the account is suspended.
#[test]
fn a_code_that_was_sent_before_the_suspension_is_refused_after_it() {
    let before = [signed_in(), vec![otp_requested_again(50, 2)]].concat();
    let ended = ended_by_admin(60, 1, SignOutReason::Suspended, 10 + 30 * DAY);
    let reinstated =
        [before.clone(), vec![ended.clone(), account_suspended(60, None), account_reinstated(70)]].concat();
    let expired = [before, vec![ended, account_suspended(60, Some(70))]].concat();
    for history in [reinstated, expired] {
        given(history.clone())
            .when(verify_otp(80, code(2), 2).into())
            .then_expect_events(vec![otp_rejected(80, CodeRejected::Suspended, 4, None)]);
        given(history.clone())
            .when(verify_otp(80, wrong_code(), 2).into())
            .then_expect_events(vec![otp_wrong(80, 4)]);
        given(history.clone()).when(resend_otp(110, 3).into()).then_expect_events(vec![otp_resent(
            110,
            3,
            110 + 5 * MINUTE,
        )]);
        let again = [history, vec![otp_resent(110, 3, 110 + 5 * MINUTE)]].concat();
        given(again.clone())
            .when(verify_otp(111, code(2), 2).into())
            .then_expect_events(vec![otp_wrong(111, 4)]);
        given(again).when(verify_otp(111, code(3), 2).into()).then_expect_events(vec![logged_in(111, 2)]);
    }
}

/// Who asked for the code was signed in then, and need not be the person who is signed in now.
#[test]
fn a_code_for_another_identifier_from_before_the_suspension_adds_nothing_after_it() {
    let history = vec![
        identifier_requested(50, email(), 2),
        ended_by_admin(60, 1, SignOutReason::Suspended, 10 + 30 * DAY),
        account_suspended(60, None),
        account_reinstated(70),
        otp_requested_again(80, 3),
        logged_in(90, 2),
    ];
    given([signed_in(), history].concat())
        .when(verify_identifier(100, 2, email(), adding_code(2)).into())
        .then_expect_events(vec![adding_rejected(100, CodeRejected::Suspended, 4, None)]);
}

#[test]
fn what_changes_nothing_is_no_event() {
    given(suspended(Some(300))).when(suspend_account(70, Some(300)).into()).then_expect_events(vec![]);
    given(suspended(Some(300)))
        .when(suspend_account(70, None).into())
        .then_expect_events(vec![account_suspended(70, None)]);
    given(signed_in()).when(reinstate(70).into()).then_expect_events(vec![]);
    given(suspended(Some(300))).when(reinstate(300).into()).then_expect_events(vec![]);
}

#[test]
fn nobody_suspends_himself_or_who_has_not_joined() {
    given(signed_in())
        .when(SuspendAccount { account: account(1), ..suspend_account(60, None) }.into())
        .then_expect_error(Refusal::OwnAccount);
    for history in [vec![], vec![otp_requested(0, 1)]] {
        given(history.clone())
            .when(suspend_account(60, None).into())
            .then_expect_error(Refusal::UnknownAccount);
        given(history).when(reinstate(60).into()).then_expect_error(Refusal::UnknownAccount);
    }
}

#[test]
fn its_number_finds_no_other_account() {
    given(suspended(None)).when(release_identifier(70).into()).then_expect_error(Refusal::IdentifierTaken);
}
