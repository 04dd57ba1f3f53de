//! What an installation sets of the REST API.

use counterfoil_domain::values::Region;
use serde::{Deserialize, Serialize};

use super::TrustedProxies;
use super::oauth_clients::OauthClients;

/// How browsers are given their tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CookieMode {
    /// In the body, as for every other client.
    #[default]
    Off,
    /// In the body, and in cookies.
    Also,
    /// In cookies, so that no script can read them.
    Only,
}

/// The settings that the HTTP layer works by.
#[derive(Clone, Debug, Default)]
pub struct HttpPolicy {
    /// Where phone numbers without a country code are read.
    pub default_region: Option<Region>,
    /// Under which URL the service can be reached from outside, without a slash at its end; links in messages begin with it.
    pub public_url: Option<String>,
    /// The services that may ask about tokens and revoke them.
    pub oauth_clients: OauthClients,
    /// Origins (RFC 6454) of other sites whose pages may call the API, with cookies.
    pub allowed_origins: Vec<String>,
    /// Headers that pages of those origins may send, besides those that the API reads and those of tracing.
    pub allowed_headers: Vec<String>,
    /// Whether browsers are given their tokens in cookies.
    pub cookies: CookieMode,
    /// The proxies that stand in front of the service.
    pub proxies: TrustedProxies,
    /// Whether the document of the API is served, and the page to read it.
    pub docs: bool,
    /// Whether everybody may read checkpoints and tiles of the log.
    pub transparency: bool,
    /// Whether the metrics are on the public listener.
    pub metrics: bool,
}

impl HttpPolicy {
    /// The path of the public URL, under which browsers see the paths of the service; empty where there is none.
    pub fn public_path(&self) -> &str {
        let authority =
            self.public_url.as_deref().and_then(|url| url.split_once("://")).map(|(_, rest)| rest);
        let path = authority.and_then(|rest| rest.find('/').map(|start| &rest[start..]));
        path.unwrap_or_default()
    }
}
