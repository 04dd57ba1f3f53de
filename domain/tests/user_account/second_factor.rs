//! Staff prove a second factor before they have the rights of their roles.

use counterfoil_domain::user_account::commands::{
    EnrolSecondFactor, OfferSecondFactor, PassSecondFactor, RemoveSecondFactor, RenewRecoveryCodes,
};
use counterfoil_domain::user_account::{
    AccountFact, CodeFact, FactorRejected, Refusal, RequiredProof, SecondFactorFact, SecondFactorProof,
    SessionFact, UserAccount, UserAccountCommand, UserAccountEvent,
};
use counterfoil_domain::values::{Channel, OtpCode, Role, SecondFactorCode};
use cqrs_es::Aggregate as _;

use crate::fixtures::*;

fn offer(seconds: i64, s: u8, n: u8) -> OfferSecondFactor {
    let (at, session, authenticator) = (at(seconds), session(s), authenticator(n));
    OfferSecondFactor { at, session, authenticator, client: client() }
}

fn offered(seconds: i64, s: u8, n: u8) -> UserAccountEvent {
    let (session, authenticator) = (session(s), authenticator(n));
    let expires_at = at(seconds + 10 * MINUTE);
    event(
        seconds,
        AccountFact::SecondFactor(SecondFactorFact::SecondFactorOffered {
            session,
            authenticator,
            expires_at,
        }),
    )
}

fn enrol(seconds: i64, s: u8, code: OtpCode) -> EnrolSecondFactor {
    let (at, session, recovery) = (at(seconds), session(s), batch(1));
    EnrolSecondFactor { at, session, code, recovery, client: client() }
}

fn pass(seconds: i64, s: u8, code: SecondFactorCode) -> PassSecondFactor {
    PassSecondFactor { at: at(seconds), session: session(s), code, client: client() }
}

/// By the authenticator of [`staff_with_factor`].
fn app(seconds: i64) -> SecondFactorCode {
    SecondFactorCode::Authenticator(factor_code(1, seconds))
}

fn recovery(n: u8, number: u8) -> SecondFactorCode {
    SecondFactorCode::Recovery(recovery_code(n, number))
}

fn passed_by(seconds: i64, s: u8, proof: SecondFactorProof) -> UserAccountEvent {
    event(
        seconds,
        AccountFact::SecondFactor(SecondFactorFact::SecondFactorPassed { session: session(s), proof }),
    )
}

/// The user of `session(1)` was proved again.
fn proved(seconds: i64) -> UserAccountEvent {
    let fact = AccountFact::Session(SessionFact::SessionReauthenticated {
        session: session(1),
        channel: Channel::Phone,
        test: false,
    });
    event_of(phone(), seconds, fact)
}

fn rejected(seconds: i64, reason: FactorRejected, until: Option<i64>) -> UserAccountEvent {
    let fact = AccountFact::SecondFactor(SecondFactorFact::SecondFactorRejected {
        session: session(1),
        reason,
        until: until.map(at),
    });
    event(seconds, fact)
}

fn wrong() -> SecondFactorCode {
    SecondFactorCode::Authenticator(wrong_code())
}

fn admin_without_factor() -> Vec<UserAccountEvent> {
    [signed_in(), vec![roles_changed(60, [Role::Admin])]].concat()
}

fn with<const N: usize>(
    history: Vec<UserAccountEvent>,
    more: [UserAccountEvent; N],
) -> Vec<UserAccountEvent> {
    [history, more.to_vec()].concat()
}

fn account(history: &[UserAccountEvent]) -> UserAccount {
    let mut account = UserAccount::default();
    history.iter().for_each(|event| account.apply(event.clone()));
    account
}

#[test]
fn staff_are_shown_an_authenticator_and_confirm_it_by_a_code() {
    let history = admin_without_factor();
    given(history.clone()).when(offer(70, 1, 1).into()).then_expect_events(vec![offered(70, 1, 1)]);
    let history = with(history, [offered(70, 1, 1)]);
    given(history)
        .when(enrol(100, 1, factor_code(1, 100)).into())
        .then_expect_events(vec![factor_enrolled(100, 1, 1)]);
}

#[test]
fn an_offer_is_void_after_ten_minutes_or_another() {
    let history = with(admin_without_factor(), [offered(70, 1, 1), proved(75)]);
    let late = 70 + 10 * MINUTE;
    given(history.clone())
        .when(enrol(late, 1, factor_code(1, late)).into())
        .then_expect_error(Refusal::InvalidCode);
    given(with(history, [offered(80, 1, 2)]))
        .when(enrol(90, 1, factor_code(1, 90)).into())
        .then_expect_events(vec![rejected(90, FactorRejected::Wrong, None)]);
    given(admin_without_factor())
        .when(enrol(90, 1, factor_code(1, 90)).into())
        .then_expect_error(Refusal::InvalidCode);
}

#[test]
fn who_has_no_role_or_session_is_shown_none() {
    given(signed_in()).when(offer(70, 1, 1).into()).then_expect_error(Refusal::RoleMissing);
    for history in [vec![], vec![otp_requested(0, 1)], suspended(None)] {
        given(history).when(offer(70, 1, 1).into()).then_expect_error(Refusal::SessionEnded);
    }
}

#[test]
fn a_user_with_an_authenticator_proves_it_before_getting_another() {
    let history = with(staff_with_factor(), [otp_requested_again(200, 2), logged_in(210, 2), proved(215)]);
    given(history.clone()).when(offer(220, 2, 2).into()).then_expect_error(Refusal::SecondFactorMissing);
    let late = 100 + 10 * MINUTE;
    given(history.clone()).when(offer(late, 1, 2).into()).then_expect_error(Refusal::SecondFactorMissing);
    given(history.clone()).when(offer(late - 1, 1, 2).into()).then_expect_events(vec![offered(
        late - 1,
        1,
        2,
    )]);

    // Nor does an offer made before that help another session.
    let offered_by_owner = with(history, [offered(220, 1, 2)]);
    given(offered_by_owner)
        .when(enrol(230, 2, factor_code(2, 230)).into())
        .then_expect_error(Refusal::SecondFactorMissing);
}

#[test]
fn another_authenticator_has_to_be_passed_in_every_other_session() {
    let proof = SecondFactorProof::Authenticator { step: step(240) };
    let history = with(
        staff_with_factor(),
        [otp_requested_again(200, 2), logged_in(210, 2), passed_by(240, 2, proof), offered(250, 2, 2)],
    );
    assert_eq!(account(&history).may(session(1), Role::Admin, RequiredProof::InSession, at(260)), Ok(()));
    let history = with(history, [factor_enrolled(260, 2, 2)]);
    let may = |s| account(&history).may(session(s), Role::Admin, RequiredProof::InSession, at(270));
    assert_eq!((may(1), may(2)), (Err(Refusal::SecondFactorMissing), Ok(())));
}

#[test]
fn a_session_has_the_rights_of_a_role_once_it_has_passed() {
    let history = with(staff_with_factor(), [otp_requested_again(200, 2), logged_in(210, 2)]);
    let may =
        |history: &[_], seconds, passed| account(history).may(session(2), Role::Admin, passed, at(seconds));
    assert_eq!(may(&history, 220, RequiredProof::InSession), Err(Refusal::SecondFactorMissing));
    assert_eq!(
        account(&history).may(session(1), Role::Auditor, RequiredProof::InSession, at(220)),
        Err(Refusal::RoleMissing)
    );

    let proof = SecondFactorProof::Authenticator { step: step(240) };
    let passed = passed_by(240, 2, proof);
    given(history.clone()).when(pass(240, 2, app(240)).into()).then_expect_events(vec![passed.clone()]);
    let history = with(history, [passed]);
    assert_eq!(may(&history, 240, RequiredProof::Lately), Ok(()));
    assert_eq!(may(&history, 240 + 10 * MINUTE - 1, RequiredProof::Lately), Ok(()));
    assert_eq!(may(&history, 240 + 10 * MINUTE, RequiredProof::Lately), Err(Refusal::SecondFactorMissing));
    assert_eq!(may(&history, 240 + 30 * MINUTE - 1, RequiredProof::InSession), Ok(()));
    assert_eq!(may(&history, 240 + 30 * MINUTE, RequiredProof::InSession), Err(Refusal::SecondFactorMissing));
}

#[test]
fn the_rights_last_while_the_session_is_used_and_twelve_hours_at_most() {
    let mut history = staff_with_factor();
    let mut generation = 1;
    for seconds in (100..100 + 12 * HOUR).step_by(20 * 60) {
        generation += 1;
        history.push(token_refreshed(seconds, 1, generation, seconds + 30 * DAY));
    }
    let may = |seconds| account(&history).may(session(1), Role::Admin, RequiredProof::InSession, at(seconds));
    assert_eq!(may(100 + 12 * HOUR - 1), Ok(()));
    assert_eq!(may(100 + 12 * HOUR), Err(Refusal::SecondFactorMissing));
}

#[test]
fn no_code_is_taken_twice_nor_one_of_before() {
    let history = staff_with_factor();
    let spent = |seconds| vec![rejected(seconds, FactorRejected::Spent, None)];
    given(history.clone()).when(pass(101, 1, app(100)).into()).then_expect_events(spent(101));
    given(history.clone()).when(pass(110, 1, app(80)).into()).then_expect_events(spent(110));
    let proof = SecondFactorProof::Authenticator { step: step(130) };
    given(history).when(pass(110, 1, app(130)).into()).then_expect_events(vec![passed_by(110, 1, proof)]);
}

#[test]
fn a_recovery_code_stands_in_once() {
    let history = staff_with_factor();
    let proof = SecondFactorProof::RecoveryCode { number: 3 };
    let passed = passed_by(200, 1, proof);
    given(history.clone()).when(pass(200, 1, recovery(1, 3)).into()).then_expect_events(vec![passed.clone()]);
    let history = with(history, [passed]);
    assert_eq!(account(&history).authenticator().map(|enrolled| enrolled.recovery_left()), Some(9));
    given(history.clone()).when(pass(210, 1, recovery(1, 3)).into()).then_expect_events(vec![rejected(
        210,
        FactorRejected::Spent,
        None,
    )]);
    given(history).when(pass(210, 1, recovery(2, 4)).into()).then_expect_events(vec![rejected(
        210,
        FactorRejected::Wrong,
        None,
    )]);
}

fn renew(seconds: i64) -> RenewRecoveryCodes {
    let (at, session, recovery) = (at(seconds), session(1), batch(2));
    RenewRecoveryCodes { at, session, recovery, client: client() }
}

#[test]
fn a_session_that_was_proved_more_than_ten_minutes_ago_changes_nothing_of_it() {
    // `session(1)` signed in at 10 seconds. That it enrolled its authenticator at 100 is no proof.
    let late = 10 + 10 * MINUTE;
    let pending = with(admin_without_factor(), [offered(400, 1, 1)]);
    for history in [admin_without_factor(), with(admin_without_factor(), [proved(20)])] {
        let last = if history.len() == admin_without_factor().len() { late } else { late + 10 };
        given(history.clone()).when(offer(last, 1, 1).into()).then_expect_events(vec![offered(last, 1, 1)]);
        given(history).when(offer(last + 1, 1, 1).into()).then_expect_error(Refusal::ProofNotFresh);
    }
    given(pending.clone())
        .when(enrol(late, 1, factor_code(1, late)).into())
        .then_expect_events(vec![factor_enrolled(late, 1, 1)]);
    for code in [factor_code(1, late), wrong_code()] {
        given(pending.clone())
            .when(enrol(late + 1, 1, code).into())
            .then_expect_error(Refusal::ProofNotFresh);
    }
    for command in [offer(late + 1, 1, 2).into(), renew(late + 1).into()] {
        let command: UserAccountCommand = command;
        given(staff_with_factor()).when(command).then_expect_error(Refusal::ProofNotFresh);
    }
    let passed = passed_by(late + 1, 1, SecondFactorProof::RecoveryCode { number: 3 });
    let renewed = event(
        late + 2,
        AccountFact::SecondFactor(SecondFactorFact::RecoveryCodesRenewed {
            session: session(1),
            recovery: batch(2),
        }),
    );
    given(with(staff_with_factor(), [passed])).when(renew(late + 2).into()).then_expect_events(vec![renewed]);
}

#[test]
fn new_recovery_codes_void_those_before() {
    let renewed = event(
        200,
        AccountFact::SecondFactor(SecondFactorFact::RecoveryCodesRenewed {
            session: session(1),
            recovery: batch(2),
        }),
    );
    given(staff_with_factor()).when(renew(200).into()).then_expect_events(vec![renewed.clone()]);
    let late = 100 + 10 * MINUTE;
    given(staff_with_factor()).when(renew(late).into()).then_expect_error(Refusal::SecondFactorMissing);
    given(admin_without_factor()).when(renew(200).into()).then_expect_error(Refusal::NoSecondFactor);
    given(with(staff_with_factor(), [renewed]))
        .when(pass(210, 1, recovery(1, 0)).into())
        .then_expect_events(vec![rejected(210, FactorRejected::Wrong, None)]);
}

#[test]
fn ten_wrong_codes_pause_it_for_an_hour_and_a_hundred_until_it_is_lifted() {
    let tries =
        |from: i64, times: i64| (0..times).map(move |n| rejected(from + n, FactorRejected::Wrong, None));
    let paused: Vec<_> = staff_with_factor().into_iter().chain(tries(200, 10)).collect();
    let until = 209 + HOUR;
    let on_record = rejected(300, FactorRejected::Paused, Some(until));
    given(paused.clone()).when(pass(300, 1, app(300)).into()).then_expect_events(vec![on_record.clone()]);
    given(with(paused.clone(), [on_record]))
        .when(pass(301, 1, app(301)).into())
        .then_expect_error(Refusal::TooManyTries { until: at(until) });
    let proof = SecondFactorProof::Authenticator { step: step(until) };
    given(paused)
        .when(pass(until, 1, app(until)).into())
        .then_expect_events(vec![passed_by(until, 1, proof)]);

    let hours = (0..10).flat_map(|hour| tries(200 + hour * 2 * HOUR, 10));
    let locked: Vec<_> = staff_with_factor().into_iter().chain(hours).collect();
    let (now, until) = (2 * DAY, 3 * DAY);
    given(locked.clone()).when(pass(now, 1, app(now)).into()).then_expect_events(vec![rejected(
        now,
        FactorRejected::Locked,
        Some(until),
    )]);
    let lifted = event(now, AccountFact::Code(CodeFact::LimitsLifted { by: admin() }));
    let proof = SecondFactorProof::Authenticator { step: step(now) };
    given(with(locked, [lifted]))
        .when(pass(now, 1, app(now)).into())
        .then_expect_events(vec![passed_by(now, 1, proof)]);
}

#[test]
fn wrong_codes_to_confirm_count_as_well() {
    let offered = with(admin_without_factor(), [offered(70, 1, 1)]);
    let tries = (0..10).map(|n| rejected(80 + n, FactorRejected::Wrong, None));
    let history: Vec<_> = offered.into_iter().chain(tries).collect();
    given(history).when(enrol(100, 1, factor_code(1, 100)).into()).then_expect_events(vec![rejected(
        100,
        FactorRejected::Paused,
        Some(89 + HOUR),
    )]);
}

#[test]
fn who_lost_it_can_enrol_another_once_it_is_removed() {
    let remove =
        || RemoveSecondFactor { account: crate::fixtures::account(2), intervention: intervention(300) };
    let removed = by_admin(event(
        300,
        AccountFact::SecondFactor(SecondFactorFact::SecondFactorRemoved { by: admin() }),
    ));
    given(staff_with_factor()).when(remove().into()).then_expect_events(vec![removed.clone()]);
    given(admin_without_factor()).when(remove().into()).then_expect_error(Refusal::NoSecondFactor);
    given([]).when(remove().into()).then_expect_error(Refusal::UnknownAccount);
    let own = RemoveSecondFactor { account: crate::fixtures::account(1), ..remove() };
    given(staff_with_factor()).when(own.into()).then_expect_error(Refusal::OwnAccount);

    let history = with(staff_with_factor(), [removed]);
    let may = account(&history).may(session(1), Role::Admin, RequiredProof::InSession, at(310));
    assert_eq!(may, Err(Refusal::SecondFactorMissing));
    given(history.clone()).when(pass(310, 1, app(310)).into()).then_expect_error(Refusal::NoSecondFactor);
    given(history).when(offer(310, 1, 2).into()).then_expect_events(vec![offered(310, 1, 2)]);
}

#[test]
fn without_one_there_is_nothing_to_pass() {
    given(admin_without_factor())
        .when(pass(70, 1, wrong()).into())
        .then_expect_error(Refusal::NoSecondFactor);
    for history in [vec![], vec![otp_requested(0, 1)], suspended(None)] {
        given(history).when(pass(70, 1, wrong()).into()).then_expect_error(Refusal::SessionEnded);
    }
}
