//! The domain of e-mail addresses.

use std::fmt;

use super::EmailAddress;

/// The domain of e-mail addresses, in lower case, with the domains below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(value_type = String, format = "hostname", example = "example.com")
)]
pub struct MailDomain(String);

/// The text is no domain that an e-mail address can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the domain of an e-mail address")]
pub struct InvalidMailDomain;

impl MailDomain {
    /// Reads a domain that e-mail addresses can have.
    ///
    /// # Errors
    /// [`InvalidMailDomain`] when no e-mail address has such a domain.
    pub fn parse(input: &str) -> Result<Self, InvalidMailDomain> {
        let domain = input.trim();
        let address = format!("any@{}", domain.strip_prefix('@').unwrap_or(domain));
        let address = EmailAddress::parse(&address).map_err(|_| InvalidMailDomain)?;
        Ok(Self(address.domain().to_owned()))
    }

    /// The domain in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the address has this domain, or one below it.
    pub fn covers(&self, address: &EmailAddress) -> bool {
        let below = address.domain().strip_suffix(&self.0);
        below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
    }
}

impl fmt::Display for MailDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::MailDomain;
    use crate::values::EmailAddress;

    #[test]
    fn a_mail_domain_covers_its_addresses_and_those_of_the_domains_below_it() {
        let domain = MailDomain::parse(" @Example.COM ").expect("a domain");
        assert_eq!(domain.as_str(), "example.com");
        for (address, covers) in [
            ("ada@example.com", true),
            ("ada@mail.example.com", true),
            ("ada@notexample.com", false),
            ("ada@example.org", false),
        ] {
            assert_eq!(
                domain.covers(&EmailAddress::parse(address).expect("an address")),
                covers,
                "{address}"
            );
        }
        for text in ["", "@", "localhost", "ada@example.com", "exa mple.com", "192.0.2.1"] {
            assert!(MailDomain::parse(text).is_err(), "{text}");
        }
    }
}
