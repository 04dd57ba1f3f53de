//! What the decisions need to know of an account, made from its events, and nothing more.
//!
//! `apply` never fails and never decides: whatever was stored must load. Everything here is bounded: sessions by the
//! device limit, the windows by their limits.

mod codes;
mod identifiers;
mod profile;
mod second_factor;
mod sessions;
mod staff;
pub(super) mod times;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use codes::{Challenge, CodeCounters, CodeState, RedeemedCode};
pub use sessions::{RefreshBurst, Session};

use super::events::{AccountFact, UserAccountEvent};
use super::identifier_changes::{IdentifierChanges, UndoableChange};
use super::identifier_proposal::IdentifierProposal;
use super::legal_hold::LegalHold;
use super::recorded_reads::RecordedReads;
use super::requested_erasure::RequestedErasure;
use super::rule_refusals::RecordedRuleRefusal;
use super::second_factor::SecondFactor;
use crate::user_account::{ClientMarker, Purpose, Requester};
use crate::values::{Channel, Client, ClientChange, ClientMark, LanguageTag, Role, SessionId};

/// The state of an account, made from its events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserAccount {
    /// No event has been recorded yet.
    #[default]
    Unknown,
    /// No identifier has been proved. Codes were asked for and none was redeemed yet, or the stream is the record of an operator; or the
    /// account was erased, and has no identifier any more.
    Pending(PendingAccount),
    /// The user proved an identifier.
    Active(ActiveAccount),
    /// The account may not be used for now.
    Suspended(SuspendedAccount),
}

/// An account of which no identifier has been proved yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAccount {
    /// The time of the newest event.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub last_event_at: DateTime<Utc>,
    /// The pending codes and the counters of the account.
    pub codes: CodeState,
    /// How many identifiers it has let go.
    pub identifiers_released: u32,
    /// The refusals by access rules on record, until their windows end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rule_refusals: Vec<RecordedRuleRefusal>,
    /// When it was erased, if it was. Nothing happens to it from then on.
    #[serde(
        with = "chrono::serde::ts_microseconds_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub erased_at: Option<DateTime<Utc>>,
}

/// An account in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveAccount {
    /// What is kept of the account beside its sessions.
    pub member: RegisteredAccount,
    /// The device sessions that have not been ended, in the order of sign-in. Some may have expired since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Session>,
}

/// An account that may not be used, and so has no sessions. It can be again from its time on, which no event marks: the
/// next sign-in does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspendedAccount {
    /// What is kept of the account beside its sessions.
    pub member: RegisteredAccount,
    /// Until when; until it is reinstated where there is no time.
    #[serde(
        with = "chrono::serde::ts_microseconds_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub until: Option<DateTime<Utc>>,
}

/// What is kept of an account of which an identifier has been proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredAccount {
    /// The time of the newest event.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub last_event_at: DateTime<Utc>,
    /// The pending codes and the counters of the account.
    pub codes: CodeState,
    /// Those of its known devices, once one of them has asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_codes: Option<Box<CodeState>>,
    /// The kinds of identifier that it has one of, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Channel>,
    /// How many identifiers it has let go.
    pub identifiers_released: u32,
    /// The changes of its identifiers, once there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier_changes: Option<Box<IdentifierChanges>>,
    /// The last sessions that ended without anything being wrong with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_devices: Vec<SessionId>,
    /// The first session there was, by which clients are marked for the whole account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_session: Option<SessionId>,
    /// The clients from which the account was signed in, the most recent one last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<ClientMark>,
    /// The language that messages to the user are written in, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<LanguageTag>,
    /// What it may do beyond its own.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
    /// The denials on record, until their windows end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denials: Vec<RecordedDenial>,
    /// The refusals by access rules on record, until their windows end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rule_refusals: Vec<RecordedRuleRefusal>,
    /// The reads on record, once there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<Box<RecordedReads>>,
    /// The change of identifiers that staff proposed last, while it is neither done nor withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier_proposal: Option<Box<IdentifierProposal>>,
    /// The erasure that the account waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_erasure: Option<Box<RequestedErasure>>,
    /// The legal hold that was placed last, unless it was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<Box<LegalHold>>,
    /// The second factor, once there is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<Box<SecondFactor>>,
}

/// A denial on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedDenial {
    /// What was asked for.
    pub action: String,
    /// When the next one is put on record.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub until: DateTime<Utc>,
}

/// How many ended sessions, and how many clients, an account remembers.
const REMEMBERED: usize = 10;

/// How many denials are on record at a time: more than there are actions to deny.
const DENIALS: usize = 50;

impl UserAccount {
    /// The time a command given at `now` happens at: never before what has already happened.
    pub fn time_of(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Unknown => now,
            Self::Pending(pending) => now.max(pending.last_event_at),
            Self::Active(ActiveAccount { member, .. }) | Self::Suspended(SuspendedAccount { member, .. }) => {
                now.max(member.last_event_at)
            }
        }
    }

    /// How much memory the state takes besides the value itself, in bytes, for a cache that is bounded by memory. What a denial
    /// says and the second factor are counted by their usual sizes.
    pub fn heap_bytes(&self) -> usize {
        let sessions = match self {
            Self::Unknown | Self::Pending(_) | Self::Suspended(_) => 0,
            Self::Active(active) => active.sessions.capacity() * size_of::<Session>(),
        };
        let codes = [self.codes(), self.codes_of(Requester::KnownDevice)].into_iter().flatten();
        let codes: usize = codes.map(CodeState::heap_bytes).sum();
        let member = self.member().map_or(0, |member| {
            member.known_codes.as_ref().map_or(0, |_| size_of::<CodeState>())
                + member.second_factor.as_ref().map_or(0, |_| size_of::<SecondFactor>())
                + member.identifiers.capacity() * size_of::<Channel>()
                + member.identifier_changes.as_ref().map_or(0, |changes| changes.heap_bytes())
                + member.identifier_proposal.as_ref().map_or(0, |_| size_of::<IdentifierProposal>() + 64)
                + member.requested_erasure.as_ref().map_or(0, |_| size_of::<RequestedErasure>() + 64)
                + member.legal_hold.as_ref().map_or(0, |_| size_of::<LegalHold>() + 64)
                + member.known_devices.capacity() * size_of::<SessionId>()
                + member.seen.capacity() * size_of::<ClientMark>()
                + member.denials.capacity() * (size_of::<RecordedDenial>() + 32)
                + member
                    .reads
                    .as_ref()
                    .map_or(0, |reads| size_of::<RecordedReads>() + reads.pages.capacity() * 96)
        });
        sessions + codes + member + size_of_val(self.rule_refusals())
    }

    /// Returns what is kept of an account of which an identifier has been proved; `None` before that.
    pub fn member(&self) -> Option<&RegisteredAccount> {
        match self {
            Self::Unknown | Self::Pending(_) => None,
            Self::Active(ActiveAccount { member, .. }) | Self::Suspended(SuspendedAccount { member, .. }) => {
                Some(member)
            }
        }
    }

    fn member_mut(&mut self) -> Option<&mut RegisteredAccount> {
        match self {
            Self::Unknown | Self::Pending(_) => None,
            Self::Active(ActiveAccount { member, .. }) | Self::Suspended(SuspendedAccount { member, .. }) => {
                Some(member)
            }
        }
    }

    /// Whether it may not be used at `now`.
    pub fn is_suspended(&self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Suspended(suspended) => suspended.until.is_none_or(|until| now < until),
            Self::Unknown | Self::Pending(_) | Self::Active(_) => false,
        }
    }

    /// Whether it has a role that it may use at `now`.
    pub fn has_role(&self, role: Role, now: DateTime<Utc>) -> bool {
        !self.is_suspended(now) && self.member().is_some_and(|member| member.roles.contains(&role))
    }

    /// The codes of an account; none for one to which nothing has happened.
    pub fn codes(&self) -> Option<&CodeState> {
        match self {
            Self::Unknown => None,
            Self::Pending(pending) => Some(&pending.codes),
            Self::Active(ActiveAccount { member, .. }) | Self::Suspended(SuspendedAccount { member, .. }) => {
                Some(&member.codes)
            }
        }
    }

    /// The codes that are kept for who asks.
    pub fn codes_of(&self, requester: Requester) -> Option<&CodeState> {
        match (self.member(), requester) {
            (Some(member), Requester::KnownDevice) => member.known_codes.as_deref(),
            (Some(_), Requester::Stranger) | (None, _) => self.codes(),
        }
    }

    /// The codes among which the pending one for a purpose is looked for: those to sign in and those that prove a user again are
    /// kept for who asks, those to add an identifier for the account alone, since only a session of its own presents them.
    pub fn pending_codes(&self, requester: Requester, purpose: Purpose) -> Option<&CodeState> {
        match purpose {
            Purpose::SignIn | Purpose::Reauthenticate => self.codes_of(requester),
            Purpose::AddIdentifier => self.codes(),
        }
    }

    /// Returns who asks, by the session of the token that the caller presents.
    pub fn requester(&self, shown: Option<SessionId>) -> Requester {
        let (Some(member), Some(shown)) = (self.member(), shown) else { return Requester::Stranger };
        let known = self.sessions().iter().map(|session| &session.id).chain(&member.known_devices);
        if known.into_iter().any(|known| *known == shown) {
            Requester::KnownDevice
        } else {
            Requester::Stranger
        }
    }

    /// The mark of a client among those of the whole account, and what of it was not seen before; nothing before the first
    /// session.
    pub fn unfamiliar(
        &self,
        clients: &dyn ClientMarker,
        client: &Client,
    ) -> Option<(ClientMark, Option<ClientChange>)> {
        let Some(RegisteredAccount { first_session: Some(first), seen, .. }) = self.member() else {
            return None;
        };
        let mark = clients.mark(*first, client);
        let mut marks = clients.former_marks(*first, client);
        marks.push(mark);
        let device = seen.iter().any(|seen| marks.iter().any(|mark| seen.device == mark.device));
        let network = seen.iter().any(|seen| marks.iter().any(|mark| seen.network == mark.network));
        let unfamiliar = match (device, network) {
            (true, true) => None,
            (false, true) => Some(ClientChange::Device),
            (true, false) => Some(ClientChange::Network),
            (false, false) => Some(ClientChange::DeviceAndNetwork),
        };
        Some((mark, unfamiliar))
    }

    /// The language that messages to the user are written in, where it is known.
    pub fn language(&self) -> Option<&LanguageTag> {
        self.member()?.language.as_ref()
    }

    /// The session of that name, if it has not ended or expired.
    pub fn live_session(&self, id: SessionId, now: DateTime<Utc>) -> Option<&Session> {
        self.live_sessions(now).find(|session| session.id == id)
    }

    /// The sessions that have not ended or expired.
    pub fn live_sessions(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Session> {
        self.sessions().iter().filter(move |session| session.is_live(now))
    }

    /// The sessions that have not been ended.
    pub fn sessions(&self) -> &[Session] {
        match self {
            Self::Unknown | Self::Pending(_) | Self::Suspended(_) => &[],
            Self::Active(active) => &active.sessions,
        }
    }

    /// Whether it has an identifier of that kind, proved by its user.
    pub fn has(&self, channel: Channel) -> bool {
        self.member().is_some_and(|member| member.identifiers.contains(&channel))
    }

    /// The refusals by access rules that were put on record last.
    pub fn rule_refusals(&self) -> &[RecordedRuleRefusal] {
        match self {
            Self::Unknown => &[],
            Self::Pending(pending) => &pending.rule_refusals,
            Self::Active(ActiveAccount { member, .. }) | Self::Suspended(SuspendedAccount { member, .. }) => {
                &member.rule_refusals
            }
        }
    }

    /// The change of identifiers of that number, if it can be undone at `now`.
    pub fn undoable_change(&self, number: u32, now: DateTime<Utc>) -> Option<&UndoableChange> {
        self.member()?.identifier_changes.as_ref()?.undoable(number, now)
    }

    /// How many identifiers it has let go. As long as the number is the same, whatever found the account finds it.
    pub fn identifiers_released(&self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Pending(pending) => pending.identifiers_released,
            Self::Active(ActiveAccount { member, .. }) | Self::Suspended(SuspendedAccount { member, .. }) => {
                member.identifiers_released
            }
        }
    }

    /// Takes an event into the state.
    pub(super) fn apply_event(&mut self, event: &UserAccountEvent) {
        let at = event.at;
        if event.changes_identifiers()
            && let Some(member) = self.member_mut()
        {
            member.identifier_changes.get_or_insert_default().record(at, event.acquired());
        }
        match &event.fact {
            AccountFact::Session(fact) => self.apply_session_fact(at, fact),
            AccountFact::Code(fact) => self.apply_code_fact(at, fact),
            AccountFact::Identifier(fact) => self.apply_identifier_fact(at, fact),
            AccountFact::SecondFactor(fact) => self.apply_second_factor_fact(at, fact),
            AccountFact::Profile(fact) => self.apply_profile_fact(at, fact),
            AccountFact::Staff(fact) => self.apply_staff_fact(at, fact),
            AccountFact::StaffRecord(fact) => self.apply_staff_record(at, fact),
        }
    }

    /// Makes a suspended account one in use.
    fn reinstate(&mut self) {
        match std::mem::take(self) {
            Self::Suspended(SuspendedAccount { member, until: _ }) => {
                *self = Self::Active(ActiveAccount { member, sessions: Vec::new() });
            }
            other @ (Self::Unknown | Self::Pending(_) | Self::Active(_)) => *self = other,
        }
    }

    /// Moves the stream's time on and gives the codes, of a new pending account where there was none.
    fn touch(&mut self, at: DateTime<Utc>) -> &mut CodeState {
        if matches!(self, Self::Unknown) {
            *self = Self::Pending(PendingAccount {
                last_event_at: at,
                codes: CodeState::default(),
                identifiers_released: 0,
                rule_refusals: Vec::new(),
                erased_at: None,
            });
        }
        match self {
            Self::Pending(PendingAccount { last_event_at, codes, .. })
            | Self::Active(ActiveAccount {
                member: RegisteredAccount { last_event_at, codes, .. }, ..
            })
            | Self::Suspended(SuspendedAccount {
                member: RegisteredAccount { last_event_at, codes, .. },
                ..
            }) => {
                *last_event_at = at;
                codes
            }
            Self::Unknown => unreachable!("made pending above"),
        }
    }

    /// The same, and gives the codes that are kept for who asked.
    fn touch_of(&mut self, at: DateTime<Utc>, requester: Requester) -> &mut CodeState {
        self.touch(at);
        match (self, requester) {
            (
                Self::Active(ActiveAccount { member, .. }) | Self::Suspended(SuspendedAccount { member, .. }),
                Requester::KnownDevice,
            ) => member.known_codes.get_or_insert_default(),
            (account, Requester::Stranger | Requester::KnownDevice) => account.touch(at),
        }
    }
}

impl RegisteredAccount {
    /// Whether a denial of that action is to be put on record.
    pub(super) fn records_denial(&self, action: &str, now: DateTime<Utc>) -> bool {
        let on_record: Vec<&RecordedDenial> =
            self.denials.iter().filter(|denial| now < denial.until).collect();
        on_record.len() < DENIALS && on_record.iter().all(|denial| denial.action != action)
    }
}

fn forget_all_but_the_last<T>(remembered: &mut Vec<T>) {
    remembered.drain(..remembered.len().saturating_sub(REMEMBERED));
}
