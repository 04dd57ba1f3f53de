//! The numbers the rules go by.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::values::ClientChange;

/// How long, how often, how many. Decisions read it; events carry what was decided, so a change of policy changes
/// no history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a code works.
    pub code_lifetime: TimeDelta,
    /// How many wrong tries a code survives.
    pub code_tries: u8,
    /// How long after a code the next may be asked for.
    pub resend_after: TimeDelta,
    /// A resend sends the same code while it has at least this long to live.
    pub resend_same_code: TimeDelta,
    /// How many codes an identifier gets in 24 hours.
    pub codes_per_day: usize,
    /// How many wrong codes an account may have in an hour before it is paused for an hour.
    pub wrong_codes_per_hour: usize,
    /// How many wrong codes in a row lock the account (NIST SP 800-63B-4, section 3.2.2: at most 100).
    pub wrong_codes_in_a_row: u32,
    /// Whether a link that lifts a lock can be sent to a locked identifier: the service knows under which URL it is reached.
    pub unlock_links: bool,
    /// How long a proof of the user (a sign-in, a reauthentication, or the second factor) lets a session change how the
    /// account is found and how it is signed in to.
    pub proof_lasts: TimeDelta,
    /// How long an account that is to be erased waits for it. At once where it is nothing.
    pub erasure_delay: TimeDelta,
    /// How long a session lives without being refreshed.
    pub session_idle: TimeDelta,
    /// How long a session lives however often it is refreshed.
    pub session_absolute: TimeDelta,
    /// How long a client may repeat a refresh with the token that it spent, for the same generation, counted from when it
    /// could have been answered: the answer may have been lost. A sign-in that an outage kept from being answered may be
    /// repeated for as long.
    pub refresh_grace: TimeDelta,
    /// How many refreshes of one session are accepted within a minute, repeated ones included.
    pub refreshes_per_minute: u32,
    /// How many devices an account may be signed in on.
    pub device_limit: usize,
    /// What happens when one more signs in.
    pub device_limit_policy: DeviceLimitPolicy,
    /// What a session is bound to.
    pub binding: ClientBinding,
    /// Whether a refresh spends the token it came with.
    pub rotation: TokenRotation,
}

/// What happens when a device more than allowed signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceLimitPolicy {
    /// The least recently used is signed out.
    EvictOldest,
    /// It is not let in.
    Deny,
    /// It is let in: there is no limit but [`Policy::MOST_DEVICES`].
    Off,
}

/// What a session is bound to: a refresh from elsewhere ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientBinding {
    /// Nothing; a change of device or network is on record.
    Off,
    /// The device, as far as its `User-Agent` header tells it.
    Device,
    /// The device and its network.
    DeviceAndIp,
}

impl ClientBinding {
    /// Whether a change of client ends the session.
    pub(super) fn forbids(self, change: ClientChange) -> bool {
        match (self, change) {
            (Self::Off, _) | (Self::Device, ClientChange::Network) => false,
            (Self::Device, ClientChange::Device | ClientChange::DeviceAndNetwork)
            | (Self::DeviceAndIp, _) => true,
        }
    }
}

/// Whether a refresh spends the token it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRotation {
    /// Each refresh gives a token of the next generation, and a copy of a spent one is found out.
    On,
    /// The generation stays, for clients that ignore the new refresh token and go on with their first. A stolen token
    /// then works beside its owner's until the session ends, and nothing reveals it.
    Off,
}

/// A policy that would weaken or break sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} must be {range}")]
pub struct InvalidPolicy {
    /// The setting, as it is named in the configuration.
    pub setting: &'static str,
    /// What it may be.
    pub range: &'static str,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            code_lifetime: TimeDelta::minutes(5),
            code_tries: 5,
            resend_after: TimeDelta::seconds(60),
            resend_same_code: TimeDelta::seconds(60),
            codes_per_day: 10,
            wrong_codes_per_hour: 10,
            wrong_codes_in_a_row: 100,
            unlock_links: false,
            proof_lasts: TimeDelta::minutes(10),
            erasure_delay: TimeDelta::zero(),
            session_idle: TimeDelta::days(30),
            session_absolute: TimeDelta::days(90),
            refresh_grace: TimeDelta::seconds(60),
            refreshes_per_minute: 60,
            device_limit: 5,
            device_limit_policy: DeviceLimitPolicy::EvictOldest,
            binding: ClientBinding::Off,
            rotation: TokenRotation::On,
        }
    }
}

impl Policy {
    /// How many devices an account can be signed in on whatever the policy is, so that its state stays bounded.
    pub const MOST_DEVICES: usize = 100;

    /// The longest grace period of a refresh that an installation can set.
    pub const LONGEST_REFRESH_GRACE: TimeDelta = TimeDelta::minutes(5);

    /// For how many devices there is a place.
    pub(super) fn places(&self) -> usize {
        match self.device_limit_policy {
            DeviceLimitPolicy::EvictOldest | DeviceLimitPolicy::Deny => self.device_limit,
            DeviceLimitPolicy::Off => Self::MOST_DEVICES,
        }
    }

    /// Checks each number that an installation can set against the bounds of NIST SP 800-63B-4 and of plain sense.
    ///
    /// # Errors
    /// The first setting that is out of its range, and the range.
    pub fn validated(self) -> Result<Self, InvalidPolicy> {
        let seconds = |d: TimeDelta| d.num_seconds();
        let year = seconds(TimeDelta::days(366));
        let rules = [
            ("codes.lifetime", "30 to 600 seconds", (30..=600).contains(&seconds(self.code_lifetime))),
            ("codes.tries", "1 to 10", (1..=10).contains(&self.code_tries)),
            ("codes.resend_after", "0 to 3600 seconds", (0..=3600).contains(&seconds(self.resend_after))),
            ("codes.per_day", "1 to 100", (1..=100).contains(&self.codes_per_day)),
            ("codes.wrong_per_hour", "1 to 100", (1..=100).contains(&self.wrong_codes_per_hour)),
            ("codes.wrong_in_a_row", "1 to 100", (1..=100).contains(&self.wrong_codes_in_a_row)),
            ("sessions.idle", "60 seconds to 366 days", (60..=year).contains(&seconds(self.session_idle))),
            (
                "sessions.absolute",
                "60 seconds to 366 days",
                (60..=year).contains(&seconds(self.session_absolute)),
            ),
            ("sessions.refresh_grace", "0 to 300 seconds", (0..=300).contains(&seconds(self.refresh_grace))),
            (
                "sessions.refreshes_per_minute",
                "1 to 1000000",
                (1..=1_000_000).contains(&self.refreshes_per_minute),
            ),
            (
                "privacy.erasure_delay",
                "0 seconds to 90 days",
                (0..=seconds(TimeDelta::days(90))).contains(&seconds(self.erasure_delay)),
            ),
            ("sessions.device_limit", "1 to 100", (1..=Self::MOST_DEVICES).contains(&self.device_limit)),
        ];
        match rules.into_iter().find(|(_, _, holds)| !holds) {
            Some((setting, range, _)) => Err(InvalidPolicy { setting, range }),
            None => Ok(self),
        }
    }
}
