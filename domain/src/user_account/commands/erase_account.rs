//! Erase an account, by its user or by staff.

use chrono::{DateTime, Utc};

use super::Intervention;
use crate::user_account::{
    AccountFact, ActingStaff, Policy, ProfileFact, Refusal, SignOutReason, UserAccount, UserAccountEvent,
};
use crate::values::{AccountId, Client, SessionId};

/// Forget who the user of an account is. All its sessions end, and nothing can be done with the account any more. The commit of it
/// destroys the keys of what is personal in its events. Under a policy with a delay, or a legal hold, the account waits
/// for it, closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EraseAccount {
    /// The account that is erased. Administrators erase their own as its users.
    pub account: AccountId,
    /// On whose word it is erased.
    pub order: ErasureOrder,
}

/// On whose word an account is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErasureOrder {
    /// That of its user. A copied access token is not enough: the session has to be proved lately.
    User {
        /// When it was asked.
        at: DateTime<Utc>,
        /// The session in whose name it is asked.
        session: SessionId,
        /// From where it was asked.
        client: Client,
    },
    /// That of a member of staff. The reason is in their own stream, since what is personal in this one is destroyed.
    Staff(Intervention),
    /// That of an earlier order, whose time has come.
    Due {
        /// The time by which it has to be due.
        at: DateTime<Utc>,
    },
    /// That of the erasure register: the account was erased before, and a restored database has it again. It may not have been joined
    /// yet when the backup was taken.
    Again(Intervention),
}

impl EraseAccount {
    /// The last event is the erasure, after which the head of the account needs no key, or that it is asked for.
    pub(super) fn decide(
        self,
        state: &UserAccount,
        policy: &Policy,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        match self.order {
            ErasureOrder::User { at, session, client } => {
                let at = state.time_of(at);
                state.require_fresh_proof(session, at, policy)?;
                let ended = state.live_sessions(at).map(|it| it.ended(at, SignOutReason::Erased, &client));
                let last = match postponed_to(at, state, policy) {
                    None => erased(at, None),
                    Some(due_at) => UserAccountEvent {
                        at,
                        fact: requested(due_at, None),
                        person: None,
                        client: Some(client.clone()),
                    },
                };
                Ok(ended.chain([last]).collect())
            }
            ErasureOrder::Staff(intervention) => {
                let at = state.time_of(intervention.at);
                state.member().ok_or(Refusal::UnknownAccount)?;
                let by = Some(intervention.by.clone());
                if by == Some(ActingStaff::Account(self.account)) {
                    return Err(Refusal::OwnAccount);
                }
                let last = match postponed_to(at, state, policy) {
                    None => erased(at, by),
                    Some(_) if state.requested_erasure().is_some() => return Ok(Vec::new()),
                    Some(due_at) => intervention.event(at, requested(due_at, by)),
                };
                Ok(sessions_ended(&intervention, at, state).chain([last]).collect())
            }
            ErasureOrder::Due { at } => {
                let at = state.time_of(at);
                // Its sessions ended when it was asked for.
                let due = state.requested_erasure().filter(|_| state.is_erasure_due(at));
                Ok(due.map(|requested| erased(at, requested.by.clone())).into_iter().collect())
            }
            ErasureOrder::Again(intervention) => {
                let at = state.time_of(intervention.at);
                let is_erased = matches!(state, UserAccount::Pending(pending) if pending.erased_at.is_some());
                if is_erased || *state == UserAccount::Unknown {
                    return Err(Refusal::UnknownAccount);
                }
                let last = erased(at, Some(intervention.by.clone()));
                Ok(sessions_ended(&intervention, at, state).chain([last]).collect())
            }
        }
    }
}

/// From when on an account can be erased, where that is asked for now and is not done at once.
fn postponed_to(at: DateTime<Utc>, state: &UserAccount, policy: &Policy) -> Option<DateTime<Utc>> {
    let waits = !policy.erasure_delay.is_zero() || state.legal_hold(at).is_some();
    waits.then(|| at + policy.erasure_delay)
}

fn requested(due_at: DateTime<Utc>, by: Option<ActingStaff>) -> AccountFact {
    AccountFact::Profile(ProfileFact::ErasureRequested { due_at, by })
}

fn erased(at: DateTime<Utc>, by: Option<ActingStaff>) -> UserAccountEvent {
    let fact = AccountFact::Profile(ProfileFact::AccountErased { by });
    UserAccountEvent { at, fact, person: None, client: None }
}

/// The ends of all sessions by staff.
fn sessions_ended(
    intervention: &Intervention,
    at: DateTime<Utc>,
    state: &UserAccount,
) -> impl Iterator<Item = UserAccountEvent> {
    state.live_sessions(at).map(move |session| intervention.end(at, session, SignOutReason::Erased))
}
