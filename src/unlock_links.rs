//! Links by which the owner of a phone number or an e-mail address lifts the lock that wrong codes set.
//!
//! A link names the account and the nonce that stands in the account's events; its MAC keeps readers of the events from making
//! the link. The account's state says whether the link still works.

use counterfoil_domain::values::{AccountId, ChallengeNonce};
use uuid::Uuid;

use crate::keyring::Keyring;
use crate::links::LinkTokens;

/// The path of the page, before the token.
pub const PATH: &str = "/accounts/unlock";

/// The kind of these links.
const KIND: &str = "unlock";

/// Makes links and reads them.
#[derive(Clone, Debug)]
pub struct UnlockLinks {
    tokens: LinkTokens,
    public_url: Option<String>,
}

impl UnlockLinks {
    /// Links to the service at that URL; none are made where it is not known.
    pub fn new(keyring: &Keyring, public_url: Option<String>) -> Self {
        Self { tokens: LinkTokens::new(keyring), public_url }
    }

    /// Goes on with another keyring's keys, here and in every clone.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.tokens.use_keyring(keyring);
    }

    /// The link of that nonce, which lifts a lock of the account.
    pub fn link(&self, account: AccountId, nonce: ChallengeNonce) -> Option<String> {
        let url = self.public_url.as_ref()?;
        let named = [*account.0.as_bytes(), *nonce.as_bytes()].concat();
        Some(format!("{url}{PATH}/{}", self.tokens.write(KIND, &named)))
    }

    /// The account and the nonce in the last part of a link; none where the service did not make it.
    pub fn read(&self, token: &str) -> Option<(AccountId, ChallengeNonce)> {
        let named = self.tokens.read(KIND, token)?;
        let (account, nonce) = named.split_at_checked(16)?;
        Some((AccountId(Uuid::from_slice(account).ok()?), ChallengeNonce::new(nonce.try_into().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::UnlockLinks;
    use crate::clock::{Clock as _, SystemClock};
    use crate::entropy;
    use crate::keyring::Keyring;

    #[test]
    fn a_link_names_its_account_and_nonce_and_no_other_text_does() {
        let keyring = Keyring::generate();
        let links = UnlockLinks::new(&keyring, Some("https://auth.example".to_owned()));
        let (account, nonce) = (entropy::account_id(SystemClock.now()), entropy::challenge_nonce());
        let link = links.link(account, nonce).expect("the URL is known");
        let token = link.strip_prefix("https://auth.example/accounts/unlock/").expect("the path");
        assert_eq!(links.read(token), Some((account, nonce)));
        assert_eq!(UnlockLinks::new(&keyring, None).link(account, nonce), None);
        assert_eq!(UnlockLinks::new(&Keyring::generate(), None).read(token), None);
        for at in 0..token.len() {
            let mut other = token.as_bytes().to_vec();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(links.read(str::from_utf8(&other).expect("text")), None, "{at}");
            assert_eq!(links.read(&token[..at]), None);
        }
        assert_eq!(links.read(&format!("{token}A")), None);
    }
}
