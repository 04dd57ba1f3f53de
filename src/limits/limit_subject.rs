//! Whose limits are meant: what a person knows of a subject, or the name that the list of limits shows.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::values::{EmailAddress, Identifier, PhoneNumber, PhonePrefix, Region};

use super::limit::{LimitKind, SubjectClass};
use super::meter::{StoreUnavailable, StoredMeter};
use super::subject::{self, SERVICE};
use super::used_meter::UsedMeter;
use super::{Inner, Limits};

/// A subject of the limits that all nodes share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitSubject {
    /// An IP address, with the /48 that an IPv6 address lies in.
    Address(IpAddr),
    /// The prefix of a phone number, or the mailbox and the mail domain of an e-mail address.
    Identifier(Identifier),
    /// Every prefix that begins so.
    Prefix(PhonePrefix),
    /// A country of the numbering plan.
    Country(Region),
    /// The service as a whole.
    Service,
    /// A subject by the name that the list of limits shows.
    Shown(String),
}

impl LimitSubject {
    /// Reads what a person knows of a subject: an IP address, a phone number in any spelling, an e-mail address, a prefix with its
    /// country code, a country (ISO 3166-1 alpha-2) or `service`. Any other text is a name that the list of limits may show.
    pub fn parse(text: &str, default_region: Option<Region>) -> Self {
        let text = text.trim();
        if text == SERVICE {
            return Self::Service;
        }
        if let Ok(ip) = text.parse() {
            return Self::Address(ip);
        }
        if let Some(region) = Region::parse(text) {
            return Self::Country(region);
        }
        if let Ok(number) = PhoneNumber::parse(text, default_region) {
            return Self::Identifier(Identifier::Phone(number));
        }
        if let Ok(prefix) = PhonePrefix::parse(text) {
            return Self::Prefix(prefix);
        }
        match EmailAddress::parse(text) {
            Ok(address) => Self::Identifier(Identifier::Email(address)),
            Err(_) => Self::Shown(text.to_owned()),
        }
    }
}

impl Limits {
    /// Every limit that counts this subject, used or not, by name. Of a shorter prefix, and of a name as the list shows it, those
    /// that have counted something.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn of_subject(&self, subject: &LimitSubject) -> Result<Vec<UsedMeter>, StoreUnavailable> {
        let Some(inner) = &self.shared else { return Ok(Vec::new()) };
        let mut meters: Vec<UsedMeter> = inner
            .stored_of(subject)
            .await?
            .iter()
            .filter_map(|stored| Some(inner.meter(stored)?.1))
            .collect();
        let is_counted = |meters: &[UsedMeter], name: &str, limit: LimitKind| {
            meters.iter().any(|meter| meter.limit == limit.name() && meter.subject == name)
        };
        for (limit, name) in inner.limits_of(subject) {
            if let Some((_, most)) = limit.rule(&inner.policy, &name)
                && !is_counted(&meters, &name, limit)
            {
                let until: Option<DateTime<Utc>> = None;
                meters.push(UsedMeter { limit: limit.name(), subject: name, used: 0, most, until });
            }
        }
        Ok(meters)
    }

    /// The meters of a subject, by their names, where one of them has counted something.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn counted_meters(&self, subject: &LimitSubject) -> Result<Vec<String>, StoreUnavailable> {
        let Some(inner) = &self.shared else { return Ok(Vec::new()) };
        let stored = inner.stored_of(subject).await?;
        let is_used = stored.iter().any(|stored| inner.meter(stored).is_some());
        Ok(if is_used { stored.into_iter().map(|stored| stored.meter).collect() } else { Vec::new() })
    }

    /// The subject as it is put on record: in no words that lead to one person.
    pub fn name_on_record(&self, subject: &LimitSubject) -> String {
        match subject {
            LimitSubject::Prefix(prefix) => prefix.to_string(),
            LimitSubject::Shown(name) => name.clone(),
            LimitSubject::Address(_)
            | LimitSubject::Identifier(_)
            | LimitSubject::Country(_)
            | LimitSubject::Service => {
                let names = self.shared.as_ref().map(|inner| inner.names_of(subject)).unwrap_or_default();
                let names: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
                names.join(" ")
            }
        }
    }
}

impl Inner {
    /// The names under which a subject is counted; none where only the store knows them.
    fn names_of(&self, subject: &LimitSubject) -> Vec<(SubjectClass, String)> {
        match subject {
            LimitSubject::Address(ip) => {
                let address = (SubjectClass::Address, self.subjects.address(*ip));
                let network = self.subjects.network(*ip).map(|network| (SubjectClass::Network, network));
                [address].into_iter().chain(network).collect()
            }
            LimitSubject::Identifier(Identifier::Phone(number)) => {
                vec![(SubjectClass::Prefix, subject::prefix(number))]
            }
            LimitSubject::Identifier(Identifier::Email(address)) => {
                let mailbox = (SubjectClass::Mailbox, self.subjects.mailbox(address));
                let is_providers = self.policy.mail_providers.contains(address.domain());
                let domain = (SubjectClass::MailDomain, self.subjects.mail_domain(address));
                [mailbox].into_iter().chain((!is_providers).then_some(domain)).collect()
            }
            LimitSubject::Country(region) => vec![(SubjectClass::Country, region.to_string())],
            LimitSubject::Service => vec![(SubjectClass::Service, SERVICE.to_owned())],
            LimitSubject::Prefix(_) | LimitSubject::Shown(_) => Vec::new(),
        }
    }

    fn limits_of(&self, subject: &LimitSubject) -> Vec<(LimitKind, String)> {
        let limits_of = |(class, name): (SubjectClass, String)| {
            let of_class =
                LimitKind::ALL.into_iter().filter(move |limit| limit.subject_class() == Some(class));
            of_class.map(move |limit| (limit, name.clone()))
        };
        self.names_of(subject).into_iter().flat_map(limits_of).collect()
    }

    /// The meters of a subject that are in the store.
    async fn stored_of(&self, subject: &LimitSubject) -> Result<Vec<StoredMeter>, StoreUnavailable> {
        let is_meant: Box<dyn Fn(&str) -> bool + Send + Sync> = match subject {
            LimitSubject::Prefix(prefix) => {
                // Behind its country. No other name has a dot in it.
                let begins = format!(".{prefix}");
                Box::new(move |name| name.find('.').is_some_and(|dot| name[dot..].starts_with(&begins)))
            }
            LimitSubject::Shown(shown) => Box::new(move |name| name == shown),
            LimitSubject::Address(_)
            | LimitSubject::Identifier(_)
            | LimitSubject::Country(_)
            | LimitSubject::Service => {
                let named = |(limit, name): (LimitKind, String)| format!("{}/{name}", limit.place());
                let meters: Vec<String> = self.limits_of(subject).into_iter().map(named).collect();
                return self.store.find(&meters).await;
            }
        };
        let stored = self.store.stored().await?;
        Ok(stored.into_iter().filter(|stored| is_meant(subject_of(stored))).collect())
    }
}

/// The subject in the name of a meter. That of an alarm begins with the name of the alarm, so that no subject equals it.
fn subject_of(stored: &StoredMeter) -> &str {
    stored.meter.splitn(3, '/').nth(2).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use counterfoil_domain::values::Region;

    use super::LimitSubject;

    #[test]
    fn a_subject_is_read_as_a_person_knows_it() {
        let iran = Region::parse("IR");
        let read = |text: &str| LimitSubject::parse(text, iran);
        assert_eq!(read("service"), LimitSubject::Service);
        assert_eq!(read(" 192.0.2.1 "), LimitSubject::Address("192.0.2.1".parse().expect("an address")));
        assert_eq!(read("2001:db8::1"), LimitSubject::Address("2001:db8::1".parse().expect("an address")));
        assert_eq!(read("ir"), read("IR"));
        assert!(matches!(read("IR"), LimitSubject::Country(_)));
        for number in ["+989121234567", "09121234567", "0098 912 123 4567"] {
            assert_eq!(read(number), read("+98 912 123 45 67"), "{number}");
            assert!(matches!(read(number), LimitSubject::Identifier(_)), "{number}");
        }
        assert!(matches!(read("Ada@Example.com"), LimitSubject::Identifier(_)));
        assert!(matches!(read("+98912123"), LimitSubject::Prefix(_)));
        assert_eq!(read("IR.+98912123"), LimitSubject::Shown("IR.+98912123".to_owned()));
        assert_eq!(read("kU2x"), LimitSubject::Shown("kU2x".to_owned()));
    }
}
