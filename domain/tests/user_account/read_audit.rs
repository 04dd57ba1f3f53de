//! Reads of the log are in the log.

use counterfoil_domain::user_account::commands::ReadAudit;
use counterfoil_domain::user_account::{AccountFact, PersonalDetails, Refusal, StaffFact, UserAccountEvent};
use counterfoil_domain::values::Role;

use crate::fixtures::*;

fn read_audit(seconds: i64, s: u8) -> ReadAudit {
    let (what, reason) = ("events".to_owned(), reason());
    ReadAudit { at: at(seconds), session: session(s), what, reason, client: client() }
}

fn audit_read(seconds: i64) -> UserAccountEvent {
    let person = Some(PersonalDetails { reason: Some(reason()), ..PersonalDetails::default() });
    UserAccountEvent {
        person,
        ..event(seconds, AccountFact::Staff(StaffFact::AuditRead { what: "events".to_owned() }))
    }
}

fn auditor() -> Vec<UserAccountEvent> {
    [signed_in(), vec![roles_changed(55, [Role::Auditor]), factor_enrolled(60, 1, 1)]].concat()
}

#[test]
fn each_reading_is_on_record_with_its_reason() {
    given(auditor()).when(read_audit(70, 1).into()).then_expect_events(vec![audit_read(70)]);
    given([auditor(), vec![audit_read(70)]].concat())
        .when(read_audit(70, 1).into())
        .then_expect_events(vec![audit_read(70)]);
}

#[test]
fn nobody_reads_without_the_role_or_the_session() {
    let roles_taken = vec![roles_changed(65, [Role::Admin])];
    for history in [signed_in(), [auditor(), roles_taken].concat()] {
        given(history).when(read_audit(70, 1).into()).then_expect_error(Refusal::RoleMissing);
    }
    for history in [vec![], vec![otp_requested(0, 1)], suspended(None)] {
        given(history).when(read_audit(70, 1).into()).then_expect_error(Refusal::SessionEnded);
    }
    given(auditor()).when(read_audit(70, 2).into()).then_expect_error(Refusal::SessionEnded);
    let without_factor = [signed_in(), vec![roles_changed(60, [Role::Auditor])]].concat();
    given(without_factor).when(read_audit(70, 1).into()).then_expect_error(Refusal::SecondFactorMissing);
    given(auditor()).when(read_audit(31 * DAY, 1).into()).then_expect_error(Refusal::SessionEnded);
}
