//! Wrong codes, which bar an account from trying more: for a while, then until a link or staff lift the lock.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{CodeRefused, CodeRejected, CodeState, Policy, Requester, UserAccount};
use crate::values::{ChallengeNonce, Channel};

/// The wrong codes that were tried since the last right one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongCodes {
    /// When, over the last hour.
    #[serde(with = "crate::user_account::state::times", default, skip_serializing_if = "Vec::is_empty")]
    pub lately: Vec<DateTime<Utc>>,
    /// How many there were in all.
    pub in_a_row: u32,
    /// The refusal to look at a code that is on record, until its window ends.
    #[serde(
        with = "chrono::serde::ts_microseconds_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub recorded_until: Option<DateTime<Utc>>,
}

/// A link that was sent to a locked identifier. Its owner opens the link and confirms, which lifts the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockLink {
    /// The nonce from which the link is derived; none once the link is spent, or void because the lock was lifted otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<ChallengeNonce>,
    /// When the link was issued. The next one is issued a day later.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub issued_at: DateTime<Utc>,
    /// When the link stops working.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub expires_at: DateTime<Utc>,
}

/// How long a link that lifts a lock works, and how long after one the next is issued.
pub(super) const UNLOCK_LINK_LASTS: TimeDelta = TimeDelta::hours(24);

/// Why an account neither gets codes nor has them looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeBar {
    /// For an hour, after too many wrong codes within one.
    Paused,
    /// A lock after too many wrong codes in a row, until a link or staff lift it.
    Locked,
}

impl WrongCodes {
    pub(super) fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// Counts one more wrong code.
    pub(super) fn record(&mut self, at: DateTime<Utc>) {
        self.lately.retain(|wrong| at - *wrong < TimeDelta::hours(1));
        self.lately.push(at);
        self.in_a_row = self.in_a_row.saturating_add(1);
    }

    /// Whether they bar the account from trying and asking, and when that is worth another look.
    pub(super) fn barred(&self, now: DateTime<Utc>, policy: &Policy) -> Option<(CodeBar, DateTime<Utc>)> {
        if self.in_a_row >= policy.wrong_codes_in_a_row {
            return Some(locked(now));
        }
        self.paused(now, policy)
    }

    fn paused(&self, now: DateTime<Utc>, policy: &Policy) -> Option<(CodeBar, DateTime<Utc>)> {
        let pause_ends = *self.lately.last()? + TimeDelta::hours(1);
        (self.lately.len() >= policy.wrong_codes_per_hour && now < pause_ends)
            .then_some((CodeBar::Paused, pause_ends))
    }

    /// Until when a refusal to look at a code need not be put on record again.
    pub(super) fn recorded(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.recorded_until.filter(|window| now < *window)
    }
}

fn locked(now: DateTime<Utc>) -> (CodeBar, DateTime<Utc>) {
    (CodeBar::Locked, now + TimeDelta::hours(24))
}

impl UserAccount {
    /// Whether wrong codes for a kind of identifier bar who asks until they are lifted.
    pub fn is_locked(
        &self,
        requester: Requester,
        channel: Channel,
        now: DateTime<Utc>,
        policy: &Policy,
    ) -> bool {
        self.barred(requester, channel, now, policy).is_some_and(|(bar, _)| bar == CodeBar::Locked)
    }

    /// Whether a link that lifts a lock may go to the identifier of that kind: at most one a day does.
    pub(super) fn unlock_link_is_due(&self, channel: Channel, now: DateTime<Utc>) -> bool {
        let last = self.codes().and_then(|codes| codes.counters(channel).unlock_link.as_ref());
        last.is_none_or(|link| link.issued_at + UNLOCK_LINK_LASTS <= now)
    }

    /// The kind of identifier whose lock the link of that nonce lifts; none where the link is spent, void or expired.
    pub fn unlocked_by(&self, nonce: ChallengeNonce, now: DateTime<Utc>) -> Option<Channel> {
        let codes = self.codes()?;
        [Channel::Phone, Channel::Email].into_iter().find(|channel| {
            let link = codes.counters(*channel).unlock_link.as_ref();
            link.is_some_and(|link| link.nonce == Some(nonce) && now < link.expires_at)
        })
    }

    /// Whether wrong codes bar who asks from codes of a kind of identifier, and when that is worth another look.
    ///
    /// All wrong codes for that kind have one ceiling, by strangers and known devices alike. The last tenth of it is kept for
    /// known devices: a caller without a token of the account cannot use up their tries. An account that was never signed in to
    /// has none, and locks strangers out at the same count all the same, so that the count does not tell whether it was.
    pub(super) fn barred(
        &self,
        requester: Requester,
        channel: Channel,
        now: DateTime<Utc>,
        policy: &Policy,
    ) -> Option<(CodeBar, DateTime<Utc>)> {
        let wrong =
            |codes: Option<&CodeState>| codes.map_or(0, |codes| codes.counters(channel).wrong.in_a_row);
        let ceiling = policy.wrong_codes_in_a_row;
        let of_strangers = wrong(self.codes());
        let of_known_devices = wrong(self.member().and_then(|member| member.known_codes.as_deref()));
        let is_used_up = of_strangers + of_known_devices >= ceiling;
        let kept = ceiling.div_ceil(10).min(ceiling - 1);
        if is_used_up || (requester == Requester::Stranger && of_strangers >= ceiling - kept) {
            return Some(locked(now));
        }
        self.codes_of(requester)?.counters(channel).wrong.paused(now, policy)
    }
}

impl From<CodeBar> for CodeRejected {
    fn from(bar: CodeBar) -> Self {
        match bar {
            CodeBar::Paused => Self::Paused,
            CodeBar::Locked => Self::Locked,
        }
    }
}

impl From<CodeBar> for CodeRefused {
    fn from(bar: CodeBar) -> Self {
        match bar {
            CodeBar::Paused => Self::Paused,
            CodeBar::Locked => Self::Locked,
        }
    }
}
