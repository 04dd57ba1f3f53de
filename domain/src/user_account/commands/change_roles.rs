//! Give an account other roles.

use std::collections::BTreeSet;

use super::Intervention;
use crate::user_account::{AccountFact, ActingStaff, Refusal, StaffFact, UserAccount, UserAccountEvent};
use crate::values::{AccountId, Role};

/// Give an account these roles, in the place of those it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRoles {
    /// The account that gets the roles. Administrators cannot change their own.
    pub account: AccountId,
    /// All its roles from now on.
    pub roles: BTreeSet<Role>,
    /// The time, the member of staff and the reason.
    pub intervention: Intervention,
}

impl ChangeRoles {
    /// Nothing happens when the account has just these roles.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let Self { account, roles, intervention } = self;
        let member = state.member().ok_or(Refusal::UnknownAccount)?;
        if intervention.by == ActingStaff::Account(account) {
            return Err(Refusal::OwnAccount);
        }
        if roles == member.roles {
            return Ok(Vec::new());
        }
        let fact = AccountFact::Staff(StaffFact::RolesChanged { roles, by: intervention.by.clone() });
        Ok(vec![intervention.event(state.time_of(intervention.at), fact)])
    }
}
