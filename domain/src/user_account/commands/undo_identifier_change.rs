//! Undo a change of identifiers that the owner did not make.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, HeldIdentifiers, IdentifierFact, PersonalDetails, Refusal, SignOutReason, UserAccount,
    UserAccountEvent,
};
use crate::values::{Channel, Client, Identifier};

/// Gives an account the identifiers that it had before a change, and ends all its sessions: the bearer of the link in the
/// notice of that change says that another person made it. What was changed later is undone with it.
///
/// A commit reserves one identifier. Where two are to be restored, the command restores one of them and names the other
/// ([`IdentifierChangeUndone`](crate::user_account::IdentifierFact::IdentifierChangeUndone)); given again, it restores that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoIdentifierChange {
    pub at: DateTime<Utc>,
    /// The number of the change, counted from the first that the account saw.
    pub change: u32,
    /// The identifiers that the account had before the change.
    pub former: HeldIdentifiers,
    /// The identifiers of the account as it stands.
    pub held: HeldIdentifiers,
    /// The kinds whose former identifier another account has proved meanwhile.
    pub taken: Vec<Channel>,
    /// From where it was asked.
    pub client: Client,
}

impl UndoIdentifierChange {
    /// Nothing happens where all that can be restored is restored and no session is left to be ended.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.undoable_change(self.change, at).ok_or(Refusal::ChangeNotUndoable)?;
        // The keys that open the identifiers may be gone.
        if Channel::ALL.iter().any(|kind| state.has(*kind) != self.held.get(*kind).is_some()) {
            return Err(Refusal::ChangeNotUndoable);
        }
        let (free, taken): (Vec<Channel>, Vec<Channel>) =
            self.missing().partition(|kind| !self.taken.contains(kind));
        let restored = free.first().copied();
        let not_restored: Vec<Channel> = free.iter().skip(1).chain(&taken).copied().collect();
        let removed = self.removed(&free);
        let ended: Vec<UserAccountEvent> = state
            .live_sessions(at)
            .map(|session| session.ended(at, SignOutReason::IdentifierChangeUndone, &self.client))
            .collect();
        if restored.is_none() && removed.is_empty() && ended.is_empty() && !not_restored.is_empty() {
            return Ok(Vec::new());
        }
        let event = |fact, person| UserAccountEvent { at, fact, person, client: Some(self.client.clone()) };
        let person = |identifier: Option<&Identifier>, former: Option<&Identifier>| {
            Some(PersonalDetails {
                identifier: identifier.cloned(),
                former: former.cloned(),
                ..PersonalDetails::default()
            })
        };
        let undone = AccountFact::Identifier(IdentifierFact::IdentifierChangeUndone {
            change: self.change,
            not_restored,
        });
        let restored = restored.map(|channel| {
            let person = person(self.former.get(channel), self.held.get(channel));
            event(AccountFact::Identifier(IdentifierFact::IdentifierRestored { channel }), person)
        });
        let removed = removed.into_iter().map(|channel| {
            let person = person(None, self.held.get(channel));
            event(
                AccountFact::Identifier(IdentifierFact::IdentifierRemoved { channel, by_undo: true }),
                person,
            )
        });
        Ok([event(undone, None)].into_iter().chain(restored).chain(removed).chain(ended).collect())
    }

    /// The kinds of which the account had another identifier, or has none any more.
    fn missing(&self) -> impl Iterator<Item = Channel> {
        Channel::ALL
            .into_iter()
            .filter(|kind| self.former.get(*kind).is_some() && self.former.get(*kind) != self.held.get(*kind))
    }

    /// The kinds whose identifier came with the change or later and goes without another in its place; but not the last
    /// identifier of the account.
    fn removed(&self, free: &[Channel]) -> Vec<Channel> {
        let is_former = |kind: &Channel| self.held.get(*kind) == self.former.get(*kind);
        let (kept, added): (Vec<Channel>, Vec<Channel>) = Channel::ALL
            .into_iter()
            .filter(|kind| self.held.get(*kind).is_some() && !free.contains(kind))
            .partition(is_former);
        let has_other = !kept.is_empty() || !free.is_empty();
        added.into_iter().skip(usize::from(!has_other)).collect()
    }
}
