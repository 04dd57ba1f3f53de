//! Give a device a name.

use counterfoil_domain::user_account::{Refusal, SignOutReason, UserAccountEvent};

use crate::fixtures::*;

/// Two devices, signed in at 10 and 20 seconds.
fn two_devices() -> Vec<UserAccountEvent> {
    [signed_in(), vec![logged_in(20, 2)]].concat()
}

#[test]
fn a_device_is_renamed_by_itself_and_by_another() {
    for device in [1, 2] {
        given(two_devices())
            .when(rename_device(60, 1, device).into())
            .then_expect_events(vec![device_renamed(60, device)]);
    }
}

#[test]
fn a_device_that_is_not_signed_in_is_unknown() {
    given(two_devices()).when(rename_device(60, 1, 3).into()).then_expect_error(Refusal::UnknownDevice);
    given(two_devices())
        .and(vec![logged_out(60, 2, SignOutReason::SignedOut, 20 + 30 * DAY)])
        .when(rename_device(70, 1, 2).into())
        .then_expect_error(Refusal::UnknownDevice);
    given(two_devices())
        .when(rename_device(10 + 30 * DAY, 2, 1).into())
        .then_expect_error(Refusal::UnknownDevice);
}

#[test]
fn a_session_that_has_ended_renames_nothing() {
    given(two_devices())
        .and(vec![logged_out(60, 1, SignOutReason::SignedOut, 10 + 30 * DAY)])
        .when(rename_device(70, 1, 2).into())
        .then_expect_error(Refusal::SessionEnded);
    given([]).when(rename_device(60, 1, 1).into()).then_expect_error(Refusal::SessionEnded);
}

#[test]
fn a_new_name_prolongs_nothing() {
    given(two_devices())
        .and(vec![device_renamed(DAY, 1)])
        .when(refresh_token(10 + 30 * DAY, 1, 1).into())
        .then_expect_error(Refusal::SpentToken);
}
