//! Small histories whose other course can be told by heart.

use counterfoil_domain::user_account::{ClientBinding, DeviceLimitPolicy, TokenRotation};

use super::super::RehearsedRequest;
use super::*;

fn resend_after(seconds: i64) -> Policy {
    Policy { resend_after: TimeDelta::seconds(seconds), ..Policy::default() }
}

#[test]
fn whoever_had_a_code_that_would_not_have_been_sent_uses_the_one_before_while_it_works() {
    let mut service = Service::under(resend_after(30));
    service.code(Purpose::SignIn, None).wait(40).code(Purpose::SignIn, None).wait(10).try_code(true, None, 0);
    let code = (RehearsedOutcome::Refused(RehearsedRequest::Code), "too_soon");
    assert_eq!(service.under_proposal(resend_after(60)), [code]);
    let shorter = Policy { code_lifetime: TimeDelta::seconds(45), ..resend_after(60) };
    assert_eq!(
        service.under_proposal(shorter),
        [code, (RehearsedOutcome::Refused(RehearsedRequest::SignIn), "code_not_sent")]
    );
}

#[test]
fn what_became_of_a_code_is_forgotten_with_the_next() {
    let mut service = Service::under(resend_after(30));
    service.code(Purpose::SignIn, None).wait(40).code(Purpose::SignIn, None).wait(80);
    service.code(Purpose::SignIn, None).wait(50).try_code(true, None, 0);
    let proposal = Policy { code_lifetime: TimeDelta::seconds(45), ..resend_after(60) };
    assert_eq!(
        service.under_proposal(proposal),
        [
            (RehearsedOutcome::Refused(RehearsedRequest::Code), "too_soon"),
            (RehearsedOutcome::Refused(RehearsedRequest::SignIn), "expired")
        ]
    );
}

#[test]
fn a_code_that_would_have_been_sent_again_gives_no_try_back() {
    let mut service = Service::under(resend_after(60));
    service.code(Purpose::SignIn, None).wait(10).try_code(false, None, 0).wait(30).code_again(None);
    service.wait(5).try_code(false, None, 0).try_code(true, None, 0);
    let proposal = Policy { code_tries: 2, ..resend_after(30) };
    assert_eq!(
        service.under_proposal(proposal),
        [
            (RehearsedOutcome::LetThrough(RehearsedRequest::Code), "too_soon"),
            (RehearsedOutcome::Refused(RehearsedRequest::SignIn), "tries_spent")
        ]
    );
}

#[test]
fn a_refused_request_that_would_have_been_granted_makes_the_one_after_it_too_soon() {
    let mut service = Service::under(resend_after(60));
    service
        .code(Purpose::SignIn, None)
        .wait(40)
        .code(Purpose::SignIn, None)
        .wait(21)
        .code(Purpose::SignIn, None);
    service.wait(5).try_code(true, None, 0);
    let differences = service.under_proposal(resend_after(30));
    assert_eq!(
        differences,
        [
            (RehearsedOutcome::LetThrough(RehearsedRequest::Code), "too_soon"),
            (RehearsedOutcome::Refused(RehearsedRequest::Code), "too_soon")
        ]
    );
}

#[test]
fn what_follows_a_sign_in_that_would_have_been_refused_is_refused_as_well() {
    let mut service = Service::under(Policy::default());
    service.code(Purpose::SignIn, None).wait(100).try_code(true, None, 0);
    let session = service.tokens[0].0;
    service.wait(10).refresh(session, 0, 0);
    let at = service.now;
    let fullname = FullName::parse("Ada").expect("a name");
    service.ask(UpdateProfile { at, session, fullname, client: client(0) });
    let proposal = Policy { code_lifetime: TimeDelta::seconds(60), ..Policy::default() };
    assert_eq!(
        service.under_proposal(proposal),
        [
            (RehearsedOutcome::Refused(RehearsedRequest::SignIn), "expired"),
            (RehearsedOutcome::Refused(RehearsedRequest::Refresh), "not_signed_in"),
            (RehearsedOutcome::Refused(RehearsedRequest::Other), "session_ended"),
        ]
    );
}

#[test]
fn fewer_tries_void_a_code_before_the_right_one_comes() {
    let mut service = Service::under(Policy::default());
    service.code(Purpose::SignIn, None).wait(1).try_code(false, None, 0).try_code(false, None, 0);
    service.try_code(true, None, 0);
    let tries = |code_tries| Policy { code_tries, ..Policy::default() };
    assert_eq!(service.under_proposal(tries(3)), []);
    assert_eq!(
        service.under_proposal(tries(2)),
        [(RehearsedOutcome::Refused(RehearsedRequest::SignIn), "tries_spent")]
    );
    let paused = Policy { wrong_codes_per_hour: 2, ..Policy::default() };
    assert_eq!(
        service.under_proposal(paused),
        [(RehearsedOutcome::Refused(RehearsedRequest::SignIn), "paused")]
    );
}

#[test]
fn of_a_code_that_was_not_looked_at_nobody_knows_whether_it_was_right() {
    let mut service = Service::under(Policy::default());
    service.code(Purpose::SignIn, None).wait(301).try_code(true, None, 0);
    let longer = Policy { code_lifetime: TimeDelta::seconds(600), ..Policy::default() };
    assert_eq!(service.under_proposal(longer), [(RehearsedOutcome::LookedAt, "expired")]);
}

#[test]
fn who_was_not_let_in_and_would_have_been_is_signed_in_once() {
    let one = |device_limit_policy| Policy { device_limit: 1, device_limit_policy, ..Policy::default() };
    let mut service = Service::under(one(DeviceLimitPolicy::Deny));
    let first = service.sign_in();
    service.wait(100).code(Purpose::SignIn, None).wait(5).try_code(true, None, 2);
    service.wait(5);
    let (at, client) = (service.now, client(0));
    service.ask(Logout { at, session: first, client });
    service.wait(5).try_code(true, None, 2);
    let second = service.tokens[1].0;
    service.wait(50).refresh(second, 0, 2).wait(50).refresh(second, 0, 2);
    let two = Policy { device_limit: 2, ..one(DeviceLimitPolicy::Deny) };
    assert_eq!(
        service.under_proposal(two.clone()),
        [(RehearsedOutcome::LetThrough(RehearsedRequest::SignIn), "device_limit")]
    );
    // The token is bound to its device from when it is known which that was.
    let bound = Policy { binding: ClientBinding::DeviceAndIp, ..two };
    assert_eq!(
        service.under_proposal(bound),
        [(RehearsedOutcome::LetThrough(RehearsedRequest::SignIn), "device_limit")]
    );
    assert_eq!(
        service.under_proposal(one(DeviceLimitPolicy::EvictOldest)),
        [
            (RehearsedOutcome::LetThrough(RehearsedRequest::SignIn), "device_limit"),
            (RehearsedOutcome::EndedEarlier, "device_limit"),
        ]
    );
}

#[test]
fn without_rotation_a_copied_token_is_not_found_out() {
    let mut service = Service::under(Policy::default());
    let session = service.sign_in();
    service.wait(60).refresh(session, 0, 0).wait(60).refresh(session, 0, 0).wait(60).refresh(session, 2, 2);
    service.wait(60);
    let proposal = Policy { rotation: TokenRotation::Off, ..Policy::default() };
    assert_eq!(
        service.under_proposal(proposal),
        [
            (RehearsedOutcome::LetThrough(RehearsedRequest::Refresh), "token_reuse"),
            (RehearsedOutcome::EndedLater, "token_reuse")
        ]
    );
}

#[test]
fn without_grace_a_lost_answer_is_taken_for_a_theft() {
    let mut service = Service::under(Policy::default());
    let session = service.sign_in();
    service.wait(60).refresh(session, 0, 0).wait(5).refresh(session, 1, 0).wait(60).refresh(session, 0, 0);
    let proposal = Policy { refresh_grace: TimeDelta::zero(), ..Policy::default() };
    assert_eq!(
        service.under_proposal(proposal),
        [
            (RehearsedOutcome::Refused(RehearsedRequest::Refresh), "token_reuse"),
            (RehearsedOutcome::Refused(RehearsedRequest::Refresh), "token_reuse"),
            (RehearsedOutcome::EndedEarlier, "token_reuse"),
        ]
    );
}

#[test]
fn a_binding_ends_sessions_that_moved() {
    let mut service = Service::under(Policy::default());
    let session = service.sign_in();
    service.wait(60).refresh(session, 0, 1).wait(60).refresh(session, 0, 1);
    let bound = |binding| service.under_proposal(Policy { binding, ..Policy::default() });
    assert_eq!(bound(ClientBinding::Device), []);
    assert_eq!(
        bound(ClientBinding::DeviceAndIp),
        [
            (RehearsedOutcome::Refused(RehearsedRequest::Refresh), "client_changed"),
            (RehearsedOutcome::Refused(RehearsedRequest::Refresh), "client_changed"),
            (RehearsedOutcome::EndedEarlier, "client_changed"),
        ]
    );
}

#[test]
fn a_session_that_nobody_used_in_time_would_have_ended() {
    let mut service = Service::under(Policy::default());
    let session = service.sign_in();
    service.wait(7 * 86_400).refresh(session, 0, 0).wait(60);
    let idle = |days| Policy { session_idle: TimeDelta::days(days), ..Policy::default() };
    assert_eq!(
        service.under_proposal(idle(7)),
        [
            (RehearsedOutcome::Refused(RehearsedRequest::Refresh), "idle"),
            (RehearsedOutcome::EndedEarlier, "idle")
        ]
    );
    assert_eq!(service.under_proposal(idle(8)), []);
    let absolute = Policy { session_absolute: TimeDelta::days(6), ..Policy::default() };
    assert_eq!(
        service.under_proposal(absolute),
        [
            (RehearsedOutcome::Refused(RehearsedRequest::Refresh), "absolute"),
            (RehearsedOutcome::EndedEarlier, "absolute")
        ]
    );
}

#[test]
fn until_it_is_proposed_all_is_as_it_was() {
    let mut service = Service::under(Policy::default());
    let first = service.sign_in();
    service.wait(100);
    let second = service.sign_in();
    service.wait(100).refresh(first, 0, 0);
    let before = service.commits.len();
    service.wait(100).refresh(second, 0, 0).wait(100);
    service.sign_in();
    service.wait(10).refresh(second, 0, 0).wait(10).refresh(first, 0, 0);
    let one = Policy { device_limit: 1, ..Policy::default() };
    let (differences, _) = service.rehearsed(one, before);
    let whats: Vec<RehearsedOutcome> = differences.iter().map(|difference| difference.what).collect();
    // Both go at the first sign-in that the limit is held to, and were signed in until then.
    assert_eq!(
        whats,
        [
            RehearsedOutcome::Refused(RehearsedRequest::Refresh),
            RehearsedOutcome::Refused(RehearsedRequest::Refresh),
            RehearsedOutcome::EndedEarlier,
            RehearsedOutcome::EndedEarlier
        ]
    );
}

#[test]
fn fewer_wrong_codes_pause_a_second_factor_before_the_right_one_comes() {
    let mut service = Service::under(Policy::default());
    let session = service.sign_in();
    service.wait(60).employ(session, true).wait(60);
    for _ in 0..3 {
        service.pass_by_authenticator(session, false).wait(5);
    }
    service.pass_by_authenticator(session, true);
    let other = RehearsedRequest::Other;
    let three = Policy { wrong_codes_per_hour: 3, ..Policy::default() };
    assert_eq!(service.under_proposal(three), [(RehearsedOutcome::Refused(other), "paused")]);
    let row = Policy { wrong_codes_in_a_row: 3, ..Policy::default() };
    assert_eq!(service.under_proposal(row), [(RehearsedOutcome::Refused(other), "locked")]);
    assert_eq!(service.under_proposal(Policy::default()), []);
}

#[test]
fn what_a_rule_refused_stays_refused_under_any_limits() {
    let mut service = Service::under(Policy::default());
    let session = service.sign_in();
    service.wait(100).code(Purpose::SignIn, None).wait(10).try_code_by_rules(true, None, 0, Some(rule()));
    service.wait(10).refresh_by_rules(session, 0, 0, Some(rule()));
    service.wait(10).refresh(session, 0, 0);
    let (at, identifier, purpose) = (service.now, phone(), Purpose::SignIn);
    service.ask(RecordRuleRefusal { at, rule: rule(), identifier, purpose, client: client(0) });

    let refused = service
        .commits
        .iter()
        .filter_map(|commit| AccountRehearsal::refused_by_rule(commit))
        .collect::<Vec<_>>();
    let stages = [RehearsedRequest::SignIn, RehearsedRequest::Refresh, RehearsedRequest::Code];
    assert_eq!(refused, stages);
    let granted = service.commits.iter().filter(|commit| AccountRehearsal::granted(commit).is_some());
    assert_eq!(granted.count(), 4, "two codes, a sign-in and a refresh");

    let looser = Policy { code_tries: 50, device_limit: 9, ..resend_after(0) };
    assert_eq!(service.under_proposal(looser), []);
    let stricter = Policy { code_lifetime: TimeDelta::seconds(3), ..Policy::default() };
    assert_eq!(
        service.under_proposal(stricter),
        [
            (RehearsedOutcome::Refused(RehearsedRequest::SignIn), "expired"),
            (RehearsedOutcome::Refused(RehearsedRequest::Refresh), "not_signed_in"),
        ]
    );
}
