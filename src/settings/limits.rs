//! The section `limits`: what all nodes count together.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::values::{Channel, EmailAddress, Region};

use super::raw::raw_section;
use super::words::Words;
use super::{Environment, SettingsError, invalid};
use crate::crypto::secret::{Secret, UrlWithPassword};
use crate::delivery::{DeliverySettings, Price};
use crate::limits::{LimitPolicy, LimitStore, Rate, WritePolicy};
use crate::runtime::network::is_this_machine;

/// The word that stands in the list of countries for all of them.
const ALL_COUNTRIES: &str = "*";

raw_section!(RawLimits {
    shared: String,
    store: String,
    redis_url: Option<Secret<UrlWithPassword>>,
    codes_burst: u32,
    codes_per_minute: u32,
    tries_burst: u32,
    tries_per_minute: u32,
    network_codes_burst: u32,
    network_codes_per_minute: u32,
    network_tries_burst: u32,
    network_tries_per_minute: u32,
    codes_per_prefix: u32,
    codes_per_mailbox: u32,
    codes_per_mail_domain: u32,
    mail_providers: Words,
    countries: Words,
    messages_per_country: BTreeMap<String, u32>,
    country_codes_per_minute: u32,
    country_codes_per_hour: u32,
    service_codes_per_minute: u32,
    service_codes_per_hour: u32,
    messages_per_day: Option<u32>,
    money_per_day: Option<String>,
    emails_per_day: Option<u32>,
    reserve_percent: u32,
    writes_burst: u32,
    writes_per_minute: u32,
    address_writes_burst: u32,
    address_writes_per_minute: u32,
    wrong_codes_per_hour: u32,
    conversion_from: u32,
    conversion_percent: u32,
});

/// The section `limits`, checked.
pub(super) struct LimitSettings {
    /// The limits that all nodes share, and where they are counted; none where they are off.
    pub shared: Option<(LimitPolicy, LimitStore)>,
    pub writes: WritePolicy,
}

impl RawLimits {
    pub fn check(
        self,
        environment: Environment,
        delivery: &DeliverySettings,
    ) -> Result<LimitSettings, SettingsError> {
        let are_shared = match (self.shared.as_str(), environment) {
            ("on", _) => true,
            ("off", Environment::Development) => false,
            ("off", Environment::Production) => {
                return Err(invalid("limits.shared", "can be off in the development profile only"));
            }
            _ => return Err(invalid("limits.shared", "is `on` or `off`")),
        };
        if environment == Environment::Production {
            require_budgets(&self, delivery)?;
        }
        let writes = WritePolicy {
            per_account: rate(
                ("limits.writes_burst", self.writes_burst),
                ("limits.writes_per_minute", self.writes_per_minute),
            )?,
            per_address: rate(
                ("limits.address_writes_burst", self.address_writes_burst),
                ("limits.address_writes_per_minute", self.address_writes_per_minute),
            )?,
        };
        let (policy, store) = self.policy(writes)?;
        Ok(LimitSettings { shared: are_shared.then_some((policy, store)), writes })
    }

    fn policy(self, writes: WritePolicy) -> Result<(LimitPolicy, LimitStore), SettingsError> {
        let store = store(&self.store, self.redis_url)?;
        if self.conversion_percent > 100 {
            return Err(invalid("limits.conversion_percent", "must be 0 to 100"));
        }
        if self.reserve_percent > 90 {
            return Err(invalid("limits.reserve_percent", "must be 0 to 90"));
        }
        let policy = LimitPolicy {
            codes_per_address: rate(
                ("limits.codes_burst", self.codes_burst),
                ("limits.codes_per_minute", self.codes_per_minute),
            )?,
            tries_per_address: rate(
                ("limits.tries_burst", self.tries_burst),
                ("limits.tries_per_minute", self.tries_per_minute),
            )?,
            codes_per_network: rate(
                ("limits.network_codes_burst", self.network_codes_burst),
                ("limits.network_codes_per_minute", self.network_codes_per_minute),
            )?,
            tries_per_network: rate(
                ("limits.network_tries_burst", self.network_tries_burst),
                ("limits.network_tries_per_minute", self.network_tries_per_minute),
            )?,
            writes,
            codes_per_prefix: positive("limits.codes_per_prefix", self.codes_per_prefix)?,
            codes_per_mailbox: positive("limits.codes_per_mailbox", self.codes_per_mailbox)?,
            codes_per_mail_domain: positive("limits.codes_per_mail_domain", self.codes_per_mail_domain)?,
            mail_providers: mail_providers(self.mail_providers)?,
            countries: countries(self.countries)?,
            messages_per_country: messages_per_country(self.messages_per_country)?,
            country_codes_per_minute: self.country_codes_per_minute,
            country_codes_per_hour: self.country_codes_per_hour,
            codes_per_minute: self.service_codes_per_minute,
            codes_per_hour: self.service_codes_per_hour,
            messages_per_day: self.messages_per_day,
            money_per_day: self.money_per_day.map(money).transpose()?,
            emails_per_day: self.emails_per_day,
            reserve_percent: self.reserve_percent,
            wrong_codes_per_hour: self.wrong_codes_per_hour,
            conversion_from: positive("limits.conversion_from", self.conversion_from)?,
            conversion_percent: self.conversion_percent,
        };
        Ok((policy, store))
    }
}

fn store(store: &str, redis_url: Option<Secret<UrlWithPassword>>) -> Result<LimitStore, SettingsError> {
    match (store, redis_url) {
        ("postgres", _) => Ok(LimitStore::Postgres),
        ("redis", None) => Err(invalid("limits.redis_url", "is missing")),
        ("redis", Some(url)) => Ok(LimitStore::Redis(Box::new(redis_server(url.expose().as_str())?))),
        _ => Err(invalid("limits.store", "is `postgres` or `redis`")),
    }
}

fn redis_server(url: &str) -> Result<redis::Client, SettingsError> {
    let refused = |problem| invalid("limits.redis_url", problem);
    let server = redis::Client::open(url).map_err(|_| refused("is no redis:// URL"))?;
    let address = server.get_connection_info().addr();
    let private = if let redis::ConnectionAddr::Tcp(host, _) = address {
        is_this_machine(host)
    } else {
        let encrypted = matches!(address, redis::ConnectionAddr::TcpTls { insecure: false, .. });
        encrypted || matches!(address, redis::ConnectionAddr::Unix(_))
    };
    if private { Ok(server) } else { Err(refused("must be rediss://; redis:// is for this machine only")) }
}

fn countries(listed: Words) -> Result<Vec<Region>, SettingsError> {
    let listed = listed.into_list();
    if listed.iter().any(|code| code == ALL_COUNTRIES) {
        return match listed.len() {
            1 => Ok(Vec::new()),
            _ => Err(invalid("limits.countries", "is [\"*\"] for all countries, or the codes of some")),
        };
    }
    let regions = listed.iter().map(|code| {
        let unknown =
            || invalid("limits.countries", &format!("{code:?} is not a two-letter code such as IR"));
        Region::parse(code).ok_or_else(unknown)
    });
    regions.collect()
}

fn messages_per_country(given: BTreeMap<String, u32>) -> Result<BTreeMap<String, u32>, SettingsError> {
    let budgets = given.into_iter().map(|(code, messages)| {
        let unknown =
            || invalid("limits.messages_per_country", &format!("{code:?} is not a two-letter code"));
        Ok((Region::parse(&code).ok_or_else(unknown)?.to_string(), messages))
    });
    budgets.collect()
}

fn mail_providers(listed: Words) -> Result<BTreeSet<String>, SettingsError> {
    let domains = listed.into_list().into_iter().map(|domain| {
        let address = EmailAddress::parse(&format!("anyone@{domain}"));
        let unknown =
            |_| invalid("limits.mail_providers", &format!("{domain:?} is not a domain such as mail.example"));
        Ok(address.map_err(unknown)?.domain().to_owned())
    });
    domains.collect()
}

fn money(text: String) -> Result<Price, SettingsError> {
    Price::parse(&text).ok_or_else(|| invalid("limits.money_per_day", "is not an amount such as 25 or 0.05"))
}

fn positive(setting: &'static str, value: u32) -> Result<u32, SettingsError> {
    // A rate of more than that is finer than the microseconds that it is kept in.
    let fits = (1..=1_000_000).contains(&value);
    if fits { Ok(value) } else { Err(invalid(setting, "must be 1 to 1000000")) }
}

/// A rate, by the names and values of its two settings.
fn rate(burst: (&'static str, u32), per_minute: (&'static str, u32)) -> Result<Rate, SettingsError> {
    let (burst, per_minute) = (positive(burst.0, burst.1)?, positive(per_minute.0, per_minute.1)?);
    Ok(Rate { burst, per_minute })
}

/// Refuses settings for people that leave open where messages may go and how many a day: codes to premium numbers abroad
/// cost money from the first hour on.
fn require_budgets(raw: &RawLimits, delivery: &DeliverySettings) -> Result<(), SettingsError> {
    if delivery.sends_to(Channel::Phone) {
        if raw.countries.is_empty() {
            let problem = "is missing: name the countries that get text messages, such as [\"IR\", \"DE\"], or [\"*\"] for all";
            return Err(invalid("limits.countries", problem));
        }
        if raw.messages_per_day.is_none() {
            let problem = "is missing: at most how many text messages may be sent in a day (UTC)? Write a number, such as 5000";
            return Err(invalid("limits.messages_per_day", problem));
        }
    }
    if delivery.sends_to(Channel::Email) && raw.emails_per_day.is_none() {
        let problem = "is missing: at most how many e-mail messages may be sent in a day (UTC)? Write a number, such as 50000";
        return Err(invalid("limits.emails_per_day", problem));
    }
    Ok(())
}
