//! Let a proposed change of identifiers take effect when its time has come.

use chrono::{DateTime, Utc};

use crate::user_account::identifier_proposal::take_effect;
use crate::user_account::{HeldIdentifiers, Refusal, UserAccount, UserAccountEvent};
use crate::values::{Identifier, ProposalId};

/// Lets a change take effect after its wait, where no other administrator can confirm it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyDueProposal {
    pub at: DateTime<Utc>,
    pub proposal: ProposalId,
    /// The identifiers of the account as it stands.
    pub held: HeldIdentifiers,
    /// The identifier that the proposal is about.
    pub proposed: Option<Identifier>,
    /// Whether another administrator than the one who proposed it can confirm it.
    pub can_be_confirmed: bool,
}

impl ApplyDueProposal {
    /// Nothing happens before its time, or while another administrator can confirm it.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        let proposal = state.require_proposal(self.proposal, at)?;
        if self.can_be_confirmed || at < proposal.due_at {
            return Ok(Vec::new());
        }
        take_effect(state, at, proposal, (&self.held, self.proposed), None, |fact, person| UserAccountEvent {
            at,
            fact,
            person: Some(person).filter(|person| *person != Default::default()),
            client: None,
        })
    }
}
