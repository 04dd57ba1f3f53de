//! An administrator who lifts shared limits is in the log.

use counterfoil_domain::user_account::commands::LiftSharedLimits;
use counterfoil_domain::user_account::{AccountFact, PersonalDetails, Refusal, StaffFact, UserAccountEvent};
use counterfoil_domain::values::Role;

use crate::fixtures::*;

fn lift(seconds: i64) -> LiftSharedLimits {
    let (subject, reason) = ("IR".to_owned(), reason());
    LiftSharedLimits { at: at(seconds), session: session(1), subject, reason, client: client() }
}

#[test]
fn each_lift_is_on_record_with_its_subject_and_reason() {
    let person = Some(PersonalDetails { reason: Some(reason()), ..PersonalDetails::default() });
    let lifted = event(110, AccountFact::Staff(StaffFact::SharedLimitsLifted { subject: "IR".to_owned() }));
    given(staff_with_factor())
        .when(lift(110).into())
        .then_expect_events(vec![UserAccountEvent { person, ..lifted }]);
}

#[test]
fn nothing_is_lifted_without_the_role_the_session_or_a_recent_second_factor() {
    let taken = [staff_with_factor(), vec![roles_changed(105, [Role::Auditor])]].concat();
    for history in [signed_in(), taken] {
        given(history).when(lift(110).into()).then_expect_error(Refusal::RoleMissing);
    }
    for history in [vec![], vec![otp_requested(0, 1)], suspended(None)] {
        given(history).when(lift(110).into()).then_expect_error(Refusal::SessionEnded);
    }
    given(staff_with_factor())
        .when(lift(100 + 10 * MINUTE).into())
        .then_expect_error(Refusal::SecondFactorMissing);
}
