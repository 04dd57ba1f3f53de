//! Redeem the code that went to another identifier.

use counterfoil_domain::user_account::commands::VerifyIdentifier;
use counterfoil_domain::user_account::{
    CodeRejected, PersonalDetails, Refusal, SignOutReason, UserAccountEvent,
};
use counterfoil_domain::values::{Channel, Identifier};

use crate::fixtures::*;
use crate::known_device::known;

/// A device signed in at 10 seconds, and a code asked for at 60 to an identifier that it wants.
fn asked(identifier: Identifier) -> Vec<UserAccountEvent> {
    [signed_in(), vec![identifier_requested(60, identifier, 2)]].concat()
}

#[test]
fn an_address_is_added_beside_the_number() {
    given(asked(email()))
        .when(verify_identifier(70, 1, email(), adding_code(2)).into())
        .then_expect_events(vec![identifier_added(70, email())]);
}

#[test]
fn a_number_takes_the_place_of_the_number() {
    given(asked(new_phone()))
        .when(verify_identifier(70, 1, new_phone(), adding_code(2)).into())
        .then_expect_events(vec![identifier_replaced(70, new_phone())]);
}

#[test]
fn a_proof_that_an_outage_kept_from_its_answer_is_accepted_again_and_changes_nothing() {
    let added = || [asked(email()), vec![identifier_added(70, email())]].concat();
    let again =
        VerifyIdentifier { former: Some(email()), ..verify_identifier(80, 1, email(), adding_code(2)) };
    given_after(Outage(65, Some(75)), added()).when(again.clone().into()).then_expect_events(Vec::new());
    given(added()).when(again.into()).then_expect_error(Refusal::InvalidCode);
}

#[test]
fn an_address_added_is_replaced_by_the_next() {
    let history =
        [asked(email()), vec![identifier_added(70, email()), identifier_requested(130, email(), 3)]];
    let events = given(history.concat())
        .when(verify_identifier(140, 1, email(), adding_code(3)).into())
        .inspect_result()
        .expect("replaced");
    assert_eq!(events[0].released(), Some(Channel::Email));
}

#[test]
fn a_replacement_signs_every_other_device_out_and_an_addition_none() {
    let three = |identifier| {
        let others = vec![logged_in(20, 2), logged_in(30, 3)];
        [signed_in(), others, vec![identifier_requested(60, identifier, 2)]].concat()
    };
    let ended = |s: u8| logged_out(70, s, SignOutReason::IdentifierReplaced, i64::from(s) * 10 + 30 * DAY);
    given(three(new_phone()))
        .when(verify_identifier(70, 2, new_phone(), adding_code(2)).into())
        .then_expect_events(vec![identifier_replaced(70, new_phone()), ended(1), ended(3)]);
    given(three(email()))
        .when(verify_identifier(70, 2, email(), adding_code(2)).into())
        .then_expect_events(vec![identifier_added(70, email())]);
}

#[test]
fn a_replacement_voids_the_pending_code_to_sign_in_and_an_addition_does_not() {
    let history = |identifier, proved| {
        let pending = otp_requested_again(61, 3);
        [asked(identifier), vec![pending, proved]].concat()
    };
    given(history(new_phone(), identifier_replaced(70, new_phone())))
        .when(verify_otp(80, code(3), 2).into())
        .then_expect_error(Refusal::InvalidCode);
    given(history(email(), identifier_added(70, email())))
        .when(verify_otp(80, code(3), 2).into())
        .then_expect_events(vec![logged_in(80, 2)]);
}

#[test]
fn a_code_works_once() {
    for (identifier, proved) in
        [(email(), identifier_added(70, email())), (new_phone(), identifier_replaced(70, new_phone()))]
    {
        given(asked(identifier.clone()))
            .and(vec![proved])
            .when(verify_identifier(71, 1, identifier, adding_code(2)).into())
            .then_expect_error(Refusal::InvalidCode);
    }
}

#[test]
fn a_code_is_for_the_identifier_it_went_to() {
    given(asked(new_phone()))
        .when(verify_identifier(70, 1, other_phone(), adding_code(2)).into())
        .then_expect_events(vec![adding_rejected_of(Channel::Phone, 70, CodeRejected::Wrong, 4, None)]);
    given(asked(email()))
        .when(verify_identifier(70, 1, new_phone(), adding_code(2)).into())
        .then_expect_error(Refusal::InvalidCode);
}

#[test]
fn a_code_is_for_its_purpose() {
    given(asked(new_phone()))
        .when(verify_identifier(70, 1, new_phone(), code(2)).into())
        .then_expect_events(vec![adding_rejected_of(Channel::Phone, 70, CodeRejected::Wrong, 4, None)]);
    given(signed_in())
        .and(vec![otp_requested_again(60, 2)])
        .when(verify_identifier(70, 1, phone(), code(2)).into())
        .then_expect_error(Refusal::InvalidCode);
    given(asked(email()))
        .when(verify_otp(70, adding_code(2), 2).into())
        .then_expect_error(Refusal::InvalidCode);
}

#[test]
fn a_code_that_has_expired_is_rejected_once_on_record() {
    let expired = adding_rejected(60 + 5 * MINUTE, CodeRejected::Expired, 0, None);
    let late = || verify_identifier(60 + 5 * MINUTE, 1, email(), adding_code(2)).into();
    given(asked(email())).when(late()).then_expect_events(vec![expired.clone()]);
    given(asked(email())).and(vec![expired]).when(late()).then_expect_error(Refusal::InvalidCode);
}

#[test]
fn five_wrong_codes_are_looked_at_and_the_code_to_sign_in_is_untouched_by_them() {
    let wrong = |nth: u8| adding_rejected(70 + i64::from(nth), CodeRejected::Wrong, 5 - nth, None);
    let history =
        |times| [asked(email()), vec![otp_requested_again(61, 3)], (1..=times).map(wrong).collect()].concat();
    given(history(4))
        .when(verify_identifier(75, 1, email(), wrong_code()).into())
        .then_expect_events(vec![wrong(5)]);
    given(history(5))
        .when(verify_identifier(76, 1, email(), adding_code(2)).into())
        .then_expect_error(Refusal::InvalidCode);
    given(history(5)).when(verify_otp(76, wrong_code(), 2).into()).then_expect_events(vec![otp_wrong(76, 4)]);
    given(history(5)).when(verify_otp(76, code(3), 2).into()).then_expect_events(vec![logged_in(76, 2)]);
}

#[test]
fn wrong_codes_of_a_known_device_for_both_purposes_pause_their_kind_of_identifier_together() {
    let wrong = (1..=5).flat_map(|n| {
        let adding = adding_rejected_of(Channel::Phone, 60 + n, CodeRejected::Wrong, 4, None);
        [adding, known(otp_wrong(60 + n, 4))]
    });
    let history = || asked(new_phone()).into_iter().chain(wrong.clone()).collect::<Vec<_>>();
    let until = HOUR + 65;
    let paused = adding_rejected_of(Channel::Phone, 70, CodeRejected::Paused, 0, Some(until));
    given(history())
        .when(verify_identifier(70, 1, new_phone(), adding_code(2)).into())
        .then_expect_events(vec![paused.clone()]);
    given(history())
        .and(vec![paused])
        .when(verify_identifier(71, 1, new_phone(), adding_code(2)).into())
        .then_expect_error(Refusal::TooManyTries { until: at(until) });
}

#[test]
fn the_right_code_resets_no_count_of_wrong_ones() {
    let wrong = |seconds: i64, n: i64| {
        (1..=n)
            .map(move |nth| adding_rejected_of(Channel::Phone, seconds + nth, CodeRejected::Wrong, 4, None))
    };
    let history: Vec<_> = asked(new_phone())
        .into_iter()
        .chain(wrong(60, 5))
        .chain([identifier_replaced(70, new_phone()), identifier_requested(70, other_phone(), 3)])
        .chain(wrong(70, 5))
        .collect();
    let paused = adding_rejected_of(Channel::Phone, 80, CodeRejected::Paused, 0, Some(75 + HOUR));
    given(history)
        .when(verify_identifier(80, 1, other_phone(), adding_code(3)).into())
        .then_expect_events(vec![paused]);
}

#[test]
fn a_session_that_has_ended_adds_nothing() {
    for reason in [SignOutReason::SignedOut, SignOutReason::SignedOutEverywhere] {
        given(asked(email()))
            .and(vec![logged_out(65, 1, reason, 10 + 30 * DAY)])
            .when(verify_identifier(70, 1, email(), adding_code(2)).into())
            .then_expect_error(Refusal::SessionEnded);
    }
}

#[test]
fn the_former_identifier_is_told_where_it_is_known() {
    let mut command = verify_identifier(70, 1, new_phone(), adding_code(2));
    command.former = None;
    let unknown = UserAccountEvent {
        person: Some(PersonalDetails { identifier: Some(new_phone()), ..PersonalDetails::default() }),
        ..identifier_replaced(70, new_phone())
    };
    given(asked(new_phone())).when(command.into()).then_expect_events(vec![unknown]);
}

#[test]
fn the_answer_is_the_refusal_on_record() {
    let answers = [
        (adding_rejected(0, CodeRejected::Wrong, 4, None), Some(Refusal::InvalidCode)),
        (adding_rejected(0, CodeRejected::Expired, 0, None), Some(Refusal::InvalidCode)),
        (
            adding_rejected(0, CodeRejected::Paused, 0, Some(60)),
            Some(Refusal::TooManyTries { until: at(60) }),
        ),
        (identifier_added(0, email()), None),
        (identifier_requested(0, email(), 1), None),
    ];
    for (event, answer) in answers {
        assert_eq!(event.refusal(), answer);
    }
}
