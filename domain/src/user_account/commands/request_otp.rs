//! Ask for a code.

use chrono::{DateTime, TimeDelta, Utc};

use crate::user_account::{
    CodeRefused, Codes, Fact, Person, Policy, Purpose, Refusal, UserAccount, UserAccountEvent,
};
use crate::values::{ChallengeNonce, Client, FullName, Identifier};

/// Send a code to an identifier: the first step of signing in, and of signing up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestOtp {
    /// The time.
    pub at: DateTime<Utc>,
    /// Where the code is to go.
    pub identifier: Identifier,
    /// The name of a new account; passed over when there is one already.
    pub fullname: Option<FullName>,
    /// 16 fresh random bytes.
    pub nonce: ChallengeNonce,
    /// From where it was asked.
    pub client: Client,
}

impl RequestOtp {
    pub(super) fn decide(
        self,
        state: &UserAccount,
        policy: &Policy,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        if let Err((reason, until)) = may_send(state.codes(), at, policy) {
            return refuse(state.codes(), reason, until, at, self.identifier, self.client);
        }
        let registering = !matches!(state, UserAccount::Active(_));
        Ok(vec![UserAccountEvent {
            at,
            fact: Fact::OtpRequested {
                channel: self.identifier.channel(),
                purpose: Purpose::SignIn,
                nonce: self.nonce,
                expires_at: at + policy.code_lifetime,
                registering,
            },
            person: Some(Person {
                identifier: Some(self.identifier),
                fullname: self.fullname.filter(|_| registering),
                ..Person::default()
            }),
            client: Some(self.client),
        }])
    }
}

/// Whether another code may go out; if not, why and until when. Asking and asking again are bound by the same.
pub(super) fn may_send(
    codes: Option<&Codes>,
    now: DateTime<Utc>,
    policy: &Policy,
) -> Result<(), (CodeRefused, DateTime<Utc>)> {
    let Some(codes) = codes else { return Ok(()) };
    if let Some((bar, until)) = codes.barred(now, policy) {
        return Err((bar.into(), until));
    }
    if let Some(again) =
        codes.sent.last().map(|last| *last + policy.resend_after).filter(|again| now < *again)
    {
        return Err((CodeRefused::TooSoon, again));
    }
    let day = TimeDelta::hours(24);
    let mut recent = codes.sent.iter().rev().filter(|sent| now - **sent < day);
    if let Some(oldest) = recent.nth(policy.codes_per_day - 1) {
        return Err((CodeRefused::QuotaSpent, *oldest + day));
    }
    Ok(())
}

/// Refuses: on record the first time in a window, without a trace after that.
pub(super) fn refuse(
    codes: Option<&Codes>,
    reason: CodeRefused,
    until: DateTime<Utc>,
    at: DateTime<Utc>,
    identifier: Identifier,
    client: Client,
) -> Result<Vec<UserAccountEvent>, Refusal> {
    let noted = codes.and_then(|codes| codes.noted_refusal);
    if let Some((_, until)) = noted.filter(|(on_record, window)| *on_record == reason && at < *window) {
        return Err(reason.refusal(until));
    }
    Ok(vec![UserAccountEvent {
        at,
        fact: Fact::OtpRequestRefused { reason, until },
        person: Some(Person { identifier: Some(identifier), ..Person::default() }),
        client: Some(client),
    }])
}

impl CodeRefused {
    /// What the caller is told: only whether to wait a moment or longer.
    pub(crate) fn refusal(self, until: DateTime<Utc>) -> Refusal {
        match self {
            Self::TooSoon => Refusal::CodeTooSoon { until },
            Self::QuotaSpent | Self::Paused | Self::Locked => Refusal::CodeQuotaSpent { until },
        }
    }
}
