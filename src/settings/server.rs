//! The section `server`: where the service listens, and how it is reached.

use std::net::{SocketAddr, ToSocketAddrs as _};

use super::raw::raw_section;
use super::words::Words;
use super::{Environment, SettingsError, invalid};
use crate::http::{ForwardedHeader, TrustedProxies};
use crate::runtime::network::{self, is_this_machine};

raw_section!(RawServer {
    listen: String,
    metrics_listen: Option<String>,
    workers: usize,
    public_url: Option<String>,
    trusted_proxies: Option<Words>,
    forwarded: Option<ForwardedHeader>,
    docs: Option<bool>,
});

/// The section `server`, checked.
pub(super) struct ServerSettings {
    pub listen: SocketAddr,
    pub metrics_listen: Option<SocketAddr>,
    /// The number of worker threads; 0 for one for each core.
    pub workers: usize,
    pub public_url: Option<String>,
    pub proxies: TrustedProxies,
    pub docs: bool,
    /// Whether the public listener serves the metrics.
    pub public_metrics: bool,
}

impl RawServer {
    pub fn check(self, environment: Environment) -> Result<ServerSettings, SettingsError> {
        let development = environment == Environment::Development;
        let listen = socket("server.listen", &self.listen)?;
        let metrics_listen =
            self.metrics_listen.map(|listen| socket("server.metrics_listen", &listen)).transpose()?;
        if development && !listen.ip().is_loopback() {
            return Err(invalid(
                "server.listen",
                "the development profile gives codes away and listens on a loopback address only",
            ));
        }
        if self.workers > 1024 {
            return Err(invalid("server.workers", "must be 0 to 1024"));
        }
        Ok(ServerSettings {
            listen,
            metrics_listen,
            workers: self.workers,
            public_url: self.public_url.map(public_url).transpose()?,
            proxies: proxies(self.trusted_proxies, self.forwarded)?,
            docs: self.docs.unwrap_or(development),
            public_metrics: development && metrics_listen.is_none(),
        })
    }
}

fn socket(setting: &'static str, text: &str) -> Result<SocketAddr, SettingsError> {
    let resolved = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    resolved.ok_or_else(|| invalid(setting, "is not host:port"))
}

fn public_url(url: String) -> Result<String, SettingsError> {
    let url = url.trim_end_matches('/').to_owned();
    let parsed: Option<reqwest::Url> = url.parse().ok();
    let secure = parsed.is_some_and(|parsed| match (parsed.scheme(), parsed.host_str()) {
        ("https", Some(_)) => true,
        ("http", Some(host)) => is_this_machine(host),
        _ => false,
    });
    let plain = !url.contains(['?', '#', '@', ';']) && !url.contains(char::is_whitespace);
    if !secure || !plain {
        return Err(invalid("server.public_url", "is not a URL such as https://auth.example"));
    }
    Ok(url)
}

fn proxies(trusted: Option<Words>, header: Option<ForwardedHeader>) -> Result<TrustedProxies, SettingsError> {
    let mut networks = Vec::new();
    for text in trusted.map(Words::into_list).unwrap_or_default() {
        let refused = |problem: &str| {
            invalid("server.trusted_proxies", &format!("{text:?} is {problem} such as 10.0.0.0/8"))
        };
        let network = network::parse(&text).map_err(|_| refused("not a network"))?;
        // The widest networks that are an installation's own: 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193).
        let widest = if network.addr().is_ipv4() { 8 } else { 7 };
        if network.prefix_len() < widest {
            return Err(refused("wider than a network of your own"));
        }
        networks.push(network);
    }
    match (networks.is_empty(), header) {
        (false, None) => {
            Err(invalid("server.forwarded", "is missing: in which header do the proxies say it?"))
        }
        (true, Some(_)) => {
            Err(invalid("server.trusted_proxies", "is missing: whose header is to be believed?"))
        }
        (_, header) => Ok(TrustedProxies { trusted: networks, header }),
    }
}
