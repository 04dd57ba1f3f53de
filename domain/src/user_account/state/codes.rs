//! The part of the state that counts codes and keeps those that are pending.

use std::ops::Not;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::UserAccount;
use crate::user_account::wrong_codes::{UnlockLink, WrongCodes};
use crate::user_account::{CodeFact, CodeRefused, CodeRejected, Purpose};
use crate::values::{ChallengeNonce, Channel, SessionId};

/// The pending codes, and the counters that no new code resets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeState {
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
    #[serde(with = "crate::user_account::state::times", default, skip_serializing_if = "Vec::is_empty")]
    pub sent_elsewhere: Vec<DateTime<Utc>>,
    /// What is counted for phone numbers.
    #[serde(default, skip_serializing_if = "CodeCounters::are_zero")]
    pub phone: CodeCounters,
    /// What is counted for e-mail addresses.
    #[serde(default, skip_serializing_if = "CodeCounters::are_zero")]
    pub email: CodeCounters,
    /// The code that was redeemed last, until what came of it is used: its caller may not have been answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeemed: Option<RedeemedCode>,
}

/// What is counted for one kind of identifier: codes sent to it do not make the other wait, and wrong codes for it do not
/// lock the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeCounters {
    /// When codes were sent to the account's identifier, over the last 24 hours.
    #[serde(with = "crate::user_account::state::times", default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<DateTime<Utc>>,
    /// The wrong codes that were tried.
    #[serde(default, skip_serializing_if = "WrongCodes::are_none")]
    pub wrong: WrongCodes,
    /// The last refusal to send on record, until its window ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_refusal: Option<(CodeRefused, DateTime<Utc>)>,
    /// The link that was last sent to the identifier to lift a lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlock_link: Option<UnlockLink>,
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
    #[serde(with = "chrono::serde::ts_microseconds")]
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
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub expires_at: DateTime<Utc>,
    /// The session whose user it proves, where it is for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// How many wrong codes were tried against it.
    pub wrong_tries: u8,
    /// Whether it is on record that the right code came and there was no place for another device.
    pub recorded_no_place: bool,
    /// Whether the account was suspended after the code was sent: it lets no one in, even once the suspension is over.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub precedes_suspension: bool,
}

impl UserAccount {
    /// Takes in what happened to codes, or to the limits and locks that they set.
    pub(super) fn apply_code_fact(&mut self, at: DateTime<Utc>, fact: &CodeFact) {
        match fact {
            CodeFact::OtpRequested {
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
                codes.counters_mut(*channel).record_sent(at);
            }
            CodeFact::OtpResent {
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
                codes.counters_mut(*channel).record_sent(at);
            }
            CodeFact::OtpRequestRefused { reason, until, asked: _, channel, requester } => {
                self.touch_of(at, *requester).counters_mut(*channel).recorded_refusal =
                    Some((*reason, *until));
            }
            CodeFact::OtpRejected { purpose, reason, channel, tries_left, until, requester } => {
                self.touch_of(at, *requester).counters_mut(*channel).record_rejected(at, *reason, *until);
                let codes = match purpose {
                    Purpose::SignIn | Purpose::Reauthenticate => self.touch_of(at, *requester),
                    Purpose::AddIdentifier => self.touch(at),
                };
                codes.record_rejected(*purpose, *reason, *tries_left);
            }
            CodeFact::LimitsLifted { .. } => {
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
            CodeFact::UnlockLinkIssued { channel, nonce, expires_at } => {
                let link = UnlockLink { nonce: Some(*nonce), issued_at: at, expires_at: *expires_at };
                self.touch(at).counters_mut(*channel).unlock_link = Some(link);
            }
            CodeFact::LockLifted { channel } => {
                self.touch(at).counters_mut(*channel).lift_lock();
                if let Some(codes) = self.member_mut().and_then(|member| member.known_codes.as_mut()) {
                    codes.counters_mut(*channel).lift_lock();
                }
            }
        }
    }
}

impl CodeState {
    pub(super) fn heap_bytes(&self) -> usize {
        let counters = [&self.phone, &self.email];
        let times = counters.map(|it| it.sent.capacity() + it.wrong.lately.capacity());
        (self.sent_elsewhere.capacity() + times.iter().sum::<usize>()) * size_of::<DateTime<Utc>>()
    }
}

impl CodeState {
    /// The code that can be redeemed for a purpose.
    pub fn pending(&self, purpose: Purpose) -> Option<&Challenge> {
        match purpose {
            Purpose::SignIn => self.challenge.as_ref(),
            Purpose::AddIdentifier => self.adding.as_ref(),
            Purpose::Reauthenticate => self.reauthentication.as_ref(),
        }
    }

    pub(super) fn pending_mut(&mut self, purpose: Purpose) -> &mut Option<Challenge> {
        match purpose {
            Purpose::SignIn => &mut self.challenge,
            Purpose::AddIdentifier => &mut self.adding,
            Purpose::Reauthenticate => &mut self.reauthentication,
        }
    }

    /// What is counted for a kind of identifier.
    pub fn counters(&self, channel: Channel) -> &CodeCounters {
        match channel {
            Channel::Phone => &self.phone,
            Channel::Email => &self.email,
        }
    }

    pub(super) fn counters_mut(&mut self, channel: Channel) -> &mut CodeCounters {
        match channel {
            Channel::Phone => &mut self.phone,
            Channel::Email => &mut self.email,
        }
    }

    /// The right code for something else than to sign in came, and proved the user of that session where it was for that.
    pub(super) fn redeem(&mut self, purpose: Purpose, at: DateTime<Utc>, session: Option<SessionId>) {
        let redeemed = self.pending_mut(purpose).take().map(|code| code.redeemed(purpose, at, session));
        self.redeemed = redeemed.or(self.redeemed.take());
    }

    /// The counts of wrong codes and nothing else; none where there are none.
    pub(super) fn wrong_codes_alone(self) -> Option<Box<Self>> {
        let [phone, email] = [self.phone, self.email]
            .map(|counters| CodeCounters { wrong: counters.wrong, ..CodeCounters::default() });
        let codes = Self { phone, email, ..Self::default() };
        (codes != Self::default()).then(|| Box::new(codes))
    }

    /// Resets all counters and windows; codes that are pending stay.
    pub(super) fn lift(&mut self) {
        let (challenge, adding) = (self.challenge.take(), self.adding.take());
        let reauthentication = self.reauthentication.take();
        *self = Self { challenge, adding, reauthentication, ..Self::default() };
    }

    /// What was sent before a suspension is tried as any other code, so that the suspension does not show, and is of no use.
    pub(super) fn suspend(&mut self) {
        // The session that asked to be proved again ends with the suspension.
        self.reauthentication = None;
        for pending in self.challenge.iter_mut().chain(&mut self.adding) {
            pending.precedes_suspension = true;
        }
        self.redeemed = None;
    }

    /// A code that was presented for a purpose did nothing to the one that is pending, or used up one of its tries.
    pub(super) fn record_rejected(&mut self, purpose: Purpose, reason: CodeRejected, tries_left: u8) {
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
                    challenge.recorded_no_place = true;
                }
            }
        }
    }
}

impl CodeCounters {
    pub(super) fn are_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl CodeCounters {
    pub(super) fn record_sent(&mut self, at: DateTime<Utc>) {
        record(&mut self.sent, at);
        self.recorded_refusal = None;
    }

    pub(super) fn record_rejected(
        &mut self,
        at: DateTime<Utc>,
        reason: CodeRejected,
        until: Option<DateTime<Utc>>,
    ) {
        match reason {
            CodeRejected::Wrong | CodeRejected::Suspended => self.wrong.record(at),
            CodeRejected::Paused | CodeRejected::Locked => self.wrong.recorded_until = until,
            CodeRejected::Expired | CodeRejected::DeviceLimit => {}
        }
    }

    /// Nothing is held against the identifier. When a link was last sent there stays known: one a day is enough.
    pub(super) fn lift_lock(&mut self) {
        self.void_unlock_link();
        *self = Self { unlock_link: self.unlock_link.take(), ..Self::default() };
    }

    pub(super) fn void_unlock_link(&mut self) {
        if let Some(link) = &mut self.unlock_link {
            link.nonce = None;
        }
    }
}

impl Challenge {
    pub(super) fn new(channel: Channel, nonce: ChallengeNonce, expires_at: DateTime<Utc>) -> Self {
        Self {
            nonce,
            channel,
            expires_at,
            session: None,
            wrong_tries: 0,
            recorded_no_place: false,
            precedes_suspension: false,
        }
    }

    pub(super) fn redeemed(
        self,
        purpose: Purpose,
        at: DateTime<Utc>,
        session: Option<SessionId>,
    ) -> RedeemedCode {
        RedeemedCode { purpose, nonce: self.nonce, channel: self.channel, at, session }
    }
}

/// Takes the time a code was sent among those of the last 24 hours.
pub(super) fn record(sent: &mut Vec<DateTime<Utc>>, at: DateTime<Utc>) {
    sent.retain(|sent| at - *sent < TimeDelta::hours(24));
    sent.push(at);
}
