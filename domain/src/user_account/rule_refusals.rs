//! Refusals by access rules, which are on record once a window.
//!
//! A rule refuses before the limits count, so callers could cause such refusals without end. A refused sign-in needs no window:
//! it takes a right code, of which the account gets a limited number.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::UserAccount;
use crate::values::{Channel, RuleName, SessionId};

/// For how long the same refusal is not put on record again.
const WINDOW: TimeDelta = TimeDelta::hours(1);

/// How many refusals are on record at a time.
const REFUSALS: usize = 20;

/// What a rule refused, as far as refusals are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleSubject {
    /// A code to an identifier of that kind.
    Code(Channel),
    /// The next tokens of that session.
    Refresh(SessionId),
}

/// A refusal by an access rule that is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRuleRefusal {
    /// The name of the rule.
    pub rule: RuleName,
    /// What the rule refused.
    pub subject: RuleSubject,
    /// When the next one is put on record.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub until: DateTime<Utc>,
}

impl UserAccount {
    /// Returns when the refusal after this one is put on record; `None` where this one is not, because the same refusal is on
    /// record already, or as many as the account remembers.
    pub(super) fn rule_refusal_window(
        &self,
        rule: RuleName,
        subject: RuleSubject,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let on_record = || self.rule_refusals().iter().filter(|refusal| now < refusal.until);
        let is_on_record = on_record().any(|refusal| refusal.rule == rule && refusal.subject == subject);
        (!is_on_record && on_record().count() < REFUSALS).then(|| now + WINDOW)
    }
}
