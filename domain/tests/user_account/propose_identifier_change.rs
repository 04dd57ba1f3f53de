//! Staff give an account another identifier: one proposes, another confirms.

use counterfoil_domain::user_account::commands::{
    ApplyDueProposal, ConfirmIdentifierChange, Intervention, ProposeIdentifierChange,
    WithdrawIdentifierChange,
};
use counterfoil_domain::user_account::{
    AccountFact, HeldIdentifiers, IdentifierFact, PersonalDetails, ProposedChange, Refusal, SessionFact,
    SignOutReason, UserAccountEvent,
};
use counterfoil_domain::values::{Channel, Identifier};

use crate::fixtures::*;

fn propose(seconds: i64, change: ProposedChange, identifier: Identifier) -> ProposeIdentifierChange {
    ProposeIdentifierChange {
        account: account(9),
        proposal: proposal(1),
        change,
        identifier,
        held: [phone()].into_iter().collect(),
        taken: false,
        intervention: intervention(seconds),
    }
}

fn person(identifier: Option<Identifier>, former: Option<Identifier>) -> PersonalDetails {
    PersonalDetails { identifier, former, reason: Some(reason()), ..PersonalDetails::default() }
}

fn proposed(seconds: i64, change: ProposedChange, person: PersonalDetails) -> UserAccountEvent {
    let channel = person.identifier.as_ref().or(person.former.as_ref()).expect("one").channel();
    let fact = AccountFact::Identifier(IdentifierFact::IdentifierChangeProposed {
        proposal: proposal(1),
        change,
        channel,
        due_at: at(seconds + DAY),
        expires_at: at(seconds + 7 * DAY),
        by: admin(),
    });
    UserAccountEvent { at: at(seconds), fact, person: Some(person), client: Some(elsewhere()) }
}

fn replacement_proposed() -> Vec<UserAccountEvent> {
    let proposed = proposed(100, ProposedChange::Replace, person(Some(new_phone()), Some(phone())));
    [signed_in(), vec![proposed]].concat()
}

fn confirm(seconds: i64) -> ConfirmIdentifierChange {
    ConfirmIdentifierChange {
        account: account(9),
        proposal: proposal(1),
        held: [phone()].into_iter().collect(),
        proposed: Some(new_phone()),
        intervention: Intervention { by: operator(), ..intervention(seconds) },
    }
}

fn due(seconds: i64) -> ApplyDueProposal {
    ApplyDueProposal {
        at: at(seconds),
        proposal: proposal(1),
        held: [phone()].into_iter().collect(),
        proposed: Some(new_phone()),
        can_be_confirmed: false,
    }
}

#[test]
fn an_identifier_is_proposed_to_be_added_replaced_or_released() {
    for (change, identifier, person) in [
        (ProposedChange::Add, email(), person(Some(email()), None)),
        (ProposedChange::Replace, new_phone(), person(Some(new_phone()), Some(phone()))),
        (ProposedChange::Release, phone(), person(None, Some(phone()))),
    ] {
        given(signed_in())
            .when(propose(100, change, identifier).into())
            .then_expect_events(vec![proposed(100, change, person)]);
    }
}

#[test]
fn what_does_not_fit_the_account_is_refused() {
    let free = |change, identifier| propose(100, change, identifier);
    for (command, refusal) in [
        (free(ProposedChange::Add, new_phone()), Refusal::IdentifierHeld),
        (free(ProposedChange::Replace, email()), Refusal::IdentifierNotHeld),
        (free(ProposedChange::Replace, phone()), Refusal::IdentifierTaken),
        (free(ProposedChange::Release, new_phone()), Refusal::IdentifierNotHeld),
        (free(ProposedChange::Release, email()), Refusal::IdentifierNotHeld),
        (
            ProposeIdentifierChange { taken: true, ..free(ProposedChange::Add, email()) },
            Refusal::IdentifierTaken,
        ),
        (
            ProposeIdentifierChange { account: account(1), ..free(ProposedChange::Add, email()) },
            Refusal::OwnAccount,
        ),
    ] {
        given(signed_in()).when(command.into()).then_expect_error(refusal);
    }
    given([])
        .when(propose(100, ProposedChange::Add, email()).into())
        .then_expect_error(Refusal::UnknownAccount);
    let second = |seconds| propose(seconds, ProposedChange::Add, email());
    given(replacement_proposed()).when(second(200).into()).then_expect_error(Refusal::ProposalOpen);
    // It is void after a week.
    let person = person(Some(email()), None);
    given(replacement_proposed()).when(second(100 + 7 * DAY).into()).then_expect_events(vec![proposed(
        100 + 7 * DAY,
        ProposedChange::Add,
        person,
    )]);
}

#[test]
fn another_member_of_staff_confirms_and_all_sessions_end() {
    let by = Some(operator());
    let told = |fact, person: PersonalDetails| UserAccountEvent {
        at: at(200),
        fact,
        person: Some(PersonalDetails { reason: Some(reason()), ..person }),
        client: Some(elsewhere()),
    };
    let confirmed = IdentifierFact::IdentifierChangeConfirmed { proposal: proposal(1), by: by.clone() };
    let replaced = IdentifierFact::IdentifierReplaced { channel: Channel::Phone };
    let ended = SessionFact::LoggedOut {
        session: session(1),
        reason: SignOutReason::IdentifierReplaced,
        expires_at: at(10 + 30 * DAY),
        by,
    };
    given(replacement_proposed()).when(confirm(200).into()).then_expect_events(vec![
        told(AccountFact::Identifier(confirmed), PersonalDetails::default()),
        told(AccountFact::Identifier(replaced), person(Some(new_phone()), Some(phone()))),
        told(AccountFact::Session(ended), PersonalDetails::default()),
    ]);
}

#[test]
fn a_confirmation_takes_another_member_of_staff_and_an_open_proposal() {
    let own = ConfirmIdentifierChange { intervention: intervention(200), ..confirm(200) };
    given(replacement_proposed()).when(own.into()).then_expect_error(Refusal::OwnProposal);
    let other = ConfirmIdentifierChange { proposal: proposal(2), ..confirm(200) };
    given(replacement_proposed()).when(other.into()).then_expect_error(Refusal::UnknownProposal);
    let erased = ConfirmIdentifierChange { proposed: None, held: HeldIdentifiers::default(), ..confirm(200) };
    given(replacement_proposed()).when(erased.into()).then_expect_error(Refusal::UnknownProposal);
    given(replacement_proposed())
        .when(confirm(100 + 7 * DAY).into())
        .then_expect_error(Refusal::UnknownProposal);
    // It was made for what the account had.
    let changed = [replacement_proposed(), vec![identifier_added(150, email())]].concat();
    given(changed).when(confirm(200).into()).then_expect_error(Refusal::UnknownProposal);
}

#[test]
fn a_withdrawn_proposal_takes_no_effect() {
    let withdraw = WithdrawIdentifierChange { proposal: proposal(1), intervention: intervention(150) };
    let fact = IdentifierFact::IdentifierChangeWithdrawn { proposal: proposal(1), by: admin() };
    let withdrawn = by_admin(event(150, AccountFact::Identifier(fact)));
    given(replacement_proposed()).when(withdraw.clone().into()).then_expect_events(vec![withdrawn.clone()]);
    let after = || [replacement_proposed(), vec![withdrawn.clone()]].concat();
    given(after()).when(confirm(200).into()).then_expect_error(Refusal::UnknownProposal);
    given(after()).when(due(100 + DAY).into()).then_expect_error(Refusal::UnknownProposal);
    given(after()).when(withdraw.into()).then_expect_error(Refusal::UnknownProposal);
}

#[test]
fn a_proposal_that_cannot_be_confirmed_takes_effect_after_a_day() {
    given(replacement_proposed()).when(due(99 + DAY).into()).then_expect_events(vec![]);
    let confirmable = ApplyDueProposal { can_be_confirmed: true, ..due(100 + DAY) };
    given(replacement_proposed()).when(confirmable.into()).then_expect_events(vec![]);
    let told = |fact, person| UserAccountEvent { at: at(100 + DAY), fact, person, client: None };
    let confirmed = IdentifierFact::IdentifierChangeConfirmed { proposal: proposal(1), by: None };
    let replaced = IdentifierFact::IdentifierReplaced { channel: Channel::Phone };
    let person = PersonalDetails {
        identifier: Some(new_phone()),
        former: Some(phone()),
        ..PersonalDetails::default()
    };
    let ended = SessionFact::LoggedOut {
        session: session(1),
        reason: SignOutReason::IdentifierReplaced,
        expires_at: at(10 + 30 * DAY),
        by: None,
    };
    given(replacement_proposed()).when(due(100 + DAY).into()).then_expect_events(vec![
        told(AccountFact::Identifier(confirmed), None),
        told(AccountFact::Identifier(replaced), Some(person)),
        told(AccountFact::Session(ended), None),
    ]);
}
