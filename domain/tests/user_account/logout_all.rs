//! End all sessions of the account, or all but one.

use counterfoil_domain::user_account::{Refusal, SignOutReason, UserAccountEvent};

use crate::fixtures::*;

/// Three devices, signed in at 10, 20 and 30 seconds.
fn three_devices() -> Vec<UserAccountEvent> {
    [signed_in(), vec![logged_in(20, 2), logged_in(30, 3)]].concat()
}

/// The end of a session that began at ten times its number of seconds.
fn ended(seconds: i64, s: u8) -> UserAccountEvent {
    logged_out(seconds, s, SignOutReason::SignedOutEverywhere, i64::from(s) * 10 + 30 * DAY)
}

#[test]
fn every_device_is_signed_out() {
    given(three_devices()).when(logout_all(60, 2, false).into()).then_expect_events(vec![
        ended(60, 1),
        ended(60, 2),
        ended(60, 3),
    ]);
}

#[test]
fn every_other_device_is_signed_out() {
    given(three_devices())
        .when(logout_all(60, 2, true).into())
        .then_expect_events(vec![ended(60, 1), ended(60, 3)]);
    given(signed_in()).when(logout_all(60, 1, true).into()).then_expect_events(vec![]);
}

#[test]
fn a_session_that_has_expired_has_ended_already() {
    given(three_devices())
        .when(logout_all(20 + 30 * DAY, 3, false).into())
        .then_expect_events(vec![ended(20 + 30 * DAY, 3)]);
}

#[test]
fn a_session_that_has_ended_signs_no_device_out() {
    for keep_current in [true, false] {
        given(three_devices())
            .and(vec![ended(60, 2)])
            .when(logout_all(70, 2, keep_current).into())
            .then_expect_error(Refusal::SessionEnded);
        for history in [vec![], vec![otp_requested(0, 1)], signed_in()] {
            given(history)
                .when(logout_all(60, 9, keep_current).into())
                .then_expect_error(Refusal::SessionEnded);
        }
    }
}

#[test]
fn no_token_of_theirs_is_taken_any_more() {
    let history = || [three_devices(), vec![ended(60, 1), ended(60, 3)]].concat();
    for s in [1, 3] {
        given(history()).when(refresh_token(60, s, 1).into()).then_expect_error(Refusal::SpentToken);
    }
    given(history()).when(refresh_token(60, 2, 1).into()).then_expect_events(vec![token_refreshed(
        60,
        2,
        2,
        60 + 30 * DAY,
    )]);
}
