//! Sign another device out.

use counterfoil_domain::user_account::{Refusal, SignOutReason, UserAccountEvent};

use crate::fixtures::*;

/// Two devices, signed in at 10 and 20 seconds.
fn two_devices() -> Vec<UserAccountEvent> {
    [signed_in(), vec![logged_in(20, 2)]].concat()
}

fn revoked(seconds: i64, s: u8) -> UserAccountEvent {
    logged_out(seconds, s, SignOutReason::DeviceRevoked, i64::from(s) * 10 + 30 * DAY)
}

#[test]
fn another_device_is_signed_out() {
    given(two_devices()).when(revoke_device(60, 1, 2).into()).then_expect_events(vec![revoked(60, 2)]);
    given(two_devices()).when(revoke_device(60, 2, 1).into()).then_expect_events(vec![revoked(60, 1)]);
}

#[test]
fn revoking_the_own_device_is_signing_out() {
    let signed_out = logged_out(60, 1, SignOutReason::SignedOut, 10 + 30 * DAY);
    given(two_devices()).when(revoke_device(60, 1, 1).into()).then_expect_events(vec![signed_out]);
}

#[test]
fn a_device_that_is_not_signed_in_is_unknown() {
    given(two_devices()).when(revoke_device(60, 1, 3).into()).then_expect_error(Refusal::UnknownDevice);
    given(two_devices())
        .and(vec![revoked(60, 2)])
        .when(revoke_device(70, 1, 2).into())
        .then_expect_error(Refusal::UnknownDevice);
    given(two_devices())
        .when(revoke_device(10 + 30 * DAY, 2, 1).into())
        .then_expect_error(Refusal::UnknownDevice);
}

#[test]
fn a_session_that_has_ended_signs_no_device_out() {
    given(two_devices())
        .and(vec![revoked(60, 1)])
        .when(revoke_device(70, 1, 2).into())
        .then_expect_error(Refusal::SessionEnded);
    for history in [vec![], vec![otp_requested(0, 1)]] {
        given(history).when(revoke_device(60, 1, 1).into()).then_expect_error(Refusal::SessionEnded);
    }
}
