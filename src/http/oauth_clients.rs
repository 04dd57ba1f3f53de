//! The services that may ask about tokens and end their sessions.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// What a client may do (RFC 6749, section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum ClientScope {
    /// Ask what a token says and whether it works.
    #[serde(rename = "tokens:introspect")]
    IntrospectTokens,
    /// End the session of a token.
    #[serde(rename = "tokens:revoke")]
    RevokeTokens,
    /// Follow which sessions end.
    #[serde(rename = "sessions:read")]
    ReadSessions,
}

impl ClientScope {
    /// Its name in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IntrospectTokens => "tokens:introspect",
            Self::RevokeTokens => "tokens:revoke",
            Self::ReadSessions => "sessions:read",
        }
    }
}

#[derive(Clone, Debug)]
struct OauthClient {
    hash: [u8; 32],
    scopes: BTreeSet<ClientScope>,
}

/// The configured clients of `/oauth`, each with the SHA-256 of its secret. A plain hash does for what a machine made of
/// 32 random bytes; a secret that a person thought of would need a slow one.
#[derive(Clone, Debug, Default)]
pub struct OauthClients(BTreeMap<String, OauthClient>);

/// A client that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOauthClient {
    /// The id is empty, or has a character that HTTP Basic cannot carry (RFC 7617, section 2).
    #[error("the id {0:?} is empty or has a colon or a control character")]
    Id(String),
    /// The hash is not what `sha256sum` prints, or is that of the empty text.
    #[error("the secret_sha256 of {0:?} is not 64 hexadecimal digits of a secret's hash")]
    Hash(String),
    /// Two clients have one id.
    #[error("the id {0:?} is given twice")]
    Twice(String),
}

impl OauthClients {
    /// Clients by id, the hash of the secret (64 hexadecimal digits) and what the client may do.
    ///
    /// # Errors
    /// [`InvalidOauthClient`], the first there is.
    pub fn new(
        clients: impl IntoIterator<Item = (String, String, BTreeSet<ClientScope>)>,
    ) -> Result<Self, InvalidOauthClient> {
        let mut known = BTreeMap::new();
        for (id, hash, scopes) in clients {
            if id.is_empty() || id.chars().any(|c| c == ':' || c.is_control()) {
                return Err(InvalidOauthClient::Id(id));
            }
            let Some(hash) = decoded(&hash).filter(|hash| *hash != hash_of("")) else {
                return Err(InvalidOauthClient::Hash(id));
            };
            if known.insert(id.clone(), OauthClient { hash, scopes }).is_some() {
                return Err(InvalidOauthClient::Twice(id));
            }
        }
        Ok(Self(known))
    }

    /// What the client of that id may do, if that is its secret. Takes the same time for an id that no client has.
    pub fn authenticate(&self, id: &str, secret: &str) -> Option<&BTreeSet<ClientScope>> {
        let known = self.0.get(id);
        let expected = known.map_or(&[0; 32], |client| &client.hash);
        let equal = verify_slices_are_equal(expected, &hash_of(secret)).is_ok();
        known.filter(|_| equal).map(|client| &client.scopes)
    }
}

fn hash_of(secret: &str) -> [u8; 32] {
    digest(&SHA256, secret.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn decoded(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let bytes = (0..64).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok());
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::{ClientScope, InvalidOauthClient, OauthClients};

    /// What `printf %s secret | sha256sum` prints.
    const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn clients(pairs: &[(&str, &str)]) -> Result<OauthClients, InvalidOauthClient> {
        let scopes = || [ClientScope::IntrospectTokens].into();
        OauthClients::new(pairs.iter().map(|(id, hash)| ((*id).to_owned(), (*hash).to_owned(), scopes())))
    }

    #[test]
    fn a_client_is_who_knows_the_secret_of_its_id() {
        let clients = clients(&[("orders", HASH)]).expect("valid");
        assert_eq!(clients.authenticate("orders", "secret"), Some(&[ClientScope::IntrospectTokens].into()));
        for (id, secret) in
            [("orders", "Secret"), ("orders", ""), ("other", "secret"), ("", ""), ("orders", HASH)]
        {
            assert_eq!(clients.authenticate(id, secret), None, "{id} {secret}");
        }
    }

    #[test]
    fn ids_that_cannot_be_sent_and_hashes_that_are_none_are_refused() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (id, hash) in [("", HASH), ("a:b", HASH), ("a\n", HASH), ("a", "secret"), ("a", ""), ("a", empty)]
        {
            assert!(clients(&[(id, hash)]).is_err(), "{id:?} {hash:?}");
        }
        let twice = clients(&[("a", HASH), ("a", HASH)]);
        assert!(matches!(twice, Err(InvalidOauthClient::Twice(_))), "{twice:?}");
    }
}
