//! The numbers that the shared limits go by.

use crate::delivery::Price;
use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::values::Region;

/// So many at once, and then so many a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// How many a minute after that.
    pub per_minute: u32,
}

/// The rates of operations that write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WritePolicy {
    /// The rate of one account.
    pub per_account: Rate,
    /// The rate of one address: an IPv4 address, or a /64 of IPv6.
    pub per_address: Rate,
}

impl Rate {
    /// The part of the rate that a node grants by itself where nodes count together: a third at once, a fifth a minute. Callers
    /// who write no more than that cost the shared store nothing.
    pub(super) fn node_share(self) -> Self {
        Self { burst: self.burst / 3, per_minute: (self.per_minute / 5).max(1) }
    }

    /// The part of the rate that all nodes count together: what the share of one node leaves.
    pub(super) fn shared_part(self) -> Self {
        Self { burst: self.burst - self.burst / 3, per_minute: self.per_minute - self.per_minute / 5 }
    }
}

impl WritePolicy {
    /// The shares of one node, for accounts and for addresses.
    pub(super) fn node_share(self) -> Self {
        Self { per_account: self.per_account.node_share(), per_address: self.per_address.node_share() }
    }
}

/// The limits. Those that are not set are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitPolicy {
    /// Codes asked for from one address.
    pub codes_per_address: Rate,
    /// Codes tried from one address.
    pub tries_per_address: Rate,
    /// Codes asked for from one /48 of IPv6.
    pub codes_per_network: Rate,
    /// Codes tried from one /48 of IPv6.
    pub tries_per_network: Rate,
    /// The rates of operations that are put on record.
    pub writes: WritePolicy,
    /// Codes sent to the numbers of one prefix, in an hour.
    pub codes_per_prefix: u32,
    /// Codes sent to one mailbox in a day, at whichever of its sub-addresses.
    pub codes_per_mailbox: u32,
    /// Codes sent to the addresses of one mail domain in an hour.
    pub codes_per_mail_domain: u32,
    /// The domains of mail providers, in lower case, for which `codes_per_mail_domain` does not count.
    pub mail_providers: BTreeSet<String>,
    /// Where text messages are sent to; everywhere when empty.
    pub countries: Vec<Region>,
    /// Text messages to a country in a day (UTC), by its ISO 3166-1 alpha-2 code.
    pub messages_per_country: BTreeMap<String, u32>,
    /// Codes sent to one country, in a minute.
    pub country_codes_per_minute: u32,
    /// Codes sent to one country, in an hour.
    pub country_codes_per_hour: u32,
    /// Codes of the whole service, in a minute.
    pub codes_per_minute: u32,
    /// Codes of the whole service, in an hour.
    pub codes_per_hour: u32,
    /// Text messages of the whole service, in a day (UTC).
    pub messages_per_day: Option<u32>,
    /// What they may cost in a day (UTC).
    pub money_per_day: Option<Price>,
    /// E-mail messages of the whole service, in a day (UTC).
    pub emails_per_day: Option<u32>,
    /// The share of each daily budget that is kept for identifiers that have signed in before, in percent.
    pub reserve_percent: u32,
    /// Wrong codes of the whole service in an hour, above which an alarm is raised and guessing is slowed down.
    pub wrong_codes_per_hour: u32,
    /// From how many codes sent within a day on a prefix has to show that people redeem them.
    pub conversion_from: u32,
    /// The share of them that has to be redeemed, in percent.
    pub conversion_percent: u32,
}
