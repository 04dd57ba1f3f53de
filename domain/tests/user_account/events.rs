//! The stored form of every event, which no later version of the code may read differently.
//!
//! `golden/events.json` holds it, one example a line. It is append-only: `UPDATE_GOLDEN=1 cargo test` adds the
//! examples that it does not have yet, and changes none that it has.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use chrono::TimeDelta;
use counterfoil_domain::user_account::{
    AccountFact, ActingStaff, BlockKind, CodeAsked, CodeFact, CodeRefused, CodeRejected, FactorRejected,
    IdentifierFact, MissingRequirement, PersonalDetails, ProfileFact, ProposedChange, Purpose, Requester,
    RuleStage, SecondFactorFact, SecondFactorProof, SessionFact, SignOutReason, StaffFact, StaffRecordFact,
    UserAccountEvent,
};
use counterfoil_domain::values::{
    AddressMark, BlockId, CaseNumber, Channel, Client, ClientChange, ClientMark, Generation, LanguageTag,
    Role, ServiceName,
};
use cqrs_es::DomainEvent as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

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

/// Refusals by a rule, at every stage.
fn rule_refusals() -> Vec<AccountFact> {
    let refusal = |stage, channel, purpose, requester| {
        let session = (stage == RuleStage::Refresh).then(|| session(1));
        let until = (stage != RuleStage::SignIn).then(|| at(HOUR));
        let rule = rule();
        AccountFact::Session(SessionFact::SignInRefused {
            rule,
            stage,
            channel,
            purpose,
            session,
            requester,
            until,
        })
    };
    let of_stage = |stage| match stage {
        RuleStage::Code => {
            let channels = every!(Channel: Phone, Email).into_iter();
            let purposes = every!(Purpose: SignIn, AddIdentifier, Reauthenticate);
            let each = channels.flat_map(|channel| purposes.map(|purpose| (channel, purpose)));
            each.map(|(channel, purpose)| refusal(stage, Some(channel), purpose, Requester::Stranger))
                .collect()
        }
        RuleStage::SignIn => {
            let requesters = every!(Requester: Stranger, KnownDevice).into_iter();
            requesters.map(|by| refusal(stage, Some(Channel::Phone), Purpose::SignIn, by)).collect()
        }
        RuleStage::Refresh => vec![refusal(stage, None, Purpose::SignIn, Requester::Stranger)],
    };
    every!(RuleStage: Code, SignIn, Refresh).into_iter().flat_map(of_stage).collect::<Vec<_>>()
}

/// An event of every kind and with every value of every enum in it, each with a name of its own. Each has all
/// personal data, whether or not a decision would make it so.
pub(crate) fn examples() -> Vec<(String, UserAccountEvent)> {
    let mut examples = Vec::new();
    let mut add = |name: String, fact: AccountFact| {
        let event = UserAccountEvent {
            at: at(0) + TimeDelta::microseconds(123_456),
            fact,
            person: Some(PersonalDetails {
                identifier: Some(phone()),
                former: Some(new_phone()),
                fullname: Some(fullname()),
                device_name: Some(device_name()),
                reason: Some(reason()),
                case: CaseNumber::parse("HD-2041").ok(),
                query: Some("fullname=Ada".to_owned()),
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
                        let fact = AccountFact::Code(CodeFact::OtpRequested {
                            channel,
                            purpose,
                            nonce,
                            expires_at,
                            registering,
                            session,
                            requester,
                            test,
                            withheld,
                        });
                        add(format!("OtpRequested {channel:?} {purpose:?} {whose}{by}{kept}"), fact);
                    }
                }
            }
            for (by, requester, test) in requesters() {
                let (nonce, expires_at) = (nonce(0x1f), at(300));
                for (example, answer_possible_at, withheld) in
                    [("", None, false), (" after an outage", Some(at(12)), false), (" withheld", None, true)]
                {
                    let fact = AccountFact::Code(CodeFact::OtpResent {
                        channel,
                        purpose,
                        nonce,
                        expires_at,
                        requester,
                        test,
                        withheld,
                        answer_possible_at,
                    });
                    add(format!("OtpResent {channel:?} {purpose:?}{by}{example}"), fact);
                }
            }
        }
        add(
            format!("UserRegistered {channel:?}"),
            AccountFact::Profile(ProfileFact::UserRegistered { channel }),
        );
        let marked = Some(ClientMark { device: 7, network: 65_535 });
        let placed = Some(AddressMark(281_474_976_710_655));
        for (example, mark, address) in
            [("", None, None), (" marked", marked, None), (" placed", marked, placed)]
        {
            let fact = AccountFact::Session(SessionFact::LoggedIn {
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
            });
            add(format!("LoggedIn {channel:?}{example}"), fact);
        }
        for unfamiliar in every!(ClientChange: Device, Network, DeviceAndNetwork) {
            for (by, requester, test) in requesters() {
                let fact = AccountFact::Session(SessionFact::LoggedIn {
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
                });
                add(format!("LoggedIn {channel:?} unfamiliar {unfamiliar:?}{by}"), fact);
            }
        }
    }
    for reason in every!(CodeRefused: TooSoon, QuotaSpent, Paused, Locked) {
        for asked in every!(CodeAsked: ToSignIn, Again, ToAdd, ForAnother, ToReauthenticate) {
            for channel in every!(Channel: Phone, Email) {
                for requester in every!(Requester: Stranger, KnownDevice) {
                    let by = if requester == Requester::KnownDevice { " KnownDevice" } else { "" };
                    let fact = AccountFact::Code(CodeFact::OtpRequestRefused {
                        reason,
                        until: at(60),
                        asked,
                        channel,
                        requester,
                    });
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
                let fact = AccountFact::Code(CodeFact::OtpRejected {
                    purpose,
                    reason,
                    channel,
                    tries_left,
                    until,
                    requester,
                });
                add(format!("OtpRejected {reason:?}{purposed}{by}"), fact);
            }
        }
    }
    for channel in every!(Channel: Phone, Email) {
        for (example, test) in [("", false), (" test", true)] {
            let fact = AccountFact::Session(SessionFact::SessionReauthenticated {
                session: session(1),
                channel,
                test,
            });
            add(format!("SessionReauthenticated {channel:?}{example}"), fact);
        }
    }
    let fact = AccountFact::Session(SessionFact::SignInRepeated {
        session: session(1),
        generation: Generation(1),
        issued_at: at(0),
        expires_at: at(30 * DAY),
        answer_possible_at: at(12),
    });
    add("SignInRepeated".to_owned(), fact);
    for (example, moved) in [("", None), (" from another address", Some(AddressMark(30_065_000_007)))] {
        let fact = AccountFact::Session(SessionFact::TokenRefreshed {
            session: session(1),
            generation: Generation(2),
            expires_at: at(30 * DAY),
            moved,
        });
        add(format!("TokenRefreshed{example}"), fact);
    }
    for (example, answer_possible_at) in [("", None), (" after an outage", Some(at(12)))] {
        let fact = AccountFact::Session(SessionFact::TokenRefreshRetried {
            session: session(1),
            generation: Generation(2),
            issued_at: at(0),
            expires_at: at(30 * DAY),
            answer_possible_at,
        });
        add(format!("TokenRefreshRetried{example}"), fact);
    }
    let fact = AccountFact::Session(SessionFact::TokenReuseDetected {
        session: session(1),
        presented: Generation(2),
        newest: Generation(4),
    });
    add("TokenReuseDetected".to_owned(), fact);
    for change in every!(ClientChange: Device, Network, DeviceAndNetwork) {
        let mark = ClientMark { device: 7, network: 65_535 };
        add(
            format!("ClientChanged {change:?}"),
            AccountFact::Session(SessionFact::ClientChanged { session: session(1), change, mark }),
        );
    }
    for reason in every!(SignOutReason: SignedOut, DeviceLimit, SignedInAgain, TokenReuse, DeviceRevoked, SignedOutEverywhere,
        ClientChanged, IdentifierReplaced, IdentifierRemoved, IdentifierChangeUndone, Disowned, EndedByAdmin, Suspended, Erased)
    {
        let fact = AccountFact::Session(SessionFact::LoggedOut {
            session: session(1),
            reason,
            expires_at: at(30 * DAY),
            by: None,
        });
        add(format!("LoggedOut {reason:?}"), fact);
    }
    let service = ActingStaff::Service(ServiceName::parse("billing").expect("a name"));
    let actors = every!(ActingStaff: Operator => ("Operator", operator()), Account => ("Account", admin()),
        Service => ("Service", service));
    for (who, by) in actors {
        add(format!("LimitsLifted {who}"), AccountFact::Code(CodeFact::LimitsLifted { by: by.clone() }));
        for reason in [SignOutReason::EndedByAdmin, SignOutReason::Suspended, SignOutReason::Erased] {
            let by = Some(by.clone());
            let fact = AccountFact::Session(SessionFact::LoggedOut {
                session: session(1),
                reason,
                expires_at: at(30 * DAY),
                by,
            });
            add(format!("LoggedOut {reason:?} by {who}"), fact);
        }
        for roles in [vec![], every!(Role: Admin, Auditor).to_vec()] {
            let name = format!("RolesChanged {roles:?} by {who}");
            let (roles, by) = (roles.into_iter().collect(), by.clone());
            add(name, AccountFact::Staff(StaffFact::RolesChanged { roles, by }));
        }
        for until in [None, Some(at(DAY))] {
            let how_long = if until.is_some() { " until" } else { "" };
            add(
                format!("AccountSuspended{how_long} by {who}"),
                AccountFact::Staff(StaffFact::AccountSuspended { until, by: by.clone() }),
            );
        }
        let reinstated = AccountFact::Staff(StaffFact::AccountReinstated { by: by.clone() });
        add(format!("AccountReinstated by {who}"), reinstated);
        add(
            format!("SecondFactorRemoved by {who}"),
            AccountFact::SecondFactor(SecondFactorFact::SecondFactorRemoved { by }),
        );
    }
    for fact in rule_refusals() {
        let AccountFact::Session(SessionFact::SignInRefused { stage, channel, purpose, requester, .. }) =
            fact
        else {
            continue;
        };
        let channel = channel.map(|channel| format!(" {channel:?}")).unwrap_or_default();
        let purpose = if purpose == Purpose::SignIn { String::new() } else { format!(" {purpose:?}") };
        let by = if requester == Requester::KnownDevice { " KnownDevice" } else { "" };
        add(format!("SignInRefused {stage:?}{channel}{purpose}{by}"), fact);
    }
    for needs in every!(Role: Admin, Auditor) {
        for lacks in every!(MissingRequirement: Role, SecondFactor) {
            let (action, until) = ("GET /admin/accounts/{id}".to_owned(), at(HOUR));
            let factor = if lacks == MissingRequirement::SecondFactor { " SecondFactor" } else { "" };
            add(
                format!("AccessDenied {needs:?}{factor}"),
                AccountFact::Staff(StaffFact::AccessDenied { action, needs, lacks, until }),
            );
        }
    }
    let (session_1, until) = (session(1), at(600));
    let fact = AccountFact::SecondFactor(SecondFactorFact::SecondFactorOffered {
        session: session_1,
        authenticator: authenticator(1),
        expires_at: until,
    });
    add("SecondFactorOffered".to_owned(), fact);
    add("SecondFactorEnrolled".to_owned(), factor_enrolled(0, 1, 1).fact);
    for proof in every!(SecondFactorProof: Authenticator => SecondFactorProof::Authenticator { step: step(0) },
        RecoveryCode => SecondFactorProof::RecoveryCode { number: 9 })
    {
        add(
            format!("SecondFactorPassed {}", proof.as_str()),
            AccountFact::SecondFactor(SecondFactorFact::SecondFactorPassed { session: session_1, proof }),
        );
    }
    for reason in every!(FactorRejected: Wrong, Spent, Paused, Locked) {
        let until = matches!(reason, FactorRejected::Paused | FactorRejected::Locked).then_some(until);
        let fact = AccountFact::SecondFactor(SecondFactorFact::SecondFactorRejected {
            session: session_1,
            reason,
            until,
        });
        add(format!("SecondFactorRejected {reason:?}"), fact);
    }
    let fact = AccountFact::SecondFactor(SecondFactorFact::RecoveryCodesRenewed {
        session: session_1,
        recovery: batch(2),
    });
    add("RecoveryCodesRenewed".to_owned(), fact);
    let what = "events account_id=00000000-0000-0000-0000-000000000001".to_owned();
    let mut add_record = |name: &str, fact| add(name.to_owned(), AccountFact::StaffRecord(fact));
    add_record("AuditRead", StaffRecordFact::AuditRead { what: what.clone(), by: admin() });
    add_record("AuditRead Operator", StaffRecordFact::AuditRead { what, by: operator() });
    for search in [None, Some(123_456_789)] {
        let what = "GET /admin/accounts/ state=active".to_owned();
        add_record(
            &format!("StaffRead {search:?}"),
            StaffRecordFact::StaffRead { what, search, by: admin() },
        );
    }
    let subject = "IR".to_owned();
    add_record("SharedLimitsLifted", StaffRecordFact::SharedLimitsLifted { subject, by: admin() });
    let block = BlockId(Uuid::from_u128(1));
    for kind in every!(BlockKind: Prefix, PhoneNumber, Email, IpAddress, MailDomain, Country) {
        let subject = (kind == BlockKind::Country).then(|| "IR".to_owned());
        let fact = StaffRecordFact::BlockSet { block, kind, subject, until: None, by: admin() };
        add_record(&format!("BlockSet {kind:?}"), fact);
    }
    let (kind, until) = (BlockKind::Prefix, Some(at(HOUR)));
    let subject = Some("+98912123".to_owned());
    add_record("BlockSet until", StaffRecordFact::BlockSet { block, kind, subject, until, by: operator() });
    add_record("BlockLifted", StaffRecordFact::BlockLifted { block, by: admin() });
    let (alarm, name, subject) = (Uuid::from_u128(1), "conversion".to_owned(), "IR".to_owned());
    add_record("AlarmAcknowledged", StaffRecordFact::AlarmAcknowledged { alarm, name, subject, by: admin() });
    add_record("ErasureOrdered", StaffRecordFact::ErasureOrdered { account: account(1), by: admin() });
    let projection = "statistics".to_owned();
    add_record("RebuildOrdered", StaffRecordFact::RebuildOrdered { projection, by: admin() });
    add("DeviceRenamed".to_owned(), AccountFact::Session(SessionFact::DeviceRenamed { session: session(1) }));
    add("ProfileUpdated".to_owned(), AccountFact::Profile(ProfileFact::ProfileUpdated {}));
    add("DataExported".to_owned(), AccountFact::Profile(ProfileFact::DataExported { session: session(1) }));
    for (who, by) in
        [("the user", None), ("an administrator", Some(admin())), ("the operator", Some(operator()))]
    {
        let fact = ProfileFact::ErasureRequested { due_at: at(7 * DAY), by: by.clone() };
        add(format!("ErasureRequested by {who}"), AccountFact::Profile(fact));
        add(format!("AccountErased by {who}"), AccountFact::Profile(ProfileFact::AccountErased { by }));
    }
    let placed = StaffFact::LegalHoldPlaced { until: at(DAY), by: admin() };
    add("LegalHoldPlaced".to_owned(), AccountFact::Staff(placed));
    let released = StaffFact::LegalHoldReleased { by: operator() };
    add("LegalHoldReleased".to_owned(), AccountFact::Staff(released));
    add("ErasureCancelled".to_owned(), AccountFact::Profile(ProfileFact::ErasureCancelled {}));
    for channel in every!(Channel: Phone, Email) {
        let fact = AccountFact::Identifier(IdentifierFact::IdentifierRequested {
            channel,
            nonce: nonce(0x1f),
            expires_at: at(300),
        });
        add(format!("IdentifierRequested {channel:?}"), fact);
        let fact = AccountFact::Code(CodeFact::UnlockLinkIssued {
            channel,
            nonce: nonce(0x1f),
            expires_at: at(DAY),
        });
        add(format!("UnlockLinkIssued {channel:?}"), fact);
        add(format!("LockLifted {channel:?}"), AccountFact::Code(CodeFact::LockLifted { channel }));
        add(
            format!("IdentifierAdded {channel:?}"),
            AccountFact::Identifier(IdentifierFact::IdentifierAdded { channel }),
        );
        add(
            format!("IdentifierReplaced {channel:?}"),
            AccountFact::Identifier(IdentifierFact::IdentifierReplaced { channel }),
        );
        add(
            format!("IdentifierRemoved {channel:?}"),
            AccountFact::Identifier(IdentifierFact::IdentifierRemoved { channel, by_undo: false }),
        );
        let removed = AccountFact::Identifier(IdentifierFact::IdentifierRemoved { channel, by_undo: true });
        add(format!("IdentifierRemoved {channel:?} by undo"), removed);
        add(
            format!("IdentifierRestored {channel:?}"),
            AccountFact::Identifier(IdentifierFact::IdentifierRestored { channel }),
        );
        let undone = AccountFact::Identifier(IdentifierFact::IdentifierChangeUndone {
            change: 7,
            not_restored: vec![channel],
        });
        add(format!("IdentifierChangeUndone without {channel:?}"), undone);
        for (how, lapsed) in [("", false), (" lapsed", true)] {
            add(
                format!("IdentifierReleased {channel:?}{how}"),
                AccountFact::Identifier(IdentifierFact::IdentifierReleased { channel, lapsed }),
            );
        }
    }
    let undone = AccountFact::Identifier(IdentifierFact::IdentifierChangeUndone {
        change: 7,
        not_restored: Vec::new(),
    });
    add("IdentifierChangeUndone".to_owned(), undone);
    for (name, fact) in proposals() {
        add(name, AccountFact::Identifier(fact));
    }
    examples
}

/// What happens to a change of identifiers that staff propose.
fn proposals() -> Vec<(String, IdentifierFact)> {
    let changes = every!(ProposedChange: Add, Replace, Release).into_iter().map(|change| {
        let (channel, by) = (Channel::Phone, admin());
        let (proposal, due_at, expires_at) = (proposal(1), at(DAY), at(7 * DAY));
        let fact =
            IdentifierFact::IdentifierChangeProposed { proposal, change, channel, due_at, expires_at, by };
        (format!("IdentifierChangeProposed {change:?}"), fact)
    });
    let confirmed = |by| IdentifierFact::IdentifierChangeConfirmed { proposal: proposal(1), by };
    let withdrawn = IdentifierFact::IdentifierChangeWithdrawn { proposal: proposal(1), by: admin() };
    let others = [
        ("IdentifierChangeConfirmed".to_owned(), confirmed(Some(admin()))),
        ("IdentifierChangeConfirmed by time".to_owned(), confirmed(None)),
        ("IdentifierChangeWithdrawn".to_owned(), withdrawn),
    ];
    changes.chain(others).collect()
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
    let sessions = every!(name of SessionFact: LoggedIn, SignInRepeated, SessionReauthenticated, TokenRefreshed,
        TokenRefreshRetried, ClientChanged, TokenReuseDetected, LoggedOut, DeviceRenamed, SignInRefused);
    let codes = every!(name of CodeFact: OtpRequested, OtpResent, OtpRequestRefused, OtpRejected, LimitsLifted,
        UnlockLinkIssued, LockLifted);
    let identifiers = every!(name of IdentifierFact: IdentifierRequested, IdentifierAdded, IdentifierReplaced,
        IdentifierRemoved, IdentifierChangeUndone, IdentifierRestored, IdentifierChangeProposed,
        IdentifierChangeConfirmed, IdentifierChangeWithdrawn, IdentifierReleased);
    let second_factor = every!(name of SecondFactorFact: SecondFactorOffered, SecondFactorEnrolled,
        SecondFactorPassed, SecondFactorRejected, RecoveryCodesRenewed, SecondFactorRemoved);
    let profile = every!(name of ProfileFact: UserRegistered, ProfileUpdated, DataExported, ErasureRequested,
        ErasureCancelled, AccountErased);
    let staff = every!(name of StaffFact: RolesChanged, AccountSuspended, AccountReinstated, LegalHoldPlaced,
        LegalHoldReleased, AccessDenied);
    let records = every!(name of StaffRecordFact: AuditRead, StaffRead, SharedLimitsLifted, BlockSet,
        BlockLifted, AlarmAcknowledged, ErasureOrdered, RebuildOrdered);
    let names: Vec<&str> =
        [&sessions[..], &codes, &identifiers, &second_factor, &profile, &staff, &records].concat();
    assert_eq!(names, UserAccountEvent::NAMES);
    let listed: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
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
fn an_event_of_a_later_version_is_refused_by_its_name() {
    let json = r#"{"at":"2026-01-01T00:00:00Z","fact":{"SessionMoved":{}}}"#;
    let error = serde_json::from_str::<UserAccountEvent>(json).unwrap_err();
    assert!(error.to_string().starts_with("unknown variant `SessionMoved`"), "{error}");
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
        let person =
            PersonalDetails { identifier, former, fullname, device_name, ..PersonalDetails::default() };
        assert_eq!(serde_json::to_string(&person).unwrap(), json);
        assert_eq!(serde_json::from_str::<PersonalDetails>(json).unwrap(), person);
    }

    let (json, person) = (
        r#"{"reason":"Ada says her tablet was stolen"}"#,
        PersonalDetails { reason: Some(reason()), ..PersonalDetails::default() },
    );
    assert_eq!(serde_json::to_string(&person).unwrap(), json);
    assert_eq!(serde_json::from_str::<PersonalDetails>(json).unwrap(), person);

    let (json, person) = (
        r#"{"reason":"Ada says her tablet was stolen","case":"HD-2041"}"#,
        PersonalDetails { case: CaseNumber::parse(" HD-2041 ").ok(), ..person },
    );
    assert_eq!(serde_json::to_string(&person).unwrap(), json);
    assert_eq!(serde_json::from_str::<PersonalDetails>(json).unwrap(), person);

    let nameless = Client { user_agent: None, device_name: None, ..client() };
    for (client, json) in [
        (client(), r#"{"ip":"192.0.2.7","user_agent":"Firefox/140.0","device_name":"Ada’s laptop"}"#),
        (nameless, r#"{"ip":"192.0.2.7"}"#),
    ] {
        assert_eq!(serde_json::to_string(&client).unwrap(), json);
        assert_eq!(serde_json::from_str::<Client>(json).unwrap(), client);
    }
}
