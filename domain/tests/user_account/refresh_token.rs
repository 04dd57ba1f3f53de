//! Keep a session going.

use counterfoil_domain::user_account::{Refusal, SessionTokens, SignOutReason};
use counterfoil_domain::values::Generation;

use crate::fixtures::*;

#[test]
fn the_newest_token_is_traded_for_the_next_generation() {
    given(signed_in()).when(refresh_token(DAY, 1, 1).into()).then_expect_events(vec![token_refreshed(
        DAY,
        1,
        2,
        31 * DAY,
    )]);
    given(signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY)])
        .when(refresh_token(2 * DAY, 1, 2).into())
        .then_expect_events(vec![token_refreshed(2 * DAY, 1, 3, 32 * DAY)]);
}

#[test]
fn the_parent_gives_the_same_generation_again_for_a_moment() {
    for later in [0, 1, 9] {
        given(signed_in())
            .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY)])
            .when(refresh_token(DAY + later, 1, 1).into())
            .then_expect_events(vec![token_refresh_retried(DAY + later, 1, 2, DAY, 31 * DAY)]);
    }
    // A retry does not prolong the moment.
    given(signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY), token_refresh_retried(DAY + 9, 1, 2, DAY, 31 * DAY)])
        .when(refresh_token(DAY + 10, 1, 1).into())
        .then_expect_events(token_reused(DAY + 10, 1, 1, 2, 31 * DAY));
}

#[test]
fn after_a_retry_the_newest_is_traded_as_ever() {
    given(signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY), token_refresh_retried(DAY + 1, 1, 2, DAY, 31 * DAY)])
        .when(refresh_token(DAY + 2, 1, 2).into())
        .then_expect_events(vec![token_refreshed(DAY + 2, 1, 3, DAY + 2 + 30 * DAY)]);
}

#[test]
fn a_spent_token_that_comes_later_ends_the_session() {
    for later in [10, 11, DAY] {
        given(signed_in())
            .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY)])
            .when(refresh_token(DAY + later, 1, 1).into())
            .then_expect_events(token_reused(DAY + later, 1, 1, 2, 31 * DAY));
    }
}

#[test]
fn a_grandparent_ends_the_session_however_soon_it_comes() {
    given(signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY), token_refreshed(DAY, 1, 3, 31 * DAY)])
        .when(refresh_token(DAY, 1, 1).into())
        .then_expect_events(token_reused(DAY, 1, 1, 3, 31 * DAY));
}

#[test]
fn once_it_was_reused_nothing_of_the_session_is_taken_and_other_sessions_go_on() {
    let history = || {
        let mut history = vec![logged_in(20, 2), token_refreshed(DAY, 1, 2, 31 * DAY)];
        history.extend(token_reused(2 * DAY, 1, 1, 2, 31 * DAY));
        history
    };
    for generation in [1, 2, 3] {
        given(signed_in())
            .and(history())
            .when(refresh_token(2 * DAY, 1, generation).into())
            .then_expect_error(Refusal::SpentToken);
    }
    given(signed_in())
        .and(history())
        .when(refresh_token(2 * DAY, 2, 1).into())
        .then_expect_events(vec![token_refreshed(2 * DAY, 2, 2, 32 * DAY)]);
}

#[test]
fn a_spent_token_leaves_the_newest_as_it_is() {
    given(signed_in())
        .and(vec![token_refreshed(DAY, 1, 2, 31 * DAY), token_refreshed(2 * DAY, 1, 3, 32 * DAY)])
        .when(refresh_token(3 * DAY, 1, 3).into())
        .then_expect_events(vec![token_refreshed(3 * DAY, 1, 4, 33 * DAY)]);
}

#[test]
fn a_generation_that_was_never_handed_out_ends_the_session() {
    for generation in [2, 3, u32::MAX] {
        given(signed_in()).when(refresh_token(DAY, 1, generation).into()).then_expect_events(token_reused(
            DAY,
            1,
            generation,
            1,
            10 + 30 * DAY,
        ));
    }
}

#[test]
fn no_refresh_goes_past_the_session_s_end() {
    let ends_at = 10 + 90 * DAY;
    given(signed_in())
        .and(vec![token_refreshed(29 * DAY, 1, 2, 59 * DAY), token_refreshed(58 * DAY, 1, 3, 88 * DAY)])
        .when(refresh_token(87 * DAY, 1, 3).into())
        .then_expect_events(vec![token_refreshed(87 * DAY, 1, 4, ends_at)]);
    given(signed_in())
        .and(vec![token_refreshed(87 * DAY, 1, 2, ends_at)])
        .when(refresh_token(ends_at - 1, 1, 2).into())
        .then_expect_events(vec![token_refreshed(ends_at - 1, 1, 3, ends_at)]);
    given(signed_in())
        .and(vec![token_refreshed(87 * DAY, 1, 2, ends_at)])
        .when(refresh_token(ends_at, 1, 2).into())
        .then_expect_error(Refusal::SpentToken);
}

#[test]
fn a_session_that_was_not_refreshed_in_time_has_ended() {
    let expires_at = 10 + 30 * DAY;
    given(signed_in())
        .when(refresh_token(expires_at - 1, 1, 1).into())
        .then_expect_events(vec![token_refreshed(expires_at - 1, 1, 2, expires_at - 1 + 30 * DAY)]);
    given(signed_in()).when(refresh_token(expires_at, 1, 1).into()).then_expect_error(Refusal::SpentToken);
}

#[test]
fn a_session_that_was_signed_out_or_never_began_is_refused() {
    for reason in [SignOutReason::SignedOut, SignOutReason::DeviceLimit, SignOutReason::TokenReuse] {
        given(signed_in())
            .and(vec![logged_out(20, 1, reason, 10 + 30 * DAY)])
            .when(refresh_token(30, 1, 1).into())
            .then_expect_error(Refusal::SpentToken);
    }
    for history in [vec![], vec![otp_requested(0, 1)], signed_in()] {
        given(history).when(refresh_token(30, 2, 1).into()).then_expect_error(Refusal::SpentToken);
    }
}

#[test]
fn one_device_s_refresh_spends_no_other_s_token() {
    given(signed_in())
        .and(vec![logged_in(20, 2), token_refreshed(DAY, 1, 2, 31 * DAY)])
        .when(refresh_token(2 * DAY, 2, 1).into())
        .then_expect_events(vec![token_refreshed(2 * DAY, 2, 2, 32 * DAY)]);
}

#[test]
fn a_clock_that_went_back_moves_no_event_back() {
    given(signed_in()).when(refresh_token(-HOUR, 1, 1).into()).then_expect_events(vec![token_refreshed(
        10,
        1,
        2,
        10 + 30 * DAY,
    )]);
}

#[test]
fn the_answer_is_the_generation_to_issue() {
    let tokens = SessionTokens {
        session: session(1),
        generation: Generation(2),
        issued_at: at(DAY),
        expires_at: at(31 * DAY),
    };
    let refreshed = token_refreshed(DAY, 1, 2, 31 * DAY);
    assert_eq!(SessionTokens::from_event(&refreshed), Some(Ok(tokens)));
}
