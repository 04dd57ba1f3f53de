//! Sign a device out.

use counterfoil_domain::user_account::{Refusal, SignOutReason, UserAccountEvent};

use crate::fixtures::*;

const EXPIRES: i64 = 10 + 30 * DAY;

fn signed_out(seconds: i64, expires_at: i64) -> UserAccountEvent {
    logged_out(seconds, 1, SignOutReason::SignedOut, expires_at)
}

#[test]
fn a_device_is_signed_out() {
    given(signed_in()).when(logout(20, 1).into()).then_expect_events(vec![signed_out(20, EXPIRES)]);
}

#[test]
fn the_record_says_until_when_the_newest_token_would_have_lived() {
    given(signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY)])
        .when(logout(2 * DAY, 1).into())
        .then_expect_events(vec![signed_out(2 * DAY, 31 * DAY)]);
}

#[test]
fn signing_out_twice_is_signing_out() {
    given(signed_in())
        .and(vec![signed_out(20, EXPIRES)])
        .when(logout(30, 1).into())
        .then_expect_events(vec![]);
}

#[test]
fn a_session_that_expired_was_evicted_or_never_began_needs_no_signing_out() {
    given(signed_in()).when(logout(EXPIRES, 1).into()).then_expect_events(vec![]);
    given(signed_in())
        .and(vec![logged_out(20, 1, SignOutReason::DeviceLimit, EXPIRES)])
        .when(logout(30, 1).into())
        .then_expect_events(vec![]);
    for history in [vec![], vec![otp_requested(0, 1)], signed_in()] {
        given(history).when(logout(30, 2).into()).then_expect_events(vec![]);
    }
}

#[test]
fn the_other_devices_stay_signed_in() {
    let history = [signed_in(), vec![logged_in(15, 2), signed_out(20, EXPIRES)]].concat();
    given(history.clone()).when(refresh_token(30, 2, 1).into()).then_expect_events(vec![token_refreshed(
        30,
        2,
        2,
        30 + 30 * DAY,
    )]);
    given(history).when(refresh_token(30, 1, 1).into()).then_expect_error(Refusal::SpentToken);
}

#[test]
fn who_signed_out_signs_in_again_to_the_same_account() {
    given(signed_in())
        .and(vec![signed_out(20, EXPIRES), otp_requested_again(60, 2)])
        .when(verify_otp(70, code(2), 2).into())
        .then_expect_events(vec![logged_in(70, 2)]);
}

#[test]
fn a_clock_that_went_back_moves_no_event_back() {
    given(signed_in()).when(logout(-HOUR, 1).into()).then_expect_events(vec![signed_out(10, EXPIRES)]);
}
