//! Propose another identifier for an account, by staff.

use super::Intervention;
use crate::user_account::{
    AccountFact, ActingStaff, HeldIdentifiers, IdentifierFact, PROPOSAL_LIFETIME, PROPOSAL_WAIT,
    PersonalDetails, ProposedChange, Refusal, UserAccount, UserAccountEvent,
};
use crate::values::{AccountId, Identifier, ProposalId};

/// Proposes to add, to replace or to release an identifier of an account, for a user who cannot do it. Nothing changes until another
/// administrator confirms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposeIdentifierChange {
    /// The account. Administrators propose nothing for their own.
    pub account: AccountId,
    /// A fresh id, which names the proposal.
    pub proposal: ProposalId,
    pub change: ProposedChange,
    /// The identifier that the account is to get or to lose.
    pub identifier: Identifier,
    /// The identifiers of the account as it stands; the state itself has only their kinds.
    pub held: HeldIdentifiers,
    /// Whether another account has proved the identifier.
    pub taken: bool,
    /// The time, the member of staff and the reason.
    pub intervention: Intervention,
}

impl ProposeIdentifierChange {
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.intervention.at);
        state.member().ok_or(Refusal::UnknownAccount)?;
        if self.intervention.by == ActingStaff::Account(self.account) {
            return Err(Refusal::OwnAccount);
        }
        if state.open_proposal(at).is_some() {
            return Err(Refusal::ProposalOpen);
        }
        let channel = self.identifier.channel();
        let held = self.held.get(channel);
        let is_held = held == Some(&self.identifier);
        match self.change {
            ProposedChange::Add if state.has(channel) => return Err(Refusal::IdentifierHeld),
            ProposedChange::Replace if !state.has(channel) => return Err(Refusal::IdentifierNotHeld),
            ProposedChange::Release if !is_held => return Err(Refusal::IdentifierNotHeld),
            ProposedChange::Add | ProposedChange::Replace if self.taken || is_held => {
                return Err(Refusal::IdentifierTaken);
            }
            ProposedChange::Add | ProposedChange::Replace | ProposedChange::Release => {}
        }
        let person = match self.change {
            ProposedChange::Add | ProposedChange::Replace => PersonalDetails {
                former: held.cloned(),
                identifier: Some(self.identifier),
                ..PersonalDetails::default()
            },
            ProposedChange::Release => {
                PersonalDetails { former: Some(self.identifier), ..PersonalDetails::default() }
            }
        };
        let fact = AccountFact::Identifier(IdentifierFact::IdentifierChangeProposed {
            proposal: self.proposal,
            change: self.change,
            channel,
            due_at: at + PROPOSAL_WAIT,
            expires_at: at + PROPOSAL_LIFETIME,
            by: self.intervention.by.clone(),
        });
        Ok(vec![self.intervention.event_about(at, fact, person)])
    }
}
