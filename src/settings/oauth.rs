//! The section `oauth`: the services that may ask about tokens and end their sessions.

use std::collections::BTreeSet;

use super::raw::raw_section;
use super::{SettingsError, invalid};
use crate::http::oauth_clients::{ClientScope, OauthClients};

raw_section!(RawOauth { clients: Vec<RawOauthClient> });
raw_section!(RawOauthClient { id: String, secret_sha256: String, scopes: Option<BTreeSet<ClientScope>> });

impl RawOauth {
    pub fn check(self) -> Result<OauthClients, SettingsError> {
        let clients = OauthClients::new(self.clients.into_iter().map(|client| {
            let scopes = client.scopes.unwrap_or_else(|| [ClientScope::IntrospectTokens].into());
            (client.id, client.secret_sha256, scopes)
        }));
        clients.map_err(|error| invalid("oauth.clients", &error.to_string()))
    }
}
