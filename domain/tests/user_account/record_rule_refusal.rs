//! What access rules refuse is put on record, once a window.

use counterfoil_domain::user_account::commands::{RecordRuleRefusal, RefreshToken, VerifyOtp};
use counterfoil_domain::user_account::{
    AccountFact, CodeRejected, DeviceLimitPolicy, Policy, Purpose, Refusal, Requester, RuleStage,
    SessionFact, UserAccountEvent,
};
use counterfoil_domain::values::{Channel, RuleName};

use crate::fixtures::*;

fn code_refused(seconds: i64, channel: Channel) -> UserAccountEvent {
    refused_code_by(rule(), seconds, channel)
}

fn refused_code_by(rule: RuleName, seconds: i64, channel: Channel) -> UserAccountEvent {
    let identifier = if channel == Channel::Phone { phone() } else { email() };
    let fact = AccountFact::Session(SessionFact::SignInRefused {
        rule,
        stage: RuleStage::Code,
        channel: Some(channel),
        purpose: Purpose::SignIn,
        session: None,
        requester: Requester::Stranger,
        until: Some(at(seconds + HOUR)),
    });
    event_of(identifier, seconds, fact)
}

fn sign_in_refused(seconds: i64, requester: Requester) -> UserAccountEvent {
    let fact = AccountFact::Session(SessionFact::SignInRefused {
        rule: rule(),
        stage: RuleStage::SignIn,
        channel: Some(Channel::Phone),
        purpose: Purpose::SignIn,
        session: None,
        requester,
        until: None,
    });
    event_of(phone(), seconds, fact)
}

fn refresh_refused(seconds: i64, s: u8) -> UserAccountEvent {
    let fact = AccountFact::Session(SessionFact::SignInRefused {
        rule: rule(),
        stage: RuleStage::Refresh,
        channel: None,
        purpose: Purpose::SignIn,
        session: Some(session(s)),
        requester: Requester::Stranger,
        until: Some(at(seconds + HOUR)),
    });
    event(seconds, fact)
}

fn refused_verify(seconds: i64, n: u8, s: u8) -> VerifyOtp {
    VerifyOtp { refused_by: Some(rule()), ..verify_otp(seconds, code(n), s) }
}

fn refused_refresh(seconds: i64, s: u8, generation: u32) -> RefreshToken {
    RefreshToken { refused_by: Some(rule()), ..refresh_token(seconds, s, generation) }
}

#[test]
fn a_refused_code_is_on_record_once_an_hour_for_each_rule_and_kind_of_identifier() {
    for history in [vec![otp_requested(0, 1)], signed_in(), suspended(None)] {
        let refused = [history.clone(), vec![code_refused(600, Channel::Phone)]].concat();
        given(history)
            .when(record_rule_refusal(600, phone()).into())
            .then_expect_events(vec![code_refused(600, Channel::Phone)]);
        given(refused.clone())
            .when(record_rule_refusal(600 + HOUR - 1, phone()).into())
            .then_expect_events(vec![]);
        given(refused.clone())
            .when(record_rule_refusal(600 + HOUR, phone()).into())
            .then_expect_events(vec![code_refused(600 + HOUR, Channel::Phone)]);
        given(refused.clone())
            .when(record_rule_refusal(601, email()).into())
            .then_expect_events(vec![code_refused(601, Channel::Email)]);
        let other = RuleName::parse("closed_at_night").unwrap();
        given(refused)
            .when(RecordRuleRefusal { rule: other, ..record_rule_refusal(601, phone()) }.into())
            .then_expect_events(vec![refused_code_by(other, 601, Channel::Phone)]);
    }
}

#[test]
fn a_refused_code_begins_no_account() {
    given(vec![]).when(record_rule_refusal(0, phone()).into()).then_expect_events(vec![]);
}

#[test]
fn however_many_rules_refuse_the_record_is_bounded() {
    let rule = |n| RuleName::parse(&format!("rule_{n}")).unwrap();
    let many = (0..20).map(|n| refused_code_by(rule(n), 600, Channel::Phone));
    let history: Vec<_> = signed_in().into_iter().chain(many).collect();
    let one_more = |seconds| RecordRuleRefusal { rule: rule(20), ..record_rule_refusal(seconds, phone()) };
    given(history.clone()).when(one_more(601).into()).then_expect_events(vec![]);
    given(history).when(one_more(600 + HOUR).into()).then_expect_events(vec![refused_code_by(
        rule(20),
        600 + HOUR,
        Channel::Phone,
    )]);
}

#[test]
fn a_registered_account_remembers_what_was_refused_before() {
    let before = vec![otp_requested(-120, 9), code_refused(-60, Channel::Phone)];
    given([before, signed_in()].concat())
        .when(record_rule_refusal(600, phone()).into())
        .then_expect_events(vec![]);
}

#[test]
fn a_refused_sign_in_spends_its_code_and_begins_neither_session_nor_account() {
    let refused = vec![otp_requested(0, 1), sign_in_refused(10, Requester::Stranger)];
    given(vec![otp_requested(0, 1)])
        .when(refused_verify(10, 1, 1).into())
        .then_expect_events(vec![sign_in_refused(10, Requester::Stranger)]);
    for again in [refused_verify(11, 1, 1), verify_otp(11, code(1), 1)] {
        given(refused.clone()).when(again.into()).then_expect_error(Refusal::InvalidCode);
    }
    let with_new_code = [refused, vec![otp_requested(70, 2)]].concat();
    given(with_new_code)
        .when(verify_otp(80, code(2), 1).into())
        .then_expect_events(vec![user_registered(80), logged_in(80, 1)]);
}

#[test]
fn a_rule_is_no_way_around_the_refusals_of_the_account() {
    let wrong = VerifyOtp { code: wrong_code(), ..refused_verify(10, 1, 1) };
    given(vec![otp_requested(0, 1)]).when(wrong.into()).then_expect_events(vec![otp_wrong(10, 4)]);
    given(vec![]).when(refused_verify(10, 1, 1).into()).then_expect_error(Refusal::InvalidCode);
    let deny = Policy { device_limit: 1, device_limit_policy: DeviceLimitPolicy::Deny, ..Policy::default() };
    let no_place = otp_rejected(610, CodeRejected::DeviceLimit, 5, None);
    given_under(deny, [signed_in(), vec![otp_requested(600, 2)]].concat())
        .when(refused_verify(610, 2, 2).into())
        .then_expect_events(vec![no_place]);
}

#[test]
fn a_refused_sign_in_that_repeats_an_unanswered_one_gives_no_tokens_and_spends_the_code() {
    let refused = sign_in_refused(15, Requester::Stranger);
    given_after(Outage(5, Some(12)), signed_in())
        .when(refused_verify(15, 1, 1).into())
        .then_expect_events(vec![refused.clone()]);
    given_after(Outage(5, Some(12)), [signed_in(), vec![refused]].concat())
        .when(verify_otp(16, code(1), 1).into())
        .then_expect_error(Refusal::InvalidCode);
}

#[test]
fn a_refused_refresh_leaves_token_and_session_as_they_are() {
    let refused = [signed_in(), vec![refresh_refused(600, 1)]].concat();
    given(signed_in())
        .when(refused_refresh(600, 1, 1).into())
        .then_expect_events(vec![refresh_refused(600, 1)]);
    given(refused.clone())
        .when(refused_refresh(600 + HOUR - 1, 1, 1).into())
        .then_expect_error(Refusal::RefusedByRule { rule: rule() });
    given(refused.clone())
        .when(refused_refresh(600 + HOUR, 1, 1).into())
        .then_expect_events(vec![refresh_refused(600 + HOUR, 1)]);
    given(refused).when(refresh_token(601, 1, 1).into()).then_expect_events(vec![token_refreshed(
        601,
        1,
        2,
        601 + 30 * DAY,
    )]);
}

#[test]
fn a_rule_does_not_hide_that_a_token_was_copied() {
    let history = [
        signed_in(),
        vec![token_refreshed(600, 1, 2, 600 + 30 * DAY), token_refreshed(1_200, 1, 3, 1_200 + 30 * DAY)],
    ]
    .concat();
    let copied = refused_refresh(1_300, 1, 1);
    let as_without_rule = RefreshToken { refused_by: None, ..copied.clone() };
    let with_rule = given(history.clone()).when(copied.into()).inspect_result().unwrap();
    let without = given(history).when(as_without_rule.into()).inspect_result().unwrap();
    assert_eq!(with_rule, without);
    assert!(matches!(with_rule[0].fact, AccountFact::Session(SessionFact::TokenReuseDetected { .. })));
}

#[test]
fn a_repeated_refresh_is_refused_as_the_first_is() {
    let refreshed = [signed_in(), vec![token_refreshed(600, 1, 2, 600 + 30 * DAY)]].concat();
    given(refreshed.clone())
        .when(refused_refresh(605, 1, 1).into())
        .then_expect_events(vec![refresh_refused(605, 1)]);
    let repeated = [refreshed, vec![token_refresh_retried(605, 1, 2, 600, 600 + 30 * DAY)]].concat();
    given(repeated).when(refused_refresh(606, 1, 1).into()).then_expect_events(vec![refresh_refused(606, 1)]);
}
