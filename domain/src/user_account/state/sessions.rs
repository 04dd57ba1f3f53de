//! The part of the state that keeps the device sessions.

use std::ops::Not;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ActiveAccount, PendingAccount, SuspendedAccount, UserAccount, forget_all_but_the_last};
use crate::user_account::wrong_codes::WrongCodes;
use crate::user_account::{Purpose, RecordedRuleRefusal, Requester, RuleStage, RuleSubject, SessionFact};
use crate::values::{AddressMark, Channel, ClientMark, Generation, SessionId};

/// A device that is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The id by which tokens and events refer to the session.
    pub id: SessionId,
    /// The newest generation of its tokens.
    pub generation: Generation,
    /// When it was last refreshed, or signed in.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub last_used_at: DateTime<Utc>,
    /// When it ends unless it is refreshed.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub expires_at: DateTime<Utc>,
    /// When it ends in any case.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub ends_at: DateTime<Utc>,
    /// From which device and network it was last used; none where that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<ClientMark>,
    /// From which address it was last refreshed, or signed in; none where that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressMark>,
    /// When its user was last proved to be there: at sign-in, by a code since, or by the second factor.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub proved_at: DateTime<Utc>,
    /// Where the last code went that proved its user.
    pub channel: Channel,
    /// When the second factor was last passed in it.
    #[serde(
        with = "chrono::serde::ts_microseconds_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub second_factor_at: Option<DateTime<Utc>>,
    /// When it was last put on record that its user asked for everything that is held about them.
    #[serde(
        with = "chrono::serde::ts_microseconds_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub exported_at: Option<DateTime<Utc>>,
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
    /// Takes in what happened to a device session.
    pub(super) fn apply_session_fact(&mut self, at: DateTime<Utc>, fact: &SessionFact) {
        match fact {
            SessionFact::LoggedIn { .. } => self.begin_session(at, fact),
            SessionFact::SessionReauthenticated { session, channel, test: _ } => {
                let codes = self.touch_of(at, Requester::KnownDevice);
                codes.redeem(Purpose::Reauthenticate, at, Some(*session));
                codes.counters_mut(*channel).wrong = WrongCodes::default();
                self.change_session(*session, |session| {
                    session.proved_at = at;
                    session.channel = *channel;
                });
            }
            SessionFact::TokenRefreshed { session, generation, expires_at, moved } => {
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
            SessionFact::TokenRefreshRetried { session, .. }
            | SessionFact::SignInRepeated { session, .. } => {
                self.touch(at);
                self.change_session(*session, |session| {
                    session.count_refresh(at);
                    session.retry_recorded = true;
                });
            }
            SessionFact::ClientChanged { session, change: _, mark } => {
                self.touch(at);
                self.change_session(*session, |session| session.mark = Some(*mark));
            }
            SessionFact::TokenReuseDetected { .. } => {
                self.touch(at);
            }
            SessionFact::LoggedOut { session, reason, expires_at: _, by: _ } => {
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
            SessionFact::DeviceRenamed { .. } => {
                self.touch(at);
            }
            SessionFact::SignInRefused { .. } => self.refuse_by_rule(at, fact),
        }
    }

    fn refuse_by_rule(&mut self, at: DateTime<Utc>, fact: &SessionFact) {
        let SessionFact::SignInRefused { rule, stage, channel, purpose: _, session, requester, until } = fact
        else {
            return;
        };
        self.touch(at);
        let subject = match stage {
            RuleStage::Code => channel.map(RuleSubject::Code),
            RuleStage::Refresh => session.map(RuleSubject::Refresh),
            RuleStage::SignIn => {
                let codes = self.touch_of(at, *requester);
                (codes.challenge, codes.redeemed) = (None, None);
                None
            }
        };
        let (Some(subject), Some(until)) = (subject, *until) else { return };
        let refusals = match self {
            Self::Unknown => return,
            Self::Pending(PendingAccount { rule_refusals, .. }) => rule_refusals,
            Self::Active(ActiveAccount { member, .. }) | Self::Suspended(SuspendedAccount { member, .. }) => {
                &mut member.rule_refusals
            }
        };
        refusals.retain(|refusal| at < refusal.until);
        refusals.push(RecordedRuleRefusal { rule: *rule, subject, until });
    }

    fn begin_session(&mut self, at: DateTime<Utc>, fact: &SessionFact) {
        let SessionFact::LoggedIn {
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
        } = fact
        else {
            return;
        };
        let codes = self.touch_of(at, *requester);
        let redeemed = codes.challenge.take();
        codes.redeemed = redeemed.map(|code| code.redeemed(Purpose::SignIn, at, Some(*session)));
        // It says nothing of who guesses otherwise, or at the other identifier.
        let counters = codes.counters_mut(*channel);
        counters.wrong = WrongCodes::default();
        counters.void_unlock_link();
        self.touch(at).challenge = None;
        self.reinstate();
        let Self::Active(ActiveAccount { member, sessions }) = self else { return };
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
            exported_at: None,
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

    /// Moves the stream's time on, where a session was used: what came of redeemed codes is known to their caller.
    fn forget_redeemed(&mut self, at: DateTime<Utc>) {
        self.touch(at).redeemed = None;
        if let Some(codes) = self.member_mut().and_then(|member| member.known_codes.as_mut()) {
            codes.redeemed = None;
        }
    }

    pub(super) fn change_session(&mut self, id: SessionId, change: impl FnOnce(&mut Session)) {
        if let Self::Active(active) = self
            && let Some(session) = active.sessions.iter_mut().find(|session| session.id == id)
        {
            change(session);
        }
    }
}
