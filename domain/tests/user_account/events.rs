//! The stored form of every event, which no later version of the code may read differently.
//!
//! `golden/events.json` holds it, one example a line. It is append-only: `UPDATE_GOLDEN=1 cargo test` adds the
//! examples that it does not have yet, and changes none that it has.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use chrono::TimeDelta;
use counterfoil_domain::user_account::{
    Actor, CodeAsked, CodeRefused, CodeRejected, Fact, FactorRejected, Lack, Person, Purpose, Requester,
    SecondFactorProof, SignOutReason, UserAccountEvent,
};
use counterfoil_domain::values::{
    AddressMark, Channel, Client, ClientChange, ClientMark, Generation, LanguageTag, Role,
};
use cqrs_es::DomainEvent as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::fixtures::*;

const GOLDEN_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/events.json");

/// Something of every variant of an enum, all of which have to be named, or it does not compile.
macro_rules! every {
    ($enum:ident: $($variant:ident),+) => { every!($enum: $($variant => $enum::$variant),+) };
    (name of $enum:ident: $($variant:ident),+) => { every!($enum: $($variant => stringify!($variant)),+) };
    ($enum:ident: $($variant:ident => $value:expr),+) => {{
        let _: fn(&$enum) = |value| match value { $($enum::$variant { .. } => {})+ };
        [$($value),+]
    }};
}

/// An event of every kind and with every value of every enum in it, each with a name of its own. Each has all
/// personal data, whether or not a decision would make it so.
pub(crate) fn examples() -> Vec<(String, UserAccountEvent)> {
    let mut examples = Vec::new();
    let mut add = |name: String, fact: Fact| {
        let event = UserAccountEvent {
            at: at(0) + TimeDelta::microseconds(123_456),
            fact,
            person: Some(Person {
                identifier: Some(phone()),
                former: Some(new_phone()),
                fullname: Some(fullname()),
                device_name: Some(device_name()),
                reason: Some(reason()),
            }),
            client: Some(client()),
        };
        examples.push((name, event));
    };

    for channel in every!(Channel: Phone, Email) {
        for purpose in every!(Purpose: SignIn, AddIdentifier, Reauthenticate) {
            let session = (purpose == Purpose::Reauthenticate).then(|| session(1));
            for registering in [true, false] {
                let whose = if registering { "new" } else { "known" };
                for (by, requester, test) in requesters() {
                    let (nonce, expires_at) = (nonce(0x1f), at(300));
                    for (kept, withheld) in [("", false), (" withheld", true)] {
                        let fact = Fact::OtpRequested {
                            channel,
                            purpose,
                            nonce,
                            expires_at,
                            registering,
                            session,
                            requester,
                            test,
                            withheld,
                        };
                        add(format!("OtpRequested {channel:?} {purpose:?} {whose}{by}{kept}"), fact);
                    }
                }
            }
            for (by, requester, test) in requesters() {
                let (nonce, expires_at) = (nonce(0x1f), at(300));
                for (example, answer_possible_at, withheld) in
                    [("", None, false), (" after an outage", Some(at(12)), false), (" withheld", None, true)]
                {
                    let fact = Fact::OtpResent {
                        channel,
                        purpose,
                        nonce,
                        expires_at,
                        requester,
                        test,
                        withheld,
                        answer_possible_at,
                    };
                    add(format!("OtpResent {channel:?} {purpose:?}{by}{example}"), fact);
                }
            }
        }
        add(format!("UserRegistered {channel:?}"), Fact::UserRegistered { channel });
        let marked = Some(ClientMark { device: 7, network: 65_535 });
        let placed = Some(AddressMark(281_474_976_710_655));
        for (example, mark, address) in
            [("", None, None), (" marked", marked, None), (" placed", marked, placed)]
        {
            let fact = Fact::LoggedIn {
                session: session(1),
                channel,
                generation: Generation::FIRST,
                expires_at: at(30 * DAY),
                ends_at: at(90 * DAY),
                mark,
                address,
                seen: None,
                unfamiliar: None,
                language: None,
                requester: Requester::Stranger,
                test: false,
            };
            add(format!("LoggedIn {channel:?}{example}"), fact);
        }
        for unfamiliar in every!(ClientChange: Device, Network, DeviceAndNetwork) {
            for (by, requester, test) in requesters() {
                let fact = Fact::LoggedIn {
                    session: session(2),
                    channel,
                    generation: Generation::FIRST,
                    expires_at: at(30 * DAY),
                    ends_at: at(90 * DAY),
                    mark: Some(ClientMark { device: 7, network: 65_535 }),
                    address: None,
                    seen: Some(ClientMark { device: 8, network: 9 }),
                    unfamiliar: Some(unfamiliar),
                    language: LanguageTag::parse("fa"),
                    requester,
                    test,
                };
                add(format!("LoggedIn {channel:?} unfamiliar {unfamiliar:?}{by}"), fact);
            }
        }
    }
    for reason in every!(CodeRefused: TooSoon, QuotaSpent, Paused, Locked) {
        for asked in every!(CodeAsked: ToSignIn, Again, ToAdd, ForAnother, ToReauthenticate) {
            for channel in every!(Channel: Phone, Email) {
                for requester in every!(Requester: Stranger, KnownDevice) {
                    let by = if requester == Requester::KnownDevice { " KnownDevice" } else { "" };
                    let fact = Fact::OtpRequestRefused { reason, until: at(60), asked, channel, requester };
                    add(format!("OtpRequestRefused {reason:?} {asked:?} {channel:?}{by}"), fact);
                }
            }
        }
    }
    for reason in every!(CodeRejected: Wrong, Expired, Paused, Locked, DeviceLimit, Suspended) {
        let (tries_left, until) = match reason {
            CodeRejected::Wrong | CodeRejected::DeviceLimit | CodeRejected::Suspended => (4, None),
            CodeRejected::Expired => (0, None),
            CodeRejected::Paused | CodeRejected::Locked => (0, Some(at(60))),
        };
        for purpose in every!(Purpose: SignIn, AddIdentifier, Reauthenticate) {
            for requester in every!(Requester: Stranger, KnownDevice) {
                let by = if requester == Requester::KnownDevice { " KnownDevice" } else { "" };
                let purposed = match purpose {
                    Purpose::SignIn => "",
                    Purpose::AddIdentifier => " AddIdentifier",
                    Purpose::Reauthenticate => " Reauthenticate",
                };
                let channel = Channel::Phone;
                let fact = Fact::OtpRejected { purpose, reason, channel, tries_left, until, requester };
                add(format!("OtpRejected {reason:?}{purposed}{by}"), fact);
            }
        }
    }
    for channel in every!(Channel: Phone, Email) {
        for (example, test) in [("", false), (" test", true)] {
            let fact = Fact::SessionReauthenticated { session: session(1), channel, test };
            add(format!("SessionReauthenticated {channel:?}{example}"), fact);
        }
    }
    let fact = Fact::SignInRepeated {
        session: session(1),
        generation: Generation(1),
        issued_at: at(0),
        expires_at: at(30 * DAY),
        answer_possible_at: at(12),
    };
    add("SignInRepeated".to_owned(), fact);
    for (example, moved) in [("", None), (" from another address", Some(AddressMark(30_065_000_007)))] {
        let fact = Fact::TokenRefreshed {
            session: session(1),
            generation: Generation(2),
            expires_at: at(30 * DAY),
            moved,
        };
        add(format!("TokenRefreshed{example}"), fact);
    }
    for (example, answer_possible_at) in [("", None), (" after an outage", Some(at(12)))] {
        let fact = Fact::TokenRefreshRetried {
            session: session(1),
            generation: Generation(2),
            issued_at: at(0),
            expires_at: at(30 * DAY),
            answer_possible_at,
        };
        add(format!("TokenRefreshRetried{example}"), fact);
    }
    let fact =
        Fact::TokenReuseDetected { session: session(1), presented: Generation(2), newest: Generation(4) };
    add("TokenReuseDetected".to_owned(), fact);
    for change in every!(ClientChange: Device, Network, DeviceAndNetwork) {
        let mark = ClientMark { device: 7, network: 65_535 };
        add(format!("ClientChanged {change:?}"), Fact::ClientChanged { session: session(1), change, mark });
    }
    for reason in every!(SignOutReason: SignedOut, DeviceLimit, SignedInAgain, TokenReuse, DeviceRevoked, SignedOutEverywhere,
        ClientChanged, IdentifierReplaced, IdentifierRemoved, IdentifierChangeUndone, Disowned, EndedByAdmin, Suspended)
    {
        let fact = Fact::LoggedOut { session: session(1), reason, expires_at: at(30 * DAY), by: None };
        add(format!("LoggedOut {reason:?}"), fact);
    }
    for by in every!(Actor: Operator => Actor::Operator, Account => admin()) {
        let who = if by == Actor::Operator { "Operator" } else { "Account" };
        add(format!("LimitsLifted {who}"), Fact::LimitsLifted { by });
        for reason in [SignOutReason::EndedByAdmin, SignOutReason::Suspended] {
            let by = Some(by);
            let fact = Fact::LoggedOut { session: session(1), reason, expires_at: at(30 * DAY), by };
            add(format!("LoggedOut {reason:?} by {who}"), fact);
        }
        for roles in [vec![], every!(Role: Admin, Auditor).to_vec()] {
            let name = format!("RolesChanged {roles:?} by {who}");
            add(name, Fact::RolesChanged { roles: roles.into_iter().collect(), by });
        }
        for until in [None, Some(at(DAY))] {
            let how_long = if until.is_some() { " until" } else { "" };
            add(format!("AccountSuspended{how_long} by {who}"), Fact::AccountSuspended { until, by });
        }
        add(format!("AccountReinstated by {who}"), Fact::AccountReinstated { by });
        add(format!("SecondFactorRemoved by {who}"), Fact::SecondFactorRemoved { by });
    }
    for needs in every!(Role: Admin, Auditor) {
        for lacks in every!(Lack: Role, SecondFactor) {
            let (action, until) = ("GET /admin/accounts/{id}".to_owned(), at(HOUR));
            let factor = if lacks == Lack::SecondFactor { " SecondFactor" } else { "" };
            add(
                format!("AccessDenied {needs:?}{factor}"),
                Fact::AccessDenied { action, needs, lacks, until },
            );
        }
    }
    let (session_1, until) = (session(1), at(600));
    let fact =
        Fact::SecondFactorOffered { session: session_1, authenticator: authenticator(1), expires_at: until };
    add("SecondFactorOffered".to_owned(), fact);
    add("SecondFactorEnrolled".to_owned(), factor_enrolled(0, 1, 1).fact);
    for proof in every!(SecondFactorProof: Authenticator => SecondFactorProof::Authenticator { step: step(0) },
        RecoveryCode => SecondFactorProof::RecoveryCode { number: 9 })
    {
        add(
            format!("SecondFactorPassed {}", proof.as_str()),
            Fact::SecondFactorPassed { session: session_1, proof },
        );
    }
    for reason in every!(FactorRejected: Wrong, Spent, Paused, Locked) {
        let until = matches!(reason, FactorRejected::Paused | FactorRejected::Locked).then_some(until);
        let fact = Fact::SecondFactorRejected { session: session_1, reason, until };
        add(format!("SecondFactorRejected {reason:?}"), fact);
    }
    let fact = Fact::RecoveryCodesRenewed { session: session_1, recovery: batch(2) };
    add("RecoveryCodesRenewed".to_owned(), fact);
    let what = "events account_id=00000000-0000-0000-0000-000000000001".to_owned();
    add("AuditRead".to_owned(), Fact::AuditRead { what });
    add("SharedLimitsLifted".to_owned(), Fact::SharedLimitsLifted { subject: "IR".to_owned() });
    add("RebuildOrdered".to_owned(), Fact::RebuildOrdered { projection: "statistics".to_owned() });
    add("DeviceRenamed".to_owned(), Fact::DeviceRenamed { session: session(1) });
    add("ProfileUpdated".to_owned(), Fact::ProfileUpdated {});
    for channel in every!(Channel: Phone, Email) {
        let fact = Fact::IdentifierRequested { channel, nonce: nonce(0x1f), expires_at: at(300) };
        add(format!("IdentifierRequested {channel:?}"), fact);
        let fact = Fact::UnlockLinkIssued { channel, nonce: nonce(0x1f), expires_at: at(DAY) };
        add(format!("UnlockLinkIssued {channel:?}"), fact);
        add(format!("LockLifted {channel:?}"), Fact::LockLifted { channel });
        add(format!("IdentifierAdded {channel:?}"), Fact::IdentifierAdded { channel });
        add(format!("IdentifierReplaced {channel:?}"), Fact::IdentifierReplaced { channel });
        add(format!("IdentifierRemoved {channel:?}"), Fact::IdentifierRemoved { channel, by_undo: false });
        let removed = Fact::IdentifierRemoved { channel, by_undo: true };
        add(format!("IdentifierRemoved {channel:?} by undo"), removed);
        add(format!("IdentifierRestored {channel:?}"), Fact::IdentifierRestored { channel });
        let undone = Fact::IdentifierChangeUndone { change: 7, not_restored: vec![channel] };
        add(format!("IdentifierChangeUndone without {channel:?}"), undone);
        for (how, lapsed) in [("", false), (" lapsed", true)] {
            add(format!("IdentifierReleased {channel:?}{how}"), Fact::IdentifierReleased { channel, lapsed });
        }
    }
    let undone = Fact::IdentifierChangeUndone { change: 7, not_restored: Vec::new() };
    add("IdentifierChangeUndone".to_owned(), undone);
    examples
}

/// Everybody who asks, and an identifier that is listed for tests, each with what it adds to an example's name.
fn requesters() -> [(&'static str, Requester, bool); 3] {
    let [stranger, known] = every!(Requester: Stranger, KnownDevice);
    [("", stranger, false), (" KnownDevice", known, false), (" test", stranger, true)]
}

/// The event as it is once its keys are gone: what is left is what its JSON holds.
fn without_keys(event: &UserAccountEvent) -> UserAccountEvent {
    UserAccountEvent { person: None, client: None, ..event.clone() }
}

/// A line of the golden file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Golden {
    example: String,
    version: String,
    pub(crate) event: Box<RawValue>,
}

pub(crate) static GOLDEN: LazyLock<Vec<Golden>> = LazyLock::new(|| {
    let stored = fs::read_to_string(GOLDEN_FILE).expect("the golden file is there");
    let mut golden: Vec<Golden> = serde_json::from_str(&stored).expect("the golden file is JSON");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|set| set == "1") {
        add_missing(&mut golden, &examples());
        let lines: Vec<_> =
            golden.iter().map(|line| serde_json::to_string(line).expect("strings and JSON")).collect();
        fs::write(GOLDEN_FILE, format!("[\n{}\n]\n", lines.join(",\n"))).expect("the golden file is written");
    }
    golden
});

fn find<'a>(golden: &'a [Golden], example: &str, version: &str) -> Option<&'a Golden> {
    golden.iter().find(|line| line.example == example && line.version == version)
}

fn add_missing(golden: &mut Vec<Golden>, examples: &[(String, UserAccountEvent)]) {
    for (example, event) in examples {
        let version = event.event_version();
        if find(golden, example, &version).is_none() {
            golden.push(Golden {
                example: example.clone(),
                version,
                event: serde_json::value::to_raw_value(event).expect("an event has a JSON form"),
            });
        }
    }
}

#[test]
fn every_event_is_written_as_it_always_was() {
    for (example, event) in examples() {
        let golden = find(&GOLDEN, &example, &event.event_version())
            .unwrap_or_else(|| panic!("{example}: not in {GOLDEN_FILE}; UPDATE_GOLDEN=1 adds it"));
        assert_eq!(serde_json::to_string(&event).unwrap(), golden.event.get(), "{example}");
    }
}

#[test]
fn every_event_stored_in_this_version_is_read_as_what_it_was() {
    let examples = examples();
    for golden in GOLDEN.iter().filter(|golden| golden.version == UserAccountEvent::VERSION) {
        let (_, event) = examples
            .iter()
            .find(|(example, _)| *example == golden.example)
            .unwrap_or_else(|| panic!("{}: stored once, so an example for ever", golden.example));
        let read: UserAccountEvent = serde_json::from_str(golden.event.get()).unwrap();
        assert_eq!(read, without_keys(event), "{}", golden.example);
    }
}

#[test]
fn no_example_stands_twice_in_the_golden_file() {
    let names: BTreeSet<_> = GOLDEN.iter().map(|golden| (&golden.example, &golden.version)).collect();
    assert_eq!(names.len(), GOLDEN.len());
}

#[test]
fn adding_to_the_golden_file_changes_nothing_that_is_in_it() {
    let examples = examples();
    let stored = r#"[{"example":"ProfileUpdated","version":"1","event":{ "as it": "was" }}]"#;
    let mut golden: Vec<Golden> = serde_json::from_str(stored).unwrap();
    add_missing(&mut golden, &examples);
    assert_eq!(golden.len(), examples.len());
    assert_eq!(serde_json::to_string(&golden[..1]).unwrap(), stored);
}

#[test]
fn the_names_of_events_are_these_and_all_different() {
    let names = every!(name of Fact: OtpRequested, OtpResent, OtpRequestRefused, OtpRejected, UserRegistered,
        LoggedIn, SignInRepeated, SessionReauthenticated, TokenRefreshed, TokenRefreshRetried, ClientChanged, TokenReuseDetected, LoggedOut, DeviceRenamed,
        ProfileUpdated, LimitsLifted, UnlockLinkIssued, LockLifted, IdentifierRequested, IdentifierAdded, IdentifierReplaced, IdentifierRemoved, IdentifierChangeUndone,
        IdentifierRestored, IdentifierReleased,
        RolesChanged, AccountSuspended, AccountReinstated, SecondFactorOffered, SecondFactorEnrolled,
        SecondFactorPassed, SecondFactorRejected, RecoveryCodesRenewed, SecondFactorRemoved, AccessDenied, AuditRead,
        SharedLimitsLifted, RebuildOrdered);
    assert_eq!(names, UserAccountEvent::NAMES);
    let listed = BTreeSet::from(names.map(str::to_owned));
    assert_eq!(listed.len(), names.len());
    let shown: BTreeSet<_> = examples().iter().map(|(_, event)| event.event_type()).collect();
    assert_eq!(shown, listed);
}

#[test]
fn the_name_of_an_event_is_the_tag_in_its_json() {
    for (example, event) in examples() {
        let json = serde_json::to_value(&event).unwrap();
        let fact = json["fact"].as_object().expect("an object of one member");
        assert_eq!(fact.keys().collect::<Vec<_>>(), [&event.event_type()], "{example}");
        assert_eq!(event.name(), event.event_type(), "{example}");
        assert_eq!(event.event_version(), "1", "{example}");
    }
}

#[test]
fn the_json_of_an_event_holds_nothing_personal() {
    for (example, event) in examples() {
        assert!(event.person.is_some() && event.client.is_some(), "{example}");
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(json, serde_json::to_string(&without_keys(&event)).unwrap(), "{example}");
        for personal in [
            "\"person\"",
            "\"client\"",
            "912123456",
            "Ada",
            "192.0.2.7",
            "Firefox",
            "laptop",
            "tablet",
            "stolen",
        ] {
            assert!(!json.contains(personal), "{example}: {personal}");
        }
    }
}

#[test]
fn what_is_sealed_beside_the_json_keeps_its_form() {
    let people = [
        (
            Some(phone()),
            None,
            Some(fullname()),
            None,
            r#"{"identifier":{"phone":"+989121234567"},"fullname":"Ada Lovelace"}"#,
        ),
        (
            Some(new_phone()),
            Some(phone()),
            None,
            None,
            r#"{"identifier":{"phone":"+989121234568"},"former":{"phone":"+989121234567"}}"#,
        ),
        (Some(email()), None, None, None, r#"{"identifier":{"email":"ada@example.com"}}"#),
        (None, None, Some(fullname()), None, r#"{"fullname":"Ada Lovelace"}"#),
        (None, None, None, Some(device_name()), r#"{"device_name":"Ada’s tablet"}"#),
    ];
    for (identifier, former, fullname, device_name, json) in people {
        let person = Person { identifier, former, fullname, device_name, reason: None };
        assert_eq!(serde_json::to_string(&person).unwrap(), json);
        assert_eq!(serde_json::from_str::<Person>(json).unwrap(), person);
    }

    let (json, person) = (
        r#"{"reason":"Ada says her tablet was stolen"}"#,
        Person { reason: Some(reason()), ..Person::default() },
    );
    assert_eq!(serde_json::to_string(&person).unwrap(), json);
    assert_eq!(serde_json::from_str::<Person>(json).unwrap(), person);

    let nameless = Client { user_agent: None, device_name: None, ..client() };
    for (client, json) in [
        (client(), r#"{"ip":"192.0.2.7","user_agent":"Firefox/140.0","device_name":"Ada’s laptop"}"#),
        (nameless, r#"{"ip":"192.0.2.7"}"#),
    ] {
        assert_eq!(serde_json::to_string(&client).unwrap(), json);
        assert_eq!(serde_json::from_str::<Client>(json).unwrap(), client);
    }
}
