//! Take an identifier from the account.

use counterfoil_domain::user_account::commands::RemoveIdentifier;
use counterfoil_domain::user_account::{
    HeldIdentifiers, PersonalDetails, Refusal, SignOutReason, UserAccount, UserAccountEvent,
};
use counterfoil_domain::values::Channel;
use cqrs_es::Aggregate as _;

use crate::fixtures::*;

/// A device signed in at 10 seconds, and an address added at 70.
fn with_address() -> Vec<UserAccountEvent> {
    [signed_in(), vec![identifier_requested(60, email(), 2), identifier_added(70, email())]].concat()
}

#[test]
fn either_identifier_is_removed_while_the_other_stays() {
    for identifier in [phone(), email()] {
        given(with_address())
            .when(remove_identifier(80, 1, identifier.clone()).into())
            .then_expect_events(vec![identifier_removed(80, identifier)]);
    }
}

#[test]
fn the_last_identifier_is_never_removed() {
    let only =
        RemoveIdentifier { held: [phone()].into_iter().collect(), ..remove_identifier(80, 1, phone()) };
    given(signed_in()).when(only.into()).then_expect_error(Refusal::LastIdentifier);
    let after = || [with_address(), vec![identifier_removed(80, phone())]].concat();
    let other =
        RemoveIdentifier { held: [email()].into_iter().collect(), ..remove_identifier(90, 1, email()) };
    given(after()).when(other.into()).then_expect_error(Refusal::LastIdentifier);
}

#[test]
fn an_identifier_that_the_account_does_not_have_is_unknown() {
    given(with_address())
        .when(remove_identifier(80, 1, new_phone()).into())
        .then_expect_error(Refusal::UnknownIdentifier);
    given(signed_in())
        .when(remove_identifier(80, 1, email()).into())
        .then_expect_error(Refusal::UnknownIdentifier);
    let erased = RemoveIdentifier { held: HeldIdentifiers::default(), ..remove_identifier(80, 1, phone()) };
    given(with_address()).when(erased.into()).then_expect_error(Refusal::UnknownIdentifier);
}

#[test]
fn a_removal_takes_a_live_session_that_was_proved_lately() {
    given(with_address())
        .when(remove_identifier(10 + 10 * MINUTE + 1, 1, email()).into())
        .then_expect_error(Refusal::ProofNotFresh);
    given(with_address())
        .when(remove_identifier(10 + 10 * MINUTE, 1, email()).into())
        .then_expect_events(vec![identifier_removed(10 + 10 * MINUTE, email())]);
    given(with_address())
        .when(remove_identifier(80, 9, email()).into())
        .then_expect_error(Refusal::SessionEnded);
}

#[test]
fn a_removal_signs_every_other_device_out() {
    let history = [with_address(), vec![logged_in(71, 2), logged_in(72, 3)]].concat();
    let ended = |s: u8, at: i64| logged_out(80, s, SignOutReason::IdentifierRemoved, at + 30 * DAY);
    given(history).when(remove_identifier(80, 2, email()).into()).then_expect_events(vec![
        identifier_removed(80, email()),
        ended(1, 10),
        ended(3, 72),
    ]);
}

#[test]
fn a_removal_voids_the_pending_codes() {
    let history = || {
        let pending = vec![otp_requested_again(71, 3), identifier_requested(72, new_phone(), 4)];
        [with_address(), pending, vec![identifier_removed(80, email())]].concat()
    };
    given(history()).when(verify_otp(90, code(3), 2).into()).then_expect_error(Refusal::InvalidCode);
    given(history())
        .when(verify_identifier(90, 1, new_phone(), adding_code(4)).into())
        .then_expect_error(Refusal::InvalidCode);
}

#[test]
fn an_account_tells_its_identifiers_by_its_events() {
    let history = |last| [with_address(), vec![last]].concat();
    let held = HeldIdentifiers::after(&history(identifier_removed(80, email())));
    assert_eq!((held.get(Channel::Phone), held.get(Channel::Email)), (Some(&phone()), None));
    let held = HeldIdentifiers::after(&history(identifier_replaced(80, new_phone())));
    assert_eq!((held.get(Channel::Phone), held.get(Channel::Email)), (Some(&new_phone()), Some(&email())));
    let without_keys = with_address().into_iter().map(|event| UserAccountEvent { person: None, ..event });
    assert_eq!(HeldIdentifiers::after(&without_keys.collect::<Vec<_>>()), HeldIdentifiers::default());
    for event in
        [identifier_added(1, email()), identifier_replaced(1, phone()), identifier_removed(1, phone())]
    {
        assert!(HeldIdentifiers::EVENTS.contains(&event.name()));
    }

    let mut account = UserAccount::default();
    for event in history(identifier_removed(80, email())) {
        account.apply(event);
    }
    assert_eq!(
        account.member().map(|member| member.identifiers.as_slice()),
        Some([Channel::Phone].as_slice())
    );
    assert_eq!(account.identifiers_released(), 1);
    let former = Some(PersonalDetails { former: Some(email()), ..PersonalDetails::default() });
    assert_eq!(identifier_removed(80, email()).person, former);
}
