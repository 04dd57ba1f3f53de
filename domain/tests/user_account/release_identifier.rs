//! Release an identifier that another account has proved.

use counterfoil_domain::user_account::{Refusal, UserAccount};
use cqrs_es::Aggregate as _;

use crate::fixtures::*;

#[test]
fn an_account_without_a_proved_identifier_releases_it() {
    for history in [vec![otp_requested(0, 1)], vec![otp_wanted(0, 1)]] {
        given(history).when(release_identifier(10).into()).then_expect_events(vec![identifier_released(10)]);
    }
}

#[test]
fn the_pending_code_is_void_with_it() {
    given([otp_requested(0, 1), identifier_released(10)])
        .when(verify_otp(20, code(1), 1).into())
        .then_expect_error(Refusal::InvalidCode);
}

#[test]
fn an_account_in_use_keeps_it() {
    given(signed_in()).when(release_identifier(20).into()).then_expect_error(Refusal::IdentifierTaken);
}

#[test]
fn an_account_to_which_nothing_has_happened_has_nothing_to_let_go() {
    given([]).when(release_identifier(0).into()).then_expect_events(vec![]);
}

#[test]
fn what_found_an_account_before_it_let_something_go_is_told_from_what_finds_it_now() {
    let mut account = UserAccount::default();
    let mut let_go = Vec::new();
    let history = [signed_in(), vec![identifier_added(20, email()), identifier_replaced(30, new_phone())]];
    for event in history.concat() {
        account.apply(event);
        let_go.push(account.identifiers_released());
    }
    assert_eq!(let_go, [0, 0, 0, 0, 1]);
}
