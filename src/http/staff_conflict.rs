//! What keeps an intervention of staff from being done, although the caller may do it. Only staff get these answers.

/// Why an intervention conflicts with what is so now. Each answers 409.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaffConflict {
    /// More sessions match than the caller expected: so many.
    MoreMatched(u32),
    /// The account has an identifier of the kind that is to be added.
    IdentifierHeld,
    /// The account does not have what is to be replaced or released.
    IdentifierNotHeld,
    /// A proposed change of the account's identifiers is open.
    ProposalOpen,
    /// The caller proposed what another member of staff has to confirm.
    OwnProposal,
}

impl StaffConflict {
    /// The stable code, which is also the name of its message.
    pub const fn code(self) -> &'static str {
        match self {
            Self::MoreMatched(_) => "more_matched",
            Self::IdentifierHeld => "identifier_held",
            Self::IdentifierNotHeld => "identifier_not_held",
            Self::ProposalOpen => "proposal_open",
            Self::OwnProposal => "own_proposal",
        }
    }

    /// How many sessions match now, where that is what conflicts.
    pub const fn matched(self) -> Option<u32> {
        match self {
            Self::MoreMatched(matched) => Some(matched),
            Self::IdentifierHeld | Self::IdentifierNotHeld | Self::ProposalOpen | Self::OwnProposal => None,
        }
    }
}
