//! Ask for the pending code once more.

use counterfoil_domain::user_account::UserAccountCommand;
use counterfoil_domain::user_account::commands::ResendOtp;
use counterfoil_domain::user_account::{
    AccountFact, CodeAsked, CodeFact, CodeRefused, CodeRejected, CodeSent, Purpose, Refusal, Requester,
    UserAccountEvent,
};
use counterfoil_domain::values::Channel;

use crate::fixtures::*;

#[test]
fn the_same_code_is_sent_while_it_has_a_minute_to_live() {
    for seconds in [60, 4 * MINUTE] {
        given([otp_requested(0, 1)])
            .when(resend_otp(seconds, 2).into())
            .then_expect_events(vec![otp_resent(seconds, 1, 5 * MINUTE)]);
    }
}

#[test]
fn after_an_outage_that_kept_the_caller_from_an_answer_the_pending_code_is_sent_without_a_wait() {
    let resent = |seconds: i64, n: u8, expires_at: i64, answer_possible_at: i64| {
        let fact = AccountFact::Code(CodeFact::OtpResent {
            channel: Channel::Phone,
            purpose: Purpose::SignIn,
            nonce: nonce(n),
            expires_at: at(expires_at),
            requester: Requester::Stranger,
            test: false,
            withheld: false,
            answer_possible_at: Some(at(answer_possible_at)),
        });
        event_of(phone(), seconds, fact)
    };
    for command in [request_otp(13, 2).into(), resend_otp(13, 2).into()] {
        let command: UserAccountCommand = command;
        given_after(Outage(-5, Some(12)), [otp_requested(0, 1)])
            .when(command.clone())
            .then_expect_events(vec![resent(13, 1, 300, 12)]);
        // Once it was answered, the next has to wait as ever.
        let events = given_after(Outage(-5, Some(12)), [otp_requested(0, 1), resent(13, 1, 300, 12)])
            .when(command)
            .inspect_result()
            .expect("a refusal on record");
        assert!(matches!(
            events[0].fact,
            AccountFact::Code(CodeFact::OtpRequestRefused { reason: CodeRefused::TooSoon, .. })
        ));
    }
    // The tries that a code has survive.
    given_after(Outage(-5, Some(12)), [otp_requested(0, 1), otp_wrong(5, 4), resent(13, 1, 300, 12)])
        .when(verify_otp(20, wrong_code(), 1).into())
        .then_expect_events(vec![otp_wrong(20, 3)]);
}

#[test]
fn a_code_with_less_than_a_minute_to_live_is_replaced() {
    for seconds in [4 * MINUTE + 1, 5 * MINUTE - 1] {
        given([otp_requested(0, 1)])
            .when(resend_otp(seconds, 2).into())
            .then_expect_events(vec![otp_resent(seconds, 2, seconds + 5 * MINUTE)]);
    }
}

#[test]
fn the_code_that_was_replaced_is_void_and_the_new_one_works() {
    let replaced = [otp_requested(0, 1), otp_resent(250, 2, 550)];
    given(replaced.clone())
        .when(verify_otp(260, code(1), 1).into())
        .then_expect_events(vec![otp_wrong(260, 4)]);
    given(replaced)
        .when(verify_otp(549, code(2), 1).into())
        .then_expect_events(vec![user_registered(549), logged_in(549, 1)]);
}

#[test]
fn a_code_sent_by_email_is_sent_again_by_email() {
    let resent = AccountFact::Code(CodeFact::OtpResent {
        channel: Channel::Email,
        purpose: Purpose::SignIn,
        nonce: nonce(1),
        expires_at: at(300),
        requester: Requester::Stranger,
        test: false,
        withheld: false,
        answer_possible_at: None,
    });
    let by_email = ResendOtp { identifier: email(), ..resend_otp(60, 2) };
    given([otp_requested_by_email(0, 1)]).when(by_email.into()).then_expect_events(vec![event_of(
        email(),
        60,
        resent,
    )]);
    given([otp_requested_by_email(0, 1)])
        .when(resend_otp(60, 2).into())
        .then_expect_error(Refusal::NoPendingCode);
}

#[test]
fn without_a_pending_code_there_is_nothing_to_send_again() {
    let histories: [(&str, Vec<UserAccountEvent>); 5] = [
        ("never asked for", vec![]),
        ("past its time", vec![otp_requested(0, 1)]),
        ("tried past its time", vec![otp_requested(0, 1), otp_rejected(300, CodeRejected::Expired, 0, None)]),
        ("redeemed", signed_in()),
        ("used up by wrong tries", wrongly_tried(0, 1, 5)),
    ];
    for (what, history) in histories {
        let result = given(history).when(resend_otp(300, 2).into()).inspect_result();
        assert_eq!(result, Err(Refusal::NoPendingCode), "{what}");
    }
}

#[test]
fn a_resend_within_a_minute_is_refused_on_record_once() {
    let refused = refused_asking(CodeAsked::Again, phone(), 10, CodeRefused::TooSoon, 60);
    given([otp_requested(0, 1)]).when(resend_otp(10, 2).into()).then_expect_events(vec![refused.clone()]);
    given([otp_requested(0, 1), refused.clone()])
        .when(resend_otp(59, 2).into())
        .then_expect_error(Refusal::CodeTooSoon { until: at(60) });
    given([otp_requested(0, 1), refused])
        .when(request_otp(59, 2).into())
        .then_expect_error(Refusal::CodeTooSoon { until: at(60) });
}

#[test]
fn a_resend_starts_the_minute_anew() {
    let resent = [otp_requested(0, 1), otp_resent(60, 1, 300)];
    for (asked, command) in
        [(CodeAsked::Again, resend_otp(119, 2).into()), (CodeAsked::ToSignIn, request_otp(119, 2).into())]
    {
        let refused = refused_asking(asked, phone(), 119, CodeRefused::TooSoon, 120);
        given(resent.clone()).when(command).then_expect_events(vec![refused]);
    }
    given(resent).when(resend_otp(120, 2).into()).then_expect_events(vec![otp_resent(120, 1, 300)]);
}

#[test]
fn a_resend_past_the_quota_is_refused() {
    let ten_codes: Vec<_> = (0..10).map(|n| otp_requested(i64::from(n) * HOUR, n)).collect();
    let refused = refused_asking(CodeAsked::Again, phone(), 9 * HOUR + 60, CodeRefused::QuotaSpent, DAY);
    given(ten_codes).when(resend_otp(9 * HOUR + 60, 10).into()).then_expect_events(vec![refused]);
}

#[test]
fn a_resend_while_paused_is_refused() {
    let pending = [wrongly_tried(0, 1, 4), wrongly_tried(60, 2, 4), wrongly_tried(120, 3, 2)];
    let refused = refused_asking(CodeAsked::Again, phone(), 180, CodeRefused::Paused, HOUR + 122);
    given(pending.concat()).when(resend_otp(180, 4).into()).then_expect_events(vec![refused]);
}

#[test]
fn a_resend_gives_no_wrong_try_back() {
    for resent in [otp_resent(60, 1, 300), otp_resent(250, 2, 550)] {
        given(wrongly_tried(0, 1, 3))
            .and(vec![resent.clone()])
            .when(verify_otp(260, wrong_code(), 1).into())
            .then_expect_events(vec![otp_wrong(260, 1)]);
        given(wrongly_tried(0, 1, 4))
            .and(vec![resent])
            .when(verify_otp(260, wrong_code(), 1).into())
            .then_expect_events(vec![otp_wrong(260, 0)]);
    }
}

#[test]
fn a_resend_does_not_end_a_pause_before_its_time() {
    let tried =
        [wrongly_tried(0, 1, 5), wrongly_tried(60, 2, 4), vec![otp_resent(120, 2, 360), otp_wrong(121, 0)]];
    given(tried.concat()).when(verify_otp(122, code(2), 1).into()).then_expect_events(vec![otp_rejected(
        122,
        CodeRejected::Paused,
        0,
        Some(HOUR + 121),
    )]);
}

#[test]
fn a_clock_that_went_back_moves_no_event_back() {
    given([otp_requested(0, 1), otp_wrong(70, 4)])
        .when(resend_otp(-HOUR, 2).into())
        .then_expect_events(vec![otp_resent(70, 1, 300)]);
}

#[test]
fn the_answer_is_the_code_that_was_sent() {
    let sent = CodeSent {
        channel: Channel::Phone,
        purpose: Purpose::SignIn,
        nonce: nonce(1),
        sent_at: at(60),
        expires_at: at(300),
    };
    assert_eq!(CodeSent::from_event(&otp_resent(60, 1, 300)), Some(Ok(sent)));
}
