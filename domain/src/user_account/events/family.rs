//! The stored form of a fact: an object of one member, whose name is the kind of the event. The family is not stored.

use std::fmt;

use serde::de::value::{EnumAccessDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, EnumAccess, Error, IntoDeserializer, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer};
use strum::VariantNames;

use super::{
    AccountFact, CodeFact, IdentifierFact, ProfileFact, SecondFactorFact, SessionFact, StaffFact,
    StaffRecordFact,
};

/// The names of the events of all families.
pub(super) const NAMES: [&str; COUNT] = all_names();

const FAMILIES: [&[&str]; 7] = [
    SessionFact::VARIANTS,
    CodeFact::VARIANTS,
    IdentifierFact::VARIANTS,
    SecondFactorFact::VARIANTS,
    ProfileFact::VARIANTS,
    StaffFact::VARIANTS,
    StaffRecordFact::VARIANTS,
];

const COUNT: usize = {
    let (mut count, mut family) = (0, 0);
    while family < FAMILIES.len() {
        count += FAMILIES[family].len();
        family += 1;
    }
    count
};

const fn all_names() -> [&'static str; COUNT] {
    let (mut names, mut count, mut family) = ([""; COUNT], 0, 0);
    while family < FAMILIES.len() {
        let mut nth = 0;
        while nth < FAMILIES[family].len() {
            names[count] = FAMILIES[family][nth];
            (count, nth) = (count + 1, nth + 1);
        }
        family += 1;
    }
    names
}

/// Reads the name of the event and hands its fields to the family that has an event of that name. Nothing is buffered, as
/// it would be for an untagged enum: a refresh reads facts.
impl<'de> Deserialize<'de> for AccountFact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("AccountFact", &NAMES, FactVisitor)
    }
}

struct FactVisitor;

impl<'de> Visitor<'de> for FactVisitor {
    type Value = AccountFact;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of one member, which is named after the event")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<AccountFact, A::Error> {
        let (EventName(name), fields) = access.variant()?;
        let is_of = |family: &[&str]| family.contains(&name);
        let fact = EnumAccessDeserializer::new(NamedFields { name, fields });
        if is_of(SessionFact::VARIANTS) {
            Deserialize::deserialize(fact).map(AccountFact::Session)
        } else if is_of(CodeFact::VARIANTS) {
            Deserialize::deserialize(fact).map(AccountFact::Code)
        } else if is_of(IdentifierFact::VARIANTS) {
            Deserialize::deserialize(fact).map(AccountFact::Identifier)
        } else if is_of(SecondFactorFact::VARIANTS) {
            Deserialize::deserialize(fact).map(AccountFact::SecondFactor)
        } else if is_of(ProfileFact::VARIANTS) {
            Deserialize::deserialize(fact).map(AccountFact::Profile)
        } else if is_of(StaffFact::VARIANTS) {
            Deserialize::deserialize(fact).map(AccountFact::Staff)
        } else {
            Deserialize::deserialize(fact).map(AccountFact::StaffRecord)
        }
    }
}

/// The name of an event, as it stands in [`NAMES`].
struct EventName(&'static str);

impl<'de> Deserialize<'de> for EventName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(EventNameVisitor)
    }
}

struct EventNameVisitor;

impl Visitor<'_> for EventNameVisitor {
    type Value = EventName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an event")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<EventName, E> {
        let known = NAMES.into_iter().find(|name| *name == text);
        known.map(EventName).ok_or_else(|| E::unknown_variant(text, &NAMES))
    }
}

/// The fields of an event whose name has been read.
struct NamedFields<V> {
    name: &'static str,
    fields: V,
}

impl<'de, V: VariantAccess<'de>> EnumAccess<'de> for NamedFields<V> {
    type Error = V::Error;
    type Variant = V;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, V), V::Error> {
        let name: StrDeserializer<'_, V::Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self.fields))
    }
}
