//! What members of staff read, and do to the service as a whole, is in the log.

use counterfoil_domain::user_account::commands::{RecordStaffAct, StaffAuthority};
use counterfoil_domain::user_account::{
    AccountFact, ActingStaff, PersonalDetails, Refusal, StaffRecordFact, UserAccountEvent,
};
use counterfoil_domain::values::Role;

use crate::fixtures::*;

fn record(seconds: i64, fact: StaffRecordFact) -> RecordStaffAct {
    let authority = match fact.by() {
        ActingStaff::Account(_) => StaffAuthority::Session(session(1)),
        ActingStaff::Operator(_) | ActingStaff::Service(_) => StaffAuthority::Server,
    };
    let client = (authority != StaffAuthority::Server).then(client);
    RecordStaffAct { at: at(seconds), authority, fact, reason: Some(reason()), query: None, client }
}

fn recorded(seconds: i64, fact: StaffRecordFact) -> UserAccountEvent {
    let client = matches!(fact.by(), ActingStaff::Account(_)).then(client);
    let person = Some(PersonalDetails { reason: Some(reason()), ..PersonalDetails::default() });
    UserAccountEvent { at: at(seconds), fact: AccountFact::StaffRecord(fact), person, client }
}

fn audit_read() -> StaffRecordFact {
    StaffRecordFact::AuditRead { what: "events".to_owned(), by: admin() }
}

fn page_read(page: &str, search: Option<u32>) -> StaffRecordFact {
    StaffRecordFact::StaffRead { what: page.to_owned(), search, by: admin() }
}

fn lifted() -> StaffRecordFact {
    StaffRecordFact::SharedLimitsLifted { subject: "IR".to_owned(), by: admin() }
}

fn rebuild_ordered() -> StaffRecordFact {
    StaffRecordFact::RebuildOrdered { projection: "statistics".to_owned(), by: admin() }
}

fn with_role(role: Role) -> Vec<UserAccountEvent> {
    [signed_in(), vec![roles_changed(55, [role]), factor_enrolled(60, 1, 1)]].concat()
}

#[test]
fn each_act_is_on_record_with_its_reason() {
    for (role, fact) in
        [(Role::Auditor, audit_read()), (Role::Admin, lifted()), (Role::Admin, rebuild_ordered())]
    {
        given(with_role(role))
            .when(record(70, fact.clone()).into())
            .then_expect_events(vec![recorded(70, fact.clone())]);
        given([with_role(role), vec![recorded(70, fact.clone())]].concat())
            .when(record(70, fact.clone()).into())
            .then_expect_events(vec![recorded(70, fact)]);
    }
}

#[test]
fn a_page_and_a_search_are_on_record_once_in_ten_minutes() {
    let accounts = "GET /admin/accounts/";
    let (page, search) = (page_read("GET /admin/limits/", None), page_read(accounts, Some(1)));
    let read = vec![recorded(70, page.clone()), recorded(71, search.clone())];
    let history = [with_role(Role::Admin), read].concat();
    for again in [page.clone(), search] {
        given(history.clone()).when(record(72, again).into()).then_expect_events(vec![]);
    }
    let others =
        [page_read("GET /admin/alarms/", None), page_read(accounts, Some(2)), page_read(accounts, None)];
    for other in others {
        given(history.clone())
            .when(record(72, other.clone()).into())
            .then_expect_events(vec![recorded(72, other)]);
    }
    let later = 70 + 10 * MINUTE;
    given(history).when(record(later, page.clone()).into()).then_expect_events(vec![recorded(later, page)]);
}

#[test]
fn no_more_is_shown_than_can_be_put_on_record() {
    let search = page_read("GET /admin/accounts/", Some(1_000));
    let nth = |n: u32| page_read("GET /admin/accounts/", Some(n));
    let read = (0..300).map(|n| recorded(70 + i64::from(n) / 10, nth(n))).collect();
    let history = [with_role(Role::Admin), read].concat();
    let until = at(70 + 10 * MINUTE);
    given(history.clone())
        .when(record(101, search.clone()).into())
        .then_expect_error(Refusal::TooManyReads { until });
    let later = 70 + 10 * MINUTE;
    given(history)
        .when(record(later, search.clone()).into())
        .then_expect_events(vec![recorded(later, search)]);
}

#[test]
fn without_the_role_the_session_or_the_second_factor_nothing_is_read_or_done() {
    for (role, other, fact) in [
        (Role::Auditor, Role::Admin, audit_read()),
        (Role::Admin, Role::Auditor, page_read("GET /admin/limits/", None)),
        (Role::Admin, Role::Auditor, lifted()),
        (Role::Admin, Role::Auditor, rebuild_ordered()),
    ] {
        let taken = vec![roles_changed(65, [other])];
        for history in [signed_in(), [with_role(role), taken].concat()] {
            given(history).when(record(70, fact.clone()).into()).then_expect_error(Refusal::RoleMissing);
        }
        for history in [vec![], vec![otp_requested(0, 1)], suspended(None)] {
            given(history).when(record(70, fact.clone()).into()).then_expect_error(Refusal::SessionEnded);
        }
        let other_session =
            RecordStaffAct { authority: StaffAuthority::Session(session(2)), ..record(70, fact.clone()) };
        given(with_role(role)).when(other_session.into()).then_expect_error(Refusal::SessionEnded);
        let without_factor = [signed_in(), vec![roles_changed(60, [role])]].concat();
        given(without_factor)
            .when(record(70, fact.clone()).into())
            .then_expect_error(Refusal::SecondFactorMissing);
        given(with_role(role)).when(record(31 * DAY, fact).into()).then_expect_error(Refusal::SessionEnded);
    }
    for fact in [lifted(), rebuild_ordered()] {
        given(with_role(Role::Admin))
            .when(record(60 + 10 * MINUTE, fact).into())
            .then_expect_error(Refusal::SecondFactorMissing);
    }
}

#[test]
fn the_operator_needs_no_account_and_each_of_their_reads_is_on_record() {
    let read =
        StaffRecordFact::StaffRead { what: "GET /admin/limits/".to_owned(), search: None, by: operator() };
    given(vec![]).when(record(0, read.clone()).into()).then_expect_events(vec![recorded(0, read.clone())]);
    given(vec![recorded(0, read.clone())])
        .when(record(1, read.clone()).into())
        .then_expect_events(vec![recorded(1, read)]);
}

#[test]
fn each_member_of_staff_has_one_stream() {
    assert_eq!(admin().record_stream(), account(1));
    assert_eq!(operator().record_stream(), operator().record_stream());
    assert_ne!(operator().record_stream(), admin().record_stream());
}
