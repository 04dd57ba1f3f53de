//! What is asked for without the role for it is put on record.

use counterfoil_domain::user_account::commands::DenyAccess;
use counterfoil_domain::user_account::{AccountFact, MissingRequirement, StaffFact, UserAccountEvent};
use counterfoil_domain::values::Role;

use crate::fixtures::*;

fn deny_access(seconds: i64, s: u8, action: &str) -> DenyAccess {
    let (action, needs) = (action.to_owned(), Role::Admin);
    DenyAccess {
        at: at(seconds),
        session: session(s),
        action,
        needs,
        lacks: MissingRequirement::Role,
        client: client(),
    }
}

fn access_denied(seconds: i64, action: &str) -> UserAccountEvent {
    let (action, until) = (action.to_owned(), at(seconds + HOUR));
    event(
        seconds,
        AccountFact::Staff(StaffFact::AccessDenied {
            action,
            needs: Role::Admin,
            lacks: MissingRequirement::Role,
            until,
        }),
    )
}

#[test]
fn a_denial_is_on_record_once_an_hour_for_each_action() {
    let denied = [signed_in(), vec![access_denied(60, "GET /a")]].concat();
    given(signed_in())
        .when(deny_access(60, 1, "GET /a").into())
        .then_expect_events(vec![access_denied(60, "GET /a")]);
    given(denied.clone()).when(deny_access(60 + HOUR - 1, 1, "GET /a").into()).then_expect_events(vec![]);
    given(denied.clone())
        .when(deny_access(60 + HOUR, 1, "GET /a").into())
        .then_expect_events(vec![access_denied(60 + HOUR, "GET /a")]);
    given(denied)
        .when(deny_access(61, 1, "DELETE /a").into())
        .then_expect_events(vec![access_denied(61, "DELETE /a")]);
}

#[test]
fn however_much_is_denied_the_record_is_bounded() {
    let many = |seconds| (0..50).map(move |n| access_denied(seconds, &format!("GET /{n}")));
    let history: Vec<_> = signed_in().into_iter().chain(many(60)).collect();
    given(history.clone()).when(deny_access(61, 1, "GET /50").into()).then_expect_events(vec![]);
    given(history)
        .when(deny_access(60 + HOUR, 1, "GET /50").into())
        .then_expect_events(vec![access_denied(60 + HOUR, "GET /50")]);
}

#[test]
fn whoever_is_not_signed_in_leaves_no_record() {
    for history in [vec![], vec![otp_requested(0, 1)], suspended(None)] {
        given(history).when(deny_access(61, 1, "GET /a").into()).then_expect_events(vec![]);
    }
    given(signed_in()).when(deny_access(61, 2, "GET /a").into()).then_expect_events(vec![]);
}
