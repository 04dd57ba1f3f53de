//! Staff end one session.

use counterfoil_domain::user_account::commands::EndSession;
use counterfoil_domain::user_account::{Refusal, SignOutReason};

use crate::fixtures::*;

fn end_session(seconds: i64, s: u8) -> EndSession {
    EndSession { session: session(s), intervention: intervention(seconds) }
}

#[test]
fn that_session_ends_and_no_other() {
    let ended = ended_by_admin(60, 1, SignOutReason::EndedByAdmin, 10 + 30 * DAY);
    let history = [signed_in(), vec![logged_in(20, 2)]].concat();
    given(history.clone()).when(end_session(60, 1).into()).then_expect_events(vec![ended.clone()]);
    let after = [history, vec![ended]].concat();
    given(after.clone()).when(refresh_token(70, 1, 1).into()).then_expect_error(Refusal::SpentToken);
    given(after).when(refresh_token(70, 2, 1).into()).then_expect_events(vec![token_refreshed(
        70,
        2,
        2,
        70 + 30 * DAY,
    )]);
}

#[test]
fn a_session_that_has_ended_or_never_was_is_not_ended() {
    given(signed_in()).when(end_session(60, 9).into()).then_expect_events(vec![]);
    given(signed_in()).when(end_session(10 + 30 * DAY, 1).into()).then_expect_events(vec![]);
    given(suspended(None)).when(end_session(70, 1).into()).then_expect_events(vec![]);
    given([]).when(end_session(70, 1).into()).then_expect_events(vec![]);
}
