//! What can be blocked.

use std::net::IpAddr;

use counterfoil_domain::user_account::BlockKind;
use counterfoil_domain::values::{EmailAddress, Identifier, MailDomain, PhoneNumber, PhonePrefix, Region};
use ipnet::{IpNet, Ipv6Net};

use crate::runtime::network;

/// What staff block from getting and trying codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockedSubject {
    /// The numbers that begin with a prefix.
    Prefix(PhonePrefix),
    /// A single phone number.
    PhoneNumber(PhoneNumber),
    /// One mailbox, at whichever of its sub-addresses.
    Email(EmailAddress),
    /// The addresses of a network.
    Network(IpNet),
    /// The e-mail addresses of a domain and of the domains below it.
    MailDomain(MailDomain),
    /// The numbers of a country.
    Country(Region),
}

impl BlockedSubject {
    /// The network of an address or of a text in CIDR notation. One IPv6 address stands for the /64 that it lies in, since one
    /// customer has all of it.
    pub fn from_network(network: IpNet) -> Self {
        let canonical = match network {
            IpNet::V6(single) if single.prefix_len() == 128 => {
                Ipv6Net::new(single.addr(), 64).map_or(network, IpNet::V6)
            }
            IpNet::V4(_) | IpNet::V6(_) => network,
        };
        Self::Network(canonical.trunc())
    }

    /// The mailbox of an address.
    pub fn from_email(address: EmailAddress) -> Self {
        Self::Email(EmailAddress::parse(&address.mailbox()).unwrap_or(address))
    }

    /// What kind of subject it is.
    pub fn kind(&self) -> BlockKind {
        match self {
            Self::Prefix(_) => BlockKind::Prefix,
            Self::PhoneNumber(_) => BlockKind::PhoneNumber,
            Self::Email(_) => BlockKind::Email,
            Self::Network(_) => BlockKind::IpAddress,
            Self::MailDomain(_) => BlockKind::MailDomain,
            Self::Country(_) => BlockKind::Country,
        }
    }

    /// The subject as people read it; its kind and this text are the whole subject.
    pub fn text(&self) -> String {
        match self {
            Self::Prefix(prefix) => prefix.to_string(),
            Self::PhoneNumber(number) => number.as_str().to_owned(),
            Self::Email(address) => address.as_str().to_owned(),
            Self::Network(IpNet::V4(network)) if network.prefix_len() == 32 => network.addr().to_string(),
            Self::Network(network) => network.to_string(),
            Self::MailDomain(domain) => domain.to_string(),
            Self::Country(region) => region.to_string(),
        }
    }

    /// Reads a subject from its kind and its text.
    pub fn parse(kind: BlockKind, text: &str) -> Option<Self> {
        Some(match kind {
            BlockKind::Prefix => Self::Prefix(PhonePrefix::parse(text).ok()?),
            BlockKind::PhoneNumber => Self::PhoneNumber(PhoneNumber::parse(text, None).ok()?),
            BlockKind::Email => Self::from_email(EmailAddress::parse(text).ok()?),
            BlockKind::IpAddress => Self::from_network(network::parse(text).ok()?),
            BlockKind::MailDomain => Self::MailDomain(MailDomain::parse(text).ok()?),
            BlockKind::Country => Self::Country(Region::parse(text)?),
        })
    }

    /// Whether the subject may stand in an event in the clear: it leads to no person.
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Prefix(_) | Self::Country(_))
    }

    /// Whether a code to that identifier is blocked.
    pub fn covers(&self, identifier: &Identifier) -> bool {
        match (self, identifier) {
            (Self::Prefix(prefix), Identifier::Phone(number)) => prefix.covers(number),
            (Self::PhoneNumber(blocked), Identifier::Phone(number)) => blocked == number,
            (Self::Country(region), Identifier::Phone(number)) => number.region() == Some(*region),
            (Self::Email(blocked), Identifier::Email(address)) => blocked.mailbox() == address.mailbox(),
            (Self::MailDomain(domain), Identifier::Email(address)) => domain.covers(address),
            (
                Self::Prefix(_)
                | Self::PhoneNumber(_)
                | Self::Country(_)
                | Self::Email(_)
                | Self::MailDomain(_)
                | Self::Network(_),
                _,
            ) => false,
        }
    }

    /// Whether a client at that address is blocked.
    pub fn covers_address(&self, ip: IpAddr) -> bool {
        matches!(self, Self::Network(network) if network.contains(&ip.to_canonical()))
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_domain::user_account::BlockKind;
    use counterfoil_domain::values::{EmailAddress, Identifier, PhoneNumber};

    use super::BlockedSubject;

    fn blocked(kind: BlockKind, text: &str) -> BlockedSubject {
        BlockedSubject::parse(kind, text).expect(text)
    }

    #[test]
    fn a_subject_is_read_back_from_its_text() {
        for (kind, text) in [
            (BlockKind::Prefix, "+98912"),
            (BlockKind::PhoneNumber, "+989121234567"),
            (BlockKind::Email, "ada@example.com"),
            (BlockKind::IpAddress, "192.0.2.44"),
            (BlockKind::IpAddress, "192.0.2.0/24"),
            (BlockKind::IpAddress, "2001:db8:1:2::/64"),
            (BlockKind::MailDomain, "example.com"),
            (BlockKind::Country, "IR"),
        ] {
            let subject = blocked(kind, text);
            assert_eq!((subject.kind(), subject.text().as_str()), (kind, text));
        }
        assert_eq!(blocked(BlockKind::IpAddress, "2001:db8:1:2::3").text(), "2001:db8:1:2::/64");
        assert_eq!(blocked(BlockKind::IpAddress, "192.0.2.7/24").text(), "192.0.2.0/24");
    }

    #[test]
    fn a_subject_covers_what_it_names_and_nothing_else() {
        let number = Identifier::Phone(PhoneNumber::parse("+989121234567", None).expect("a number"));
        let address =
            Identifier::Email(EmailAddress::parse("ada+shop@mail.example.com").expect("an address"));
        for (kind, text, covers_number, covers_address) in [
            (BlockKind::Prefix, "+98912", true, false),
            (BlockKind::Prefix, "+98913", false, false),
            (BlockKind::PhoneNumber, "+989121234567", true, false),
            (BlockKind::PhoneNumber, "+989121234568", false, false),
            (BlockKind::Country, "IR", true, false),
            (BlockKind::Country, "FR", false, false),
            (BlockKind::Email, "ada@mail.example.com", false, true),
            (BlockKind::Email, "bob@mail.example.com", false, false),
            (BlockKind::MailDomain, "example.com", false, true),
            (BlockKind::IpAddress, "0.0.0.0/0", false, false),
        ] {
            let subject = blocked(kind, text);
            assert_eq!(subject.covers(&number), covers_number, "{text}");
            assert_eq!(subject.covers(&address), covers_address, "{text}");
        }
        let network = blocked(BlockKind::IpAddress, "192.0.2.0/24");
        for (ip, covers) in
            [("192.0.2.255", true), ("192.0.3.1", false), ("::ffff:192.0.2.1", true), ("::1", false)]
        {
            assert_eq!(network.covers_address(ip.parse().expect("an address")), covers, "{ip}");
        }
    }
}
