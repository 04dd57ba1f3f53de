//! Changes of identifiers that staff propose for users who cannot make them: proposed, confirmed, withdrawn, and due.

use counterfoil_domain::user_account::commands::{
    ApplyDueProposal, ConfirmIdentifierChange, ProposeIdentifierChange, WithdrawIdentifierChange,
};
use counterfoil_domain::user_account::{
    ActingStaff, HeldIdentifiers, IdentifierProposal, ProposedChange, Refusal, proposed_identifier,
};
use counterfoil_domain::values::{AccountId, Identifier, ProposalId};
use uuid::Uuid;

use super::commit::until_available;
use super::{Accounts, AccountsError, RequestContext, StaffAction};
use crate::crypto::entropy;
use crate::delivery::DeliveryRoute;
use crate::journal::{AccountRef, JournalError};

/// A proposal that is open, with what its event says of it.
#[derive(Clone, Debug)]
pub struct OpenProposal {
    /// What is proposed, by whom, until when.
    pub proposal: IdentifierProposal,
    /// The identifier that the account is to get or to lose; none once the keys are gone.
    pub identifier: Option<Identifier>,
    /// Whether another administrator than the one who proposed it can confirm it.
    pub can_be_confirmed: bool,
}

impl Accounts {
    /// Proposes to add, to replace or to release an identifier of an account. Its owner is told.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the account is the administrator's own, has a proposal already, does not have what is to be
    /// replaced or released, or another account has the identifier.
    pub async fn propose_identifier_change(
        &self,
        account: AccountId,
        change: ProposedChange,
        identifier: Identifier,
        who: StaffAction,
    ) -> Result<(), AccountsError> {
        if change != ProposedChange::Release
            && let DeliveryRoute::None = self.outbox_worker.gateways().route(&identifier)
        {
            return Err(AccountsError::NotTaken(identifier.channel()));
        }
        let proposal = ProposalId(entropy::uuid_v7(self.clock.now()));
        let (held, taken) = (HeldIdentifiers::default(), false);
        let command = |intervention| {
            ProposeIdentifierChange { account, proposal, change, identifier, held, taken, intervention }
                .into()
        };
        self.intervene(account, who, command).await.map(drop)
    }

    /// Lets a proposed change take effect, as another administrator than the one who proposed it.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when there is no such proposal, it is the administrator's own, or another account has the
    /// identifier by now.
    pub async fn confirm_identifier_change(
        &self,
        account: AccountId,
        proposal: ProposalId,
        who: StaffAction,
    ) -> Result<(), AccountsError> {
        let (held, proposed) = (HeldIdentifiers::default(), None);
        let command =
            |intervention| ConfirmIdentifierChange { account, proposal, held, proposed, intervention }.into();
        self.intervene(account, who, command).await.map(drop)
    }

    /// Withdraws a proposed change.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when there is no such proposal.
    pub async fn withdraw_identifier_change(
        &self,
        account: AccountId,
        proposal: ProposalId,
        who: StaffAction,
    ) -> Result<(), AccountsError> {
        let command = |intervention| WithdrawIdentifierChange { proposal, intervention }.into();
        self.intervene(account, who, command).await.map(drop)
    }

    /// The proposal that an account has open, if any.
    ///
    /// # Errors
    /// [`AccountsError`] when the database does not answer.
    pub async fn open_proposal(&self, account: AccountId) -> Result<Option<OpenProposal>, AccountsError> {
        let (at, address) = (self.clock.now(), AccountRef::Account(account));
        let head = until_available(|| self.journal.load_anew(&address, at)).await?.head;
        let Some(proposal) = head.state.open_proposal(at).cloned() else { return Ok(None) };
        let events = until_available(|| self.journal.identifier_events(&head)).await?;
        let identifier = proposed_identifier(&events, proposal.id);
        let can_be_confirmed = self.can_be_confirmed(account, &proposal).await?;
        Ok(Some(OpenProposal { proposal, identifier, can_be_confirmed }))
    }

    /// Lets the changes take effect whose wait is over and that no other administrator can confirm: how many. Any number of nodes do
    /// this at a time; the commit of one of them wins.
    ///
    /// # Errors
    /// [`AccountsError`] when the database does not answer.
    pub async fn apply_due_proposals(&self) -> Result<u64, AccountsError> {
        let at = self.clock.now();
        let db = self.journal.database().connection().await.map_err(JournalError::from)?;
        let due =
            db.query(include_str!("sql/due_proposals.sql"), &[&at]).await.map_err(JournalError::from)?;
        drop(db);
        let mut applied = 0;
        for row in due {
            applied += u64::from(self.apply_if_due(AccountId(row.get("account_id"))).await?);
        }
        Ok(applied)
    }

    async fn apply_if_due(&self, account: AccountId) -> Result<bool, AccountsError> {
        let (at, address) = (self.clock.now(), AccountRef::Account(account));
        let head = until_available(|| self.journal.load_anew(&address, at)).await?.head;
        let Some(open) = head.state.open_proposal(at).cloned() else { return Ok(false) };
        // Asked before, since a command that has nothing to do waits until that is durable.
        if at < open.due_at || self.can_be_confirmed(account, &open).await? {
            return Ok(false);
        }
        let command = ApplyDueProposal {
            at,
            proposal: open.id,
            held: HeldIdentifiers::default(),
            proposed: None,
            can_be_confirmed: false,
        };
        match self.execute(address, &RequestContext::nowhere("proposals"), at, command.into()).await {
            Ok(done) => Ok(!done.events.is_empty()),
            // Another node was faster, or another account has proved the identifier: then it is void after a while.
            Err(AccountsError::Refused(Refusal::UnknownProposal | Refusal::IdentifierTaken)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether an administrator can confirm a proposal: one whose account is another than that of the proposal and of who made it.
    async fn can_be_confirmed(
        &self,
        account: AccountId,
        proposal: &IdentifierProposal,
    ) -> Result<bool, JournalError> {
        let proposer = match &proposal.by {
            ActingStaff::Account(proposer) => proposer.0,
            ActingStaff::Operator(_) | ActingStaff::Service(_) => Uuid::nil(),
        };
        let db = self.journal.database().connection().await?;
        let sql = include_str!("sql/other_administrator.sql");
        let row = db.query_one(sql, &[&account.0, &proposer, &self.clock.now()]).await?;
        Ok(row.get(0))
    }
}
