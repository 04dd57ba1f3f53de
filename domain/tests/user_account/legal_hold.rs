//! A legal hold: placed and released by staff, and what it does to erasures.

use counterfoil_domain::user_account::commands::{
    EraseAccount, ErasureOrder, PlaceLegalHold, ReleaseLegalHold,
};
use counterfoil_domain::user_account::{
    AccountFact, ProfileFact, Refusal, SignOutReason, StaffFact, UserAccountEvent,
};

use crate::fixtures::*;

fn place(seconds: i64, until: i64) -> PlaceLegalHold {
    PlaceLegalHold { account: account(7), until: at(until), intervention: intervention(seconds) }
}

fn release(seconds: i64) -> ReleaseLegalHold {
    ReleaseLegalHold { account: account(7), intervention: intervention(seconds) }
}

fn by_staff(seconds: i64, fact: StaffFact) -> UserAccountEvent {
    let by_admin = ended_by_admin(seconds, 1, SignOutReason::EndedByAdmin, 0);
    UserAccountEvent { fact: AccountFact::Staff(fact), ..by_admin }
}

fn placed(seconds: i64, until: i64) -> UserAccountEvent {
    by_staff(seconds, StaffFact::LegalHoldPlaced { until: at(until), by: admin() })
}

fn released(seconds: i64) -> UserAccountEvent {
    by_staff(seconds, StaffFact::LegalHoldReleased { by: admin() })
}

fn held(until: i64) -> Vec<UserAccountEvent> {
    [signed_in(), vec![placed(50, until)]].concat()
}

fn erase(order: ErasureOrder) -> EraseAccount {
    EraseAccount { account: account(7), order }
}

fn by_user(seconds: i64) -> EraseAccount {
    erase(ErasureOrder::User { at: at(seconds), session: session(1), client: client() })
}

fn when_due(seconds: i64) -> EraseAccount {
    erase(ErasureOrder::Due { at: at(seconds) })
}

fn erasure_requested(seconds: i64) -> UserAccountEvent {
    let fact = ProfileFact::ErasureRequested { due_at: at(seconds), by: None };
    event(seconds, AccountFact::Profile(fact))
}

fn erased(seconds: i64) -> UserAccountEvent {
    let fact = AccountFact::Profile(ProfileFact::AccountErased { by: None });
    UserAccountEvent { client: None, ..event(seconds, fact) }
}

/// Held until a day, and closed at 60 by its user.
fn held_and_closed() -> Vec<UserAccountEvent> {
    let ended = logged_out(60, 1, SignOutReason::Erased, 10 + 30 * DAY);
    [held(DAY), vec![ended, erasure_requested(60)]].concat()
}

#[test]
fn staff_place_a_hold_with_another_end_and_release_it() {
    given(signed_in()).when(place(50, DAY).into()).then_expect_events(vec![placed(50, DAY)]);
    given(held(DAY)).when(place(60, DAY).into()).then_expect_events(vec![]);
    given(held(DAY)).when(place(60, 2 * DAY).into()).then_expect_events(vec![placed(60, 2 * DAY)]);
    given(held(DAY)).when(release(60).into()).then_expect_events(vec![released(60)]);
    given(held(DAY)).when(release(DAY).into()).then_expect_events(vec![]);
    given(signed_in()).when(release(60).into()).then_expect_events(vec![]);
}

#[test]
fn staff_hold_and_release_accounts_of_others_that_exist() {
    let own = PlaceLegalHold { account: account(1), ..place(60, DAY) };
    given(signed_in()).when(own.into()).then_expect_error(Refusal::OwnAccount);
    let own = ReleaseLegalHold { account: account(1), ..release(60) };
    given(held(DAY)).when(own.into()).then_expect_error(Refusal::OwnAccount);
    given([]).when(place(60, DAY).into()).then_expect_error(Refusal::UnknownAccount);
    given([]).when(release(60).into()).then_expect_error(Refusal::UnknownAccount);
}

#[test]
fn an_erasure_waits_for_the_end_of_the_hold() {
    given(held(DAY)).when(by_user(60).into()).then_expect_events(vec![
        logged_out(60, 1, SignOutReason::Erased, 10 + 30 * DAY),
        erasure_requested(60),
    ]);
    given(held_and_closed()).when(when_due(DAY - 1).into()).then_expect_events(vec![]);
    given(held_and_closed()).when(when_due(DAY).into()).then_expect_events(vec![erased(DAY)]);
    let longer = [held_and_closed(), vec![placed(70, 2 * DAY)]].concat();
    given(longer).when(when_due(DAY).into()).then_expect_events(vec![]);
    let ended = [held_and_closed(), vec![released(70)]].concat();
    given(ended).when(when_due(80).into()).then_expect_events(vec![erased(80)]);
}

#[test]
fn a_hold_that_is_over_postpones_nothing() {
    given(held(55))
        .when(by_user(60).into())
        .then_expect_events(vec![logged_out(60, 1, SignOutReason::Erased, 10 + 30 * DAY), erased(60)]);
}
