//! Redeem a code to sign in, which begins a session.

use chrono::TimeDelta;
use counterfoil_domain::user_account::commands::VerifyOtp;
use counterfoil_domain::user_account::{
    AccountFact, CodeRejected, DeviceLimitPolicy, Policy, ProfileFact, Refusal, Requester, SessionFact,
    SessionTokens, SignOutReason, UserAccountEvent,
};
use counterfoil_domain::values::{Channel, Generation};

use crate::fixtures::*;

/// Five devices signed in, at 10, 20, 30, 40 and 50 seconds, and a code pending.
fn five_devices(asked: i64) -> Vec<UserAccountEvent> {
    let mut history = vec![otp_requested(0, 1), user_registered(10)];
    history.extend((1..=5).map(|s| logged_in(i64::from(s) * 10, s)));
    history.push(otp_requested_again(asked, 6));
    history
}

fn evicted(seconds: i64, s: u8, expires_at: i64) -> UserAccountEvent {
    logged_out(seconds, s, SignOutReason::DeviceLimit, expires_at)
}

#[test]
fn a_right_code_makes_the_account_and_signs_in() {
    given([otp_requested(0, 1)])
        .when(verify_otp(10, code(1), 1).into())
        .then_expect_events(vec![user_registered(10), logged_in(10, 1)]);
}

#[test]
fn an_account_is_made_once() {
    given(signed_in())
        .and(vec![otp_requested_again(60, 2)])
        .when(verify_otp(70, code(2), 2).into())
        .then_expect_events(vec![logged_in(70, 2)]);
}

#[test]
fn a_right_code_signs_in_once() {
    given(signed_in()).when(verify_otp(11, code(1), 2).into()).then_expect_error(Refusal::InvalidCode);
}

/// The session that the first code began, given again after an outage.
fn sign_in_repeated(seconds: i64, answer_possible_at: i64) -> UserAccountEvent {
    let fact = AccountFact::Session(SessionFact::SignInRepeated {
        session: session(1),
        generation: Generation::FIRST,
        issued_at: at(10),
        expires_at: at(10 + 30 * DAY),
        answer_possible_at: at(answer_possible_at),
    });
    event(seconds, fact)
}

#[test]
fn a_sign_in_that_an_outage_kept_from_its_answer_is_answered_with_the_session_that_it_began() {
    for seconds in [13, 40, 71] {
        given_after(Outage(5, Some(12)), signed_in())
            .when(verify_otp(seconds, code(1), 2).into())
            .then_expect_events(vec![sign_in_repeated(seconds, 12)]);
    }
}

#[test]
fn a_repeated_sign_in_takes_the_same_client_and_code_and_an_unused_session() {
    let outage = || Outage(5, Some(12));
    given_after(outage(), signed_in())
        .when(verify_otp(72, code(1), 2).into())
        .then_expect_error(Refusal::InvalidCode);
    for client in [other_browser(), elsewhere()] {
        given_after(outage(), signed_in())
            .when(VerifyOtp { client, ..verify_otp(13, code(1), 2) }.into())
            .then_expect_error(Refusal::InvalidCode);
    }
    for used in
        [token_refreshed(13, 1, 2, 31 * DAY), logged_out(13, 1, SignOutReason::SignedOut, 10 + 30 * DAY)]
    {
        given_after(outage(), signed_in())
            .and(vec![used])
            .when(verify_otp(14, code(1), 2).into())
            .then_expect_error(Refusal::InvalidCode);
    }
    // A code works once unless its caller is known to have got no answer.
    given_after(OutageElsewhere(outage()), signed_in())
        .when(verify_otp(13, code(1), 2).into())
        .then_expect_error(Refusal::InvalidCode);
    // One that was answered is not repeated, whatever happens later.
    given_after(Outage(11, Some(30)), signed_in())
        .when(verify_otp(31, code(1), 2).into())
        .then_expect_error(Refusal::InvalidCode);
}

#[test]
fn one_wrong_code_ends_the_chance_to_repeat_a_sign_in() {
    let rejected = otp_wrong(13, 0);
    given_after(Outage(5, Some(12)), signed_in())
        .when(verify_otp(13, wrong_code(), 2).into())
        .then_expect_events(vec![rejected.clone()]);
    given_after(Outage(5, Some(12)), signed_in())
        .and(vec![rejected])
        .when(verify_otp(14, code(1), 2).into())
        .then_expect_error(Refusal::InvalidCode);
}

#[test]
fn a_session_lives_no_longer_than_the_shorter_of_its_two_limits() {
    for (idle, absolute, expected) in [(30, 90, 30), (90, 30, 30), (30, 30, 30)] {
        let policy = Policy {
            session_idle: TimeDelta::days(idle),
            session_absolute: TimeDelta::days(absolute),
            ..Policy::default()
        };
        let logged_in = AccountFact::Session(SessionFact::LoggedIn {
            session: session(1),
            channel: Channel::Phone,
            generation: Generation::FIRST,
            expires_at: at(10 + expected * DAY),
            ends_at: at(10 + absolute * DAY),
            mark: Some(mark(1, &client())),
            address: Some(address(1, &client())),
            seen: None,
            unfamiliar: None,
            language: None,
            requester: Requester::Stranger,
            test: false,
        });
        given_under(policy, [otp_requested(0, 1)])
            .when(verify_otp(10, code(1), 1).into())
            .then_expect_events(vec![user_registered(10), event_of(phone(), 10, logged_in)]);
    }
}

#[test]
fn a_code_sent_by_email_signs_in_by_email_and_not_by_phone() {
    given([otp_requested_by_email(0, 1)])
        .when(verify_otp(10, code(1), 1).into())
        .then_expect_error(Refusal::InvalidCode);

    let registered = AccountFact::Profile(ProfileFact::UserRegistered { channel: Channel::Email });
    let logged_in = AccountFact::Session(SessionFact::LoggedIn {
        session: session(1),
        channel: Channel::Email,
        generation: Generation::FIRST,
        expires_at: at(10 + 30 * DAY),
        ends_at: at(10 + 90 * DAY),
        mark: Some(mark(1, &client())),
        address: Some(address(1, &client())),
        seen: None,
        unfamiliar: None,
        language: None,
        requester: Requester::Stranger,
        test: false,
    });
    let by_email = VerifyOtp { identifier: email(), ..verify_otp(10, code(1), 1) };
    given([otp_requested_by_email(0, 1)])
        .when(by_email.into())
        .then_expect_events(vec![event_of(email(), 10, registered), event_of(email(), 10, logged_in)]);
}

#[test]
fn a_code_sent_by_phone_does_not_sign_in_by_email() {
    let by_email = VerifyOtp { identifier: email(), ..verify_otp(10, code(1), 1) };
    given([otp_requested(0, 1)]).when(by_email.into()).then_expect_error(Refusal::InvalidCode);
}

#[test]
fn a_code_for_one_number_is_wrong_for_another() {
    let for_another = VerifyOtp { identifier: other_phone(), ..verify_otp(10, code(1), 1) };
    given([otp_requested(0, 1)]).when(for_another.into()).then_expect_events(vec![otp_wrong(10, 4)]);
}

#[test]
fn without_a_code_asked_for_none_is_right() {
    for identifier in [phone(), email()] {
        let zeros = VerifyOtp { identifier, ..verify_otp(10, code(0), 2) };
        for history in [vec![], signed_in()] {
            given(history).when(zeros.clone().into()).then_expect_error(Refusal::InvalidCode);
        }
    }
}

#[test]
fn a_new_code_voids_the_one_before() {
    let asked_twice = [otp_requested(0, 1), otp_requested(60, 2)];
    given(asked_twice.clone())
        .when(verify_otp(70, code(1), 1).into())
        .then_expect_events(vec![otp_wrong(70, 4)]);
    given(asked_twice)
        .when(verify_otp(70, code(2), 1).into())
        .then_expect_events(vec![user_registered(70), logged_in(70, 1)]);
}

#[test]
fn a_code_works_until_its_last_second() {
    given([otp_requested(0, 1)])
        .when(verify_otp(299, code(1), 1).into())
        .then_expect_events(vec![user_registered(299), logged_in(299, 1)]);
    for presented in [code(1), wrong_code()] {
        given([otp_requested(0, 1)])
            .when(verify_otp(300, presented, 1).into())
            .then_expect_events(vec![otp_rejected(300, CodeRejected::Expired, 0, None)]);
    }
}

#[test]
fn an_expired_code_is_on_record_once() {
    given([otp_requested(0, 1), otp_rejected(300, CodeRejected::Expired, 0, None)])
        .when(verify_otp(301, code(1), 1).into())
        .then_expect_error(Refusal::InvalidCode);
}

#[test]
fn each_wrong_code_is_on_record_with_the_tries_left() {
    for tried in 0..5 {
        given(wrongly_tried(0, 1, tried))
            .when(verify_otp(10, wrong_code(), 1).into())
            .then_expect_events(vec![otp_wrong(10, 4 - tried)]);
    }
}

#[test]
fn after_four_wrong_codes_the_right_one_signs_in() {
    given(wrongly_tried(0, 1, 4))
        .when(verify_otp(10, code(1), 1).into())
        .then_expect_events(vec![user_registered(10), logged_in(10, 1)]);
}

#[test]
fn after_the_fifth_wrong_code_the_right_one_does_not() {
    given(wrongly_tried(0, 1, 5))
        .when(verify_otp(10, code(1), 1).into())
        .then_expect_error(Refusal::InvalidCode);
}

#[test]
fn a_new_code_has_all_its_tries() {
    given(wrongly_tried(0, 1, 4))
        .and(vec![otp_requested(60, 2)])
        .when(verify_otp(70, wrong_code(), 1).into())
        .then_expect_events(vec![otp_wrong(70, 4)]);
}

#[test]
fn ten_wrong_codes_in_an_hour_pause_the_account_whatever_the_code_they_were_for() {
    let pause_ends = HOUR + 65;
    let paused = otp_rejected(66, CodeRejected::Paused, 0, Some(pause_ends));
    for presented in [code(2), wrong_code()] {
        given(ten_wrong()).when(verify_otp(66, presented, 1).into()).then_expect_events(vec![paused.clone()]);
    }
    given(ten_wrong())
        .and(vec![paused])
        .when(verify_otp(pause_ends - 1, code(2), 1).into())
        .then_expect_error(Refusal::TooManyTries { until: at(pause_ends) });
}

#[test]
fn a_code_that_still_lives_is_not_looked_at_in_a_pause() {
    let pending = [wrongly_tried(0, 1, 4), wrongly_tried(60, 2, 4), wrongly_tried(120, 3, 2)];
    given(pending.concat()).when(verify_otp(130, code(3), 1).into()).then_expect_events(vec![otp_rejected(
        130,
        CodeRejected::Paused,
        0,
        Some(HOUR + 122),
    )]);
}

#[test]
fn nine_wrong_codes_in_an_hour_pause_nothing() {
    given([wrongly_tried(0, 1, 5), wrongly_tried(60, 2, 4)].concat())
        .when(verify_otp(66, code(2), 1).into())
        .then_expect_events(vec![user_registered(66), logged_in(66, 1)]);
}

#[test]
fn ten_wrong_codes_over_a_whole_hour_pause_nothing() {
    let at_1_second = wrongly_tried(0, 1, 1);
    let eight_more = [wrongly_tried(60, 2, 5), wrongly_tried(HOUR - 120, 3, 3)].concat();
    let an_hour_later = wrongly_tried(HOUR, 4, 1);
    given([at_1_second, eight_more, an_hour_later].concat())
        .when(verify_otp(HOUR + 2, code(4), 1).into())
        .then_expect_events(vec![user_registered(HOUR + 2), logged_in(HOUR + 2, 1)]);
}

#[test]
fn a_pause_ends_an_hour_after_the_last_wrong_code() {
    let pause_ends = HOUR + 65;
    given(ten_wrong())
        .and(vec![otp_rejected(66, CodeRejected::Paused, 0, Some(pause_ends)), otp_requested(pause_ends, 3)])
        .when(verify_otp(pause_ends, code(3), 1).into())
        .then_expect_events(vec![user_registered(pause_ends), logged_in(pause_ends, 1)]);
}

#[test]
fn a_second_pause_is_on_record_as_the_first_was() {
    let first_ends = HOUR + 65;
    let again = first_ends + 60;
    let history = [
        ten_wrong(),
        vec![otp_rejected(66, CodeRejected::Paused, 0, Some(first_ends))],
        wrongly_tried(first_ends, 3, 5),
        wrongly_tried(again, 4, 5),
    ];
    given(history.concat())
        .when(verify_otp(again + 6, code(4), 1).into())
        .then_expect_events(vec![otp_rejected(again + 6, CodeRejected::Paused, 0, Some(again + 5 + HOUR))]);
}

#[test]
fn ninety_wrong_codes_of_strangers_in_a_row_lock_the_account() {
    let now = 20 * HOUR;
    let locked = otp_rejected(now, CodeRejected::Locked, 0, Some(now + DAY));
    let history = [wrong_in_a_row(90), vec![otp_requested(now - 1, 20)]].concat();
    given(history.clone()).when(verify_otp(now, code(20), 1).into()).then_expect_events(vec![locked.clone()]);
    let again =
        given(history).and(vec![locked]).when(verify_otp(now + 1, code(20), 1).into()).inspect_result();
    assert!(matches!(again, Err(Refusal::TooManyTries { until }) if until >= at(now + DAY)), "{again:?}");
}

#[test]
fn a_lock_is_on_record_once_in_24_hours() {
    let (noted, now) = (20 * HOUR, 20 * HOUR + DAY);
    given(wrong_in_a_row(90))
        .and(vec![otp_rejected(noted, CodeRejected::Locked, 0, Some(now))])
        .when(verify_otp(now, code(20), 1).into())
        .then_expect_events(vec![otp_rejected(now, CodeRejected::Locked, 0, Some(now + DAY))]);
}

#[test]
fn eighty_nine_wrong_codes_in_a_row_lock_nothing() {
    let now = 20 * HOUR;
    given(wrong_in_a_row(89))
        .and(vec![otp_requested(now - 1, 20)])
        .when(verify_otp(now, code(20), 1).into())
        .then_expect_events(vec![user_registered(now), logged_in(now, 1)]);
}

#[test]
fn a_right_code_starts_both_counts_anew() {
    let now = 20 * HOUR;
    let in_a_row = [
        wrong_in_a_row(89),
        vec![
            otp_requested(now, 20),
            user_registered(now),
            logged_in(now, 1),
            otp_requested_again(now + 60, 21),
            otp_wrong(now + 61, 4),
        ],
    ];
    given(in_a_row.concat())
        .when(verify_otp(now + 62, code(21), 2).into())
        .then_expect_events(vec![logged_in(now + 62, 2)]);

    let in_an_hour = [
        wrongly_tried(0, 1, 5),
        wrongly_tried(60, 2, 4),
        vec![user_registered(66), logged_in(66, 1), otp_requested_again(120, 3), otp_wrong(121, 4)],
    ];
    given(in_an_hour.concat())
        .when(verify_otp(122, code(3), 2).into())
        .then_expect_events(vec![logged_in(122, 2)]);
}

#[test]
fn a_sixth_device_signs_out_the_one_that_signed_in_first() {
    given(five_devices(60))
        .when(verify_otp(70, code(6), 6).into())
        .then_expect_events(vec![evicted(70, 1, 10 + 30 * DAY), logged_in(70, 6)]);
}

#[test]
fn a_sixth_device_spares_the_one_that_was_just_refreshed() {
    given(five_devices(60))
        .and(vec![token_refreshed(65, 1, 2, 65 + 30 * DAY)])
        .when(verify_otp(70, code(6), 6).into())
        .then_expect_events(vec![evicted(70, 2, 20 + 30 * DAY), logged_in(70, 6)]);
}

#[test]
fn a_device_that_signed_out_leaves_its_place_to_another() {
    given(five_devices(60))
        .and(vec![logged_out(65, 3, SignOutReason::SignedOut, 30 + 30 * DAY)])
        .when(verify_otp(70, code(6), 6).into())
        .then_expect_events(vec![logged_in(70, 6)]);
}

#[test]
fn an_expired_session_takes_no_place() {
    let first_expires = 10 + 30 * DAY;
    given(five_devices(first_expires - 5))
        .when(verify_otp(first_expires, code(6), 6).into())
        .then_expect_events(vec![logged_in(first_expires, 6)]);
}

#[test]
fn a_lowered_limit_signs_out_all_that_are_too_many() {
    let policy = Policy { device_limit: 2, ..Policy::default() };
    let expected = (1..=4).map(|s| evicted(70, s, i64::from(s) * 10 + 30 * DAY));
    given_under(policy, five_devices(60))
        .when(verify_otp(70, code(6), 6).into())
        .then_expect_events(expected.chain([logged_in(70, 6)]).collect());
}

/// The device of `session(s)`, a token of which comes along, redeems a code for `session(6)`.
fn again_on_device_of(s: u8, seconds: i64, n: u8) -> VerifyOtp {
    VerifyOtp { shown: Some(session(s)), ..verify_otp(seconds, code(n), 6) }
}

fn replaced(seconds: i64, s: u8) -> UserAccountEvent {
    logged_out(seconds, s, SignOutReason::SignedInAgain, i64::from(s) * 10 + 30 * DAY)
}

#[test]
fn a_sign_in_that_presents_a_token_of_its_device_replaces_the_session_and_no_other() {
    for policy in [Policy::default(), denying(), Policy { device_limit: 6, ..Policy::default() }] {
        given_under(policy, five_devices(60))
            .when(again_on_device_of(3, 70, 6).into())
            .then_expect_events(vec![replaced(70, 3), logged_in(70, 6)]);
    }
    // From another network it is the same device.
    let moved = VerifyOtp { client: elsewhere(), ..again_on_device_of(3, 70, 6) };
    let events = given(five_devices(60)).when(moved.into()).inspect_result().expect("accepted");
    let ended = events.iter().filter_map(UserAccountEvent::ended_session).map(|(session, _)| session);
    assert_eq!(ended.collect::<Vec<_>>(), [session(3)]);
}

#[test]
fn a_token_from_another_device_or_of_a_session_that_has_ended_replaces_nothing() {
    let other = VerifyOtp { client: other_browser(), ..again_on_device_of(3, 70, 6) };
    let events = given(five_devices(60)).when(other.into()).inspect_result().expect("accepted");
    let ended = events.iter().filter_map(UserAccountEvent::ended_session).map(|(session, _)| session);
    assert_eq!(ended.collect::<Vec<_>>(), [session(1)], "the least recently used, for there is one too many");
    given(five_devices(60))
        .and(vec![logged_out(65, 3, SignOutReason::SignedOut, 30 + 30 * DAY)])
        .when(again_on_device_of(3, 70, 6).into())
        .then_expect_events(vec![logged_in(70, 6)]);
}

#[test]
fn a_lowered_limit_signs_out_the_others_that_are_too_many_besides_the_replaced_one() {
    let policy = Policy { device_limit: 2, ..Policy::default() };
    let expected = [replaced(70, 4), evicted(70, 1, 10 + 30 * DAY), evicted(70, 2, 20 + 30 * DAY)];
    let expected = expected.into_iter().chain([evicted(70, 3, 30 + 30 * DAY), logged_in(70, 6)]);
    given_under(policy, five_devices(60))
        .when(again_on_device_of(4, 70, 6).into())
        .then_expect_events(expected.collect());
    let denied = otp_rejected(70, CodeRejected::DeviceLimit, 5, None);
    given_under(Policy { device_limit: 2, ..denying() }, five_devices(60))
        .when(again_on_device_of(4, 70, 6).into())
        .then_expect_events(vec![denied]);
}

fn denying() -> Policy {
    Policy { device_limit_policy: DeviceLimitPolicy::Deny, ..Policy::default() }
}

#[test]
fn where_the_limit_denies_a_sixth_device_is_not_let_in() {
    given_under(denying(), five_devices(60))
        .and(vec![otp_wrong(65, 4)])
        .when(verify_otp(70, code(6), 6).into())
        .then_expect_events(vec![otp_rejected(70, CodeRejected::DeviceLimit, 4, None)]);
    given_under(denying(), five_devices(60))
        .when(verify_otp(70, wrong_code(), 6).into())
        .then_expect_events(vec![otp_wrong(70, 4)]);
}

#[test]
fn where_the_limit_denies_the_refusal_is_recorded_once_for_each_code() {
    let denied = |seconds| otp_rejected(seconds, CodeRejected::DeviceLimit, 5, None);
    given_under(denying(), five_devices(60))
        .and(vec![denied(70)])
        .when(verify_otp(80, code(6), 6).into())
        .then_expect_error(Refusal::DeviceLimitReached);
    given_under(denying(), five_devices(60))
        .and(vec![denied(70), otp_requested_again(120, 7)])
        .when(verify_otp(130, code(7), 6).into())
        .then_expect_events(vec![denied(130)]);
}

#[test]
fn where_the_limit_denies_the_same_code_lets_in_once_a_device_has_signed_out() {
    given_under(denying(), five_devices(60))
        .and(vec![
            otp_rejected(70, CodeRejected::DeviceLimit, 5, None),
            logged_out(75, 3, SignOutReason::DeviceRevoked, 30 + 30 * DAY),
        ])
        .when(verify_otp(80, code(6), 6).into())
        .then_expect_events(vec![logged_in(80, 6)]);
}

#[test]
fn without_a_limit_a_sixth_device_signs_no_device_out_but_a_hundred_and_first_does() {
    let policy = Policy { device_limit_policy: DeviceLimitPolicy::Off, ..Policy::default() };
    given_under(policy.clone(), five_devices(60))
        .when(verify_otp(70, code(6), 6).into())
        .then_expect_events(vec![logged_in(70, 6)]);
    let mut history = vec![otp_requested(0, 1), user_registered(10)];
    history.extend((1..=100).map(|s| logged_in(i64::from(s) * 10, s)));
    history.push(otp_requested_again(1010, 6));
    given_under(policy, history)
        .when(verify_otp(1020, code(6), 101).into())
        .then_expect_events(vec![evicted(1020, 1, 10 + 30 * DAY), logged_in(1020, 101)]);
}

#[test]
fn a_wrong_code_signs_no_device_out() {
    given(five_devices(60))
        .when(verify_otp(70, wrong_code(), 6).into())
        .then_expect_events(vec![otp_wrong(70, 4)]);
}

#[test]
fn a_clock_that_went_back_moves_no_event_back() {
    given([otp_requested(0, 1), otp_wrong(10, 4)])
        .when(verify_otp(-HOUR, code(1), 1).into())
        .then_expect_events(vec![user_registered(10), logged_in(10, 1)]);
    given([otp_requested(0, 1), otp_rejected(300, CodeRejected::Expired, 0, None), otp_requested(360, 2)])
        .when(verify_otp(0, wrong_code(), 1).into())
        .then_expect_events(vec![otp_wrong(360, 4)]);
}

#[test]
fn the_answer_is_the_tokens_to_issue_or_one_refusal_for_all_that_is_no_code() {
    let tokens = SessionTokens {
        session: session(1),
        generation: Generation::FIRST,
        issued_at: at(10),
        expires_at: at(10 + 30 * DAY),
    };
    assert_eq!(SessionTokens::from_event(&logged_in(10, 1)), Some(Ok(tokens)));

    let too_many = Refusal::TooManyTries { until: at(60) };
    for (reason, until, answer) in [
        (CodeRejected::Wrong, None, Refusal::InvalidCode),
        (CodeRejected::Expired, None, Refusal::InvalidCode),
        (CodeRejected::Paused, Some(60), too_many),
        (CodeRejected::Locked, Some(60), too_many),
        (CodeRejected::DeviceLimit, None, Refusal::DeviceLimitReached),
    ] {
        let rejected = otp_rejected(10, reason, 0, until);
        assert_eq!(SessionTokens::from_event(&rejected), Some(Err(answer)), "{reason:?}");
    }
    assert_eq!(SessionTokens::from_event(&user_registered(10)), None);
}
