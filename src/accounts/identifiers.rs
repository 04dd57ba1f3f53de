//! Identifiers of an account: removed, and restored where a change of them is undone.

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::commands::{
    ApplyDueProposal, ConfirmIdentifierChange, ProposeIdentifierChange, RemoveIdentifier,
    UndoIdentifierChange,
};
use counterfoil_domain::user_account::{
    AccountFact, HeldIdentifiers, IdentifierFact, Refusal, UNDOABLE_FOR, UserAccountCommand,
    proposed_identifier,
};
use counterfoil_domain::values::{AccountId, Channel, Identifier};

use super::commit::until_available;
use super::{Accounts, AccountsError, IdentifierUndo, RequestContext};
use crate::crypto::message_links::ChangeNumber;
use crate::journal::{AccountHead, AccountRef};
use crate::tokens::Token;

impl Accounts {
    /// Removes an identifier of the account that an access token speaks for.
    ///
    /// # Errors
    /// [`AccountsError`]; refused when the session was not proved lately, when the account does not have the identifier or
    /// has no other, or when the session has ended meanwhile.
    pub async fn remove_identifier(
        &self,
        token: Token,
        identifier: Identifier,
        origin: RequestContext,
    ) -> Result<(), AccountsError> {
        let (session, held) = (token.session, HeldIdentifiers::default());
        let command = |at, client| RemoveIdentifier { at, session, identifier, held, client }.into();
        self.carry_out(token.account, &origin, command).await?;
        Ok(())
    }

    /// The time of the change of identifiers that a link of a notice undoes.
    ///
    /// # Errors
    /// [`AccountsError`]; an invalid token when it is no link of ours, and refused when the change cannot be undone any more.
    pub async fn change_of_link(&self, link: &str) -> Result<DateTime<Utc>, AccountsError> {
        let (account, ChangeNumber(change)) =
            self.notices.undo_links.read(link).ok_or(AccountsError::InvalidToken)?;
        let state = self.standing(account).await?;
        let change = state.undoable_change(change, self.clock.now()).ok_or(Refusal::ChangeNotUndoable)?;
        Ok(change.until - UNDOABLE_FOR)
    }

    /// Undoes the change of identifiers that a link of a notice names, with all later ones, and ends all sessions.
    ///
    /// # Errors
    /// [`AccountsError`]; an invalid token when it is no link of ours, and refused when the change cannot be undone any more.
    pub async fn undo_identifier_change(
        &self,
        link: &str,
        origin: RequestContext,
    ) -> Result<IdentifierUndo, AccountsError> {
        let (account, ChangeNumber(change)) =
            self.notices.undo_links.read(link).ok_or(AccountsError::InvalidToken)?;
        self.count_write(account, Some(origin.client.ip)).await?;
        let command = |at, client| {
            let (former, held) = (HeldIdentifiers::default(), HeldIdentifiers::default());
            UndoIdentifierChange { at, change, former, held, taken: Vec::new(), client }.into()
        };
        let mut restored_one = false;
        // A commit restores one identifier, and there are as many as kinds.
        for _ in Channel::ALL {
            let done = match self.carry_out(account, &origin, command).await {
                // What this request had begun, another one finished.
                Err(AccountsError::Refused(Refusal::ChangeNotUndoable)) if restored_one => break,
                done => done?,
            };
            let restores = |fact: &AccountFact| {
                matches!(fact, AccountFact::Identifier(IdentifierFact::IdentifierRestored { .. }))
            };
            restored_one = done.events.iter().any(|event| restores(&event.fact));
            let is_complete = done.events.iter().any(|event| {
                matches!(&event.fact, AccountFact::Identifier(IdentifierFact::IdentifierChangeUndone { not_restored, .. }) if not_restored.is_empty())
            });
            if is_complete {
                break;
            }
            if !restored_one {
                return Ok(IdentifierUndo::Taken);
            }
        }
        Ok(IdentifierUndo::Complete)
    }

    /// The command with the identifiers that the account has at that version, where it is about one of them.
    pub(super) async fn with_identifiers(
        &self,
        head: &AccountHead,
        at: DateTime<Utc>,
        mut command: UserAccountCommand,
    ) -> Result<UserAccountCommand, AccountsError> {
        let read = async || self.journal.identifier_events(head).await;
        if let UserAccountCommand::RemoveIdentifier(RemoveIdentifier { held, .. }) = &mut command {
            *held = HeldIdentifiers::after(&Box::pin(until_available(read)).await?);
        }
        if let UserAccountCommand::UndoIdentifierChange(UndoIdentifierChange {
            change,
            former,
            held,
            taken,
            ..
        }) = &mut command
        {
            let events = Box::pin(until_available(read)).await?;
            *held = HeldIdentifiers::after(&events);
            *former = HeldIdentifiers::before_change(&events, *change);
            *taken = Box::pin(self.taken_elsewhere(head.account, former, at)).await?;
        }
        if let UserAccountCommand::ProposeIdentifierChange(ProposeIdentifierChange {
            identifier,
            held,
            taken,
            ..
        }) = &mut command
        {
            *held = HeldIdentifiers::after(&Box::pin(until_available(read)).await?);
            let wanted = HeldIdentifiers::from_iter([identifier.clone()]);
            *taken = !Box::pin(self.taken_elsewhere(head.account, &wanted, at)).await?.is_empty();
        }
        if let UserAccountCommand::ConfirmIdentifierChange(ConfirmIdentifierChange {
            proposal,
            held,
            proposed,
            ..
        })
        | UserAccountCommand::ApplyDueProposal(ApplyDueProposal { proposal, held, proposed, .. }) =
            &mut command
        {
            let events = Box::pin(until_available(read)).await?;
            *held = HeldIdentifiers::after(&events);
            *proposed = proposed_identifier(&events, *proposal);
        }
        Ok(command)
    }

    /// The kinds whose identifier another account has proved.
    async fn taken_elsewhere(
        &self,
        account: AccountId,
        identifiers: &HeldIdentifiers,
        at: DateTime<Utc>,
    ) -> Result<Vec<Channel>, AccountsError> {
        let mut taken = Vec::new();
        for channel in Channel::ALL {
            let Some(identifier) = identifiers.get(channel) else { continue };
            let address = AccountRef::Identifier(identifier.clone());
            let holder = until_available(|| self.journal.load_anew(&address, at)).await?.head;
            if holder.account != account && holder.state.member().is_some() {
                taken.push(channel);
            }
        }
        Ok(taken)
    }
}
