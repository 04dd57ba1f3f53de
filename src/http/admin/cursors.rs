//! Where a list goes on: a position that the caller can give back and can neither make nor change.
//!
//! `base64url(the first 16 bytes of HMAC-SHA-256(key, list ‖ 0 ‖ position) ‖ position)`. A cursor of one list is none of
//! another. It gives access to nothing: whoever presents it is asked for his role as ever.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::Problem;
use crate::keyring::{Keyring, Purpose};

/// How many bytes of the MAC are kept.
const MAC: usize = 16;

/// Makes cursors and reads them.
#[derive(Clone)]
pub struct Cursors {
    key: hmac::Key,
}

impl fmt::Debug for Cursors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursors").finish_non_exhaustive()
    }
}

impl Cursors {
    /// Under a key that is derived from that of lookups, which stays: a page can be asked for after keys were rotated.
    pub fn new(keyring: &Keyring) -> Self {
        let key = keyring.active(Purpose::Lookup).derive(&[b"cursor"]);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &*key) }
    }

    /// The cursor to a position in that list.
    pub fn write(&self, list: &str, position: &impl Serialize) -> String {
        let position = serde_json::to_vec(position).expect("times, addresses and ids are JSON");
        URL_SAFE_NO_PAD.encode([&self.mac(list, &position)[..MAC], &position].concat())
    }

    /// The position that a cursor of that list says.
    ///
    /// # Errors
    /// The field `cursor` is wrong, where it is none of ours or of another list.
    pub fn read<P: DeserializeOwned>(&self, list: &str, cursor: &str) -> Result<P, Problem> {
        self.open(list, cursor).ok_or_else(|| Problem::invalid_field("cursor", "cursor_invalid"))
    }

    fn open<P: DeserializeOwned>(&self, list: &str, cursor: &str) -> Option<P> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (mac, position) = bytes.split_at_checked(MAC)?;
        constant_time::verify_slices_are_equal(&self.mac(list, position)[..MAC], mac).ok()?;
        serde_json::from_slice(position).ok()
    }

    fn mac(&self, list: &str, position: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key, &[list.as_bytes(), &[0], position].concat()).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::Cursors;
    use crate::http::Problem;
    use crate::keyring::Keyring;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_no_other_is() {
        let cursors = Cursors::new(&Keyring::generate());
        let cursor = cursors.write("list", &(7, "x"));
        assert_eq!(cursors.read("list", &cursor), Ok((7, "x".to_owned())));
        let refused = Err(Problem::invalid_field("cursor", "cursor_invalid"));
        let read = |cursors: &Cursors, list, cursor: &str| cursors.read::<(u8, String)>(list, cursor);
        assert_eq!(read(&cursors, "other", &cursor), refused);
        assert_eq!(read(&Cursors::new(&Keyring::generate()), "list", &cursor), refused);
        for at in 0..cursor.len() {
            let mut other = cursor.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(read(&cursors, "list", str::from_utf8(&other).expect("text")), refused, "{at}");
            assert_eq!(read(&cursors, "list", &cursor[..at]), refused);
        }
    }
}
