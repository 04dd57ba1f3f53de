//! The tokens in links that messages carry: what a link is about, authenticated under the `link` keys.
//!
//! `key id ‖ "." ‖ base64url(content ‖ the first 12 bytes of HMAC-SHA-256(key, kind ‖ 0 ‖ content))`. The kind says what the
//! link does, so that a link of one kind is none of another. The key's name lets a link outlive a rotation: it is good until
//! its key is taken out of the keyring.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::keyring::{Keyring, MacKey, MacKeys, Purpose};

/// How many bytes of the MAC are kept: a guess is right once in 2^96 tries, and each is a request.
const MAC: usize = 12;

/// Makes tokens of links and reads them.
#[derive(Clone, Debug)]
pub struct LinkTokens {
    keys: MacKeys,
}

impl LinkTokens {
    /// Tokens under the keyring's link keys.
    pub fn new(keyring: &Keyring) -> Self {
        Self { keys: MacKeys::new(keyring, Purpose::Link, b"link") }
    }

    /// Goes on with another keyring's keys, here and in every clone.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.keys.use_keyring(keyring);
    }

    /// The token of a link of that kind, about `content`.
    pub fn write(&self, kind: &str, content: &[u8]) -> String {
        let keys = self.keys.load();
        let key = keys.active();
        let signed = [content, &mac(key, kind, content)].concat();
        format!("{}.{}", key.id(), URL_SAFE_NO_PAD.encode(signed))
    }

    /// What a link of that kind is about; none where its token is not one of ours.
    pub fn read(&self, kind: &str, token: &str) -> Option<Vec<u8>> {
        let (id, signed) = token.split_once('.')?;
        let keys = self.keys.load();
        let key = keys.find(id)?;
        let mut content = URL_SAFE_NO_PAD.decode(signed).ok()?;
        let given = content.split_off(content.len().checked_sub(MAC)?);
        constant_time::verify_slices_are_equal(&mac(key, kind, &content), &given).ok()?;
        Some(content)
    }
}

fn mac(key: &MacKey, kind: &str, content: &[u8]) -> [u8; MAC] {
    let tag = hmac::sign(key.key(), &[kind.as_bytes(), &[0], content].concat());
    std::array::from_fn(|byte| tag.as_ref()[byte])
}

#[cfg(test)]
mod tests {
    use super::LinkTokens;
    use crate::keyring::{Keyring, Purpose};

    #[test]
    fn a_link_outlives_the_rotation_of_its_key_and_ends_with_the_key() {
        let mut keyring = Keyring::generate();
        let former = keyring.active(Purpose::Link).id.clone();
        let links = LinkTokens::new(&keyring);
        let token = links.write("kind", b"content");
        for _ in 0..2 {
            keyring.rotate(Purpose::Link, None).expect("the next step");
            links.clone().use_keyring(&keyring);
            assert_eq!(links.read("kind", &token).as_deref(), Some(b"content".as_slice()));
        }
        let newer = links.write("kind", b"content");
        assert_ne!(newer, token);
        keyring.retire(Purpose::Link, former.as_str()).expect("retires");
        links.use_keyring(&keyring);
        assert_eq!(links.read("kind", &token), None);
        assert_eq!(links.read("kind", &newer).as_deref(), Some(b"content".as_slice()));
        assert_eq!(links.read("other", &newer), None, "a link of one kind is none of another");
    }
}
