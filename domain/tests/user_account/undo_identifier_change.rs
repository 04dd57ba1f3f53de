//! Undo a change of identifiers that the owner did not make.

use counterfoil_domain::user_account::commands::UndoIdentifierChange;
use counterfoil_domain::user_account::{
    HeldIdentifiers, IdentifierChanges, Refusal, SignOutReason, UserAccount, UserAccountEvent,
};
use counterfoil_domain::values::Channel;
use cqrs_es::Aggregate as _;

use crate::fixtures::*;

/// A device signed in at 10 seconds, and its number replaced at 70.
fn replaced() -> Vec<UserAccountEvent> {
    [signed_in(), vec![identifier_requested(60, new_phone(), 2), identifier_replaced(70, new_phone())]]
        .concat()
}

/// The same, with an address added at 90.
fn replaced_and_added() -> Vec<UserAccountEvent> {
    [replaced(), vec![identifier_requested(80, email(), 3), identifier_added(90, email())]].concat()
}

fn ended(seconds: i64, s: u8) -> UserAccountEvent {
    logged_out(seconds, s, SignOutReason::IdentifierChangeUndone, 10 + 30 * DAY)
}

fn restored(seconds: i64) -> UserAccountEvent {
    identifier_restored(seconds, phone(), Some(new_phone()))
}

fn changes(events: Vec<UserAccountEvent>) -> IdentifierChanges {
    let mut account = UserAccount::default();
    for event in events {
        account.apply(event);
    }
    account.member().and_then(|member| member.identifier_changes.as_deref().cloned()).unwrap_or_default()
}

#[test]
fn the_former_number_comes_back_and_every_session_ends() {
    given(replaced()).when(undo_change(100, 1, &replaced()).into()).then_expect_events(vec![
        change_undone(100, 1, &[]),
        restored(100),
        ended(100, 1),
    ]);
}

#[test]
fn what_was_added_since_goes_with_it() {
    given(replaced_and_added()).when(undo_change(100, 1, &replaced_and_added()).into()).then_expect_events(
        vec![
            change_undone(100, 1, &[]),
            restored(100),
            identifier_removed_by_undo(100, email()),
            ended(100, 1),
        ],
    );
}

#[test]
fn a_later_change_is_undone_by_itself() {
    given(replaced_and_added()).when(undo_change(100, 2, &replaced_and_added()).into()).then_expect_events(
        vec![change_undone(100, 2, &[]), identifier_removed_by_undo(100, email()), ended(100, 1)],
    );
}

#[test]
fn a_removed_identifier_comes_back() {
    let added =
        [signed_in(), vec![identifier_requested(60, email(), 2), identifier_added(70, email())]].concat();
    let removed = [added, vec![identifier_removed(80, email())]].concat();
    given(removed.clone()).when(undo_change(100, 2, &removed).into()).then_expect_events(vec![
        change_undone(100, 2, &[]),
        identifier_restored(100, email(), None),
        ended(100, 1),
    ]);
}

#[test]
fn a_change_is_undone_once_and_with_it_all_later_ones() {
    let undone = vec![change_undone(100, 1, &[]), restored(100), identifier_removed_by_undo(100, email())];
    let history = [replaced_and_added(), undone].concat();
    for change in 0..4 {
        given(history.clone())
            .when(undo_change(110, change, &history).into())
            .then_expect_error(Refusal::ChangeNotUndoable);
    }
    // An earlier one can still be undone.
    let later = vec![change_undone(100, 2, &[]), identifier_removed_by_undo(100, email()), ended(100, 1)];
    let history = [replaced_and_added(), later].concat();
    given(history.clone())
        .when(undo_change(110, 1, &history).into())
        .then_expect_events(vec![change_undone(110, 1, &[]), restored(110)]);
}

#[test]
fn a_change_can_be_undone_for_72_hours() {
    let history = [replaced(), vec![ended(80, 1)]].concat();
    given(history.clone())
        .when(undo_change(70 + 72 * HOUR - 1, 1, &history).into())
        .then_expect_events(vec![change_undone(70 + 72 * HOUR - 1, 1, &[]), restored(70 + 72 * HOUR - 1)]);
    given(history.clone())
        .when(undo_change(70 + 72 * HOUR, 1, &history).into())
        .then_expect_error(Refusal::ChangeNotUndoable);
}

#[test]
fn a_number_that_another_account_has_is_not_restored_and_the_last_identifier_stays() {
    let history = replaced_and_added();
    let taken = |seconds, history: &[UserAccountEvent]| UndoIdentifierChange {
        taken: vec![Channel::Phone],
        ..undo_change(seconds, 1, history)
    };
    let undone = || {
        let removed = identifier_removed_by_undo(100, email());
        vec![change_undone(100, 1, &[Channel::Phone]), removed, ended(100, 1)]
    };
    given(history.clone()).when(taken(100, &history).into()).then_expect_events(undone());
    let after = [history, undone()].concat();
    given(after.clone()).when(taken(110, &after).into()).then_expect_events(Vec::new());
    given(after.clone())
        .when(undo_change(110, 2, &after).into())
        .then_expect_error(Refusal::ChangeNotUndoable);
    // Once it is free, the same link restores it.
    given(after.clone())
        .when(undo_change(120, 1, &after).into())
        .then_expect_events(vec![change_undone(120, 1, &[]), restored(120)]);
}

#[test]
fn two_identifiers_come_back_one_after_the_other() {
    let both = [phone(), email()];
    let command = |seconds, held: [_; 2]| UndoIdentifierChange {
        former: both.clone().into_iter().collect(),
        held: held.into_iter().collect(),
        ..undo_change(seconds, 2, &[])
    };
    let other_email = other_email();
    let history = [replaced_and_added(), vec![ended(95, 1)]].concat();
    let first = vec![change_undone(100, 2, &[Channel::Email]), restored(100)];
    given(history.clone())
        .when(command(100, [new_phone(), other_email.clone()]).into())
        .then_expect_events(first.clone());
    given([history, first].concat())
        .when(command(110, [phone(), other_email.clone()]).into())
        .then_expect_events(vec![
            change_undone(110, 2, &[]),
            identifier_restored(110, email(), Some(other_email)),
        ]);
}

#[test]
fn nothing_is_undone_once_the_keys_of_the_account_are_gone() {
    let unknown = UndoIdentifierChange {
        former: HeldIdentifiers::default(),
        held: HeldIdentifiers::default(),
        ..undo_change(100, 1, &replaced())
    };
    given(replaced()).when(unknown.into()).then_expect_error(Refusal::ChangeNotUndoable);
}

#[test]
fn pending_codes_are_void_once_a_change_is_undone() {
    let pending = vec![otp_requested_again(91, 3), identifier_requested(92, email(), 4)];
    let history = [replaced(), pending, vec![change_undone(100, 1, &[]), restored(100)]].concat();
    given(history.clone()).when(verify_otp(110, code(3), 2).into()).then_expect_error(Refusal::InvalidCode);
    given(history)
        .when(verify_identifier(110, 1, email(), adding_code(4)).into())
        .then_expect_error(Refusal::InvalidCode);
}

#[test]
fn a_link_goes_to_the_identifiers_that_did_not_come_lately() {
    use Channel::{Email, Phone};
    assert_eq!(changes(replaced()).may_undo(1, &[Phone]), [Phone]);
    // All came lately.
    assert_eq!(changes(replaced_and_added()).may_undo(2, &[Phone]), [Phone]);
    let added = [signed_in(), vec![identifier_added(70, email())]].concat();
    let removed = [added.clone(), vec![identifier_removed(80, email())]].concat();
    assert_eq!(changes(removed).may_undo(2, &[Phone, Email]), [Phone]);
    let later = [added, vec![identifier_removed(80 + 72 * HOUR, email())]].concat();
    assert_eq!(changes(later).may_undo(2, &[Phone, Email]), [Phone, Email]);
}

#[test]
fn many_changes_do_not_push_out_the_first() {
    let more = (0..50).map(|n| identifier_replaced(80 + n, new_phone()));
    let changes = changes([replaced(), more.collect()].concat());
    assert_eq!((changes.count, changes.undoable.len()), (51, 20));
    assert!(changes.undoable(1, at(200)).is_some() && changes.undoable(51, at(200)).is_none());
}
