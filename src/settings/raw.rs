//! The settings as they are written: a structure of sections.

use config::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

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
use super::privacy::RawPrivacy;
use super::retention::RawRetention;
use super::server::RawServer;
use super::sessions::RawSessions;
use super::tokens::RawTokens;
use super::transparency::RawTransparency;

/// Declares a section as it is written: a field for each setting, and nothing else. What must not be shown is a `Secret`.
macro_rules! raw_section {
    ($name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        #[derive(serde::Deserialize, serde::Serialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name { $(pub(super) $field: $type),+ }
    };
}
pub(super) use raw_section;

/// Declares all sections, each with its type.
macro_rules! raw_sections {
    ($($section:ident: $type:ty),+ $(,)?) => {
        raw_section!(Raw { $($section: $type),+ });

        /// The names of all sections.
        pub(super) const SECTION_NAMES: &[&str] = &[$(stringify!($section)),+];

        /// Returns a section as its type serializes, with secrets masked; none where it is not of that type.
        pub(super) fn masked_section(name: &str, section: Value) -> Option<serde_json::Value> {
            match name {
                $(stringify!($section) => masked_as::<$type>(section),)+
                _ => None,
            }
        }
    };
}

raw_sections!(
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
    privacy: RawPrivacy,
    retention: RawRetention,
    transparency: RawTransparency,
    log: RawLog,
);

fn masked_as<T: DeserializeOwned + Serialize>(section: Value) -> Option<serde_json::Value> {
    serde_json::to_value(section.try_deserialize::<T>().ok()?).ok()
}
