//! Staff are given their roles, and have them taken.

use counterfoil_domain::user_account::commands::{ChangeRoles, ReinstateAccount};
use counterfoil_domain::user_account::{AccountFact, Refusal, StaffFact, UserAccountEvent};
use counterfoil_domain::values::Role;
use cqrs_es::Aggregate as _;

use crate::fixtures::*;

/// To `account(2)`, by `account(1)`.
fn change_roles<const N: usize>(seconds: i64, roles: [Role; N]) -> ChangeRoles {
    ChangeRoles { account: account(2), roles: roles.into(), intervention: intervention(seconds) }
}

#[test]
fn roles_take_the_place_of_those_before() {
    given(signed_in())
        .when(change_roles(60, [Role::Admin, Role::Auditor]).into())
        .then_expect_events(vec![roles_changed(60, [Role::Admin, Role::Auditor])]);
    given([signed_in(), vec![roles_changed(60, [Role::Admin])]].concat())
        .when(change_roles(70, [Role::Auditor]).into())
        .then_expect_events(vec![roles_changed(70, [Role::Auditor])]);
    given([signed_in(), vec![roles_changed(60, [Role::Admin])]].concat())
        .when(change_roles(70, []).into())
        .then_expect_events(vec![roles_changed(70, [])]);
}

#[test]
fn the_same_roles_again_change_nothing() {
    given(signed_in()).when(change_roles(60, []).into()).then_expect_events(vec![]);
    given([signed_in(), vec![roles_changed(60, [Role::Admin])]].concat())
        .when(change_roles(70, [Role::Admin]).into())
        .then_expect_events(vec![]);
}

#[test]
fn administrators_neither_give_roles_to_themselves_nor_take_their_own() {
    for roles in [vec![], vec![Role::Admin]] {
        let roles = roles.into_iter().collect();
        given(signed_in())
            .when(ChangeRoles { account: account(1), roles, intervention: intervention(60) }.into())
            .then_expect_error(Refusal::OwnAccount);
    }
}

#[test]
fn whoever_runs_the_service_gives_roles_without_a_place_or_a_reason() {
    let mut command = change_roles(60, [Role::Admin]);
    (command.intervention.by, command.intervention.reason) = (operator(), None);
    command.intervention.client = None;
    let fact = AccountFact::Staff(StaffFact::RolesChanged { roles: [Role::Admin].into(), by: operator() });
    given(signed_in()).when(command.into()).then_expect_events(vec![UserAccountEvent {
        at: at(60),
        fact,
        person: None,
        client: None,
    }]);
}

#[test]
fn nobody_has_a_role_who_has_not_proved_an_identifier() {
    for history in [vec![], vec![otp_requested(0, 1)]] {
        given(history)
            .when(change_roles(60, [Role::Admin]).into())
            .then_expect_error(Refusal::UnknownAccount);
    }
}

#[test]
fn a_role_is_of_no_use_while_the_account_is_suspended() {
    let mut account = counterfoil_domain::user_account::UserAccount::default();
    for event in [signed_in(), vec![roles_changed(20, [Role::Admin])]].concat() {
        account.apply(event);
    }
    assert!(account.has_role(Role::Admin, at(60)));
    assert!(!account.has_role(Role::Auditor, at(60)));
    account.apply(account_suspended(60, Some(120)));
    assert!(!account.has_role(Role::Admin, at(119)));
    assert!(account.has_role(Role::Admin, at(120)));
    account.apply(account_suspended(120, None));
    assert!(!account.has_role(Role::Admin, at(DAY)));
    account.apply(account_reinstated(DAY));
    assert!(account.has_role(Role::Admin, at(DAY)));
    given([suspended(None), vec![roles_changed(70, [Role::Admin])]].concat())
        .when(ReinstateAccount { intervention: intervention(80) }.into())
        .then_expect_events(vec![account_reinstated(80)]);
}
