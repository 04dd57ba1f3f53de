//! An account is erased: by its user, or by staff.

use chrono::TimeDelta;
use counterfoil_domain::user_account::commands::{EraseAccount, ErasureOrder, SignOutAccount};
use counterfoil_domain::user_account::{
    AccountFact, ActingStaff, Policy, ProfileFact, Refusal, SignOutReason, UserAccount, UserAccountEvent,
};
use cqrs_es::Aggregate as _;

use crate::fixtures::*;

fn by_user(seconds: i64, s: u8) -> EraseAccount {
    let order = ErasureOrder::User { at: at(seconds), session: session(s), client: client() };
    EraseAccount { account: account(7), order }
}

fn by_staff(seconds: i64) -> EraseAccount {
    EraseAccount { account: account(7), order: ErasureOrder::Staff(intervention(seconds)) }
}

fn erased(seconds: i64, by: Option<ActingStaff>) -> UserAccountEvent {
    let fact = AccountFact::Profile(ProfileFact::AccountErased { by });
    UserAccountEvent { client: None, ..event(seconds, fact) }
}

#[test]
fn the_user_erases_the_account_and_every_device_is_signed_out_before() {
    given([signed_in(), vec![logged_in(20, 2)]].concat()).when(by_user(60, 1).into()).then_expect_events(
        vec![
            logged_out(60, 1, SignOutReason::Erased, 10 + 30 * DAY),
            logged_out(60, 2, SignOutReason::Erased, 20 + 30 * DAY),
            erased(60, None),
        ],
    );
}

#[test]
fn a_session_that_was_proved_long_ago_or_has_ended_erases_nothing() {
    given(signed_in())
        .when(by_user(10 + 10 * MINUTE + 1, 1).into())
        .then_expect_error(Refusal::ProofNotFresh);
    given(signed_in()).when(by_user(60, 9).into()).then_expect_error(Refusal::SessionEnded);
}

#[test]
fn staff_erase_the_accounts_of_others_and_not_their_own() {
    given(signed_in()).when(by_staff(60).into()).then_expect_events(vec![
        ended_by_admin(60, 1, SignOutReason::Erased, 10 + 30 * DAY),
        erased(60, Some(admin())),
    ]);
    let own = EraseAccount { account: account(1), ..by_staff(60) };
    given(signed_in()).when(own.into()).then_expect_error(Refusal::OwnAccount);
    given([]).when(by_staff(60).into()).then_expect_error(Refusal::UnknownAccount);
}

#[test]
fn nothing_happens_to_an_erased_account() {
    let after =
        [signed_in(), vec![logged_out(60, 1, SignOutReason::Erased, 10 + 30 * DAY), erased(60, None)]]
            .concat();
    given(after.clone()).when(by_staff(70).into()).then_expect_error(Refusal::UnknownAccount);
    given(after.clone()).when(by_user(70, 1).into()).then_expect_error(Refusal::SessionEnded);
    let sign_out = SignOutAccount { intervention: intervention(70) };
    given(after.clone()).when(sign_out.into()).then_expect_error(Refusal::UnknownAccount);
    let mut state = UserAccount::default();
    after.into_iter().for_each(|event| state.apply(event));
    let UserAccount::Pending(pending) = &state else { panic!("{state:?}") };
    assert_eq!((pending.erased_at, pending.identifiers_released), (Some(at(60)), 1));
    assert!(state.member().is_none() && state.sessions().is_empty());
}

#[test]
fn an_account_that_a_restored_database_has_is_erased_again_whether_or_not_it_was_joined() {
    let again = || EraseAccount { account: account(7), order: ErasureOrder::Again(intervention(60)) };
    given(signed_in()).when(again().into()).then_expect_events(vec![
        ended_by_admin(60, 1, SignOutReason::Erased, 10 + 30 * DAY),
        erased(60, Some(admin())),
    ]);
    let asked = vec![otp_requested(0, 1)];
    given(asked.clone()).when(again().into()).then_expect_events(vec![erased(60, Some(admin()))]);
    given([]).when(again().into()).then_expect_error(Refusal::UnknownAccount);
    let after = [asked, vec![erased(50, None)]].concat();
    given(after).when(again().into()).then_expect_error(Refusal::UnknownAccount);
}

/// Under a policy with a delay of a week.
fn with_delay() -> Policy {
    Policy { erasure_delay: TimeDelta::days(7), ..Policy::default() }
}

fn erasure_requested(seconds: i64, by: Option<ActingStaff>) -> UserAccountEvent {
    let due_at = at(seconds + 7 * DAY);
    event(seconds, AccountFact::Profile(ProfileFact::ErasureRequested { due_at, by }))
}

fn erasure_cancelled(seconds: i64) -> UserAccountEvent {
    event(seconds, AccountFact::Profile(ProfileFact::ErasureCancelled {}))
}

fn when_due(seconds: i64) -> EraseAccount {
    EraseAccount { account: account(7), order: ErasureOrder::Due { at: at(seconds) } }
}

/// Closed at 60 by its user, to be erased a week later.
fn closed() -> Vec<UserAccountEvent> {
    let ended = logged_out(60, 1, SignOutReason::Erased, 10 + 30 * DAY);
    [signed_in(), vec![ended, erasure_requested(60, None)]].concat()
}

#[test]
fn with_a_delay_the_account_is_closed_at_once_and_erased_when_its_time_has_come() {
    given_under(with_delay(), signed_in()).when(by_user(60, 1).into()).then_expect_events(vec![
        logged_out(60, 1, SignOutReason::Erased, 10 + 30 * DAY),
        erasure_requested(60, None),
    ]);
    given_under(with_delay(), closed()).when(when_due(60 + 7 * DAY - 1).into()).then_expect_events(vec![]);
    let due = || when_due(60 + 7 * DAY).into();
    given_under(with_delay(), closed()).when(due()).then_expect_events(vec![erased(60 + 7 * DAY, None)]);
    given(signed_in()).when(due()).then_expect_events(vec![]);
    let after = [closed(), vec![erased(60 + 7 * DAY, None)]].concat();
    given(after).when(due()).then_expect_events(vec![]);
}

#[test]
fn the_erasure_names_the_staff_who_asked_for_it_and_an_order_that_waits_stands() {
    let ended = ended_by_admin(60, 1, SignOutReason::Erased, 10 + 30 * DAY);
    let requested = UserAccountEvent { fact: erasure_requested(60, Some(admin())).fact, ..ended.clone() };
    let closed = vec![ended, requested];
    given_under(with_delay(), signed_in()).when(by_staff(60).into()).then_expect_events(closed.clone());
    let history = [signed_in(), closed].concat();
    given_under(with_delay(), history.clone()).when(by_staff(70).into()).then_expect_events(vec![]);
    let when = 60 + 7 * DAY;
    given(history).when(when_due(when).into()).then_expect_events(vec![erased(when, Some(admin()))]);
}

#[test]
fn a_sign_in_before_its_time_keeps_the_account() {
    let history = [closed(), vec![otp_requested_again(200, 2)]].concat();
    given(history.clone())
        .when(verify_otp(210, code(2), 2).into())
        .then_expect_events(vec![erasure_cancelled(210), logged_in(210, 2)]);
    let kept = [history, vec![erasure_cancelled(210), logged_in(210, 2)]].concat();
    given(kept).when(when_due(60 + 7 * DAY).into()).then_expect_events(vec![]);
}
