//! The settings as they are written: a structure of sections.

use super::Environment;
use super::browsers::RawBrowsers;
use super::codes::RawCodes;
use super::database::RawDatabase;
use super::delivery::RawDelivery;
use super::gateways::RawGateways;
use super::identifiers::RawIdentifiers;
use super::keyring::RawKeyring;
use super::limits::RawLimits;
use super::log::RawLog;
use super::memory::RawMemory;
use super::oauth::RawOauth;
use super::retention::RawRetention;
use super::server::RawServer;
use super::sessions::RawSessions;
use super::tokens::RawTokens;

/// Declares a section as it is written: a field for each setting, and nothing else.
macro_rules! raw_section {
    ($name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name { $(pub(super) $field: $type),+ }
    };
}
pub(super) use raw_section;

raw_section!(Raw {
    profile: Option<Environment>,
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
