//! Rehearsals beside models that are nothing but the rule they are about.

use counterfoil_domain::user_account::{CodeFact, SessionFact};
use proptest::prelude::*;

use super::super::RehearsedRequest;
use super::*;

/// A record on which nothing but the lifetime of codes refuses anything.
fn generous() -> Policy {
    Policy {
        code_lifetime: TimeDelta::seconds(600),
        resend_after: TimeDelta::zero(),
        codes_per_day: 100,
        device_limit: 100,
        ..Policy::default()
    }
}

fn seconds(time: DateTime<Utc>) -> i64 {
    time.timestamp() - 20_000 * 86_400
}

fn counted(service: &Service, proposal: Policy, what: RehearsedOutcome) -> usize {
    service.under_proposal(proposal).iter().filter(|(found, _)| *found == what).count()
}

/// Codes asked for and tried, after so many seconds each.
fn codes() -> impl Strategy<Value = Vec<(i64, bool)>> {
    let waits = prop_oneof![5 => 1..90_i64, 2 => 90..700_i64, 1 => 3_600..50_000_i64];
    prop::collection::vec((waits, any::<bool>()), 1..40)
}

fn with_codes(history: &[(i64, bool)]) -> Service {
    let mut service = Service::under(generous());
    for (wait, tries) in history {
        service.wait(*wait);
        if *tries {
            service.try_code(true, None, 0)
        } else {
            service.code(Purpose::SignIn, None)
        };
    }
    service
}

/// The codes and the sign-ins on record, by second, that would be refused: a code when the last was sent less than so long
/// ago or so many were in a day, a sign-in when no code was sent since the last one, or none that still works.
fn refused(service: &Service, resend_after: i64, per_day: usize, lifetime: i64) -> (usize, usize) {
    let (mut sent, mut pending) = (Vec::<i64>::new(), None);
    let (mut codes, mut sign_ins) = (0, 0);
    for event in service.commits.iter().flatten() {
        let now = seconds(event.at);
        if matches!(event.fact, AccountFact::Code(CodeFact::OtpRequested { .. })) {
            let too_soon = sent.last().is_some_and(|last| now - last < resend_after);
            let in_a_day = sent.iter().filter(|sent| now - **sent < 86_400).count();
            if too_soon || in_a_day >= per_day {
                codes += 1;
            } else {
                sent.push(now);
                pending = Some(now + lifetime);
            }
        }
        if matches!(event.fact, AccountFact::Session(SessionFact::LoggedIn { .. })) {
            sign_ins += usize::from(pending.take().is_none_or(|expires_at: i64| expires_at <= now));
        }
    }
    (codes, sign_ins)
}

proptest! {
    #[test]
    fn codes_and_the_sign_ins_by_them_are_refused_as_the_rule_says(
        history in codes(),
        resend_after in 0..200_i64,
        per_day in 1..8_usize,
        lifetime in 30..600_i64,
    ) {
        let service = with_codes(&history);
        let proposal = generous();
        for (resend_after, per_day, lifetime) in
            [(resend_after, 100, 600), (0, per_day, 600), (0, 100, lifetime), (resend_after, per_day, lifetime)]
        {
            let proposal = Policy {
                code_lifetime: TimeDelta::seconds(lifetime),
                resend_after: TimeDelta::seconds(resend_after),
                codes_per_day: per_day,
                ..proposal.clone()
            };
            let (codes, sign_ins) = refused(&service, resend_after, per_day, lifetime);
            prop_assert_eq!(counted(&service, proposal.clone(), RehearsedOutcome::Refused(RehearsedRequest::Code)), codes);
            prop_assert_eq!(counted(&service, proposal, RehearsedOutcome::Refused(RehearsedRequest::SignIn)), sign_ins);
        }
    }

    #[test]
    fn the_least_recently_used_device_is_signed_out_and_its_refreshes_are_refused(
        history in prop::collection::vec((1..60_i64, prop::option::weighted(0.6, any::<prop::sample::Index>())), 1..60),
        device_limit in 1..6_usize,
    ) {
        let mut service = Service::under(generous());
        for (wait, refreshes) in &history {
            service.wait(*wait);
            match refreshes.as_ref().filter(|_| !service.tokens.is_empty()) {
                Some(index) => {
                    let session = service.tokens[index.index(service.tokens.len())].0;
                    service.refresh(session, 0, 0);
                }
                None => drop(service.sign_in()),
            }
        }
        service.wait(1);

        // The devices in the order of use, the last used last.
        let (mut devices, mut evicted, mut refreshes) = (Vec::new(), 0, 0);
        for event in service.commits.iter().flatten() {
            if let AccountFact::Session(SessionFact::LoggedIn { session, .. }) = event.fact {
                devices.push(session);
                if devices.len() > device_limit {
                    devices.remove(0);
                    evicted += 1;
                }
            }
            if let AccountFact::Session(SessionFact::TokenRefreshed { session, .. }) = event.fact {
                match devices.iter().position(|device| *device == session) {
                    Some(place) => devices[place..].rotate_left(1),
                    None => refreshes += 1,
                }
            }
        }
        let proposal = Policy { device_limit, ..generous() };
        prop_assert_eq!(counted(&service, proposal.clone(), RehearsedOutcome::EndedEarlier), evicted);
        prop_assert_eq!(counted(&service, proposal, RehearsedOutcome::Refused(RehearsedRequest::Refresh)), refreshes);
    }
}
