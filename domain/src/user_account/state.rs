//! What the decisions need to know of an account, folded from its events, and nothing more.
//!
//! `apply` never fails and never decides: whatever was stored must load. Everything here is bounded: sessions by the
//! device limit, the windows by their limits.

use std::collections::BTreeSet;
use std::ops::Not;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::events::{CodeRefused, CodeRejected, Fact, UserAccountEvent};
use super::identifier_changes::{IdentifierChanges, UndoableChange};
use super::second_factor::{Offer, SecondFactor};
use super::wrong_codes::{UnlockLink, WrongCodes};
use crate::user_account::{ClientMarker, Purpose, Requester};
use crate::values::{
    AddressMark, ChallengeNonce, Channel, Client, ClientChange, ClientMark, Generation, LanguageTag, Role,
    SessionId,
};

/// The state of an account, made from its events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserAccount {
    /// No event has been recorded yet.
    #[default]
    Unknown,
    /// Codes were asked for, and none has been redeemed yet.
    Pending(Pending),
    /// The user proved an identifier.
    Active(Active),
    /// The account may not be used for now.
    Suspended(Suspended),
}

/// An account of which no identifier has been proved yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The time of the newest event.
    pub last_event_at: DateTime<Utc>,
    /// The pending codes and the counters of the account.
    pub codes: Codes,
    /// How many identifiers it has let go.
    pub identifiers_let_go: u32,
}

/// An account in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    /// What is kept of the account beside its sessions.
    pub member: Member,
    /// The device sessions that have not been ended, in the order of sign-in. Some may have expired since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Session>,
}

/// An account that may not be used, and so has no sessions. It can be again from its time on, which no event marks: the
/// next sign-in does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// What is kept of the account beside its sessions.
    pub member: Member,
    /// Until when; until it is reinstated where there is no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

/// What is kept of an account of which an identifier has been proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The time of the newest event.
    pub last_event_at: DateTime<Utc>,
    /// The pending codes and the counters of the account.
    pub codes: Codes,
    /// Those of its known devices, once one of them has asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_codes: Option<Box<Codes>>,
    /// The kinds of identifier that it has one of, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Channel>,
    /// How many identifiers it has let go.
    pub identifiers_let_go: u32,
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
    pub denials: Vec<Denial>,
    /// The second factor, once there is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<Box<SecondFactor>>,
}

/// A denial on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// What was asked for.
    pub action: String,
    /// When the next one is put on record.
    pub until: DateTime<Utc>,
}

/// How many ended sessions, and how many clients, an account remembers.
const REMEMBERED: usize = 10;

/// How many denials are on record at a time: more than there are actions to deny.
const DENIALS: usize = 50;

/// The pending codes, and the counters that no new code resets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Codes {
    /// The code that can be redeemed to sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Challenge>,
    /// The code that can be redeemed to add an identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adding: Option<Challenge>,
    /// The code that can be redeemed to prove the user of the session that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reauthentication: Option<Challenge>,
    /// When codes were sent to identifiers that it wants, over the last 24 hours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent_elsewhere: Vec<DateTime<Utc>>,
    /// What is counted for phone numbers.
    #[serde(default, skip_serializing_if = "Counters::are_zero")]
    pub phone: Counters,
    /// What is counted for e-mail addresses.
    #[serde(default, skip_serializing_if = "Counters::are_zero")]
    pub email: Counters,
    /// The code that was redeemed last, until what came of it is used: its caller may not have been answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeemed: Option<RedeemedCode>,
}

/// What is counted for one kind of identifier: codes sent to it do not make the other wait, and wrong codes for it do not
/// lock the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// When codes were sent to the account's identifier, over the last 24 hours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<DateTime<Utc>>,
    /// The wrong codes that were tried.
    #[serde(default, skip_serializing_if = "WrongCodes::are_none")]
    pub wrong: WrongCodes,
    /// The last refusal to send on record, until its window ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted_refusal: Option<(CodeRefused, DateTime<Utc>)>,
    /// The link that was last sent to the identifier to lift a lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlock_link: Option<UnlockLink>,
}

impl Codes {
    fn heap_bytes(&self) -> usize {
        let counters = [&self.phone, &self.email];
        let times = counters.map(|it| it.sent.capacity() + it.wrong.lately.capacity());
        (self.sent_elsewhere.capacity() + times.iter().sum::<usize>()) * size_of::<DateTime<Utc>>()
    }
}

impl Counters {
    fn are_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// A code that was redeemed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedeemedCode {
    /// What the code was for.
    pub purpose: Purpose,
    /// From which the code is derived.
    pub nonce: ChallengeNonce,
    /// Where the code went.
    pub channel: Channel,
    /// When the code was redeemed.
    pub at: DateTime<Utc>,
    /// The session that it began or proved; none for a code that added an identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

/// A code on its way to being redeemed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// From which the code is derived.
    pub nonce: ChallengeNonce,
    /// Where the code went.
    pub channel: Channel,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
    /// The session whose user it proves, where it is for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// How many wrong codes were tried against it.
    pub wrong_tries: u8,
    /// Whether it is on record that the right code came and there was no place for another device.
    pub noted_no_place: bool,
    /// Whether the account was suspended after the code was sent: it lets no one in, even once the suspension is over.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub precedes_suspension: bool,
}

/// A device that is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The id by which tokens and events refer to the session.
    pub id: SessionId,
    /// The newest generation of its tokens.
    pub generation: Generation,
    /// When it was last refreshed, or signed in.
    pub last_used_at: DateTime<Utc>,
    /// When it ends unless it is refreshed.
    pub expires_at: DateTime<Utc>,
    /// When it ends in any case.
    pub ends_at: DateTime<Utc>,
    /// From which device and network it was last used; none where that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<ClientMark>,
    /// From which address it was last refreshed, or signed in; none where that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressMark>,
    /// When its user was last proved to be there: at sign-in, by a code since, or by the second factor.
    pub proved_at: DateTime<Utc>,
    /// Where the last code went that proved its user.
    pub channel: Channel,
    /// When the second factor was last passed in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor_at: Option<DateTime<Utc>>,
    /// Whether it is on record that the newest generation was given again.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub retry_recorded: bool,
    /// The refreshes of one minute; none where `last_used_at` tells the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_burst: Option<RefreshBurst>,
}

/// The refreshes of a session within one calendar minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshBurst {
    /// The minute, counted from the beginning of 1970.
    pub minute: i64,
    /// How many there were.
    pub count: u32,
}

fn minute_of(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(60)
}

impl Session {
    /// How many refreshes, or the sign-in, fell into the calendar minute of `now`.
    pub fn refreshes_within_minute(&self, now: DateTime<Utc>) -> u32 {
        match self.refresh_burst {
            Some(burst) if burst.minute == minute_of(now) => burst.count,
            Some(_) | None => u32::from(minute_of(self.last_used_at) == minute_of(now)),
        }
    }

    /// Counts a refresh at `at`, before `last_used_at` is moved on.
    fn count_refresh(&mut self, at: DateTime<Utc>) {
        let count = self.refreshes_within_minute(at).saturating_add(1);
        self.refresh_burst = Some(RefreshBurst { minute: minute_of(at), count });
    }

    /// Whether the session can still be used at `now`.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        now < self.expires_at
    }
}

impl UserAccount {
    /// The time a command given at `now` happens at: never before what has already happened.
    pub fn time_of(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Unknown => now,
            Self::Pending(pending) => now.max(pending.last_event_at),
            Self::Active(Active { member, .. }) | Self::Suspended(Suspended { member, .. }) => {
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
        let codes: usize = codes.map(Codes::heap_bytes).sum();
        let member = self.member().map_or(0, |member| {
            member.known_codes.as_ref().map_or(0, |_| size_of::<Codes>())
                + member.second_factor.as_ref().map_or(0, |_| size_of::<SecondFactor>())
                + member.identifiers.capacity() * size_of::<Channel>()
                + member.identifier_changes.as_ref().map_or(0, |changes| changes.heap_bytes())
                + member.known_devices.capacity() * size_of::<SessionId>()
                + member.seen.capacity() * size_of::<ClientMark>()
                + member.denials.capacity() * (size_of::<Denial>() + 32)
        });
        sessions + codes + member
    }

    /// Returns what is kept of an account of which an identifier has been proved; `None` before that.
    pub fn member(&self) -> Option<&Member> {
        match self {
            Self::Unknown | Self::Pending(_) => None,
            Self::Active(Active { member, .. }) | Self::Suspended(Suspended { member, .. }) => Some(member),
        }
    }

    fn member_mut(&mut self) -> Option<&mut Member> {
        match self {
            Self::Unknown | Self::Pending(_) => None,
            Self::Active(Active { member, .. }) | Self::Suspended(Suspended { member, .. }) => Some(member),
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
    pub fn codes(&self) -> Option<&Codes> {
        match self {
            Self::Unknown => None,
            Self::Pending(pending) => Some(&pending.codes),
            Self::Active(Active { member, .. }) | Self::Suspended(Suspended { member, .. }) => {
                Some(&member.codes)
            }
        }
    }

    /// The codes that are kept for who asks.
    pub fn codes_of(&self, requester: Requester) -> Option<&Codes> {
        match (self.member(), requester) {
            (Some(member), Requester::KnownDevice) => member.known_codes.as_deref(),
            (Some(_), Requester::Stranger) | (None, _) => self.codes(),
        }
    }

    /// The codes among which the pending one for a purpose is looked for: those to sign in and those that prove a user again are
    /// kept for who asks, those to add an identifier for the account alone, since only a session of its own presents them.
    pub fn pending_codes(&self, requester: Requester, purpose: Purpose) -> Option<&Codes> {
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
        let Some(Member { first_session: Some(first), seen, .. }) = self.member() else { return None };
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

    /// The change of identifiers of that number, if it can be undone at `now`.
    pub fn undoable_change(&self, number: u32, now: DateTime<Utc>) -> Option<&UndoableChange> {
        self.member()?.identifier_changes.as_ref()?.undoable(number, now)
    }

    /// How many identifiers it has let go. As long as the number is the same, whatever found the account finds it.
    pub fn identifiers_let_go(&self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Pending(pending) => pending.identifiers_let_go,
            Self::Active(Active { member, .. }) | Self::Suspended(Suspended { member, .. }) => {
                member.identifiers_let_go
            }
        }
    }

    /// Takes an event into the state.
    pub(super) fn fold(&mut self, event: &UserAccountEvent) {
        let at = event.at;
        if event.changes_identifiers()
            && let Some(member) = self.member_mut()
        {
            member.identifier_changes.get_or_insert_default().note(at, event.gained());
        }
        match &event.fact {
            Fact::OtpRequested {
                channel,
                purpose,
                nonce,
                expires_at,
                registering: _,
                session,
                requester,
                test: _,
                withheld: _,
            } => {
                let codes = self.touch_of(at, *requester);
                let challenge = Challenge::new(*channel, *nonce, *expires_at);
                match purpose {
                    Purpose::SignIn => codes.challenge = Some(challenge),
                    Purpose::AddIdentifier => {}
                    Purpose::Reauthenticate => {
                        codes.reauthentication = Some(Challenge { session: *session, ..challenge });
                    }
                }
                codes.counters_mut(*channel).note_sent(at);
            }
            Fact::OtpResent {
                channel,
                purpose: _,
                nonce,
                expires_at,
                requester,
                test: _,
                withheld: _,
                answer_possible_at: _,
            } => {
                let codes = self.touch_of(at, *requester);
                let wrong_tries = codes.challenge.as_ref().map_or(0, |pending| pending.wrong_tries);
                let challenge = Challenge::new(*channel, *nonce, *expires_at);
                codes.challenge = Some(Challenge { wrong_tries, ..challenge });
                codes.counters_mut(*channel).note_sent(at);
            }
            Fact::OtpRequestRefused { reason, until, asked: _, channel, requester } => {
                self.touch_of(at, *requester).counters_mut(*channel).noted_refusal = Some((*reason, *until));
            }
            Fact::OtpRejected { purpose, reason, channel, tries_left, until, requester } => {
                self.touch_of(at, *requester).counters_mut(*channel).note_rejected(at, *reason, *until);
                let codes = match purpose {
                    Purpose::SignIn | Purpose::Reauthenticate => self.touch_of(at, *requester),
                    Purpose::AddIdentifier => self.touch(at),
                };
                codes.note_rejected(*purpose, *reason, *tries_left);
            }
            Fact::UserRegistered { channel } => {
                let codes = std::mem::take(self.touch(at));
                let member = Member {
                    last_event_at: at,
                    codes,
                    known_codes: None,
                    identifiers: vec![*channel],
                    identifiers_let_go: self.identifiers_let_go(),
                    identifier_changes: None,
                    known_devices: Vec::new(),
                    first_session: None,
                    seen: Vec::new(),
                    language: None,
                    roles: BTreeSet::new(),
                    denials: Vec::new(),
                    second_factor: None,
                };
                *self = Self::Active(Active { member, sessions: Vec::new() });
            }
            Fact::LoggedIn {
                session,
                channel,
                generation,
                expires_at,
                ends_at,
                mark,
                address,
                seen,
                unfamiliar,
                language,
                requester,
                test: _,
            } => {
                let codes = self.touch_of(at, *requester);
                let redeemed = codes.challenge.take();
                codes.redeemed = redeemed.map(|code| code.redeemed(Purpose::SignIn, at, Some(*session)));
                // It says nothing of who guesses otherwise, or at the other identifier.
                let counters = codes.counters_mut(*channel);
                counters.wrong = WrongCodes::default();
                counters.void_unlock_link();
                self.touch(at).challenge = None;
                self.reinstate();
                let Self::Active(Active { member, sessions }) = self else { return };
                if let Some(codes) = &mut member.known_codes {
                    codes.challenge = None;
                }
                let expired = sessions.extract_if(.., |other| !other.is_live(at));
                member.known_devices.extend(expired.map(|session| session.id));
                forget_all_but_the_last(&mut member.known_devices);
                sessions.push(Session {
                    id: *session,
                    generation: *generation,
                    last_used_at: at,
                    expires_at: *expires_at,
                    ends_at: *ends_at,
                    mark: *mark,
                    address: *address,
                    proved_at: at,
                    channel: *channel,
                    second_factor_at: None,
                    retry_recorded: false,
                    refresh_burst: None,
                });
                if language.is_some() && unfamiliar.is_none() {
                    member.language.clone_from(language);
                }
                let first = *member.first_session.get_or_insert(*session);
                if let Some(mark) = if first == *session { mark } else { seen } {
                    member.seen.retain(|seen| seen != mark);
                    member.seen.push(*mark);
                    forget_all_but_the_last(&mut member.seen);
                }
            }
            Fact::SessionReauthenticated { session, channel, test: _ } => {
                let codes = self.touch_of(at, Requester::KnownDevice);
                codes.redeem(Purpose::Reauthenticate, at, Some(*session));
                codes.counters_mut(*channel).wrong = WrongCodes::default();
                self.change_session(*session, |session| {
                    session.proved_at = at;
                    session.channel = *channel;
                });
            }
            Fact::TokenRefreshed { session, generation, expires_at, moved } => {
                self.forget_redeemed(at);
                self.change_session(*session, |session| {
                    session.count_refresh(at);
                    session.refresh_burst = session.refresh_burst.filter(|burst| burst.count > 1);
                    session.retry_recorded = false;
                    session.generation = *generation;
                    session.last_used_at = at;
                    session.expires_at = *expires_at;
                    session.address = moved.or(session.address);
                });
            }
            Fact::TokenRefreshRetried { session, .. } | Fact::SignInRepeated { session, .. } => {
                self.touch(at);
                self.change_session(*session, |session| {
                    session.count_refresh(at);
                    session.retry_recorded = true;
                });
            }
            Fact::ClientChanged { session, change: _, mark } => {
                self.touch(at);
                self.change_session(*session, |session| session.mark = Some(*mark));
            }
            Fact::TokenReuseDetected { .. } => {
                self.touch(at);
            }
            Fact::LoggedOut { session, reason, expires_at: _, by: _ } => {
                self.touch(at);
                if let Self::Active(active) = self {
                    active.sessions.retain(|other| other.id != *session);
                }
                if let Some(member) = self.member_mut()
                    && reason.leaves_device_known()
                {
                    member.known_devices.push(*session);
                    forget_all_but_the_last(&mut member.known_devices);
                }
            }
            Fact::DeviceRenamed { .. }
            | Fact::ProfileUpdated {}
            | Fact::AuditRead { .. }
            | Fact::SharedLimitsLifted { .. }
            | Fact::RebuildOrdered { .. } => {
                self.touch(at);
            }
            Fact::LimitsLifted { .. } => {
                self.touch(at).lift();
                if let Some(member) = self.member_mut() {
                    if let Some(codes) = &mut member.known_codes {
                        codes.lift();
                    }
                    if let Some(factor) = &mut member.second_factor {
                        factor.wrong = WrongCodes::default();
                    }
                }
            }
            Fact::UnlockLinkIssued { channel, nonce, expires_at } => {
                let link = UnlockLink { nonce: Some(*nonce), issued_at: at, expires_at: *expires_at };
                self.touch(at).counters_mut(*channel).unlock_link = Some(link);
            }
            Fact::LockLifted { channel } => {
                self.touch(at).counters_mut(*channel).lift_lock();
                if let Some(codes) = self.member_mut().and_then(|member| member.known_codes.as_mut()) {
                    codes.counters_mut(*channel).lift_lock();
                }
            }
            Fact::IdentifierRequested { channel, nonce, expires_at } => {
                let codes = self.touch(at);
                codes.adding = Some(Challenge::new(*channel, *nonce, *expires_at));
                note(&mut codes.sent_elsewhere, at);
                codes.counters_mut(*channel).noted_refusal = None;
                if let Some(codes) = self.member_mut().and_then(|member| member.known_codes.as_mut()) {
                    codes.counters_mut(*channel).noted_refusal = None;
                }
            }
            Fact::IdentifierAdded { channel } => {
                self.touch(at).redeem(Purpose::AddIdentifier, at, None);
                if !self.has(*channel)
                    && let Some(member) = self.member_mut()
                {
                    member.identifiers.push(*channel);
                }
            }
            Fact::IdentifierChangeUndone { change, not_restored } => {
                self.touch(at);
                if let Some(member) = self.member_mut()
                    && let Some(changes) = &mut member.identifier_changes
                {
                    changes.undo(*change, not_restored.is_empty());
                }
            }
            Fact::IdentifierReplaced { channel }
            | Fact::IdentifierRemoved { channel, .. }
            | Fact::IdentifierRestored { channel }
            | Fact::IdentifierReleased { channel, lapsed: _ } => {
                let codes = self.touch(at);
                // The link went to the former identifier, and strangers tried wrong codes for it. Those of known devices stay: a
                // device would otherwise guess at the codes of an identifier to be added, and replace another one in between.
                codes.counters_mut(*channel).unlock_link = None;
                codes.counters_mut(*channel).wrong = WrongCodes::default();
                if matches!(event.fact, Fact::IdentifierReplaced { .. }) {
                    codes.redeem(Purpose::AddIdentifier, at, None);
                }
                (codes.challenge, codes.adding, codes.reauthentication) = (None, None, None);
                if let Some(member) = self.member_mut() {
                    // The holder of one of them may be why the identifier was replaced or removed.
                    member.known_devices.clear();
                    member.known_codes =
                        member.known_codes.take().and_then(|codes| codes.wrong_codes_alone());
                    if matches!(event.fact, Fact::IdentifierRemoved { .. }) {
                        member.identifiers.retain(|kept| kept != channel);
                    }
                    if matches!(event.fact, Fact::IdentifierRestored { .. })
                        && !member.identifiers.contains(channel)
                    {
                        member.identifiers.push(*channel);
                    }
                }
                match self {
                    Self::Pending(Pending { identifiers_let_go, .. })
                    | Self::Active(Active { member: Member { identifiers_let_go, .. }, .. })
                    | Self::Suspended(Suspended { member: Member { identifiers_let_go, .. }, .. }) => {
                        *identifiers_let_go = identifiers_let_go.saturating_add(1);
                    }
                    Self::Unknown => {}
                }
            }
            Fact::RolesChanged { roles, by: _ } => {
                self.touch(at);
                if let Some(member) = self.member_mut() {
                    member.roles.clone_from(roles);
                }
            }
            Fact::AccountSuspended { until, by: _ } => {
                self.touch(at);
                match std::mem::take(self) {
                    Self::Active(Active { mut member, .. })
                    | Self::Suspended(Suspended { mut member, .. }) => {
                        member.codes.suspend();
                        if let Some(codes) = &mut member.known_codes {
                            codes.suspend();
                        }
                        *self = Self::Suspended(Suspended { member, until: *until });
                    }
                    other @ (Self::Unknown | Self::Pending(_)) => *self = other,
                }
            }
            Fact::AccountReinstated { by: _ } => {
                self.touch(at);
                self.reinstate();
            }
            Fact::SecondFactorOffered { session: _, authenticator, expires_at } => {
                self.touch(at);
                if let Some(factor) = self.second_factor_mut() {
                    factor.offered = Some(Offer { authenticator: *authenticator, expires_at: *expires_at });
                }
            }
            Fact::SecondFactorEnrolled { session, authenticator, step, recovery } => {
                self.touch(at);
                if let Some(factor) = self.second_factor_mut() {
                    factor.enrol(*authenticator, *step, *recovery);
                }
                // What others proved, they proved by the former one.
                self.lapse_second_factor();
                self.change_session(*session, |session| session.second_factor_at = Some(at));
            }
            Fact::SecondFactorPassed { session, proof } => {
                self.touch(at);
                if let Some(factor) = self.second_factor_mut() {
                    factor.pass(*proof);
                }
                self.change_session(*session, |session| {
                    session.second_factor_at = Some(at);
                    session.proved_at = at;
                });
            }
            Fact::SecondFactorRejected { session: _, reason, until } => {
                self.touch(at);
                if let Some(factor) = self.second_factor_mut() {
                    factor.note_rejected(at, *reason, *until);
                }
            }
            Fact::RecoveryCodesRenewed { session: _, recovery } => {
                self.touch(at);
                if let Some(factor) = self.second_factor_mut() {
                    factor.renew_recovery_codes(*recovery);
                }
            }
            Fact::SecondFactorRemoved { by: _ } => {
                self.touch(at);
                if let Some(member) = self.member_mut() {
                    member.second_factor = None;
                }
                self.lapse_second_factor();
            }
            Fact::AccessDenied { action, needs: _, lacks: _, until } => {
                self.touch(at);
                if let Some(member) = self.member_mut() {
                    member.denials.retain(|denial| at < denial.until);
                    member.denials.push(Denial { action: action.clone(), until: *until });
                }
            }
        }
    }

    /// Makes a suspended account one in use.
    fn reinstate(&mut self) {
        match std::mem::take(self) {
            Self::Suspended(Suspended { member, until: _ }) => {
                *self = Self::Active(Active { member, sessions: Vec::new() });
            }
            other @ (Self::Unknown | Self::Pending(_) | Self::Active(_)) => *self = other,
        }
    }

    /// Moves the stream's time on and gives the codes, of a new pending account where there was none.
    fn touch(&mut self, at: DateTime<Utc>) -> &mut Codes {
        if matches!(self, Self::Unknown) {
            *self =
                Self::Pending(Pending { last_event_at: at, codes: Codes::default(), identifiers_let_go: 0 });
        }
        match self {
            Self::Pending(Pending { last_event_at, codes, .. })
            | Self::Active(Active { member: Member { last_event_at, codes, .. }, .. })
            | Self::Suspended(Suspended { member: Member { last_event_at, codes, .. }, .. }) => {
                *last_event_at = at;
                codes
            }
            Self::Unknown => unreachable!("made pending above"),
        }
    }

    /// Moves the stream's time on, where a session was used: what came of redeemed codes is known to their caller.
    fn forget_redeemed(&mut self, at: DateTime<Utc>) {
        self.touch(at).redeemed = None;
        if let Some(codes) = self.member_mut().and_then(|member| member.known_codes.as_mut()) {
            codes.redeemed = None;
        }
    }

    /// The same, and gives the codes that are kept for who asked.
    fn touch_of(&mut self, at: DateTime<Utc>, requester: Requester) -> &mut Codes {
        self.touch(at);
        match (self, requester) {
            (
                Self::Active(Active { member, .. }) | Self::Suspended(Suspended { member, .. }),
                Requester::KnownDevice,
            ) => member.known_codes.get_or_insert_default(),
            (account, Requester::Stranger | Requester::KnownDevice) => account.touch(at),
        }
    }

    fn second_factor_mut(&mut self) -> Option<&mut SecondFactor> {
        Some(self.member_mut()?.second_factor.get_or_insert_default())
    }

    /// The second factor has to be passed again in every session.
    fn lapse_second_factor(&mut self) {
        if let Self::Active(active) = self {
            for session in &mut active.sessions {
                session.second_factor_at = None;
            }
        }
    }

    fn change_session(&mut self, id: SessionId, change: impl FnOnce(&mut Session)) {
        if let Self::Active(active) = self
            && let Some(session) = active.sessions.iter_mut().find(|session| session.id == id)
        {
            change(session);
        }
    }
}

impl Member {
    /// Whether a denial of that action is to be put on record.
    pub(super) fn notes_denial(&self, action: &str, now: DateTime<Utc>) -> bool {
        let on_record: Vec<&Denial> = self.denials.iter().filter(|denial| now < denial.until).collect();
        on_record.len() < DENIALS && on_record.iter().all(|denial| denial.action != action)
    }
}

fn forget_all_but_the_last<T>(remembered: &mut Vec<T>) {
    remembered.drain(..remembered.len().saturating_sub(REMEMBERED));
}

impl Challenge {
    fn new(channel: Channel, nonce: ChallengeNonce, expires_at: DateTime<Utc>) -> Self {
        Self {
            nonce,
            channel,
            expires_at,
            session: None,
            wrong_tries: 0,
            noted_no_place: false,
            precedes_suspension: false,
        }
    }

    fn redeemed(self, purpose: Purpose, at: DateTime<Utc>, session: Option<SessionId>) -> RedeemedCode {
        RedeemedCode { purpose, nonce: self.nonce, channel: self.channel, at, session }
    }
}

/// Takes the time a code was sent among those of the last 24 hours.
fn note(sent: &mut Vec<DateTime<Utc>>, at: DateTime<Utc>) {
    sent.retain(|sent| at - *sent < TimeDelta::hours(24));
    sent.push(at);
}

impl Counters {
    fn note_sent(&mut self, at: DateTime<Utc>) {
        note(&mut self.sent, at);
        self.noted_refusal = None;
    }

    fn note_rejected(&mut self, at: DateTime<Utc>, reason: CodeRejected, until: Option<DateTime<Utc>>) {
        match reason {
            CodeRejected::Wrong | CodeRejected::Suspended => self.wrong.note(at),
            CodeRejected::Paused | CodeRejected::Locked => self.wrong.noted_until = until,
            CodeRejected::Expired | CodeRejected::DeviceLimit => {}
        }
    }

    /// Nothing is held against the identifier. When a link was last sent there stays known: one a day is enough.
    fn lift_lock(&mut self) {
        self.void_unlock_link();
        *self = Self { unlock_link: self.unlock_link.take(), ..Self::default() };
    }

    fn void_unlock_link(&mut self) {
        if let Some(link) = &mut self.unlock_link {
            link.nonce = None;
        }
    }
}

impl Codes {
    /// The code that can be redeemed for a purpose.
    pub fn pending(&self, purpose: Purpose) -> Option<&Challenge> {
        match purpose {
            Purpose::SignIn => self.challenge.as_ref(),
            Purpose::AddIdentifier => self.adding.as_ref(),
            Purpose::Reauthenticate => self.reauthentication.as_ref(),
        }
    }

    fn pending_mut(&mut self, purpose: Purpose) -> &mut Option<Challenge> {
        match purpose {
            Purpose::SignIn => &mut self.challenge,
            Purpose::AddIdentifier => &mut self.adding,
            Purpose::Reauthenticate => &mut self.reauthentication,
        }
    }

    /// What is counted for a kind of identifier.
    pub fn counters(&self, channel: Channel) -> &Counters {
        match channel {
            Channel::Phone => &self.phone,
            Channel::Email => &self.email,
        }
    }

    fn counters_mut(&mut self, channel: Channel) -> &mut Counters {
        match channel {
            Channel::Phone => &mut self.phone,
            Channel::Email => &mut self.email,
        }
    }

    /// The right code for something else than to sign in came, and proved the user of that session where it was for that.
    fn redeem(&mut self, purpose: Purpose, at: DateTime<Utc>, session: Option<SessionId>) {
        let redeemed = self.pending_mut(purpose).take().map(|code| code.redeemed(purpose, at, session));
        self.redeemed = redeemed.or(self.redeemed.take());
    }

    /// The counts of wrong codes and nothing else; none where there are none.
    fn wrong_codes_alone(self) -> Option<Box<Self>> {
        let [phone, email] = [self.phone, self.email]
            .map(|counters| Counters { wrong: counters.wrong, ..Counters::default() });
        let codes = Self { phone, email, ..Self::default() };
        (codes != Self::default()).then(|| Box::new(codes))
    }

    /// Resets all counters and windows; codes that are pending stay.
    fn lift(&mut self) {
        let (challenge, adding) = (self.challenge.take(), self.adding.take());
        let reauthentication = self.reauthentication.take();
        *self = Self { challenge, adding, reauthentication, ..Self::default() };
    }

    /// What was sent before a suspension is tried as any other code, so that the suspension does not show, and is of no use.
    fn suspend(&mut self) {
        // The session that asked to be proved again ends with the suspension.
        self.reauthentication = None;
        for pending in self.challenge.iter_mut().chain(&mut self.adding) {
            pending.precedes_suspension = true;
        }
        self.redeemed = None;
    }

    /// A code that was presented for a purpose did nothing to the one that is pending, or used up one of its tries.
    fn note_rejected(&mut self, purpose: Purpose, reason: CodeRejected, tries_left: u8) {
        let pending = self.pending_mut(purpose);
        match reason {
            CodeRejected::Wrong | CodeRejected::Suspended => {
                if let Some(challenge) = pending {
                    challenge.wrong_tries = challenge.wrong_tries.saturating_add(1);
                }
                if tries_left == 0 {
                    *pending = None;
                }
                self.redeemed = None;
            }
            CodeRejected::Expired => *pending = None,
            CodeRejected::Paused | CodeRejected::Locked => {}
            CodeRejected::DeviceLimit => {
                if let Some(challenge) = pending {
                    challenge.noted_no_place = true;
                }
            }
        }
    }
}
