//! The owner of an account says that they did not sign in.

use counterfoil_domain::user_account::SignOutReason;
use counterfoil_domain::user_account::commands::DisownSession;

use crate::fixtures::*;

fn disown(seconds: i64, s: u8) -> DisownSession {
    DisownSession { at: at(seconds), session: session(s), client: client() }
}

#[test]
fn the_session_ends_and_the_others_go_on() {
    let history = [signed_in(), vec![otp_requested_again(100, 2), logged_in(110, 2)]].concat();
    let ended = logged_out(200, 2, SignOutReason::Disowned, 110 + 30 * DAY);
    given(history.clone()).when(disown(200, 2).into()).then_expect_events(vec![ended.clone()]);
    let after = [history, vec![ended]].concat();
    given(after.clone()).when(disown(300, 2).into()).then_expect_events(vec![]);
    given(after).when(refresh_token(300, 1, 1).into()).then_expect_events(vec![token_refreshed(
        300,
        1,
        2,
        300 + 30 * DAY,
    )]);
}

#[test]
fn a_session_that_there_is_not_is_none_to_end() {
    given(signed_in()).when(disown(200, 9).into()).then_expect_events(vec![]);
}
