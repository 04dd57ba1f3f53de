//! Links by which the owner of an account ends a session that they did not begin.
//!
//! A link names the account and the session: its holder can end that session and nothing else, which needs no more than one
//! use. It is of no use once the session has ended.

use counterfoil_domain::values::{AccountId, SessionId};
use uuid::Uuid;

use crate::keyring::Keyring;
use crate::links::LinkTokens;

/// The path of the page, before the token.
pub const PATH: &str = "/accounts/devices/disown";

/// The kind of these links.
const KIND: &str = "disown";

/// Makes links and reads them.
#[derive(Clone, Debug)]
pub struct SessionLinks {
    tokens: LinkTokens,
    public_url: Option<String>,
}

impl SessionLinks {
    /// Links to the service at that URL; none are made where it is not known.
    pub fn new(keyring: &Keyring, public_url: Option<String>) -> Self {
        Self { tokens: LinkTokens::new(keyring), public_url }
    }

    /// Goes on with another keyring's keys, here and in every clone.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.tokens.use_keyring(keyring);
    }

    /// The link that ends a session.
    pub fn link(&self, account: AccountId, session: SessionId) -> Option<String> {
        let url = self.public_url.as_ref()?;
        Some(format!("{url}{PATH}/{}", self.token(account, session)))
    }

    /// The part of the link that says which session.
    pub fn token(&self, account: AccountId, session: SessionId) -> String {
        self.tokens.write(KIND, &[*account.0.as_bytes(), *session.0.as_bytes()].concat())
    }

    /// The account and the session of a token; none where it is not one of ours.
    pub fn read(&self, token: &str) -> Option<(AccountId, SessionId)> {
        let ids = self.tokens.read(KIND, token)?;
        let (account, session) = ids.split_at_checked(16)?;
        let id = |bytes| Uuid::from_slice(bytes).ok();
        Some((AccountId(id(account)?), SessionId(id(session)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::SessionLinks;
    use crate::clock::{Clock as _, SystemClock};
    use crate::entropy;
    use crate::keyring::Keyring;

    #[test]
    fn a_link_names_its_session_and_no_other_text_does() {
        let keyring = Keyring::generate();
        let links = SessionLinks::new(&keyring, Some("https://auth.example".to_owned()));
        let now = SystemClock.now();
        let (account, session) = (entropy::account_id(now), entropy::session_id(now));
        let link = links.link(account, session).expect("the URL is known");
        let token = link.strip_prefix("https://auth.example/accounts/devices/disown/").expect("the path");
        assert_eq!(links.read(token), Some((account, session)));
        assert_eq!(SessionLinks::new(&keyring, None).link(account, session), None);
        assert_eq!(SessionLinks::new(&Keyring::generate(), None).read(token), None);
        for at in 0..token.len() {
            let mut other = token.as_bytes().to_vec();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(links.read(str::from_utf8(&other).expect("text")), None, "{at}");
            assert_eq!(links.read(&token[..at]), None);
        }
        assert_eq!(links.read(&format!("{token}A")), None);
    }
}
