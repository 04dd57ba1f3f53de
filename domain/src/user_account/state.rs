//! What the decisions need to know of an account, folded from its events, and nothing more.
//!
//! `apply` never fails and never decides: whatever was stored must load. Everything here is bounded: sessions by the
//! device limit, the windows by their limits.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::events::{CodeRefused, CodeRejected, Fact, UserAccountEvent};
use crate::user_account::Purpose;
use crate::values::{ChallengeNonce, Channel, ClientMark, Generation, SessionId};

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserAccount {
    /// Nothing has happened.
    #[default]
    Unknown,
    /// Codes were asked for, and none has been redeemed yet.
    Pending(Pending),
    /// The person proved an identifier.
    Active(Active),
}

/// An account nobody has proved to own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The time of the newest event.
    pub last_event_at: DateTime<Utc>,
    /// Its codes.
    pub codes: Codes,
}

/// An account in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    /// The time of the newest event.
    pub last_event_at: DateTime<Utc>,
    /// Its codes.
    pub codes: Codes,
    /// The device sessions that have not been ended, in the order of sign-in. Some may have expired since.
    pub sessions: Vec<Session>,
}

/// The pending code, and the counters that no new code resets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Codes {
    /// The code that can be redeemed.
    pub challenge: Option<Challenge>,
    /// When codes were sent, over the last 24 hours.
    pub sent: Vec<DateTime<Utc>>,
    /// When wrong codes were tried, over the last hour.
    pub wrong: Vec<DateTime<Utc>>,
    /// Wrong codes since the last right one.
    pub wrong_in_a_row: u32,
    /// The last refusal to send on record, until its window ends.
    pub noted_refusal: Option<(CodeRefused, DateTime<Utc>)>,
    /// The refusal to look at a code on record, until its window ends.
    pub noted_rejection: Option<DateTime<Utc>>,
}

/// A code on its way to being redeemed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// From which the code is derived.
    pub nonce: ChallengeNonce,
    /// Where the code went.
    pub channel: Channel,
    /// What the code is for.
    pub purpose: Purpose,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
    /// How many wrong codes were tried against it.
    pub wrong_tries: u8,
    /// Whether it is on record that the right code came and there was no place for another device.
    pub noted_no_place: bool,
}

/// A device that is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its name.
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
    pub mark: Option<ClientMark>,
}

impl Session {
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
            Self::Active(active) => now.max(active.last_event_at),
        }
    }

    /// The codes of an account; none for one to which nothing has happened.
    pub fn codes(&self) -> Option<&Codes> {
        match self {
            Self::Unknown => None,
            Self::Pending(pending) => Some(&pending.codes),
            Self::Active(active) => Some(&active.codes),
        }
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
            Self::Unknown | Self::Pending(_) => &[],
            Self::Active(active) => &active.sessions,
        }
    }

    /// Takes an event into the state.
    pub(super) fn fold(&mut self, event: &UserAccountEvent) {
        let at = event.at;
        match &event.fact {
            Fact::OtpRequested { channel, purpose, nonce, expires_at, registering: _ } => {
                let challenge = Challenge {
                    nonce: *nonce,
                    channel: *channel,
                    purpose: *purpose,
                    expires_at: *expires_at,
                    wrong_tries: 0,
                    noted_no_place: false,
                };
                let codes = self.touch(at);
                codes.challenge = Some(challenge);
                codes.note_sent(at);
            }
            Fact::OtpResent { channel, purpose, nonce, expires_at } => {
                let codes = self.touch(at);
                let wrong_tries = codes.challenge.as_ref().map_or(0, |pending| pending.wrong_tries);
                codes.challenge = Some(Challenge {
                    nonce: *nonce,
                    channel: *channel,
                    purpose: *purpose,
                    expires_at: *expires_at,
                    wrong_tries,
                    noted_no_place: false,
                });
                codes.note_sent(at);
            }
            Fact::OtpRequestRefused { reason, until } => {
                self.touch(at).noted_refusal = Some((*reason, *until));
            }
            Fact::OtpRejected { reason, tries_left, until } => {
                self.touch(at).note_rejected(at, *reason, *tries_left, *until);
            }
            Fact::UserRegistered { channel: _ } => {
                let codes = std::mem::take(self.touch(at));
                *self = Self::Active(Active { last_event_at: at, codes, sessions: Vec::new() });
            }
            Fact::LoggedIn { session, channel: _, generation, expires_at, ends_at, mark } => {
                let codes = self.touch(at);
                codes.challenge = None;
                codes.wrong.clear();
                codes.wrong_in_a_row = 0;
                codes.noted_rejection = None;
                let session = Session {
                    id: *session,
                    generation: *generation,
                    last_used_at: at,
                    expires_at: *expires_at,
                    ends_at: *ends_at,
                    mark: *mark,
                };
                self.change_sessions(|sessions| {
                    sessions.retain(|other| other.is_live(at));
                    sessions.push(session);
                });
            }
            Fact::TokenRefreshed { session, generation, expires_at } => {
                self.touch(at);
                self.change_session(*session, |session| {
                    session.generation = *generation;
                    session.last_used_at = at;
                    session.expires_at = *expires_at;
                });
            }
            Fact::ClientChanged { session, change: _, mark } => {
                self.touch(at);
                self.change_session(*session, |session| session.mark = Some(*mark));
            }
            Fact::TokenRefreshRetried { .. } | Fact::TokenReuseDetected { .. } => {
                self.touch(at);
            }
            Fact::LoggedOut { session, reason: _, expires_at: _ } => {
                self.touch(at);
                self.change_sessions(|sessions| sessions.retain(|other| other.id != *session));
            }
            Fact::DeviceRenamed { .. } | Fact::ProfileUpdated {} => {
                self.touch(at);
            }
        }
    }

    /// Moves the stream's time on and gives the codes, of a new pending account where there was none.
    fn touch(&mut self, at: DateTime<Utc>) -> &mut Codes {
        if matches!(self, Self::Unknown) {
            *self = Self::Pending(Pending { last_event_at: at, codes: Codes::default() });
        }
        match self {
            Self::Pending(Pending { last_event_at, codes })
            | Self::Active(Active { last_event_at, codes, .. }) => {
                *last_event_at = at;
                codes
            }
            Self::Unknown => unreachable!("made pending above"),
        }
    }

    fn change_session(&mut self, id: SessionId, change: impl FnOnce(&mut Session)) {
        self.change_sessions(|sessions| {
            if let Some(session) = sessions.iter_mut().find(|session| session.id == id) {
                change(session);
            }
        });
    }

    fn change_sessions(&mut self, change: impl FnOnce(&mut Vec<Session>)) {
        match self {
            Self::Active(active) => change(&mut active.sessions),
            Self::Unknown | Self::Pending(_) => {}
        }
    }
}

impl Codes {
    fn note_sent(&mut self, at: DateTime<Utc>) {
        self.sent.retain(|sent| at - *sent < TimeDelta::hours(24));
        self.sent.push(at);
        self.noted_refusal = None;
    }

    fn note_rejected(
        &mut self,
        at: DateTime<Utc>,
        reason: CodeRejected,
        tries_left: u8,
        until: Option<DateTime<Utc>>,
    ) {
        match reason {
            CodeRejected::Wrong => {
                self.wrong.retain(|wrong| at - *wrong < TimeDelta::hours(1));
                self.wrong.push(at);
                self.wrong_in_a_row = self.wrong_in_a_row.saturating_add(1);
                if let Some(challenge) = &mut self.challenge {
                    challenge.wrong_tries = challenge.wrong_tries.saturating_add(1);
                }
                if tries_left == 0 {
                    self.challenge = None;
                }
            }
            CodeRejected::Expired => self.challenge = None,
            CodeRejected::Paused | CodeRejected::Locked => self.noted_rejection = until,
            CodeRejected::DeviceLimit => {
                if let Some(challenge) = &mut self.challenge {
                    challenge.noted_no_place = true;
                }
            }
        }
    }
}
