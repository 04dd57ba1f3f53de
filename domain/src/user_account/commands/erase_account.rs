//! Erase an account, by its user or by staff.

use chrono::{DateTime, Utc};

use super::Intervention;
use crate::user_account::{
    AccountFact, ActingStaff, Policy, ProfileFact, Refusal, SignOutReason, UserAccount, UserAccountEvent,
};
use crate::values::{AccountId, Client, SessionId};

/// Forget who the user of an account is. All its sessions end, and nothing can be done with the account any more. The commit of it
/// destroys the keys of what is personal in its events.
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
    /// That of the erasure register: the account was erased before, and a restored database has it again. It may not have been joined
    /// yet when the backup was taken.
    Again(Intervention),
}

impl EraseAccount {
    /// The last event is the erasure, after which the head of the account needs no key.
    pub(super) fn decide(
        self,
        state: &UserAccount,
        policy: &Policy,
    ) -> Result<Vec<UserAccountEvent>, Refusal> {
        let (mut events, at, by): (Vec<_>, _, _) = match self.order {
            ErasureOrder::User { at, session, client } => {
                let at = state.time_of(at);
                state.require_fresh_proof(session, at, policy)?;
                let ended = state.live_sessions(at).map(|it| it.ended(at, SignOutReason::Erased, &client));
                (ended.collect(), at, None)
            }
            ErasureOrder::Staff(intervention) => {
                state.member().ok_or(Refusal::UnknownAccount)?;
                if intervention.by == ActingStaff::Account(self.account) {
                    return Err(Refusal::OwnAccount);
                }
                erased_by(intervention, state)
            }
            ErasureOrder::Again(intervention) => {
                let is_erased = matches!(state, UserAccount::Pending(pending) if pending.erased_at.is_some());
                if is_erased || *state == UserAccount::Unknown {
                    return Err(Refusal::UnknownAccount);
                }
                erased_by(intervention, state)
            }
        };
        let fact = AccountFact::Profile(ProfileFact::AccountErased { by });
        events.push(UserAccountEvent { at, fact, person: None, client: None });
        Ok(events)
    }
}

/// The ends of the sessions by staff, when, and by whom.
fn erased_by(
    intervention: Intervention,
    state: &UserAccount,
) -> (Vec<UserAccountEvent>, DateTime<Utc>, Option<ActingStaff>) {
    let at = state.time_of(intervention.at);
    let ended = state.live_sessions(at);
    let ended = ended.map(|session| intervention.end(at, session, SignOutReason::Erased)).collect();
    (ended, at, Some(intervention.by))
}
