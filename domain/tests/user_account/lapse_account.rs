//! Let an identifier go that was never proved.

use chrono::TimeDelta;
use counterfoil_domain::user_account::commands::LapseAccount;
use counterfoil_domain::user_account::{AccountFact, IdentifierFact, Refusal, UserAccountEvent};
use counterfoil_domain::values::Channel;

use crate::fixtures::*;

const WEEK: i64 = 7 * DAY;

fn lapse(seconds: i64) -> LapseAccount {
    LapseAccount { at: at(seconds), channel: Channel::Phone, unused_for: TimeDelta::seconds(WEEK) }
}

fn lapsed(seconds: i64) -> UserAccountEvent {
    let fact =
        AccountFact::Identifier(IdentifierFact::IdentifierReleased { channel: Channel::Phone, lapsed: true });
    UserAccountEvent { at: at(seconds), fact, person: None, client: None }
}

#[test]
fn an_account_that_was_never_signed_in_to_lapses_when_its_last_code_is_old_enough() {
    for (history, last) in [
        (vec![otp_requested(0, 1)], 0),
        (vec![otp_wanted(0, 1)], 0),
        (vec![otp_requested(0, 1), otp_requested(3 * DAY, 2)], 3 * DAY),
        // A wrong code keeps nothing alive.
        (vec![otp_requested(0, 1), otp_wrong(100, 4)], 0),
    ] {
        given(history.clone()).when(lapse(last + WEEK - 1).into()).then_expect_events(vec![]);
        given(history).when(lapse(last + WEEK).into()).then_expect_events(vec![lapsed(last + WEEK)]);
    }
}

#[test]
fn it_lapses_once_and_its_code_is_void() {
    let history = vec![otp_requested(0, 1), lapsed(WEEK)];
    given(history.clone()).when(lapse(2 * WEEK).into()).then_expect_events(vec![]);
    given(history).when(verify_otp(WEEK + 1, code(1), 1).into()).then_expect_error(Refusal::InvalidCode);
    given([otp_requested(0, 1), identifier_released(10)]).when(lapse(WEEK).into()).then_expect_events(vec![]);
}

#[test]
fn an_account_that_was_signed_in_to_does_not_lapse() {
    given(signed_in()).when(lapse(100 * WEEK).into()).then_expect_events(vec![]);
    given([]).when(lapse(100 * WEEK).into()).then_expect_events(vec![]);
}
