//! Links by which the owner of an account ends a session that he did not begin.
//!
//! `base64url(account ‖ session ‖ the first 12 bytes of HMAC-SHA-256(key, account ‖ session))`: whoever holds it can end that
//! session and nothing else, which needs no more than one use. It is of no use once the session has ended.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use counterfoil_domain::values::{AccountId, SessionId};
use uuid::Uuid;

use crate::keyring::{Keyring, Purpose};

/// How many bytes of the MAC are kept: a guess is right once in 2^96 tries, and each is a request.
const MAC: usize = 12;

/// The path of the page, before the token.
pub const PATH: &str = "/accounts/devices/disown";

/// Makes links and reads them.
#[derive(Clone)]
pub struct SessionLinks {
    key: hmac::Key,
    public_url: Option<String>,
}

impl fmt::Debug for SessionLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLinks").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl SessionLinks {
    /// Links to the service at that URL; none are made where it is not known. The key is derived from that of lookups, which
    /// stays: a link is good for as long as its session.
    pub fn new(keyring: &Keyring, public_url: Option<String>) -> Self {
        let key = keyring.active(Purpose::Lookup).derive(&[b"disown"]);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &*key), public_url }
    }

    /// The link that ends a session.
    pub fn link(&self, account: AccountId, session: SessionId) -> Option<String> {
        let url = self.public_url.as_ref()?;
        Some(format!("{url}{PATH}/{}", self.token(account, session)))
    }

    /// The part of the link that says which session.
    pub fn token(&self, account: AccountId, session: SessionId) -> String {
        let ids = [*account.0.as_bytes(), *session.0.as_bytes()].concat();
        URL_SAFE_NO_PAD.encode([&ids, &hmac::sign(&self.key, &ids).as_ref()[..MAC]].concat())
    }

    /// The account and the session of a token; none where it is not one of ours.
    pub fn read(&self, token: &str) -> Option<(AccountId, SessionId)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (ids, mac) = bytes.split_at_checked(32)?;
        let right = hmac::sign(&self.key, ids);
        constant_time::verify_slices_are_equal(&right.as_ref()[..MAC], mac).ok()?;
        let (account, session) = ids.split_at(16);
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
