//! The part of the state that keeps which kinds of identifier an account has.

use chrono::{DateTime, Utc};

use super::codes::record;
use super::{ActiveAccount, Challenge, PendingAccount, RegisteredAccount, SuspendedAccount, UserAccount};
use crate::user_account::wrong_codes::WrongCodes;
use crate::user_account::{IdentifierFact, IdentifierProposal, Purpose};

impl UserAccount {
    /// Takes in what happened to the identifiers.
    pub(super) fn apply_identifier_fact(&mut self, at: DateTime<Utc>, fact: &IdentifierFact) {
        self.apply_to_proposal(fact);
        match fact {
            IdentifierFact::IdentifierChangeProposed { .. }
            | IdentifierFact::IdentifierChangeConfirmed { .. }
            | IdentifierFact::IdentifierChangeWithdrawn { .. } => {
                self.touch(at);
            }
            IdentifierFact::IdentifierRequested { channel, nonce, expires_at } => {
                let codes = self.touch(at);
                codes.adding = Some(Challenge::new(*channel, *nonce, *expires_at));
                record(&mut codes.sent_elsewhere, at);
                codes.counters_mut(*channel).recorded_refusal = None;
                if let Some(codes) = self.member_mut().and_then(|member| member.known_codes.as_mut()) {
                    codes.counters_mut(*channel).recorded_refusal = None;
                }
            }
            IdentifierFact::IdentifierAdded { channel } => {
                self.touch(at).redeem(Purpose::AddIdentifier, at, None);
                if !self.has(*channel)
                    && let Some(member) = self.member_mut()
                {
                    member.identifiers.push(*channel);
                }
            }
            IdentifierFact::IdentifierChangeUndone { change, not_restored } => {
                self.touch(at);
                if let Some(member) = self.member_mut()
                    && let Some(changes) = &mut member.identifier_changes
                {
                    changes.undo(*change, not_restored.is_empty());
                }
            }
            IdentifierFact::IdentifierReplaced { channel }
            | IdentifierFact::IdentifierRemoved { channel, .. }
            | IdentifierFact::IdentifierRestored { channel }
            | IdentifierFact::IdentifierReleased { channel, lapsed: _ } => {
                let codes = self.touch(at);
                // The link went to the former identifier, and strangers tried wrong codes for it. Those of known devices stay: a
                // device would otherwise guess at the codes of an identifier to be added, and replace another one in between.
                codes.counters_mut(*channel).unlock_link = None;
                codes.counters_mut(*channel).wrong = WrongCodes::default();
                if matches!(fact, IdentifierFact::IdentifierReplaced { .. }) {
                    codes.redeem(Purpose::AddIdentifier, at, None);
                }
                (codes.challenge, codes.adding, codes.reauthentication) = (None, None, None);
                if let Some(member) = self.member_mut() {
                    // The holder of one of them may be why the identifier was replaced or removed.
                    member.known_devices.clear();
                    member.known_codes =
                        member.known_codes.take().and_then(|codes| codes.wrong_codes_alone());
                    if matches!(fact, IdentifierFact::IdentifierRemoved { .. }) {
                        member.identifiers.retain(|kept| kept != channel);
                    }
                    if matches!(fact, IdentifierFact::IdentifierRestored { .. })
                        && !member.identifiers.contains(channel)
                    {
                        member.identifiers.push(*channel);
                    }
                }
                match self {
                    Self::Pending(PendingAccount { identifiers_released, .. })
                    | Self::Active(ActiveAccount {
                        member: RegisteredAccount { identifiers_released, .. },
                        ..
                    })
                    | Self::Suspended(SuspendedAccount {
                        member: RegisteredAccount { identifiers_released, .. },
                        ..
                    }) => {
                        *identifiers_released = identifiers_released.saturating_add(1);
                    }
                    Self::Unknown => {}
                }
            }
        }
    }

    /// Keeps the proposal of staff that is open. A change of the identifiers makes it void: it was proposed for what the account had.
    fn apply_to_proposal(&mut self, fact: &IdentifierFact) {
        let open = match fact {
            IdentifierFact::IdentifierRequested { .. } | IdentifierFact::IdentifierReleased { .. } => return,
            IdentifierFact::IdentifierChangeProposed {
                proposal,
                change,
                channel,
                due_at,
                expires_at,
                by,
            } => {
                let by = by.clone();
                let (id, change, channel) = (*proposal, *change, *channel);
                let (due_at, expires_at) = (*due_at, *expires_at);
                Some(Box::new(IdentifierProposal { id, change, channel, by, due_at, expires_at }))
            }
            IdentifierFact::IdentifierAdded { .. }
            | IdentifierFact::IdentifierReplaced { .. }
            | IdentifierFact::IdentifierRemoved { .. }
            | IdentifierFact::IdentifierRestored { .. }
            | IdentifierFact::IdentifierChangeUndone { .. }
            | IdentifierFact::IdentifierChangeConfirmed { .. }
            | IdentifierFact::IdentifierChangeWithdrawn { .. } => None,
        };
        if let Some(member) = self.member_mut() {
            member.identifier_proposal = open;
        }
    }
}
