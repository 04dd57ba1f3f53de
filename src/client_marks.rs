//! By which a session's client is told from another: 16 bits, or 32 for a part of its address, of `HMAC-SHA-256(key, session ‖ feature)`.
//!
//! The session is part of it, so that marks of two sessions say nothing of each other. The key is derived from that of
//! lookups, which as little may tell who somebody is.

use aws_lc_rs::hmac;
use counterfoil_domain::user_account::ClientMarker;
use counterfoil_domain::values::{AddressMark, Client, ClientMark, SessionId};

use crate::keyring::{Keyring, Purpose};

/// Marks clients.
#[derive(Clone, Debug)]
pub struct ClientMarks {
    key: hmac::Key,
}

impl ClientMarks {
    /// Marks under the keyring's active lookup key.
    pub fn new(keyring: &Keyring) -> Self {
        let key = keyring.active(Purpose::Lookup).derive(&[b"client"]);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &*key) }
    }

    fn tag(&self, session: SessionId, feature: &[u8]) -> hmac::Tag {
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(session.0.as_bytes());
        mac.update(feature);
        mac.sign()
    }
}

impl ClientMarker for ClientMarks {
    fn mark(&self, session: SessionId, client: &Client) -> ClientMark {
        ClientMark::of(client, |feature| {
            let tag = self.tag(session, feature);
            tag.as_ref().iter().take(2).fold(0, |mark, byte| mark << 8 | u16::from(*byte))
        })
    }

    fn address(&self, session: SessionId, client: &Client, network: u16) -> AddressMark {
        AddressMark::of(client, network, |host| {
            let tag = self.tag(session, host);
            tag.as_ref().iter().take(4).fold(0, |mark, byte| mark << 8 | u32::from(*byte))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ClientMarks;
    use crate::{clock::Clock as _, clock::SystemClock, entropy, keyring::Keyring};
    use counterfoil_domain::user_account::ClientMarker as _;
    use counterfoil_domain::values::{Client, UserAgent};

    #[test]
    fn a_mark_is_of_one_session_and_one_key() {
        let (marks, elsewhere) =
            (ClientMarks::new(&Keyring::generate()), ClientMarks::new(&Keyring::generate()));
        let client = Client {
            ip: "192.0.2.7".parse().expect("an address"),
            user_agent: UserAgent::from_header("curl/8.5.0"),
            device_name: None,
        };
        let session = entropy::session_id(SystemClock.now());
        let mark = marks.mark(session, &client);
        assert_eq!(marks.mark(session, &client), mark);
        // Two marks are equal by chance once in four billion times.
        assert_ne!(marks.mark(entropy::session_id(SystemClock.now()), &client), mark);
        assert_ne!(elsewhere.mark(session, &client), mark);
    }
}
