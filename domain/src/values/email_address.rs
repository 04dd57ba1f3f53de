//! E-mail addresses, in the one spelling that all others come down to.

use std::fmt;
use std::str::FromStr as _;

use email_address::{EmailAddress as Syntax, Options};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

/// An e-mail address: an ASCII local part and a domain in its ASCII form (IDNA, UTS #46), all in lower case.
///
/// The whole address is folded, not the domain alone: no provider in use tells `Ada@` from `ada@`, and two accounts
/// for one mailbox would be a way in for the attacker who types the other spelling first.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(
    feature = "openapi",
    derive(utoipa::ToSchema),
    schema(format = "email", max_length = 254, example = "ada@example.com")
)]
pub struct EmailAddress(String);

/// The text is no e-mail address that a message could be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct InvalidEmailAddress;

impl EmailAddress {
    /// The longest address that SMTP can carry, in bytes (RFC 5321, section 4.5.3.1.3, less the brackets).
    pub const MAX_BYTES: usize = 254;

    /// Reads what a person typed. It is normalised first (NFKC, trimmed, lower case) and judged afterwards, so what
    /// is judged is what is used.
    ///
    /// # Errors
    /// [`InvalidEmailAddress`] for anything but a plain `local@domain.tld`: no display name, no quotes, no address
    /// literal, no control characters, one `@`.
    pub fn parse(input: &str) -> Result<Self, InvalidEmailAddress> {
        if input.len() > 4 * Self::MAX_BYTES {
            return Err(InvalidEmailAddress);
        }
        let text: String = input.trim().nfkc().collect::<String>().to_lowercase();
        let (local, domain) = text.split_once('@').ok_or(InvalidEmailAddress)?;
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| InvalidEmailAddress)?;
        let address = format!("{local}@{domain}");
        let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
        let plain = address.is_ascii() && !address.contains(['"', '\\']) && address.len() <= Self::MAX_BYTES;
        if !plain
            || Syntax::from_str(&address).is_err()
            || Syntax::parse_with_options(&address, options).is_err()
            || ends_in_a_number(&domain)
        {
            return Err(InvalidEmailAddress);
        }
        Ok(Self(address))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the part after the `@`, in lower case and ASCII.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// Returns the address of the mailbox that messages to this one arrive in: without its sub-address (RFC 5233,
    /// `ada+shop@`), and at Gmail without the dots that Gmail passes over. It is for counting messages and for nothing
    /// else: elsewhere, the two addresses may be two people's.
    pub fn mailbox(&self) -> String {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or((&self.0, ""));
        let owner = match local.split_once('+') {
            Some((owner, _)) if !owner.is_empty() => owner,
            Some(_) | None => local,
        };
        match domain {
            "gmail.com" | "googlemail.com" => format!("{}@gmail.com", owner.replace('.', "")),
            _ => format!("{owner}@{domain}"),
        }
    }
}

/// Whether a domain's last label is a number, decimal or hexadecimal: resolvers and URL parsers take such a name for an
/// IPv4 address (WHATWG URL, section 3.5), and no top-level domain is one (RFC 3696, section 2).
fn ends_in_a_number(domain: &str) -> bool {
    let last = domain.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|hex| hex.chars().all(|c| c.is_ascii_hexdigit()));
    hexadecimal || last.chars().all(|c| c.is_ascii_digit())
}

/// Says that there is one, not what it is: it is personal.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::EmailAddress;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_mailbox_are_one_address() {
        for typed in ["ada@example.com", " Ada@Example.COM ", "ada＠example.com", "ａｄａ@example.com"] {
            assert_eq!(EmailAddress::parse(typed).expect(typed).as_str(), "ada@example.com");
        }
        for numbers in ["ada@123.example", "ada@4.0x7f.example", "ada@example.xn--p1ai"] {
            assert!(EmailAddress::parse(numbers).is_ok(), "{numbers}");
        }
        let german = EmailAddress::parse("ada@bücher.example").expect("valid");
        assert_eq!(german.as_str(), "ada@xn--bcher-kva.example");
        assert_eq!(EmailAddress::parse("ada@xn--bcher-kva.example"), Ok(german));
    }

    #[test]
    fn sub_addresses_lead_to_the_mailbox_of_their_owner() {
        for (address, mailbox) in [
            ("ada@example.com", "ada@example.com"),
            ("ada+1@example.com", "ada@example.com"),
            ("Ada+shop+2@Example.com", "ada@example.com"),
            ("a.da@example.com", "a.da@example.com"),
            ("a.d.a+7@gmail.com", "ada@gmail.com"),
            ("ada@googlemail.com", "ada@gmail.com"),
            ("+ada@example.com", "+ada@example.com"),
        ] {
            let address = EmailAddress::parse(address).expect(address);
            assert_eq!(address.mailbox(), mailbox);
            assert!(address.as_str().ends_with(&format!("@{}", address.domain())));
        }
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        for typed in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@localhost",
            "ada@example..com",
            ".ada@example.com",
            "a b@example.com",
            "ada@example.com\nBcc: eve@example.com",
            "ada@example.com,eve@example.com",
            "ada@example.com;eve@example.com",
            "Ada <ada@example.com>",
            "\"ada\"@example.com",
            "ada@[127.0.0.1]",
            "ada@[::1]",
            "ada@[IPv6:::1]",
            "ada@127.0.0.1",
            "ada@１２７.０.０.１",
            "ada@127。0。0。1",
            "ada@127.0.0.1.",
            "ada@127.1",
            "ada@127.0.0.0x1",
            "ada@0x7f.0x1",
            "ada@example.0x",
            "ada@example.123",
            "ada@example.com.1",
            "ada@example.com.",
            "ada@2130706433",
            "ada@eve@example.com",
            "ada@xn--\u{0}.com",
            "ada\u{0}@example.com",
            "ädä@example.com",
        ] {
            assert!(EmailAddress::parse(typed).is_err(), "{typed:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@example.com", "a".repeat(300))).is_err());
        assert!(EmailAddress::parse(&format!("{}@example.com", "a".repeat(65))).is_err());
    }

    proptest! {
        #[test]
        fn reading_twice_changes_nothing(text in "\\PC{0,24}@\\PC{0,24}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert_eq!(EmailAddress::parse(address.as_str()), Ok(address));
            }
        }
    }
}
