//! The identifiers of an account, read from the sealed parts of its events.

use super::{AccountFact, IdentifierFact, ProfileFact, UserAccountEvent};
use crate::values::{Channel, Identifier};

/// The identifiers that an account has: at most one of each kind.
///
/// The state of an account has only their kinds, because it holds nothing personal. Decisions about one identifier get
/// them beside the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldIdentifiers {
    phone: Option<Identifier>,
    email: Option<Identifier>,
}

impl HeldIdentifiers {
    /// The names of the events that say which identifiers an account has, or is to have.
    pub const EVENTS: [&'static str; 6] = [
        "UserRegistered",
        "IdentifierAdded",
        "IdentifierReplaced",
        "IdentifierRemoved",
        "IdentifierRestored",
        "IdentifierChangeProposed",
    ];

    /// The identifiers of an account after these events of it, in their order. Only events named in [`Self::EVENTS`]
    /// matter. An identifier whose event cannot be opened any more is absent.
    pub fn after<'a>(events: impl IntoIterator<Item = &'a UserAccountEvent>) -> Self {
        let mut held = Self::default();
        for event in events {
            held.take(event);
        }
        held
    }

    /// The identifiers of an account before the change of that number, counted from 1.
    pub fn before_change(events: &[UserAccountEvent], number: u32) -> Self {
        let mut changes = 0_u32;
        Self::after(events.iter().take_while(|event| {
            changes += u32::from(event.changes_identifiers());
            changes < number
        }))
    }

    /// The identifier of that kind.
    pub fn get(&self, channel: Channel) -> Option<&Identifier> {
        match channel {
            Channel::Phone => self.phone.as_ref(),
            Channel::Email => self.email.as_ref(),
        }
    }

    fn take(&mut self, event: &UserAccountEvent) {
        let identifier = || event.person.as_ref().and_then(|person| person.identifier.clone());
        if let AccountFact::Profile(ProfileFact::UserRegistered { channel })
        | AccountFact::Identifier(
            IdentifierFact::IdentifierAdded { channel }
            | IdentifierFact::IdentifierReplaced { channel }
            | IdentifierFact::IdentifierRestored { channel },
        ) = event.fact
        {
            *self.slot_mut(channel) = identifier();
        }
        if let AccountFact::Identifier(IdentifierFact::IdentifierRemoved { channel, .. }) = event.fact {
            *self.slot_mut(channel) = None;
        }
    }

    fn slot_mut(&mut self, channel: Channel) -> &mut Option<Identifier> {
        match channel {
            Channel::Phone => &mut self.phone,
            Channel::Email => &mut self.email,
        }
    }
}

impl FromIterator<Identifier> for HeldIdentifiers {
    fn from_iter<T: IntoIterator<Item = Identifier>>(identifiers: T) -> Self {
        let mut held = Self::default();
        for identifier in identifiers {
            let channel = identifier.channel();
            *held.slot_mut(channel) = Some(identifier);
        }
        held
    }
}
