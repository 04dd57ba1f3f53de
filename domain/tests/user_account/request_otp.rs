//! Ask for a code.

use chrono::TimeDelta;
use counterfoil_domain::user_account::commands::RequestOtp;
use counterfoil_domain::user_account::{
    AccountFact, CodeFact, CodeRefused, CodeSent, PersonalDetails, Policy, Purpose, Refusal, UserAccount,
    UserAccountEvent,
};
use counterfoil_domain::values::Channel;
use cqrs_es::Aggregate as _;

use crate::fixtures::*;

/// Ten codes asked for, one an hour from 0 on.
fn ten_codes() -> Vec<UserAccountEvent> {
    (0..10).map(|n| otp_requested(i64::from(n) * HOUR, n)).collect()
}

#[test]
fn what_keeps_a_code_back_is_told_with_its_end_and_a_lock_has_none() {
    let told = |history: Vec<UserAccountEvent>, seconds| {
        let mut account = UserAccount::default();
        history.into_iter().for_each(|event| account.apply(event));
        account.code_obstacles(Channel::Phone, at(seconds), &Policy::default())
    };
    assert_eq!(told(vec![], 0), []);
    assert_eq!(told(vec![otp_requested(0, 1)], 10), [(CodeRefused::TooSoon, Some(at(60)))]);
    assert_eq!(told(vec![otp_requested(0, 1)], 60), []);
    let paused = [(CodeRefused::Paused, Some(at(65 + HOUR))), (CodeRefused::TooSoon, Some(at(120)))];
    assert_eq!(told(ten_wrong(), 70), paused);
    let ten: Vec<_> = (0..10).map(|n| otp_requested(i64::from(n) * HOUR, n)).collect();
    assert_eq!(told(ten, 10 * HOUR), [(CodeRefused::QuotaSpent, Some(at(DAY)))]);
    assert_eq!(told(wrong_in_a_row(100), 2 * DAY), [(CodeRefused::Locked, None)]);
}

#[test]
fn a_first_request_sends_a_code() {
    given([]).when(request_otp(0, 1).into()).then_expect_events(vec![otp_requested(0, 1)]);
}

#[test]
fn an_email_address_gets_its_code_by_email() {
    let command = RequestOtp { identifier: email(), ..request_otp(0, 1) };
    given([]).when(command.into()).then_expect_events(vec![otp_requested_by_email(0, 1)]);
}

#[test]
fn a_code_lives_as_long_as_the_policy_says() {
    let policy = Policy { code_lifetime: TimeDelta::seconds(90), ..Policy::default() };
    let events = given_under(policy, []).when(request_otp(0, 1).into()).inspect_result().expect("sent");
    let sent = CodeSent::from_event(&events[0]).expect("an answer").expect("sent");
    assert_eq!((sent.sent_at, sent.expires_at), (at(0), at(90)));
}

#[test]
fn a_name_is_kept_until_the_identifier_is_proved() {
    let command = |seconds| RequestOtp { fullname: Some(fullname()), ..request_otp(seconds, 2) };
    let named = |seconds| UserAccountEvent {
        person: Some(PersonalDetails {
            identifier: Some(phone()),
            fullname: Some(fullname()),
            ..PersonalDetails::default()
        }),
        ..otp_requested(seconds, 2)
    };
    given([]).when(command(0).into()).then_expect_events(vec![named(0)]);
    given([otp_requested(0, 1)]).when(command(60).into()).then_expect_events(vec![named(60)]);
    given(signed_in()).when(command(60).into()).then_expect_events(vec![otp_requested_again(60, 2)]);
}

#[test]
fn a_request_within_a_minute_is_refused_on_record() {
    given([otp_requested(0, 1)])
        .when(request_otp(59, 2).into())
        .then_expect_events(vec![otp_request_refused(59, CodeRefused::TooSoon, 60)]);
}

#[test]
fn a_second_refusal_in_the_same_minute_leaves_no_event() {
    given([otp_requested(0, 1), otp_request_refused(10, CodeRefused::TooSoon, 60)])
        .when(request_otp(59, 2).into())
        .then_expect_error(Refusal::CodeTooSoon { until: at(60) });
}

#[test]
fn after_a_minute_another_code_is_sent() {
    given([otp_requested(0, 1), otp_request_refused(10, CodeRefused::TooSoon, 60)])
        .when(request_otp(60, 2).into())
        .then_expect_events(vec![otp_requested(60, 2)]);
}

#[test]
fn a_refusal_in_the_next_minute_is_on_record_again() {
    given([otp_requested(0, 1), otp_request_refused(10, CodeRefused::TooSoon, 60), otp_requested(60, 2)])
        .when(request_otp(70, 3).into())
        .then_expect_events(vec![otp_request_refused(70, CodeRefused::TooSoon, 120)]);
}

#[test]
fn a_sign_in_does_not_shorten_the_minute() {
    given(signed_in()).when(request_otp(20, 2).into()).then_expect_events(vec![otp_request_refused(
        20,
        CodeRefused::TooSoon,
        60,
    )]);
}

#[test]
fn the_eleventh_code_in_24_hours_is_refused_on_record_once() {
    let refused = otp_request_refused(10 * HOUR, CodeRefused::QuotaSpent, DAY);
    given(ten_codes()).when(request_otp(10 * HOUR, 11).into()).then_expect_events(vec![refused.clone()]);
    given(ten_codes())
        .and(vec![refused])
        .when(request_otp(DAY - 1, 11).into())
        .then_expect_error(Refusal::CodeQuotaSpent { until: at(DAY) });
}

#[test]
fn a_code_is_sent_again_once_the_oldest_of_ten_is_24_hours_old() {
    given(ten_codes()).when(request_otp(DAY, 11).into()).then_expect_events(vec![otp_requested(DAY, 11)]);
    given(ten_codes())
        .and(vec![otp_requested(DAY, 11)])
        .when(request_otp(DAY + 60, 12).into())
        .then_expect_events(vec![otp_request_refused(DAY + 60, CodeRefused::QuotaSpent, DAY + HOUR)]);
}

#[test]
fn a_code_sent_again_counts_to_the_ten() {
    let resent = (0..5).flat_map(|n| {
        let asked = i64::from(n) * HOUR;
        [otp_requested(asked, n), otp_resent(asked + 60, n, asked + 5 * MINUTE)]
    });
    given(resent.collect::<Vec<_>>())
        .when(request_otp(5 * HOUR, 6).into())
        .then_expect_events(vec![otp_request_refused(5 * HOUR, CodeRefused::QuotaSpent, DAY)]);
}

#[test]
fn an_account_paused_for_wrong_codes_gets_none() {
    let pause_ends = HOUR + 65;
    let refused = otp_request_refused(66, CodeRefused::Paused, pause_ends);
    given(ten_wrong()).when(request_otp(66, 3).into()).then_expect_events(vec![refused.clone()]);
    given(ten_wrong())
        .and(vec![refused.clone()])
        .when(request_otp(pause_ends - 1, 3).into())
        .then_expect_error(Refusal::CodeQuotaSpent { until: at(pause_ends) });
    given(ten_wrong())
        .and(vec![refused])
        .when(request_otp(pause_ends, 3).into())
        .then_expect_events(vec![otp_requested(pause_ends, 3)]);
}

#[test]
fn an_account_locked_for_wrong_codes_gets_none() {
    let refused = otp_request_refused(20 * HOUR, CodeRefused::Locked, 20 * HOUR + DAY);
    given(wrong_in_a_row(100))
        .when(request_otp(20 * HOUR, 100).into())
        .then_expect_events(vec![refused.clone()]);
    let again = given(wrong_in_a_row(100))
        .and(vec![refused])
        .when(request_otp(20 * HOUR + 1, 100).into())
        .inspect_result();
    assert!(
        matches!(again, Err(Refusal::CodeQuotaSpent { until }) if until >= at(20 * HOUR + DAY)),
        "{again:?}"
    );
}

#[test]
fn a_lock_is_on_record_once_in_24_hours() {
    let (noted, now) = (20 * HOUR, 20 * HOUR + DAY);
    given(wrong_in_a_row(100))
        .and(vec![otp_request_refused(noted, CodeRefused::Locked, now)])
        .when(request_otp(now, 100).into())
        .then_expect_events(vec![otp_request_refused(now, CodeRefused::Locked, now + DAY)]);
}

#[test]
fn a_refusal_for_another_reason_is_on_record_beside_the_first() {
    given(ten_wrong())
        .and(vec![otp_request_refused(66, CodeRefused::TooSoon, 120)])
        .when(request_otp(67, 3).into())
        .then_expect_events(vec![otp_request_refused(67, CodeRefused::Paused, HOUR + 65)]);
}

#[test]
fn a_clock_that_went_back_moves_no_event_back() {
    given([otp_requested(0, 1)])
        .when(request_otp(-HOUR, 2).into())
        .then_expect_events(vec![otp_request_refused(0, CodeRefused::TooSoon, 60)]);
    given([otp_requested(0, 1), otp_request_refused(59, CodeRefused::TooSoon, 60)])
        .when(request_otp(-HOUR, 2).into())
        .then_expect_error(Refusal::CodeTooSoon { until: at(60) });
    given([otp_requested(0, 1), otp_wrong(70, 4)])
        .when(request_otp(50, 2).into())
        .then_expect_events(vec![otp_requested(70, 2)]);
}

#[test]
fn the_answer_is_the_code_to_send_or_how_long_to_wait() {
    let sent = CodeSent {
        channel: Channel::Phone,
        purpose: Purpose::SignIn,
        nonce: nonce(1),
        sent_at: at(0),
        expires_at: at(5 * MINUTE),
    };
    assert_eq!(CodeSent::from_event(&otp_requested(0, 1)), Some(Ok(sent)));

    let until = at(60);
    for (reason, answer) in [
        (CodeRefused::TooSoon, Refusal::CodeTooSoon { until }),
        (CodeRefused::QuotaSpent, Refusal::CodeQuotaSpent { until }),
        (CodeRefused::Paused, Refusal::CodeQuotaSpent { until }),
        (CodeRefused::Locked, Refusal::CodeQuotaSpent { until }),
    ] {
        let refused = otp_request_refused(10, reason, 60);
        assert_eq!(CodeSent::from_event(&refused), Some(Err(answer)), "{reason:?}");
    }
    assert_eq!(CodeSent::from_event(&logged_in(0, 1)), None);
}

#[test]
fn a_code_that_is_withheld_is_decided_as_any_other_and_says_so() {
    let mut expected = otp_requested(0, 1);
    let AccountFact::Code(CodeFact::OtpRequested { withheld, .. }) = &mut expected.fact else {
        panic!("{expected:?}")
    };
    *withheld = true;
    let command = RequestOtp { withheld: true, ..request_otp(0, 1) };
    let events = given([]).when(command.into()).inspect_result().expect("a code");
    assert_eq!(events, [expected]);
    assert!(events[0].is_withheld());
    // What is counted is counted.
    let again = given(events).when(request_otp(30, 2).into()).inspect_result().expect("a refusal on record");
    assert!(matches!(
        again[0].fact,
        AccountFact::Code(CodeFact::OtpRequestRefused { reason: CodeRefused::TooSoon, .. })
    ));
}
