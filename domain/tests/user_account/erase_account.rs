//! An account is erased: by its user, or by staff.

use counterfoil_domain::user_account::commands::{EraseAccount, ErasureOrder, SignOutAccount};
use counterfoil_domain::user_account::{
    AccountFact, ActingStaff, ProfileFact, Refusal, SignOutReason, UserAccount, UserAccountEvent,
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
