//! Ask for a code.

use chrono::{DateTime, TimeDelta, Utc};

use crate::user_account::wrong_codes::UNLOCK_LINK_LASTS;
use crate::user_account::{
    AccountFact, Challenge, CodeAsked, CodeFact, CodeRefused, PersonalDetails, Policy, Purpose, Refusal,
    Requester, Services, UserAccount, UserAccountEvent,
};
use crate::values::{ChallengeNonce, Channel, Client, FullName, Identifier, SessionId};

/// Send a code to an identifier: the first step of signing in, and of signing up. Or for another account that wants to
/// add the identifier: this one, whose it is or may become, then says only whether it can get a code, and counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestOtp {
    pub at: DateTime<Utc>,
    /// Where the code is to go.
    pub identifier: Identifier,
    /// What it is to be for.
    pub purpose: Purpose,
    /// The name of a new account; passed over when there is one already.
    pub fullname: Option<FullName>,
    /// 16 fresh random bytes.
    pub nonce: ChallengeNonce,
    /// From where it was asked.
    pub client: Client,
    /// The session of a token that came along, of this account.
    pub shown: Option<SessionId>,
    /// Whether the settings list the identifier for tests.
    pub test: bool,
    /// Whether no message may go out: the day's budget is spent but for what is kept for identifiers that have signed in before.
    pub withheld: bool,
}

impl RequestOtp {
    pub(super) fn decide(
        self,
        state: &UserAccount,
        services: &Services,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let policy = &services.policy;
        let at = state.time_of(self.at);
        let requester = state.requester(self.shown);
        if self.purpose == Purpose::SignIn
            && let Some(unanswered) =
                unanswered_code(state, requester, self.identifier.channel(), at, services)
        {
            let Self { nonce, identifier, client, test, withheld, .. } = self;
            let message = CodeMessage { nonce, identifier, client, test, withheld };
            return Ok(vec![unanswered.sent_again(at, message, policy)]);
        }
        if let Err(refused) = may_send(state, requester, self.identifier.channel(), at, policy) {
            let asked = match self.purpose {
                Purpose::SignIn => CodeAsked::ToSignIn,
                Purpose::AddIdentifier => CodeAsked::ForAnother,
                Purpose::Reauthenticate => CodeAsked::ToReauthenticate,
            };
            let may_link = policy.unlock_links && !self.test && !self.withheld;
            let unlock_nonce = may_link.then_some(self.nonce);
            let (identifier, client) = (self.identifier, self.client);
            return RefusedRequest { asked, identifier, client, unlock_nonce }
                .refuse(state, requester, refused, at);
        }
        let registering = self.purpose == Purpose::SignIn && state.member().is_none();
        Ok(vec![UserAccountEvent {
            at,
            fact: AccountFact::Code(CodeFact::OtpRequested {
                channel: self.identifier.channel(),
                purpose: self.purpose,
                nonce: self.nonce,
                expires_at: at + policy.code_lifetime,
                registering,
                session: None,
                requester,
                test: self.test,
                withheld: self.withheld,
            }),
            person: Some(PersonalDetails {
                identifier: Some(self.identifier),
                fullname: self.fullname.filter(|_| registering),
                ..PersonalDetails::default()
            }),
            client: Some(self.client),
        }])
    }
}

/// The message that a code is to be sent in, as the command says it.
pub(super) struct CodeMessage {
    pub(super) nonce: ChallengeNonce,
    /// Where the message goes.
    pub(super) identifier: Identifier,
    /// From where it was asked for.
    pub(super) client: Client,
    /// Whether the settings list the identifier for tests.
    pub(super) test: bool,
    /// Whether no message may go out.
    pub(super) withheld: bool,
}

/// The pending code, where it is to be sent once more.
pub(super) struct PendingCode<'a> {
    pub(super) challenge: &'a Challenge,
    pub(super) requester: Requester,
    /// When the request that sent it could first be answered, where an outage kept it from being answered at once.
    pub(super) answer_possible_at: Option<DateTime<Utc>>,
}

impl PendingCode<'_> {
    /// The event of sending it: the same code, or a new one when it is about to expire.
    pub(super) fn sent_again(
        self,
        at: DateTime<Utc>,
        message: CodeMessage,
        policy: &Policy,
    ) -> UserAccountEvent {
        let CodeMessage { nonce: fresh, identifier, client, test, withheld } = message;
        let lasts = self.challenge.expires_at - at >= policy.resend_same_code;
        let (nonce, expires_at) = if lasts && !self.challenge.precedes_suspension {
            (self.challenge.nonce, self.challenge.expires_at)
        } else {
            (fresh, at + policy.code_lifetime)
        };
        let fact = AccountFact::Code(CodeFact::OtpResent {
            channel: identifier.channel(),
            purpose: Purpose::SignIn,
            nonce,
            expires_at,
            requester: self.requester,
            test,
            withheld,
            answer_possible_at: self.answer_possible_at,
        });
        let person = Some(PersonalDetails { identifier: Some(identifier), ..PersonalDetails::default() });
        UserAccountEvent { at, fact, person, client: Some(client) }
    }
}

/// The pending code, where an outage kept its caller from hearing of it, who so asks again before its time.
pub(super) fn unanswered_code<'a>(
    state: &'a UserAccount,
    requester: Requester,
    channel: Channel,
    at: DateTime<Utc>,
    services: &Services,
) -> Option<PendingCode<'a>> {
    let codes = state.codes_of(requester)?;
    let Err((CodeRefused::TooSoon, _)) = may_send(state, requester, channel, at, &services.policy) else {
        return None;
    };
    let challenge = codes.challenge_at(at, channel)?;
    let answer_possible_at = Some(services.unanswered_until(*codes.counters(channel).sent.last()?, at)?);
    Some(PendingCode { challenge, requester, answer_possible_at })
}

/// Whether another code may go out to that kind of identifier; if not, why and until when. Asking and asking again are
/// bound by the same.
pub(super) fn may_send(
    state: &UserAccount,
    requester: Requester,
    channel: Channel,
    now: DateTime<Utc>,
    policy: &Policy,
) -> Result<(), (CodeRefused, DateTime<Utc>)> {
    if let Some((bar, until)) = state.barred(requester, channel, now, policy) {
        return Err((bar.into(), until));
    }
    let sent = state.codes_of(requester).map_or(&[][..], |codes| &codes.counters(channel).sent);
    let again = sent.last().map(|last| *last + policy.resend_after);
    if let Some(again) = again.filter(|again| now < *again) {
        return Err((CodeRefused::TooSoon, again));
    }
    within_quota(sent, now, policy)
}

impl UserAccount {
    /// How many codes were sent to the identifier of that kind within 24 hours, for callers without a known device.
    pub fn codes_sent(&self, channel: Channel, now: DateTime<Utc>) -> usize {
        let sent = self.codes_of(Requester::default()).map_or(&[][..], |codes| &codes.counters(channel).sent);
        sent.iter().filter(|sent| now - **sent < TimeDelta::hours(24)).count()
    }

    /// All that keeps a code to sign in from an identifier of that kind, for callers without a known device, each with the time
    /// when it ends. Time alone does not end a lock.
    pub fn code_obstacles(
        &self,
        channel: Channel,
        now: DateTime<Utc>,
        policy: &Policy,
    ) -> Vec<(CodeRefused, Option<DateTime<Utc>>)> {
        let requester = Requester::default();
        let barred =
            self.barred(requester, channel, now, policy).map(|(bar, until)| (CodeRefused::from(bar), until));
        let sent = self.codes_of(requester).map_or(&[][..], |codes| &codes.counters(channel).sent);
        let again = sent.last().map(|last| *last + policy.resend_after).filter(|again| now < *again);
        let too_soon = again.map(|again| (CodeRefused::TooSoon, again));
        let obstacles = barred.into_iter().chain(too_soon).chain(within_quota(sent, now, policy).err());
        obstacles.map(|(why, until)| (why, (why != CodeRefused::Locked).then_some(until))).collect()
    }
}

/// Whether another code may follow those that were sent within 24 hours; if not, why and until when.
pub(super) fn within_quota(
    sent: &[DateTime<Utc>],
    now: DateTime<Utc>,
    policy: &Policy,
) -> Result<(), (CodeRefused, DateTime<Utc>)> {
    let day = TimeDelta::hours(24);
    let mut recent = sent.iter().rev().filter(|sent| now - **sent < day);
    match recent.nth(policy.codes_per_day - 1) {
        Some(oldest) => Err((CodeRefused::QuotaSpent, *oldest + day)),
        None => Ok(()),
    }
}

/// A request for a code that is refused.
pub(super) struct RefusedRequest {
    /// In which way the code was asked for.
    pub(super) asked: CodeAsked,
    /// Where the code was to go.
    pub(super) identifier: Identifier,
    /// From where it was asked.
    pub(super) client: Client,
    /// A fresh nonce for a link that lifts the lock of the identifier, where one can be sent there.
    pub(super) unlock_nonce: Option<ChallengeNonce>,
}

impl RefusedRequest {
    /// Refuses: on record the first time in a window, without a trace after that. Where a lock is why, a link that lifts it goes
    /// to the identifier, once a day.
    pub(super) fn refuse(
        self,
        state: &UserAccount,
        requester: Requester,
        (reason, until): (CodeRefused, DateTime<Utc>),
        at: DateTime<Utc>,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let channel = self.identifier.channel();
        let is_due = reason == CodeRefused::Locked && state.unlock_link_is_due(channel, at);
        let link = self.unlock_nonce.filter(|_| is_due).map(|nonce| {
            AccountFact::Code(CodeFact::UnlockLinkIssued {
                channel,
                nonce,
                expires_at: at + UNLOCK_LINK_LASTS,
            })
        });
        let recorded = state.codes_of(requester).and_then(|codes| codes.counters(channel).recorded_refusal);
        if link.is_none() && recorded.is_some_and(|(on_record, window)| on_record == reason && at < window) {
            return Err(reason.refusal(until));
        }
        let refused = AccountFact::Code(CodeFact::OtpRequestRefused {
            reason,
            until,
            asked: self.asked,
            channel,
            requester,
        });
        let person = PersonalDetails { identifier: Some(self.identifier), ..PersonalDetails::default() };
        let event = |fact| UserAccountEvent {
            at,
            fact,
            person: Some(person.clone()),
            client: Some(self.client.clone()),
        };
        Ok(link.into_iter().chain([refused]).map(event).collect())
    }
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
