//! Staff end every session of an account.

use counterfoil_domain::user_account::commands::SignOutAccount;
use counterfoil_domain::user_account::{Refusal, SignOutReason};

use crate::fixtures::*;

#[test]
fn every_device_is_signed_out_and_can_sign_in_again() {
    let command = || SignOutAccount { intervention: intervention(60) };
    let ended = vec![
        ended_by_admin(60, 1, SignOutReason::EndedByAdmin, 10 + 30 * DAY),
        ended_by_admin(60, 2, SignOutReason::EndedByAdmin, 20 + 30 * DAY),
    ];
    let history = [signed_in(), vec![logged_in(20, 2)]].concat();
    given(history.clone()).when(command().into()).then_expect_events(ended.clone());
    let after = [history, ended].concat();
    given(after.clone()).when(command().into()).then_expect_events(vec![]);
    given([after, vec![otp_requested_again(70, 2)]].concat())
        .when(verify_otp(80, code(2), 3).into())
        .then_expect_events(vec![logged_in(80, 3)]);
    given([]).when(command().into()).then_expect_error(Refusal::UnknownAccount);
}
