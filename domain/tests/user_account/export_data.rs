//! A user asks for everything that is held about them.

use counterfoil_domain::user_account::commands::ExportData;
use counterfoil_domain::user_account::{AccountFact, ProfileFact, Refusal, UserAccountEvent};

use crate::fixtures::*;

fn export(seconds: i64, s: u8) -> ExportData {
    ExportData { at: at(seconds), session: session(s), client: client() }
}

fn exported(seconds: i64, s: u8) -> UserAccountEvent {
    event(seconds, AccountFact::Profile(ProfileFact::DataExported { session: session(s) }))
}

#[test]
fn an_export_is_put_on_record_with_the_session_that_asked() {
    given(signed_in()).when(export(60, 1).into()).then_expect_events(vec![exported(60, 1)]);
}

#[test]
fn an_export_that_is_repeated_within_ten_minutes_leaves_no_second_event() {
    let after = [signed_in(), vec![exported(60, 1)]].concat();
    given(after).when(export(90, 1).into()).then_expect_events(Vec::new());
}

#[test]
fn an_export_in_another_session_is_put_on_record_for_itself() {
    let after = [signed_in(), vec![logged_in(20, 2), exported(60, 1)]].concat();
    given(after).when(export(90, 2).into()).then_expect_events(vec![exported(90, 2)]);
}

#[test]
fn a_session_that_was_proved_long_ago_or_has_ended_exports_nothing() {
    let late = 10 + 10 * MINUTE + 1;
    given(signed_in()).when(export(late, 1).into()).then_expect_error(Refusal::ProofNotFresh);
    given(signed_in()).when(export(60, 9).into()).then_expect_error(Refusal::SessionEnded);
}
