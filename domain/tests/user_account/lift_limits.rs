//! The operator lifts the limits of an account.

use counterfoil_domain::user_account::commands::{Intervention, LiftLimits};
use counterfoil_domain::user_account::{AccountFact, CodeFact, UserAccountEvent};

use crate::fixtures::*;

fn lifted(seconds: i64) -> UserAccountEvent {
    UserAccountEvent {
        at: at(seconds),
        fact: AccountFact::Code(CodeFact::LimitsLifted { by: operator() }),
        person: None,
        client: None,
    }
}

fn lift(seconds: i64) -> LiftLimits {
    LiftLimits {
        intervention: Intervention {
            at: at(seconds),
            by: operator(),
            reason: None,
            case: None,
            client: None,
        },
    }
}

#[test]
fn a_locked_account_gets_codes_again_and_has_them_looked_at() {
    let locked = wrong_in_a_row(100);
    let day = 20 * HOUR;
    given(locked.clone()).when(lift(day).into()).then_expect_events(vec![lifted(day)]);
    let after = [locked, vec![lifted(day)]].concat();
    given(after.clone()).when(request_otp(day, 1).into()).then_expect_events(vec![otp_requested(day, 1)]);
    given([after, vec![otp_requested(day, 1)]].concat())
        .when(verify_otp(day + 1, code(2), 1).into())
        .then_expect_events(vec![otp_wrong(day + 1, 4)]);
}

#[test]
fn what_is_pending_goes_on_working_and_the_cooldown_is_over() {
    let history = vec![otp_requested(0, 1), lifted(1)];
    given(history.clone())
        .when(verify_otp(2, code(1), 1).into())
        .then_expect_events(vec![user_registered(2), logged_in(2, 1)]);
    given(history).when(request_otp(2, 2).into()).then_expect_events(vec![otp_requested(2, 2)]);
}

#[test]
fn nothing_is_lifted_from_an_account_that_there_is_not() {
    given([]).when(lift(0).into()).then_expect_events(vec![]);
}
