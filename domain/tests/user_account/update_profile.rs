//! Change the full name of the user.

use counterfoil_domain::user_account::{Refusal, SignOutReason};

use crate::fixtures::*;

const EXPIRES: i64 = 10 + 30 * DAY;

#[test]
fn a_signed_in_user_changes_their_name() {
    given(signed_in()).when(update_profile(20, 1).into()).then_expect_events(vec![profile_updated(20)]);
}

#[test]
fn a_name_given_twice_is_on_record_twice() {
    given(signed_in())
        .and(vec![profile_updated(20)])
        .when(update_profile(30, 1).into())
        .then_expect_events(vec![profile_updated(30)]);
}

#[test]
fn a_session_that_has_ended_changes_nothing() {
    given(signed_in()).when(update_profile(EXPIRES, 1).into()).then_expect_error(Refusal::SessionEnded);
    for reason in [SignOutReason::SignedOut, SignOutReason::DeviceLimit] {
        given(signed_in())
            .and(vec![logged_out(20, 1, reason, EXPIRES)])
            .when(update_profile(30, 1).into())
            .then_expect_error(Refusal::SessionEnded);
    }
}

#[test]
fn a_session_that_never_began_changes_nothing() {
    for history in [vec![], vec![otp_requested(0, 1)], signed_in()] {
        given(history).when(update_profile(30, 2).into()).then_expect_error(Refusal::SessionEnded);
    }
}

#[test]
fn a_change_of_name_neither_prolongs_a_session_nor_spends_its_token() {
    let history = [signed_in(), vec![profile_updated(EXPIRES - 1)]].concat();
    given(history.clone()).when(update_profile(EXPIRES, 1).into()).then_expect_error(Refusal::SessionEnded);
    given(history).when(refresh_token(EXPIRES - 1, 1, 1).into()).then_expect_events(vec![token_refreshed(
        EXPIRES - 1,
        1,
        2,
        EXPIRES - 1 + 30 * DAY,
    )]);
}

#[test]
fn a_clock_that_went_back_moves_no_event_back() {
    given(signed_in()).when(update_profile(-HOUR, 1).into()).then_expect_events(vec![profile_updated(10)]);
}
