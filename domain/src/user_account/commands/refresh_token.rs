//! Keep a session going.

use chrono::{DateTime, TimeDelta, Utc};

use crate::user_account::{
    AccountFact, Purpose, Refusal, Requester, RuleStage, RuleSubject, Services, SessionFact, SignOutReason,
    TokenRotation, UserAccount, UserAccountEvent,
};
use crate::values::{Client, Generation, RuleName, SessionId};

/// Trade a refresh token for the next generation of its session. A spent one gives the same generation again until the
/// grace period ends, which begins when its refresh could be answered. After that it ends the session: either its owner or
/// a thief has a copy (RFC 9700, section 4.14.2). One that comes from another device or network than the last is put on
/// record, or ends a session that is bound to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    pub at: DateTime<Utc>,
    pub session: SessionId,
    pub generation: Generation,
    /// From where it came.
    pub client: Client,
    /// The access rule that does not let the session go on, once the rules were asked.
    pub refused_by: Option<RuleName>,
}

impl RefreshToken {
    /// Nothing happens when a repeated refresh of the newest generation is on record already: its tokens are the session's.
    pub(super) fn decide(
        self,
        state: &UserAccount,
        services: &Services,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let policy = &services.policy;
        let at = state.time_of(self.at);
        let session = state.live_session(self.session, at).ok_or(Refusal::SpentToken)?;
        let event = |fact| UserAccountEvent { at, fact, person: None, client: Some(self.client.clone()) };
        let clients = &services.clients;
        let mark = match session.mark {
            Some(earlier) => clients.mark_beside(earlier, session.id, &self.client),
            None => clients.mark(session.id, &self.client),
        };
        let rotates = policy.rotation == TokenRotation::On;
        // A child that has been used has a child of its own, and this generation is then no longer the newest's parent.
        let is_parent = rotates && self.generation.next() == session.generation;
        let fact = if self.generation == session.generation {
            let address = match session.address {
                Some(earlier) => clients.address_beside(earlier, session.id, &self.client, mark.network),
                None => clients.address(session.id, &self.client, mark.network),
            };
            AccountFact::Session(SessionFact::TokenRefreshed {
                session: session.id,
                generation: if rotates { session.generation.next() } else { session.generation },
                expires_at: session.ends_at.min(at + policy.session_idle),
                moved: Some(address).filter(|_| session.address != Some(address)),
            })
        } else if is_parent
            && let Some(answer_possible_at) = services.repeatable_since(session.last_used_at, at)
        {
            AccountFact::Session(SessionFact::TokenRefreshRetried {
                session: session.id,
                generation: session.generation,
                issued_at: session.last_used_at,
                expires_at: session.expires_at,
                answer_possible_at: Some(answer_possible_at).filter(|it| *it > session.last_used_at),
            })
        } else {
            let reuse = AccountFact::Session(SessionFact::TokenReuseDetected {
                session: session.id,
                presented: self.generation,
                newest: session.generation,
            });
            return Ok(vec![event(reuse), session.ended(at, SignOutReason::TokenReuse, &self.client)]);
        };

        let change = session.mark.and_then(|earlier| mark.change_from(earlier));
        let changed = change.map(|change| {
            event(AccountFact::Session(SessionFact::ClientChanged { session: session.id, change, mark }))
        });
        if change.is_some_and(|change| policy.binding.forbids(change)) {
            let ended = session.ended(at, SignOutReason::ClientChanged, &self.client);
            return Ok(changed.into_iter().chain([ended]).collect());
        }
        let is_on_record = changed.is_none() && session.retry_recorded && is_repeated(&fact);
        if !is_on_record && session.refreshes_within_minute(at) >= policy.refreshes_per_minute {
            return Err(Refusal::TooManyRefreshes { until: next_minute(at) });
        }
        if let Some(rule) = self.refused_by {
            let window = state.rule_refusal_window(rule, RuleSubject::Refresh(session.id), at);
            let until = window.ok_or(Refusal::RefusedByRule { rule })?;
            return Ok(vec![event(refused(session.id, rule, until))]);
        }
        if is_on_record {
            return Ok(Vec::new());
        }
        Ok(changed.into_iter().chain([event(fact)]).collect())
    }
}

/// A rule does not let the session go on now. The token is not spent, and the session not ended.
fn refused(session: SessionId, rule: RuleName, until: DateTime<Utc>) -> AccountFact {
    AccountFact::Session(SessionFact::SignInRefused {
        rule,
        stage: RuleStage::Refresh,
        channel: None,
        purpose: Purpose::SignIn,
        session: Some(session),
        requester: Requester::Stranger,
        until: Some(until),
    })
}

fn is_repeated(fact: &AccountFact) -> bool {
    matches!(fact, AccountFact::Session(SessionFact::TokenRefreshRetried { .. }))
}

fn next_minute(at: DateTime<Utc>) -> DateTime<Utc> {
    at + TimeDelta::seconds(60 - at.timestamp().rem_euclid(60))
}
