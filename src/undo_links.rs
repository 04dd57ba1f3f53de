//! Links by which the owner of an account undoes a change of its identifiers that another person made.
//!
//! A link names the account and the number of the change. For how long the change can be undone, and whether it was, the
//! account decides: a link is good once, and for 72 hours.

use counterfoil_domain::values::AccountId;
use uuid::Uuid;

use crate::keyring::Keyring;
use crate::links::LinkTokens;

/// The path of the page, before the token.
pub const PATH: &str = "/accounts/identifiers/undo";

/// The kind of these links.
const KIND: &str = "undo_identifier_change";

/// Makes links and reads them.
#[derive(Clone, Debug)]
pub struct UndoLinks {
    tokens: LinkTokens,
    public_url: Option<String>,
}

impl UndoLinks {
    /// Links to the service at that URL; none are made where it is not known.
    pub fn new(keyring: &Keyring, public_url: Option<String>) -> Self {
        Self { tokens: LinkTokens::new(keyring), public_url }
    }

    /// Goes on with another keyring's keys, here and in every clone.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.tokens.use_keyring(keyring);
    }

    /// The link that undoes the change of that number.
    pub fn link(&self, account: AccountId, change: u32) -> Option<String> {
        let url = self.public_url.as_ref()?;
        Some(format!("{url}{PATH}/{}", self.token(account, change)))
    }

    /// The part of the link that says which change.
    pub fn token(&self, account: AccountId, change: u32) -> String {
        self.tokens.write(KIND, &[account.0.as_bytes().as_slice(), &change.to_be_bytes()].concat())
    }

    /// The account and the number of the change of a token; none where it is not one of ours.
    pub fn read(&self, token: &str) -> Option<(AccountId, u32)> {
        let named = self.tokens.read(KIND, token)?;
        let (account, change) = named.split_at_checked(16)?;
        Some((AccountId(Uuid::from_slice(account).ok()?), u32::from_be_bytes(change.try_into().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::UndoLinks;
    use crate::clock::{Clock as _, SystemClock};
    use crate::entropy;
    use crate::keyring::Keyring;

    #[test]
    fn an_undo_link_names_its_change_and_no_other_text_does() {
        let keyring = Keyring::generate();
        let links = UndoLinks::new(&keyring, Some("https://auth.example".to_owned()));
        let account = entropy::account_id(SystemClock.now());
        let link = links.link(account, 7).expect("the URL is known");
        let token = link.strip_prefix("https://auth.example/accounts/identifiers/undo/").expect("the path");
        assert_eq!(links.read(token), Some((account, 7)));
        assert_eq!(UndoLinks::new(&keyring, None).link(account, 7), None);
        assert_eq!(UndoLinks::new(&Keyring::generate(), None).read(token), None);
        for at in 0..token.len() {
            let mut other = token.as_bytes().to_vec();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(links.read(str::from_utf8(&other).expect("text")), None, "{at}");
            assert_eq!(links.read(&token[..at]), None);
        }
        assert_eq!(links.read(&format!("{token}A")), None);
    }
}
