//! Whose meters are counted on. Accounts, addresses, mailboxes and mail domains stand in the store as keyed hashes, never in the
//! clear. The prefix of a number stands there as it is: ten thousand numbers share it.

use std::net::IpAddr;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use counterfoil_domain::values::{AccountId, EmailAddress, PhoneNumber, Region};

use crate::crypto::keyring::{KeyPurpose, Keyring, MacKeys};

/// The subject of the meters that all share.
pub(super) const SERVICE: &str = "service";

/// Names subjects by keyed hashes.
#[derive(Clone, Debug)]
pub(super) struct SubjectNames(MacKeys);

impl SubjectNames {
    /// Under the active limit key. Where another becomes active, addresses and mailboxes are counted anew.
    pub(super) fn new(keyring: &Keyring) -> Self {
        Self(MacKeys::new(keyring, KeyPurpose::Limit, b"limits"))
    }

    /// Goes on with another keyring's keys, here and in every clone.
    pub(super) fn use_keyring(&self, keyring: &Keyring) {
        self.0.use_keyring(keyring);
    }

    /// An address: an IPv4 address, or the /64 that an IPv6 address lies in, since one customer has all of it.
    pub(super) fn address(&self, ip: IpAddr) -> String {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.hash(b"ip4 ", &ip.octets()),
            IpAddr::V6(ip) => self.hash(b"ip6 ", &ip.octets()[..8]),
        }
    }

    /// The hash of an account's id.
    pub(super) fn account(&self, account: AccountId) -> String {
        self.hash(b"account ", account.0.as_bytes())
    }

    /// The /48 that an IPv6 address lies in, above the /64: what a provider gives one site, which is many networks /64
    /// (RFC 6177). None for an IPv4 address.
    pub(super) fn network(&self, ip: IpAddr) -> Option<String> {
        match ip.to_canonical() {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => Some(self.hash(b"net6 ", &ip.octets()[..6])),
        }
    }

    /// The hash of the mailbox that messages to an address arrive in.
    pub(super) fn mailbox(&self, address: &EmailAddress) -> String {
        self.hash(b"mailbox ", address.mailbox().as_bytes())
    }

    /// The hash of the domain of an address.
    pub(super) fn mail_domain(&self, address: &EmailAddress) -> String {
        self.hash(b"mail domain ", address.domain().as_bytes())
    }

    fn hash(&self, kind: &[u8], value: &[u8]) -> String {
        let hash = hmac::sign(self.0.load().active().key(), &[kind, value].concat());
        URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])
    }
}

/// The prefix of a number, after its country: `IR.+98912123`.
pub(super) fn prefix(number: &PhoneNumber) -> String {
    format!("{}.{}", country(number.region()), number.prefix())
}

/// A country, as an ISO 3166-1 alpha-2 code; `001`, as in the numbering plan, where a number is no country's.
pub(super) fn country(region: Option<Region>) -> String {
    region.map_or_else(|| "001".to_owned(), |region| region.to_string())
}
