//! Orders to rebuild a read model are in the log.

use counterfoil_domain::user_account::commands::OrderRebuild;
use counterfoil_domain::user_account::{AccountFact, PersonalDetails, Refusal, StaffFact, UserAccountEvent};
use counterfoil_domain::values::{Reason, Role};

use crate::fixtures::*;

fn order_rebuild(seconds: i64, s: u8, reason: Option<Reason>) -> OrderRebuild {
    let projection = "statistics".to_owned();
    OrderRebuild { at: at(seconds), session: session(s), projection, reason, client: client() }
}

fn rebuild_ordered(seconds: i64) -> UserAccountEvent {
    event(seconds, AccountFact::Staff(StaffFact::RebuildOrdered { projection: "statistics".to_owned() }))
}

fn an_admin() -> Vec<UserAccountEvent> {
    [signed_in(), vec![roles_changed(55, [Role::Admin]), factor_enrolled(60, 1, 1)]].concat()
}

#[test]
fn each_order_is_on_record_with_the_reason_that_was_given() {
    let person = Some(PersonalDetails { reason: Some(reason()), ..PersonalDetails::default() });
    given(an_admin())
        .when(order_rebuild(70, 1, Some(reason())).into())
        .then_expect_events(vec![UserAccountEvent { person, ..rebuild_ordered(70) }]);
    given([an_admin(), vec![rebuild_ordered(70)]].concat())
        .when(order_rebuild(70, 1, None).into())
        .then_expect_events(vec![rebuild_ordered(70)]);
}

#[test]
fn nobody_orders_without_the_role_or_the_session() {
    let roles_taken = vec![roles_changed(65, [Role::Auditor])];
    for history in [signed_in(), [an_admin(), roles_taken].concat()] {
        given(history).when(order_rebuild(70, 1, None).into()).then_expect_error(Refusal::RoleMissing);
    }
    for history in [vec![], vec![otp_requested(0, 1)], suspended(None)] {
        given(history).when(order_rebuild(70, 1, None).into()).then_expect_error(Refusal::SessionEnded);
    }
    let late = 60 + 10 * MINUTE;
    given(an_admin())
        .when(order_rebuild(late, 1, None).into())
        .then_expect_error(Refusal::SecondFactorMissing);
    given(an_admin()).when(order_rebuild(70, 2, None).into()).then_expect_error(Refusal::SessionEnded);
}
