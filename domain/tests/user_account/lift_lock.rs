//! The owner of a locked identifier lifts the lock by a link that is sent there.

use counterfoil_domain::user_account::commands::{LiftLock, RequestOtp, ResendOtp};
use counterfoil_domain::user_account::{
    AccountFact, CodeAsked, CodeFact, CodeRefused, Policy, Purpose, Refusal, UserAccountEvent,
};
use counterfoil_domain::values::Channel;
use cqrs_es::test::AggregateTestExecutor;

use counterfoil_domain::user_account::UserAccount;

use crate::fixtures::*;
use crate::known_device::{guessed_by_strangers, known};

/// When the accounts of these tests are locked.
const NOW: i64 = 3 * DAY;

fn given_links(history: impl Into<Vec<UserAccountEvent>>) -> AggregateTestExecutor<UserAccount> {
    given_under(Policy { unlock_links: true, ..Policy::default() }, history)
}

/// A number that strangers locked, of an account.
fn locked() -> Vec<UserAccountEvent> {
    [signed_in(), guessed_by_strangers(1, 90)].concat()
}

/// The link, with `nonce(n)`, and the refusal of the request that it was issued for.
fn issued(seconds: i64, n: u8) -> Vec<UserAccountEvent> {
    let refused = otp_request_refused(seconds, CodeRefused::Locked, seconds + DAY);
    vec![unlock_link_issued(seconds, phone(), n), refused]
}

fn open(seconds: i64, n: u8) -> LiftLock {
    LiftLock { at: at(seconds), link: nonce(n), client: client() }
}

#[test]
fn who_asks_for_a_code_to_a_locked_number_is_refused_as_before_and_its_owner_is_sent_a_link() {
    let pending = wrong_in_a_row(100);
    for (history, now) in [(locked(), NOW), (pending, 20 * HOUR)] {
        given_links(history.clone()).when(request_otp(now, 5).into()).then_expect_events(issued(now, 5));
        let wanted = RequestOtp { purpose: Purpose::AddIdentifier, ..request_otp(now, 5) };
        let refused = refused_asking(CodeAsked::ForAnother, phone(), now, CodeRefused::Locked, now + DAY);
        given_links(history.clone())
            .when(wanted.into())
            .then_expect_events(vec![unlock_link_issued(now, phone(), 5), refused]);
        // Not where the service does not know under which URL it is reached, nor to a number for tests.
        let refused = vec![otp_request_refused(now, CodeRefused::Locked, now + DAY)];
        given(history.clone()).when(request_otp(now, 5).into()).then_expect_events(refused.clone());
        let test = RequestOtp { test: true, ..request_otp(now, 5) };
        given_links(history).when(test.into()).then_expect_events(refused);
    }
}

#[test]
fn a_code_asked_for_again_under_the_lock_sends_the_link_as_well() {
    let history = [locked(), vec![otp_requested_again(NOW, 4)]].concat();
    let refused = refused_asking(CodeAsked::Again, phone(), NOW + 60, CodeRefused::Locked, NOW + 60 + DAY);
    let resend: ResendOtp = resend_otp(NOW + 60, 5);
    given_links(history)
        .when(resend.into())
        .then_expect_events(vec![unlock_link_issued(NOW + 60, phone(), 5), refused]);
}

#[test]
fn one_link_a_day_is_sent_whatever_becomes_of_it() {
    let history = [locked(), issued(NOW, 5)].concat();
    let refused = Refusal::CodeQuotaSpent { until: at(NOW + DAY - 1 + DAY) };
    given_links(history.clone()).when(request_otp(NOW + DAY - 1, 6).into()).then_expect_error(refused);
    given_links(history.clone())
        .when(request_otp(NOW + DAY, 6).into())
        .then_expect_events(issued(NOW + DAY, 6));
    // Lifted, and locked again within hours.
    let again = [history, vec![lock_lifted(NOW + 1, Channel::Phone)], guessed_by_strangers(3, 90)].concat();
    let later = NOW + 19 * HOUR;
    given_links(again.clone())
        .when(request_otp(later, 6).into())
        .then_expect_events(vec![otp_request_refused(later, CodeRefused::Locked, later + DAY)]);
    given_links(again.clone()).when(open(later, 5).into()).then_expect_error(Refusal::InvalidCode);
    given_links(again).when(request_otp(NOW + DAY, 6).into()).then_expect_events(issued(NOW + DAY, 6));
}

#[test]
fn the_link_lifts_the_lock_once_and_a_code_is_sent_at_once() {
    let history = [locked(), issued(NOW, 5)].concat();
    let lifted = lock_lifted(NOW + 30, Channel::Phone);
    given_links(history.clone()).when(open(NOW + 30, 5).into()).then_expect_events(vec![lifted.clone()]);
    let after = [history, vec![lifted]].concat();
    given_links(after.clone())
        .when(request_otp(NOW + 30, 6).into())
        .then_expect_events(vec![otp_requested_again(NOW + 30, 6)]);
    given_links(after).when(open(NOW + 31, 5).into()).then_expect_error(Refusal::InvalidCode);
}

#[test]
fn a_link_lifts_nothing_after_a_day_nor_does_another_or_one_before_it() {
    let history = [locked(), issued(NOW, 5)].concat();
    let invalid = Refusal::InvalidCode;
    given_links(history.clone()).when(open(NOW + DAY, 5).into()).then_expect_error(invalid);
    given_links(history.clone()).when(open(NOW + 1, 6).into()).then_expect_error(invalid);
    given_links(locked()).when(open(NOW + 1, 5).into()).then_expect_error(invalid);
    given_links([]).when(open(NOW, 5).into()).then_expect_error(invalid);
    let next = [history.clone(), issued(NOW + DAY, 6)].concat();
    given_links(next).when(open(NOW + DAY + 1, 5).into()).then_expect_error(invalid);
    for fact in [
        AccountFact::Code(CodeFact::LimitsLifted { by: operator() }),
        identifier_replaced(0, new_phone()).fact,
    ] {
        let ended = [history.clone(), vec![event(NOW + 1, fact)]].concat();
        given_links(ended).when(open(NOW + 2, 5).into()).then_expect_error(invalid);
    }
}

#[test]
fn the_wrong_codes_that_strangers_tried_for_a_number_do_not_lock_the_one_that_takes_its_place() {
    let replaced = [locked(), vec![event(NOW, identifier_replaced(0, new_phone()).fact)]].concat();
    let asked =
        given(replaced).when(RequestOtp { identifier: new_phone(), ..request_otp(NOW + 61, 5) }.into());
    let events = asked.inspect_result().expect("the new number gets a code");
    assert!(matches!(events[0].fact, AccountFact::Code(CodeFact::OtpRequested { .. })), "{events:?}");
}

#[test]
fn the_link_of_one_identifier_leaves_the_other_locked() {
    let of_email = |event: UserAccountEvent| {
        let mut event = event;
        if let AccountFact::Code(
            CodeFact::OtpRequested { channel, .. } | CodeFact::OtpRejected { channel, .. },
        ) = &mut event.fact
        {
            *channel = Channel::Email;
        }
        event
    };
    let both = [locked(), guessed_by_strangers(3, 90).into_iter().map(of_email).collect()].concat();
    let now = 5 * DAY;
    let after = [both, issued(now, 5), vec![lock_lifted(now + 1, Channel::Phone)]].concat();
    given_links(after.clone())
        .when(request_otp(now + 2, 6).into())
        .then_expect_events(vec![otp_requested_again(now + 2, 6)]);
    let by_email = RequestOtp { identifier: email(), ..request_otp(now + 2, 6) };
    let refused = refused_asking(CodeAsked::ToSignIn, email(), now + 2, CodeRefused::Locked, now + 2 + DAY);
    given_links(after)
        .when(by_email.into())
        .then_expect_events(vec![unlock_link_issued(now + 2, email(), 6), refused]);
}

#[test]
fn a_known_device_that_is_locked_out_as_well_is_let_in_by_the_same_link() {
    let tries = |hour: i64| {
        let from = NOW + hour * HOUR;
        let wrong =
            (1..=5).map(move |nth| known(otp_wrong(from + nth, 5 - u8::try_from(nth).expect("small"))));
        std::iter::once(known(otp_requested_again(from, 4))).chain(wrong)
    };
    let history: Vec<_> = locked().into_iter().chain((0..2).flat_map(tries)).collect();
    let now = NOW + 5 * HOUR;
    let ask = |seconds, n| RequestOtp { shown: Some(session(1)), ..request_otp(seconds, n) };
    let expected: Vec<_> = issued(now, 5);
    let expected = vec![expected[0].clone(), known(expected[1].clone())];
    given_links(history.clone()).when(ask(now, 5).into()).then_expect_events(expected.clone());
    let after = [history, expected, vec![lock_lifted(now + 1, Channel::Phone)]].concat();
    given_links(after)
        .when(ask(now + 2, 6).into())
        .then_expect_events(vec![known(otp_requested_again(now + 2, 6))]);
}
