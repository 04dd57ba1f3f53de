//! Where a list goes on: a position that the caller can give back and can neither make nor change.
//!
//! `base64url(the first 16 bytes of HMAC-SHA-256(key, list ‖ 0 ‖ position) ‖ position)`. A cursor of one list is none of
//! another. It gives access to nothing: the role of the caller is checked in every request.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::crypto::keyring::{KeyPurpose, Keyring, MacKey, MacKeys};
use crate::http::Problem;

/// How many bytes of the MAC are kept.
const MAC: usize = 16;

/// Makes cursors and reads them.
#[derive(Clone, Debug)]
pub struct ListCursors {
    keys: MacKeys,
}

impl ListCursors {
    /// Cursors under the active cursor key. Those under the other keys of the keyring are read too, so that a list goes on
    /// while keys are rotated. Which key made a cursor is not in it: its MAC is right under one of them.
    pub fn new(keyring: &Keyring) -> Self {
        Self { keys: MacKeys::new(keyring, KeyPurpose::Cursor, b"cursor") }
    }

    /// Goes on with another keyring's keys, here and in every clone.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.keys.use_keyring(keyring);
    }

    /// The cursor to a position in that list.
    pub fn write(&self, list: &str, position: &impl Serialize) -> String {
        let position = serde_json::to_vec(position).expect("times, addresses and ids are JSON");
        URL_SAFE_NO_PAD.encode([&mac_of(self.keys.load().active(), list, &position)[..], &position].concat())
    }

    /// The position that a cursor of that list says.
    ///
    /// # Errors
    /// The field `cursor` is wrong, where it is none of ours or of another list.
    pub fn read<P: DeserializeOwned>(&self, list: &str, cursor: &str) -> Result<P, Problem> {
        self.open(list, cursor).ok_or_else(|| Problem::invalid_field("cursor", "cursor_invalid"))
    }

    /// Returns a mark by which the same search is known again, without telling what was searched for.
    pub(in crate::http) fn search_mark(&self, query: &str) -> u32 {
        let mac = mac_of(self.keys.load().active(), "search", query.as_bytes());
        u32::from_be_bytes(std::array::from_fn(|byte| mac[byte]))
    }

    fn open<P: DeserializeOwned>(&self, list: &str, cursor: &str) -> Option<P> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (given, position) = bytes.split_at_checked(MAC)?;
        let is_of = |key| constant_time::verify_slices_are_equal(&mac_of(key, list, position), given).is_ok();
        self.keys.load().all().any(is_of).then(|| serde_json::from_slice(position).ok())?
    }
}

fn mac_of(key: &MacKey, list: &str, position: &[u8]) -> [u8; MAC] {
    let tag = hmac::sign(key.key(), &[list.as_bytes(), &[0], position].concat());
    std::array::from_fn(|byte| tag.as_ref()[byte])
}

#[cfg(test)]
mod tests {
    use super::ListCursors;
    use crate::crypto::keyring::{KeyPurpose, Keyring};
    use crate::http::Problem;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_no_other_is() {
        let cursors = ListCursors::new(&Keyring::generate());
        let cursor = cursors.write("list", &(7, "x"));
        assert_eq!(cursors.read("list", &cursor), Ok((7, "x".to_owned())));
        let refused = Err(Problem::invalid_field("cursor", "cursor_invalid"));
        let read = |cursors: &ListCursors, list, cursor: &str| cursors.read::<(u8, String)>(list, cursor);
        assert_eq!(read(&cursors, "other", &cursor), refused);
        assert_eq!(read(&ListCursors::new(&Keyring::generate()), "list", &cursor), refused);
        for at in 0..cursor.len() {
            let mut other = cursor.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(read(&cursors, "list", str::from_utf8(&other).expect("text")), refused, "{at}");
            assert_eq!(read(&cursors, "list", &cursor[..at]), refused);
        }
    }

    #[test]
    fn a_list_goes_on_while_its_key_is_replaced_and_no_longer() {
        let mut keyring = Keyring::generate();
        let former = keyring.active(KeyPurpose::Cursor).id.clone();
        let cursors = ListCursors::new(&keyring);
        let cursor = cursors.write("list", &7);
        for _ in 0..2 {
            keyring.rotate(KeyPurpose::Cursor, None).expect("the next step");
            cursors.use_keyring(&keyring);
            assert_eq!(cursors.read("list", &cursor), Ok(7));
        }
        assert_ne!(cursors.write("list", &7), cursor);
        keyring.retire(KeyPurpose::Cursor, former.as_str()).expect("retires");
        cursors.use_keyring(&keyring);
        let refused = Err(Problem::invalid_field("cursor", "cursor_invalid"));
        assert_eq!(cursors.read::<u8>("list", &cursor), refused);
    }
}
