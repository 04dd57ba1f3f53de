//! Links in messages, by which the owner of an account ends a session, undoes a change of identifiers, or lifts a lock.
//!
//! The token of a link is `key id ‖ "." ‖ base64url(content ‖ the first 12 bytes of HMAC-SHA-256(key, kind ‖ 0 ‖ content))` under
//! the `link` keys. The content is the id of the account and what the link is about; the kind says what the link does, so that
//! a link of one kind is none of another. The key's id lets a link outlive a rotation: it works until its key is taken out of the
//! keyring. Whether a link still does something, the account decides.

use std::marker::PhantomData;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use counterfoil_domain::values::{AccountId, ChallengeNonce, SessionId};
use uuid::Uuid;

use crate::crypto::keyring::{KeyPurpose, Keyring, MacKey, MacKeys};

/// How many bytes of the MAC are kept: a guess is right once in 2^96 tries, and each is a request.
const MAC: usize = 12;

/// What a link is about, besides its account.
pub trait LinkContent: Copy {
    /// What the link does, as its MAC covers it.
    const KIND: &'static str;
    /// The path of the page that the link opens, before the token.
    const PATH: &'static str;

    /// The bytes that stand in the token.
    fn to_bytes(self) -> Vec<u8>;

    /// Reads them back; none where they are of another length.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// A link that ends a session which the owner did not begin. It is of no use once the session has ended.
impl LinkContent for SessionId {
    const KIND: &'static str = "disown";
    const PATH: &'static str = "/accounts/devices/disown";

    fn to_bytes(self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

/// The number of a change of an account's identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeNumber(pub u32);

/// A link that undoes a change of identifiers which another person made.
impl LinkContent for ChangeNumber {
    const KIND: &'static str = "undo_identifier_change";
    const PATH: &'static str = "/accounts/identifiers/undo";

    fn to_bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u32::from_be_bytes).map(Self)
    }
}

/// A link that lifts the lock which wrong codes set. Its nonce stands in the account's events, of which the MAC keeps readers from
/// making the link.
impl LinkContent for ChallengeNonce {
    const KIND: &'static str = "unlock";
    const PATH: &'static str = "/accounts/unlock";

    fn to_bytes(self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::new)
    }
}

/// Makes links about `C` and reads them.
#[derive(Debug)]
pub struct MessageLinks<C> {
    keys: MacKeys,
    public_url: Option<String>,
    content: PhantomData<fn() -> C>,
}

/// Links that end sessions.
pub type SessionLinks = MessageLinks<SessionId>;
/// Links that undo changes of identifiers.
pub type UndoLinks = MessageLinks<ChangeNumber>;
/// Links that lift locks.
pub type UnlockLinks = MessageLinks<ChallengeNonce>;

impl<C> Clone for MessageLinks<C> {
    fn clone(&self) -> Self {
        Self { keys: self.keys.clone(), public_url: self.public_url.clone(), content: PhantomData }
    }
}

impl<C: LinkContent> MessageLinks<C> {
    /// The path of the page, before the token.
    pub const PATH: &'static str = C::PATH;

    /// Links to the service at that URL; none are made where it is not known.
    pub fn new(keyring: &Keyring, public_url: Option<String>) -> Self {
        Self { keys: MacKeys::new(keyring, KeyPurpose::Link, b"link"), public_url, content: PhantomData }
    }

    /// Goes on with another keyring's keys, here and in every clone.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.keys.use_keyring(keyring);
    }

    /// The link about `content` of an account.
    pub fn link(&self, account: AccountId, content: C) -> Option<String> {
        let url = self.public_url.as_ref()?;
        Some(format!("{url}{}/{}", C::PATH, self.token(account, content)))
    }

    /// The last part of that link.
    pub fn token(&self, account: AccountId, content: C) -> String {
        let keys = self.keys.load();
        let key = keys.active();
        let content = [account.0.as_bytes(), content.to_bytes().as_slice()].concat();
        let signed = [&content, mac::<C>(key, &content).as_slice()].concat();
        format!("{}.{}", key.id(), URL_SAFE_NO_PAD.encode(signed))
    }

    /// The account and the content of a link, by its last part; none where the service did not make it.
    pub fn read(&self, token: &str) -> Option<(AccountId, C)> {
        let (id, signed) = token.split_once('.')?;
        let keys = self.keys.load();
        let key = keys.find(id)?;
        let mut content = URL_SAFE_NO_PAD.decode(signed).ok()?;
        let given = content.split_off(content.len().checked_sub(MAC)?);
        constant_time::verify_slices_are_equal(&mac::<C>(key, &content), &given).ok()?;
        let (account, content) = content.split_at_checked(16)?;
        Some((AccountId(Uuid::from_slice(account).ok()?), C::from_bytes(content)?))
    }
}

fn mac<C: LinkContent>(key: &MacKey, content: &[u8]) -> [u8; MAC] {
    let tag = hmac::sign(key.key(), &[C::KIND.as_bytes(), &[0], content].concat());
    std::array::from_fn(|byte| tag.as_ref()[byte])
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;
    use crate::crypto::entropy;
    use crate::runtime::clock::{Clock as _, SystemClock};

    fn a_link_names_its_content_and_no_other_text_does<C: LinkContent + Debug + PartialEq>(content: C) {
        let keyring = Keyring::generate();
        let links = MessageLinks::new(&keyring, Some("https://auth.example".to_owned()));
        let account = entropy::account_id(SystemClock.now());
        let link = links.link(account, content).expect("the URL is known");
        let token = link.strip_prefix(&format!("https://auth.example{}/", C::PATH)).expect("the path");
        assert_eq!(links.read(token), Some((account, content)));
        assert_eq!(MessageLinks::new(&keyring, None).link(account, content), None);
        assert_eq!(MessageLinks::<C>::new(&Keyring::generate(), None).read(token), None);
        for at in 0..token.len() {
            let mut other = token.as_bytes().to_vec();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(links.read(str::from_utf8(&other).expect("text")), None, "{at}");
            assert_eq!(links.read(&token[..at]), None);
        }
        assert_eq!(links.read(&format!("{token}A")), None);
    }

    #[test]
    fn links_of_each_kind_name_their_content_and_no_other_text_does() {
        a_link_names_its_content_and_no_other_text_does(entropy::session_id(SystemClock.now()));
        a_link_names_its_content_and_no_other_text_does(ChangeNumber(7));
        a_link_names_its_content_and_no_other_text_does(entropy::challenge_nonce());
    }

    #[test]
    fn a_link_outlives_the_rotation_of_its_key_and_ends_with_the_key() {
        let mut keyring = Keyring::generate();
        let former = keyring.active(KeyPurpose::Link).id.clone();
        let links = SessionLinks::new(&keyring, None);
        let now = SystemClock.now();
        let named = (entropy::account_id(now), entropy::session_id(now));
        let token = links.token(named.0, named.1);
        for _ in 0..2 {
            keyring.rotate(KeyPurpose::Link, None).expect("the next step");
            links.clone().use_keyring(&keyring);
            assert_eq!(links.read(&token), Some(named));
        }
        let newer = links.token(named.0, named.1);
        assert_ne!(newer, token);
        keyring.retire(KeyPurpose::Link, former.as_str()).expect("retires");
        links.use_keyring(&keyring);
        assert_eq!(links.read(&token), None);
        assert_eq!(links.read(&newer), Some(named));
        assert_eq!(
            UnlockLinks::new(&keyring, None).read(&newer),
            None,
            "a link of one kind is none of another"
        );
    }
}
