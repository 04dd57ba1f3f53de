//! By which a session's client is told from another: 16 bits, or 32 for a part of its address, of `HMAC-SHA-256(key, session ‖ feature)`.
//!
//! The session is part of it, so that marks of two sessions say nothing of each other. Marks do not say which key made them:
//! they are short, and there are many. While the key is being replaced they are compared under each key of the keyring, by which
//! a client is taken for another in two cases of 65,536 instead of one.

use aws_lc_rs::hmac;
use counterfoil_domain::user_account::ClientMarker;
use counterfoil_domain::values::{AddressMark, Client, ClientMark, SessionId};

use crate::crypto::keyring::{KeyPurpose, Keyring, MacKey, MacKeys};

/// Makes the fingerprints of clients.
#[derive(Clone, Debug)]
pub struct ClientMarks {
    keys: MacKeys,
}

impl ClientMarks {
    /// Marks under the keyring's active client key.
    pub fn new(keyring: &Keyring) -> Self {
        Self { keys: MacKeys::new(keyring, KeyPurpose::Client, b"client") }
    }

    /// Goes on with another keyring's keys, here and in every clone.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.keys.use_keyring(keyring);
    }
}

fn tag(key: &MacKey, session: SessionId, feature: &[u8]) -> hmac::Tag {
    let mut mac = hmac::Context::with_key(key.key());
    mac.update(session.0.as_bytes());
    mac.update(feature);
    mac.sign()
}

fn mark(key: &MacKey, session: SessionId, client: &Client) -> ClientMark {
    ClientMark::from_client(client, |feature| {
        let tag = tag(key, session, feature);
        tag.as_ref().iter().take(2).fold(0, |mark, byte| mark << 8 | u16::from(*byte))
    })
}

fn address(key: &MacKey, session: SessionId, client: &Client, network: u16) -> AddressMark {
    AddressMark::from_client(client, network, |host| {
        let tag = tag(key, session, host);
        tag.as_ref().iter().take(4).fold(0, |mark, byte| mark << 8 | u32::from(*byte))
    })
}

impl ClientMarker for ClientMarks {
    fn mark(&self, session: SessionId, client: &Client) -> ClientMark {
        mark(self.keys.load().active(), session, client)
    }

    fn former_marks(&self, session: SessionId, client: &Client) -> Vec<ClientMark> {
        self.keys.load().others().iter().map(|key| mark(key, session, client)).collect()
    }

    fn address(&self, session: SessionId, client: &Client, network: u16) -> AddressMark {
        address(self.keys.load().active(), session, client, network)
    }

    fn address_beside(
        &self,
        earlier: AddressMark,
        session: SessionId,
        client: &Client,
        network: u16,
    ) -> AddressMark {
        let keys = self.keys.load();
        let present = address(keys.active(), session, client, network);
        let makes_it =
            |key: &MacKey| address(key, session, client, mark(key, session, client).network) == earlier;
        if present != earlier && keys.others().iter().any(makes_it) { earlier } else { present }
    }
}

#[cfg(test)]
mod tests {
    use super::ClientMarks;
    use crate::crypto::entropy;
    use crate::crypto::keyring::{KeyPurpose, Keyring};
    use crate::runtime::clock::{Clock as _, SystemClock};
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

    #[test]
    fn a_client_is_known_while_the_key_of_its_marks_is_replaced() {
        let mut keyring = Keyring::generate();
        let marks = ClientMarks::new(&keyring);
        let client = |ip: &str, agent| Client {
            ip: ip.parse().expect("an address"),
            user_agent: UserAgent::from_header(agent),
            device_name: None,
        };
        let (here, session) = (client("192.0.2.7", "curl"), entropy::session_id(SystemClock.now()));
        let mark = marks.mark(session, &here);
        let address = marks.address(session, &here, mark.network);
        for _ in 0..2 {
            keyring.rotate(KeyPurpose::Client, None).expect("the next step");
            marks.use_keyring(&keyring);
            assert_eq!(marks.mark_beside(mark, session, &here), mark);
            assert_eq!(marks.address_beside(address, session, &here, mark.network), address);
            let elsewhere = client("198.51.100.7", "curl");
            let moved = marks.mark_beside(mark, session, &elsewhere);
            assert_eq!((moved.device, moved.network == mark.network), (mark.device, false));
            assert_ne!(marks.address_beside(address, session, &elsewhere, moved.network), address);
        }
        assert_ne!(marks.mark(session, &here), mark);
    }
}
