//! Withdraw a proposed change of identifiers.

use super::Intervention;
use crate::user_account::{AccountFact, IdentifierFact, Refusal, UserAccount, UserAccountEvent};
use crate::values::ProposalId;

/// Withdraws a proposal, whichever member of staff made it: the owner may have objected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawIdentifierChange {
    pub proposal: ProposalId,
    /// The time, the member of staff and the reason.
    pub intervention: Intervention,
}

impl WithdrawIdentifierChange {
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.intervention.at);
        state.member().ok_or(Refusal::UnknownAccount)?;
        let proposal = state.require_proposal(self.proposal, at)?;
        let fact = AccountFact::Identifier(IdentifierFact::IdentifierChangeWithdrawn {
            proposal: proposal.id,
            by: self.intervention.by.clone(),
        });
        Ok(vec![self.intervention.event(at, fact)])
    }
}
