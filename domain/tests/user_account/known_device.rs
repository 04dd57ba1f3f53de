//! A device that can show a token of the account keeps a way in, whatever strangers do to the account.

use counterfoil_domain::user_account::commands::{RequestOtp, ResendOtp, VerifyOtp};
use counterfoil_domain::user_account::{
    AccountFact, CodeFact, CodeRefused, CodeRejected, Refusal, Requester, SessionFact, SignOutReason,
    UserAccount, UserAccountEvent,
};
use counterfoil_domain::values::{Channel, SessionId};
use cqrs_es::Aggregate as _;

use crate::fixtures::*;

fn by(requester: Requester, mut event: UserAccountEvent) -> UserAccountEvent {
    let (AccountFact::Code(
        CodeFact::OtpRequested { requester: its, .. }
        | CodeFact::OtpResent { requester: its, .. }
        | CodeFact::OtpRequestRefused { requester: its, .. }
        | CodeFact::OtpRejected { requester: its, .. },
    )
    | AccountFact::Session(SessionFact::LoggedIn { requester: its, .. })) = &mut event.fact
    else {
        panic!("no caller asks in {event:?}")
    };
    *its = requester;
    event
}

/// The event, when a known device brought it about.
pub(crate) fn known(event: UserAccountEvent) -> UserAccountEvent {
    by(Requester::KnownDevice, event)
}

fn ask(seconds: i64, n: u8, shown: SessionId) -> RequestOtp {
    RequestOtp { shown: Some(shown), ..request_otp(seconds, n) }
}

fn redeem(seconds: i64, n: u8, s: u8, shown: SessionId) -> VerifyOtp {
    VerifyOtp { shown: Some(shown), ..verify_otp(seconds, code(n), s) }
}

/// `session(1)` gives way to a new one of its device.
fn replaced(seconds: i64) -> UserAccountEvent {
    logged_out(seconds, 1, SignOutReason::SignedInAgain, 10 + 30 * DAY)
}

/// Signed in by `session(1)` and out again, for that reason.
fn signed_out(reason: SignOutReason) -> Vec<UserAccountEvent> {
    [signed_in(), vec![logged_out(20, 1, reason, 10 + 30 * DAY)]].concat()
}

/// Signed out, and then attacked until no caller's codes are looked at, from 100 to 165 seconds.
fn under_attack() -> Vec<UserAccountEvent> {
    let tries = |from: i64, n| {
        let wrong = (1..=5).map(move |nth| otp_wrong(from + nth, 5 - u8::try_from(nth).expect("small")));
        std::iter::once(otp_requested_again(from, n)).chain(wrong)
    };
    signed_out(SignOutReason::SignedOut).into_iter().chain(tries(100, 3)).chain(tries(160, 4)).collect()
}

#[test]
fn strangers_are_shut_out_and_a_known_device_signs_in() {
    let until = 165 + HOUR;
    given(under_attack()).when(request_otp(200, 5).into()).then_expect_events(vec![otp_request_refused(
        200,
        CodeRefused::Paused,
        until,
    )]);
    let asked = known(otp_requested_again(200, 5));
    given(under_attack()).when(ask(200, 5, session(1)).into()).then_expect_events(vec![asked.clone()]);
    let history = [under_attack(), vec![asked]].concat();
    given(history.clone())
        .when(redeem(210, 5, 2, session(1)).into())
        .then_expect_events(vec![known(logged_in(210, 2))]);
    // The same code from a stranger is not looked at.
    given(history).when(verify_otp(210, code(5), 2).into()).then_expect_events(vec![otp_rejected(
        210,
        CodeRejected::Paused,
        0,
        Some(until),
    )]);
}

#[test]
fn a_session_that_an_attacker_may_have_makes_no_device_known() {
    for (reason, is_known) in [
        (SignOutReason::SignedOut, true),
        (SignOutReason::DeviceLimit, true),
        (SignOutReason::SignedInAgain, true),
        (SignOutReason::TokenReuse, false),
        (SignOutReason::DeviceRevoked, false),
        (SignOutReason::SignedOutEverywhere, false),
        (SignOutReason::ClientChanged, false),
        (SignOutReason::IdentifierReplaced, false),
        (SignOutReason::IdentifierRemoved, false),
        (SignOutReason::IdentifierChangeUndone, false),
        (SignOutReason::Disowned, false),
    ] {
        let requester = if is_known { Requester::KnownDevice } else { Requester::Stranger };
        given(signed_out(reason))
            .when(ask(100, 3, session(1)).into())
            .then_expect_events(vec![by(requester, otp_requested_again(100, 3))]);
    }
    given(signed_in())
        .when(ask(100, 3, session(1)).into())
        .then_expect_events(vec![known(otp_requested_again(100, 3))]);
    given(signed_in())
        .when(ask(100, 3, session(9)).into())
        .then_expect_events(vec![otp_requested_again(100, 3)]);
}

#[test]
fn a_session_that_has_expired_makes_its_device_known() {
    let history = [signed_in(), vec![otp_requested_again(31 * DAY, 3), logged_in(31 * DAY + 1, 2)]].concat();
    given(history)
        .when(ask(32 * DAY, 4, session(1)).into())
        .then_expect_events(vec![known(otp_requested_again(32 * DAY, 4))]);
}

#[test]
fn codes_of_strangers_and_of_known_devices_do_not_touch_each_other() {
    let both = [signed_in(), vec![otp_requested_again(100, 3), known(otp_requested_again(110, 4))]].concat();
    // Neither voids the other, each is bound by its own last code, and each has its own tries.
    given(both.clone()).when(verify_otp(120, code(3), 2).into()).then_expect_events(vec![logged_in(120, 2)]);
    given(both.clone())
        .when(redeem(120, 4, 2, session(1)).into())
        .then_expect_events(vec![replaced(120), known(logged_in(120, 2))]);
    given(both.clone())
        .when(ask(165, 5, session(1)).into())
        .then_expect_events(vec![known(otp_request_refused(165, CodeRefused::TooSoon, 170))]);
    given(both.clone())
        .when(request_otp(165, 5).into())
        .then_expect_events(vec![otp_requested_again(165, 5)]);
    given(both.clone())
        .when(redeem(120, 9, 2, session(1)).into())
        .then_expect_events(vec![known(otp_wrong(120, 4))]);
    given([both, vec![known(otp_wrong(120, 4))]].concat())
        .when(verify_otp(130, code(9), 2).into())
        .then_expect_events(vec![otp_wrong(130, 4)]);
}

#[test]
fn a_known_device_that_asked_as_a_stranger_goes_on_as_one() {
    let history = [signed_in(), vec![otp_requested_again(100, 3)]].concat();
    given(history.clone())
        .when(redeem(110, 3, 2, session(1)).into())
        .then_expect_events(vec![replaced(110), logged_in(110, 2)]);
    let resend = ResendOtp { shown: Some(session(1)), ..resend_otp(160, 4) };
    given(history).when(resend.into()).then_expect_events(vec![otp_resent(160, 3, 400)]);
}

#[test]
fn a_known_device_has_its_own_limits_and_they_hold() {
    let mut history = under_attack();
    for nth in 0..10_u8 {
        let at = 1000 + i64::from(nth) * MINUTE;
        history.push(known(otp_requested_again(at, nth)));
    }
    given(history)
        .when(ask(2000, 5, session(1)).into())
        .then_expect_events(vec![known(otp_request_refused(2000, CodeRefused::QuotaSpent, 1000 + DAY))]);
}

#[test]
fn a_sign_in_voids_every_pending_code() {
    let history = [
        signed_in(),
        vec![otp_requested_again(100, 3), known(otp_requested_again(110, 4)), logged_in(120, 2)],
    ]
    .concat();
    given(history).when(redeem(130, 4, 3, session(1)).into()).then_expect_error(Refusal::InvalidCode);
}

/// Wrong codes from strangers, five an hour from the day on.
pub(crate) fn guessed_by_strangers(day: i64, times: i64) -> Vec<UserAccountEvent> {
    let wrong = |nth: i64| {
        let hour = day * DAY + nth / 5 * HOUR;
        let wrong = otp_wrong(hour + 1 + nth % 5, 4 - u8::try_from(nth % 5).expect("small"));
        if nth % 5 == 0 { vec![otp_requested_again(hour, 3), wrong] } else { vec![wrong] }
    };
    (0..times).flat_map(wrong).collect()
}

#[test]
fn a_success_resets_the_counters_of_its_own_channel_and_requester_only() {
    let guessed = [signed_in(), guessed_by_strangers(1, 9)].concat();
    let (ask, now) = (known(otp_requested_again(DAY + HOUR + 10, 4)), DAY + HOUR + 11);
    let by_known_device = [guessed.clone(), vec![ask, known(logged_in(now, 2))]].concat();
    let mut by_email = logged_in(now, 2);
    if let AccountFact::Session(SessionFact::LoggedIn { channel, .. }) = &mut by_email.fact {
        *channel = Channel::Email;
    }
    let by_email = [guessed.clone(), vec![by_email]].concat();
    let by_phone = [guessed, vec![logged_in(now, 2)]].concat();
    for (history, left) in [(by_known_device, 9), (by_email, 9), (by_phone, 0)] {
        let mut account = UserAccount::default();
        history.into_iter().for_each(|event| account.apply(event));
        let codes = account.codes().expect("it has codes");
        assert_eq!(codes.phone.wrong.in_a_row, left);
    }
}

#[test]
fn wrong_codes_of_strangers_and_known_devices_have_one_ceiling_of_a_hundred() {
    let of_strangers = [signed_in(), guessed_by_strangers(1, 90)].concat();
    let now = 3 * DAY;
    // Strangers are shut out, and a known device is not.
    given(of_strangers.clone())
        .when(request_otp(now, 5).into())
        .then_expect_events(vec![otp_request_refused(now, CodeRefused::Locked, now + DAY)]);
    let wrong = |nth: i64| {
        let hour = now + nth / 5 * HOUR;
        let asked = known(otp_requested_again(hour, 4));
        let wrong = known(otp_wrong(hour + 1 + nth % 5, 4 - u8::try_from(nth % 5).expect("small")));
        if nth % 5 == 0 { vec![asked, wrong] } else { vec![wrong] }
    };
    for (times, is_let_in) in [(9, true), (10, false)] {
        let history = [of_strangers.clone(), (0..times).flat_map(wrong).collect()].concat();
        let later = now + 5 * HOUR;
        let outcome = if is_let_in {
            otp_requested_again(later, 6)
        } else {
            otp_request_refused(later, CodeRefused::Locked, later + DAY)
        };
        given(history).when(ask(later, 6, session(1)).into()).then_expect_events(vec![known(outcome)]);
    }
}

#[test]
fn a_lock_of_the_number_leaves_the_address_open() {
    let history = [signed_in(), guessed_by_strangers(1, 90)].concat();
    let now = 3 * DAY;
    let by_email = RequestOtp { identifier: email(), ..request_otp(now, 5) };
    let asked = given(history).when(by_email.into()).inspect_result().expect("the address gets a code");
    assert!(
        matches!(asked[0].fact, AccountFact::Code(CodeFact::OtpRequested { channel: Channel::Email, .. })),
        "{asked:?}"
    );
}
