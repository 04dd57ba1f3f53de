//! Under the policy that held, a rehearsal comes to the record, whatever has happened.

use counterfoil_domain::user_account::{ClientBinding, DeviceLimitPolicy, TokenRotation};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// What a caller does, to or with one of the sessions.
#[derive(Clone, Debug)]
enum Deed {
    AskCode { known: bool, for_another: bool },
    AskAgain { known: bool },
    TryCode { right: bool, known: bool, from: u8 },
    Refresh { behind: usize, from: u8 },
    AskToAdd,
    TryToAdd { right: bool },
    Rename,
    Logout,
    LogoutAll { keep_current: bool },
    Revoke(Index),
    Disown,
    EndSession,
    SignOut,
    Suspend { seconds: Option<i64> },
    Reinstate,
    Lift,
    Employ { right: bool },
    PassByAuthenticator { right: bool },
    PassByRecoveryCode { number: u8 },
    RenewRecoveryCodes,
    RemoveSecondFactor,
    AskRefusedCode,
    TryRefusedCode { known: bool },
    RefusedRefresh { behind: usize, from: u8 },
}

fn policies() -> impl Strategy<Value = Policy> {
    let seconds =
        |choices: &[i64]| select(choices.iter().map(|s| TimeDelta::seconds(*s)).collect::<Vec<_>>());
    let codes =
        (seconds(&[30, 120, 300]), 1..4_u8, seconds(&[0, 30, 60, 300]), 1..5_usize, 2..6_usize, 3..9_u32);
    let sessions = (
        seconds(&[300, 3_600, 86_400]),
        seconds(&[900, 7_200, 172_800]),
        seconds(&[0, 10, 60]),
        1..4_usize,
        select(vec![DeviceLimitPolicy::EvictOldest, DeviceLimitPolicy::Deny, DeviceLimitPolicy::Off]),
        select(vec![ClientBinding::Off, ClientBinding::Device, ClientBinding::DeviceAndIp]),
        select(vec![TokenRotation::On, TokenRotation::Off]),
    );
    (codes, sessions).prop_map(|(codes, sessions)| {
        let (
            code_lifetime,
            code_tries,
            resend_after,
            codes_per_day,
            wrong_codes_per_hour,
            wrong_codes_in_a_row,
        ) = codes;
        let (
            session_idle,
            session_absolute,
            refresh_grace,
            device_limit,
            device_limit_policy,
            binding,
            rotation,
        ) = sessions;
        Policy {
            code_lifetime,
            code_tries,
            resend_after,
            codes_per_day,
            wrong_codes_per_hour,
            wrong_codes_in_a_row,
            session_idle,
            session_absolute,
            refresh_grace,
            device_limit,
            device_limit_policy,
            binding,
            rotation,
            ..Policy::default()
        }
    })
}

fn deeds() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(known, for_another)| Deed::AskCode { known, for_another }),
        1 => any::<bool>().prop_map(|known| Deed::AskAgain { known }),
        6 => (prop::bool::weighted(0.8), any::<bool>(), 0..4_u8)
            .prop_map(|(right, known, from)| Deed::TryCode { right, known, from }),
        5 => (select(vec![0, 0, 0, 1, 1, 2]), 0..4_u8).prop_map(|(behind, from)| Deed::Refresh { behind, from }),
        1 => Just(Deed::AskToAdd),
        1 => any::<bool>().prop_map(|right| Deed::TryToAdd { right }),
        1 => Just(Deed::Rename),
        1 => Just(Deed::Logout),
        1 => any::<bool>().prop_map(|keep_current| Deed::LogoutAll { keep_current }),
        1 => any::<Index>().prop_map(Deed::Revoke),
        1 => select(vec![Deed::Disown, Deed::EndSession, Deed::SignOut, Deed::Reinstate, Deed::Lift]),
        2 => prop::bool::weighted(0.8).prop_map(|right| Deed::Employ { right }),
        3 => prop::bool::weighted(0.4).prop_map(|right| Deed::PassByAuthenticator { right }),
        1 => (0..12_u8).prop_map(|number| Deed::PassByRecoveryCode { number }),
        1 => select(vec![Deed::RenewRecoveryCodes, Deed::RemoveSecondFactor]),
        1 => prop::option::of(0..300_i64).prop_map(|seconds| Deed::Suspend { seconds }),
        1 => Just(Deed::AskRefusedCode),
        1 => any::<bool>().prop_map(|known| Deed::TryRefusedCode { known }),
        1 => (select(vec![0, 0, 1, 2]), 0..4_u8)
            .prop_map(|(behind, from)| Deed::RefusedRefresh { behind, from }),
    ]
}

fn histories() -> impl Strategy<Value = Vec<(i64, Index, Deed)>> {
    let waits = prop_oneof![6 => 0..40_i64, 2 => 40..400_i64, 1 => 400..100_000_i64];
    prop::collection::vec((waits, any::<Index>(), deeds()), 1..60)
}

fn lived(policy: Policy, history: &[(i64, Index, Deed)]) -> Service {
    let mut service = Service::under(policy);
    for (seconds, whose, deed) in history {
        service.wait(*seconds);
        let sessions: Vec<SessionId> = service.tokens.iter().map(|(session, _)| *session).collect();
        let one_of = |index: &Index| sessions.get(index.index(sessions.len().max(1))).copied();
        let session = one_of(whose).unwrap_or(SessionId(Uuid::nil()));
        let (at, client) = (service.now, client(0));
        let shown = |known: bool| known.then_some(session);
        let staff = service.staff();
        match deed {
            Deed::AskCode { known, for_another } => {
                let purpose = if *for_another { Purpose::AddIdentifier } else { Purpose::SignIn };
                service.code(purpose, shown(*known));
            }
            Deed::AskAgain { known } => {
                service.code_again(shown(*known));
            }
            Deed::TryCode { right, known, from } => {
                service.try_code(*right, shown(*known), *from);
            }
            Deed::Refresh { behind, from } => {
                service.refresh(session, *behind, *from);
            }
            Deed::AskRefusedCode => {
                let (identifier, purpose) = (phone(), Purpose::SignIn);
                service.ask(RecordRuleRefusal { at, rule: rule(), identifier, purpose, client });
            }
            Deed::TryRefusedCode { known } => {
                service.try_code_by_rules(true, shown(*known), 0, Some(rule()));
            }
            Deed::RefusedRefresh { behind, from } => {
                service.refresh_by_rules(session, *behind, *from, Some(rule()));
            }
            Deed::AskToAdd => {
                let (identifier, nonce) = (email(), service.nonce());
                service.ask(AddIdentifier { at, session, identifier, former: None, nonce, client });
            }
            Deed::TryToAdd { right } => {
                let code = service.pending(Purpose::AddIdentifier, None, *right);
                let identifier = email();
                service.ask(VerifyIdentifier { at, session, identifier, former: None, code, client });
            }
            Deed::Rename => {
                let fullname = FullName::parse("Ada").expect("a name");
                service.ask(UpdateProfile { at, session, fullname, client });
            }
            Deed::Logout => {
                service.ask(Logout { at, session, client });
            }
            Deed::LogoutAll { keep_current } => {
                service.ask(LogoutAll { at, session, keep_current: *keep_current, client });
            }
            Deed::Revoke(device) => {
                let device = one_of(device).unwrap_or(session);
                service.ask(RevokeDevice { at, session, device, client });
            }
            Deed::Disown => {
                service.ask(DisownSession { at, session, client });
            }
            Deed::EndSession => {
                service.ask(EndSession { session, intervention: staff });
            }
            Deed::SignOut => {
                service.ask(SignOutAccount { intervention: staff });
            }
            Deed::Suspend { seconds } => {
                let until = seconds.map(|seconds| at + TimeDelta::seconds(seconds));
                let account = AccountId(Uuid::nil());
                service.ask(SuspendAccount { account, until, intervention: staff });
            }
            Deed::Reinstate => {
                service.ask(ReinstateAccount { intervention: staff });
            }
            Deed::Employ { right } => {
                service.employ(session, *right);
            }
            Deed::PassByAuthenticator { right } => {
                service.pass_by_authenticator(session, *right);
            }
            Deed::PassByRecoveryCode { number } => {
                service.pass_by_recovery_code(session, *number);
            }
            Deed::RenewRecoveryCodes => {
                let recovery = RecoveryBatchId(Uuid::from_u128(service.commits.len() as u128));
                service.ask(RenewRecoveryCodes { at, session, recovery, client });
            }
            Deed::RemoveSecondFactor => {
                let account = AccountId(Uuid::nil());
                service.ask(RemoveSecondFactor { account, intervention: staff });
            }
            Deed::Lift => {
                service.ask(LiftLimits { intervention: staff });
            }
        }
    }
    service
}

proptest! {
    #[test]
    fn under_the_policy_that_held_nothing_is_different(
        policy in policies(),
        history in histories(),
        from in any::<Index>(),
    ) {
        let service = lived(policy.clone(), &history);
        let (differences, rehearsal) = service.rehearsed(policy, from.index(service.commits.len().max(1)));
        prop_assert_eq!(differences, vec![]);
        if !service.commits.is_empty() {
            prop_assert_eq!(&rehearsal.rehearsed.account, &service.account);
        }
    }

    #[test]
    fn under_any_other_it_ends_and_counts_no_more_than_was_asked(
        policy in policies(),
        proposal in policies(),
        history in histories(),
        from in any::<Index>(),
    ) {
        let service = lived(policy, &history);
        let from = from.index(service.commits.len().max(1));
        let (differences, rehearsal) = service.rehearsed(proposal.clone(), from);
        let granted = service.commits[from..].iter().filter_map(|commit| AccountRehearsal::granted(commit)).count();
        let refused = differences.iter().filter(|difference| matches!(difference.what, RehearsedOutcome::Refused(_)));
        prop_assert!(refused.count() <= granted);
        let places = match proposal.device_limit_policy {
            DeviceLimitPolicy::Off => Policy::MOST_DEVICES,
            DeviceLimitPolicy::EvictOldest | DeviceLimitPolicy::Deny => proposal.device_limit,
        };
        let before = service.commits[..from].iter().flatten();
        let already = before.filter(|event| matches!(event.fact, AccountFact::Session(SessionFact::LoggedIn { .. }))).count();
        let live = rehearsal.rehearsed.account.live_sessions(service.now).count();
        prop_assert!(live <= places.max(already));
    }
}
