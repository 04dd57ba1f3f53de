//! What was done, compared with what is in the log.

use std::collections::BTreeMap;

use serde_json::Value;

/// Operations of one kind: those that were acknowledged, and those whose outcome is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationCount {
    pub acknowledged: u64,
    pub unknown: u64,
}

/// What was done to one account, by the name of the event that it leaves.
#[derive(Clone, Debug, Default)]
pub struct AccountTally {
    pub counts: BTreeMap<&'static str, OperationCount>,
    /// Sessions and generations whose tokens a client was given.
    pub tokens: Vec<(String, u64)>,
    /// Sessions whose end was acknowledged.
    pub ended: Vec<String>,
}

/// The events of an account, by name, with their facts.
pub type EventStream = Vec<(String, Value)>;

/// The log, by the hash of the identifier that the account began with.
pub type EventLog = BTreeMap<Vec<u8>, EventStream>;

/// Everything that is not as it has to be.
pub fn check(log: &EventLog, tallies: &BTreeMap<Vec<u8>, AccountTally>) -> Vec<String> {
    let nothing = EventStream::new();
    let mut broken = Vec::new();
    for (account, tally) in tallies {
        let stream = log.get(account).unwrap_or(&nothing);
        let name = account.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
        let all = effects(stream, tally).into_iter().chain(codes(stream)).chain(sessions(stream, tally));
        broken.extend(all.map(|what| format!("account {name}: {what}: {stream:?} {tally:?}")));
    }
    broken
}

/// Each kind of event must be there as often as it was acknowledged, and at most as often again as its outcome is unknown.
fn effects(stream: &EventStream, tally: &AccountTally) -> Vec<String> {
    let mut broken = Vec::new();
    for (event, OperationCount { acknowledged, unknown }) in &tally.counts {
        let found = stream.iter().filter(|(name, _)| name == event).count() as u64;
        if found < *acknowledged {
            broken.push(format!("lost {event}"));
        }
        if found > acknowledged + unknown {
            broken.push(format!("doubled {event}"));
        }
    }
    broken
}

/// A code lets in once: between two sign-ins there is a code.
fn codes(stream: &EventStream) -> Vec<String> {
    let (mut code, mut broken) = (false, Vec::new());
    for (name, _) in stream {
        match name.as_str() {
            "OtpRequested" | "OtpResent" => code = true,
            "LoggedIn" if !std::mem::take(&mut code) => broken.push("a code redeemed twice".to_owned()),
            _ => {}
        }
    }
    broken
}

/// A session's generations are 1, 2, 3 and so on, each once; it ends once, and nothing of it comes after that.
fn sessions(stream: &EventStream, tally: &AccountTally) -> Vec<String> {
    let mut newest: BTreeMap<&str, Option<u64>> = BTreeMap::new();
    let mut made: Vec<(String, u64)> = Vec::new();
    let mut broken = Vec::new();
    for (name, fact) in stream {
        let session = fact["session"].as_str().unwrap_or_default();
        match name.as_str() {
            "LoggedIn" => {
                newest.insert(session, Some(1));
                made.push((session.to_owned(), 1));
            }
            "TokenRefreshed" => {
                let generation = fact["generation"].as_u64().unwrap_or_default();
                if newest.get(session).copied().flatten().map(|newest| newest + 1) != Some(generation) {
                    broken.push(format!("a forked session at generation {generation}"));
                }
                newest.insert(session, Some(generation));
                made.push((session.to_owned(), generation));
            }
            "LoggedOut" if newest.insert(session, None).flatten().is_none() => {
                broken.push("a session that ended twice".to_owned());
            }
            _ => {}
        }
    }
    broken
        .extend(tally.tokens.iter().filter(|token| !made.contains(token)).map(|_| "lost tokens".to_owned()));
    let lasts = |session: &&String| newest.get(session.as_str()) != Some(&None);
    broken.extend(tally.ended.iter().filter(lasts).map(|_| "a lost sign-out".to_owned()));
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sound() -> (EventStream, AccountTally) {
        let fact = |generation: u64| json!({"session": "s", "generation": generation});
        let stream = [
            ("OtpRequested", json!({})),
            ("UserRegistered", json!({})),
            ("LoggedIn", fact(1)),
            ("TokenRefreshed", fact(2)),
            ("TokenRefreshed", fact(3)),
            ("LoggedOut", json!({"session": "s"})),
        ];
        let acknowledged = |acknowledged| OperationCount { acknowledged, unknown: 0 };
        let tally = AccountTally {
            counts: BTreeMap::from([
                ("OtpRequested", acknowledged(1)),
                ("LoggedIn", acknowledged(1)),
                ("TokenRefreshed", OperationCount { acknowledged: 1, unknown: 1 }),
                ("LoggedOut", acknowledged(1)),
            ]),
            tokens: vec![("s".to_owned(), 1), ("s".to_owned(), 2)],
            ended: vec!["s".to_owned()],
        };
        (stream.map(|(name, fact)| (name.to_owned(), fact)).to_vec(), tally)
    }

    fn found(change: impl FnOnce(&mut EventStream, &mut AccountTally)) -> Vec<String> {
        let (mut stream, mut tally) = sound();
        change(&mut stream, &mut tally);
        check(&EventLog::from([(vec![1], stream)]), &BTreeMap::from([(vec![1], tally)]))
    }

    #[test]
    fn a_sound_history_passes_whether_operations_of_unknown_outcome_took_effect_or_not() {
        assert_eq!(found(|_, _| ()), Vec::<String>::new());
        assert_eq!(found(|stream, _| drop(stream.remove(4))), Vec::<String>::new());
    }

    #[test]
    fn the_checker_finds_every_kind_of_violation() {
        let again = |stream: &mut EventStream, n: usize| stream.insert(n + 1, stream[n].clone());
        for (what, broken) in [
            ("lost LoggedOut", found(|stream, _| drop(stream.pop()))),
            ("a lost sign-out", found(|stream, _| drop(stream.pop()))),
            ("lost TokenRefreshed", found(|stream, _| drop(stream.drain(3..5)))),
            ("lost tokens", found(|stream, _| drop(stream.remove(3)))),
            ("doubled OtpRequested", found(|stream, _| again(stream, 0))),
            ("doubled TokenRefreshed", found(|stream, _| again(stream, 4))),
            ("a forked session", found(|stream, _| again(stream, 3))),
            ("a session that ended twice", found(|stream, _| again(stream, 5))),
            ("a code redeemed twice", found(|stream, _| again(stream, 2))),
            ("lost OtpRequested", found(|stream, _| stream.clear())),
        ] {
            assert!(broken.iter().any(|found| found.contains(what)), "{what}: {broken:?}");
        }
    }
}
