//! The phone numbers and e-mail addresses by which an account is found.

use std::ops::Not;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::user_account::{ActingStaff, ProposedChange};
use crate::values::{ChallengeNonce, Channel, ProposalId};

/// What happened to the identifiers of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum IdentifierFact {
    /// The user asked for a code to go to an identifier, to add it or to put it in the place of the account's one of that
    /// kind. Any code before it for that is void.
    IdentifierRequested {
        /// Which kind of identifier.
        channel: Channel,
        /// The challenge's nonce, from which the code is derived.
        nonce: ChallengeNonce,
        /// When the code stops working.
        expires_at: DateTime<Utc>,
    },
    /// An identifier of a kind that the account had none of was proved: it finds the account from here on.
    IdentifierAdded {
        /// The kind of the identifier.
        channel: Channel,
    },
    /// An identifier was proved and took the place of the former one, which finds the account no more.
    IdentifierReplaced {
        /// The kind of both.
        channel: Channel,
    },
    /// An identifier was removed: it finds the account no more, and nothing takes its place.
    IdentifierRemoved {
        /// The kind of the identifier.
        channel: Channel,
        /// Whether it went because the change that brought it was undone.
        #[serde(default, skip_serializing_if = "Not::not")]
        by_undo: bool,
    },
    /// By the link in the notice of a change of identifiers it was said that the owner had not made the change: the
    /// account has the identifiers that it had before, as the events of the same commit say, and all sessions end.
    IdentifierChangeUndone {
        /// The number of the change among all changes of the account, from 1. Later ones are undone with it.
        change: u32,
        /// The kinds whose former identifier is not restored with this event: another account has proved it, or a commit
        /// after this one restores it. While there are any, the link goes on working.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_restored: Vec<Channel>,
    },
    /// A former identifier finds the account again, in the place of the one that it has of that kind.
    IdentifierRestored {
        /// The kind of the identifier.
        channel: Channel,
    },
    /// A member of staff proposed another identifier for the account, since its user cannot change it. Nothing changes yet.
    IdentifierChangeProposed {
        /// The id of the proposal.
        proposal: ProposalId,
        /// What is to happen to the identifier.
        change: ProposedChange,
        /// The kind of the identifier.
        channel: Channel,
        /// When it takes effect where no other administrator can confirm it.
        due_at: DateTime<Utc>,
        /// When the proposal is void.
        expires_at: DateTime<Utc>,
        /// The member of staff who proposed it.
        by: ActingStaff,
    },
    /// A proposed change takes effect, as the events of the same commit say.
    IdentifierChangeConfirmed {
        /// The id of the proposal.
        proposal: ProposalId,
        /// The second member of staff; absent where its wait was over and no other administrator was there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<ActingStaff>,
    },
    /// A proposed change was withdrawn.
    IdentifierChangeWithdrawn {
        /// The id of the proposal.
        proposal: ProposalId,
        /// The member of staff who withdrew it.
        by: ActingStaff,
    },
    /// The identifier that was not proved here finds this account no more: another account proved it, or it lapsed.
    IdentifierReleased {
        /// The kind of the identifier.
        channel: Channel,
        /// Whether it lapsed: it was never proved, and no code was asked for in a long time.
        #[serde(default, skip_serializing_if = "Not::not")]
        lapsed: bool,
    },
}
