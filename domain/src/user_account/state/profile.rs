//! The part of the state that begins with the first proof of an identifier.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{ActiveAccount, CodeState, PendingAccount, RegisteredAccount, UserAccount};
use crate::user_account::{ProfileFact, RequestedErasure};

impl UserAccount {
    /// Takes in what happened to the account itself and its profile.
    pub(super) fn apply_profile_fact(&mut self, at: DateTime<Utc>, fact: &ProfileFact) {
        match fact {
            ProfileFact::UserRegistered { channel } => {
                let codes = std::mem::take(self.touch(at));
                let rule_refusals = self.rule_refusals().to_vec();
                let member = RegisteredAccount {
                    last_event_at: at,
                    codes,
                    known_codes: None,
                    identifiers: vec![*channel],
                    identifiers_released: self.identifiers_released(),
                    identifier_changes: None,
                    known_devices: Vec::new(),
                    first_session: None,
                    seen: Vec::new(),
                    language: None,
                    roles: BTreeSet::new(),
                    denials: Vec::new(),
                    rule_refusals,
                    reads: None,
                    identifier_proposal: None,
                    requested_erasure: None,
                    legal_hold: None,
                    second_factor: None,
                };
                *self = Self::Active(ActiveAccount { member, sessions: Vec::new() });
            }
            ProfileFact::ProfileUpdated {} => {
                self.touch(at);
            }
            ProfileFact::DataExported { session } => {
                self.touch(at);
                self.change_session(*session, |session| session.exported_at = Some(at));
            }
            ProfileFact::ErasureRequested { due_at, by } => {
                self.touch(at);
                if let Some(member) = self.member_mut() {
                    member.requested_erasure =
                        Some(Box::new(RequestedErasure { due_at: *due_at, by: by.clone() }));
                }
            }
            ProfileFact::ErasureCancelled {} => {
                self.touch(at);
                if let Some(member) = self.member_mut() {
                    member.requested_erasure = None;
                }
            }
            ProfileFact::AccountErased { by: _ } => {
                let held = self.member().map_or(0, |member| member.identifiers.len());
                let held = u32::try_from(held).unwrap_or(u32::MAX);
                // At least one more than before, so that whatever remembers the account by an identifier looks it up anew.
                *self = Self::Pending(PendingAccount {
                    last_event_at: at,
                    codes: CodeState::default(),
                    identifiers_released: self.identifiers_released().saturating_add(held.max(1)),
                    rule_refusals: Vec::new(),
                    erased_at: Some(at),
                });
            }
        }
    }
}
