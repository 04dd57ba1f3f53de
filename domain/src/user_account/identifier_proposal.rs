//! A change of an account's identifiers that staff proposed, and what it comes to when it takes effect.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    AccountFact, ActingStaff, HeldIdentifiers, IdentifierFact, PersonalDetails, Refusal, SessionFact,
    SignOutReason, UserAccount, UserAccountEvent,
};
use crate::values::{Channel, Identifier, ProposalId};

/// After how long a change takes effect by itself where no other administrator can confirm it.
pub const PROPOSAL_WAIT: TimeDelta = TimeDelta::hours(24);

/// How long a proposal is open.
pub const PROPOSAL_LIFETIME: TimeDelta = TimeDelta::days(7);

/// What staff propose to do with an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProposedChange {
    /// The account gets an identifier of a kind of which it has none.
    Add,
    /// Another identifier takes the place of the account's one of that kind.
    Replace,
    /// The identifier finds the account no more, and is free.
    Release,
}

/// A proposal that is open. The state has the kind of the identifier alone; the sealed part of the event says which one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierProposal {
    /// The id of the proposal.
    pub id: ProposalId,
    /// What is to happen to the identifier.
    pub change: ProposedChange,
    /// The kind of the identifier.
    pub channel: Channel,
    /// The member of staff who proposed it.
    pub by: ActingStaff,
    /// When it takes effect where no other administrator can confirm it.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub due_at: DateTime<Utc>,
    /// When it is void.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub expires_at: DateTime<Utc>,
}

impl UserAccount {
    /// The proposal that is open at `now`.
    pub fn open_proposal(&self, now: DateTime<Utc>) -> Option<&IdentifierProposal> {
        let proposal = self.member()?.identifier_proposal.as_deref()?;
        (now < proposal.expires_at).then_some(proposal)
    }

    /// The proposal of that id, where it is open at `now`.
    pub(super) fn require_proposal(
        &self,
        id: ProposalId,
        now: DateTime<Utc>,
    ) -> Result<&IdentifierProposal, Refusal> {
        let open = self.open_proposal(now).filter(|proposal| proposal.id == id);
        open.ok_or(Refusal::UnknownProposal)
    }
}

/// The identifier that a proposal is about, as the sealed part of its event says. `None` once the keys are gone.
pub fn proposed_identifier(events: &[UserAccountEvent], wanted: ProposalId) -> Option<Identifier> {
    let of_it = events.iter().rev().find(|event| {
        matches!(&event.fact, AccountFact::Identifier(IdentifierFact::IdentifierChangeProposed { proposal, .. }) if *proposal == wanted)
    });
    let person = of_it?.person.clone()?;
    person.identifier.or(person.former)
}

/// The events of a proposal that takes effect: what the change is, and the ends of the sessions, as for a change that the user makes.
/// `event` makes an event, with by whom and from where it came.
pub(super) fn take_effect(
    state: &UserAccount,
    at: DateTime<Utc>,
    proposal: &IdentifierProposal,
    (held, proposed): (&HeldIdentifiers, Option<Identifier>),
    by: Option<&ActingStaff>,
    event: impl Fn(AccountFact, PersonalDetails) -> UserAccountEvent,
) -> Result<Vec<UserAccountEvent>, Refusal> {
    // The keys that open the identifier may be gone.
    let proposed = proposed.ok_or(Refusal::UnknownProposal)?;
    let (channel, former) = (proposal.channel, held.get(proposal.channel).cloned());
    let (fact, ended, person) = match proposal.change {
        ProposedChange::Add => {
            let person = PersonalDetails { identifier: Some(proposed), ..PersonalDetails::default() };
            (IdentifierFact::IdentifierAdded { channel }, None, person)
        }
        ProposedChange::Replace => {
            let person = PersonalDetails { identifier: Some(proposed), former, ..PersonalDetails::default() };
            (IdentifierFact::IdentifierReplaced { channel }, Some(SignOutReason::IdentifierReplaced), person)
        }
        ProposedChange::Release => {
            let person = PersonalDetails { former, ..PersonalDetails::default() };
            let removed = IdentifierFact::IdentifierRemoved { channel, by_undo: false };
            (removed, Some(SignOutReason::IdentifierRemoved), person)
        }
    };
    let confirmed = IdentifierFact::IdentifierChangeConfirmed { proposal: proposal.id, by: by.cloned() };
    let confirmed = event(AccountFact::Identifier(confirmed), PersonalDetails::default());
    let changed = event(AccountFact::Identifier(fact), person);
    let ends = ended.into_iter().flat_map(|reason| {
        state.live_sessions(at).map(move |session| SessionFact::LoggedOut {
            session: session.id,
            reason,
            expires_at: session.expires_at,
            by: by.cloned(),
        })
    });
    let ends = ends.map(|end| event(AccountFact::Session(end), PersonalDetails::default()));
    Ok([confirmed, changed].into_iter().chain(ends).collect())
}
