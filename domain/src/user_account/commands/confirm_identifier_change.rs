//! Confirm a change of identifiers that another administrator proposed.

use super::Intervention;
use crate::user_account::identifier_proposal::take_effect;
use crate::user_account::{ActingStaff, HeldIdentifiers, Refusal, UserAccount, UserAccountEvent};
use crate::values::{AccountId, Identifier, ProposalId};

/// Lets a proposed change of identifiers take effect, as a second member of staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmIdentifierChange {
    /// The account. Administrators confirm nothing for their own.
    pub account: AccountId,
    pub proposal: ProposalId,
    /// The identifiers of the account as it stands.
    pub held: HeldIdentifiers,
    /// The identifier that the proposal is about.
    pub proposed: Option<Identifier>,
    /// The time, the member of staff and the reason.
    pub intervention: Intervention,
}

impl ConfirmIdentifierChange {
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let Self { account, proposal, held, proposed, intervention } = self;
        let at = state.time_of(intervention.at);
        state.member().ok_or(Refusal::UnknownAccount)?;
        if intervention.by == ActingStaff::Account(account) {
            return Err(Refusal::OwnAccount);
        }
        let proposal = state.require_proposal(proposal, at)?;
        if proposal.by == intervention.by {
            return Err(Refusal::OwnProposal);
        }
        take_effect(state, at, proposal, (&held, proposed), Some(&intervention.by), |fact, person| {
            intervention.event_about(at, fact, person)
        })
    }
}
