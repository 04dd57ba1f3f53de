//! The sections of the settings, as they are written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{Binding, DeviceLimitPolicy, Rotation};
use serde::Deserialize;

use super::Profile;
use super::delivery::RawDelivery;
use super::gateways::RawGateways;
use crate::delivery::notices::NewDeviceNotice;
use crate::http::oauth_clients::ClientScope;
use crate::http::{Cookies, ForwardedHeader};

macro_rules! raw_section {
    ($name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name { $(pub(super) $field: $type),+ }
    };
}

raw_section!(Raw {
    profile: Option<Profile>,
    server: RawServer,
    database: RawDatabase,
    keyring: RawKeyring,
    memory: RawMemory,
    delivery: RawDelivery,
    gateways: RawGateways,
    identifiers: RawIdentifiers,
    codes: RawCodes,
    sessions: RawSessions,
    tokens: RawTokens,
    oauth: RawOauth,
    browsers: RawBrowsers,
    limits: RawLimits,
    retention: RawRetention,
    log: RawLog,
});
raw_section!(RawServer {
    listen: String,
    metrics_listen: Option<String>,
    workers: usize,
    public_url: Option<String>,
    trusted_proxies: Option<Words>,
    forwarded: Option<ForwardedHeader>,
    docs: Option<bool>,
});
raw_section!(RawDatabase { url: Option<String>, migration_url: Option<String>, connections: usize });
raw_section!(RawMemory { accounts_mib: u64, tokens_mib: u64 });
raw_section!(RawKeyring { file: Option<PathBuf>, command: Option<Words> });

/// A list of words, or one text that holds all of them, as an environment variable does.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Words {
    List(Vec<String>),
    Text(String),
}

impl Words {
    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::List(words) => words.is_empty(),
            Self::Text(text) => text.trim().is_empty(),
        }
    }

    /// The words of a list, which a text separates by commas or white space.
    pub fn into_list(self) -> Vec<String> {
        self.split_at(|c| c == ',' || c.is_whitespace())
    }

    /// The words of a command line: arguments may hold commas, so a text separates them by white space where it has any.
    pub fn into_command(self) -> Vec<String> {
        match &self {
            Self::Text(text) if text.trim().contains(char::is_whitespace) => {
                self.split_at(char::is_whitespace)
            }
            Self::Text(_) | Self::List(_) => self.into_list(),
        }
    }

    fn split_at(self, separates: impl Fn(char) -> bool) -> Vec<String> {
        match self {
            Self::List(words) => words,
            Self::Text(text) => {
                text.split(separates).filter(|word| !word.is_empty()).map(str::to_owned).collect()
            }
        }
    }
}

raw_section!(RawIdentifiers {
    default_region: Option<String>,
    allow_test_in_production: bool,
    test: Vec<RawTestIdentifier>,
});
raw_section!(RawTestIdentifier { identifier: String, code: String, until: DateTime<Utc> });
raw_section!(RawCodes {
    lifetime: u32,
    tries: u8,
    resend_after: u32,
    per_day: usize,
    wrong_per_hour: usize,
    wrong_in_a_row: u32,
});
raw_section!(RawSessions {
    idle: u32,
    absolute: u32,
    refresh_grace: u32,
    refreshes_per_minute: u32,
    device_limit: usize,
    device_limit_policy: DeviceLimitPolicy,
    binding: Binding,
    rotation: Rotation,
    new_device_notice: NewDeviceNotice,
});
raw_section!(RawTokens {
    issuer: String,
    audience: String,
    access_lifetime: u32,
    claims: serde_json::Map<String, serde_json::Value>,
    profile_claims: Words,
});
raw_section!(RawOauth { clients: Vec<RawOauthClient> });
raw_section!(RawOauthClient { id: String, secret_sha256: String, scopes: Option<BTreeSet<ClientScope>> });
raw_section!(RawBrowsers { allowed_origins: Words, allowed_headers: Words, cookies: Cookies });
raw_section!(RawLimits {
    shared: String,
    store: String,
    redis_url: Option<String>,
    codes_burst: u32,
    codes_per_minute: u32,
    tries_burst: u32,
    tries_per_minute: u32,
    network_codes_burst: u32,
    network_codes_per_minute: u32,
    network_tries_burst: u32,
    network_tries_per_minute: u32,
    codes_per_prefix: u32,
    codes_per_mailbox: u32,
    codes_per_mail_domain: u32,
    mail_providers: Words,
    countries: Words,
    messages_per_country: BTreeMap<String, u32>,
    country_codes_per_minute: u32,
    country_codes_per_hour: u32,
    service_codes_per_minute: u32,
    service_codes_per_hour: u32,
    messages_per_day: Option<u32>,
    money_per_day: Option<String>,
    emails_per_day: Option<u32>,
    reserve_percent: u32,
    writes_burst: u32,
    writes_per_minute: u32,
    address_writes_burst: u32,
    address_writes_per_minute: u32,
    wrong_codes_per_hour: u32,
    conversion_from: u32,
    conversion_percent: u32,
});
raw_section!(RawRetention { never_signed_in: u32 });
raw_section!(RawLog { filter: String, format: String });
