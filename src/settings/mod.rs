//! What an installation can set, and where each value came from. Each section has a file: the form in which it is
//! written, and its check. The defaults are in `default.toml`.

mod browsers;
mod codes;
mod database;
mod delivery;
mod gateways;
mod identifiers;
mod keyring;
mod limits;
mod log;
mod memory;
mod oauth;
mod own_section;
mod privacy;
mod proposals;
mod raw;
mod retention;
mod server;
mod sessions;
mod shown;
mod sources;
#[cfg(test)]
mod tests;
mod tokens;
mod transparency;
mod words;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;

use chrono::TimeDelta;
use config::{ConfigError, ValueKind};
use counterfoil_domain::user_account::{InvalidPolicy, Policy};
use serde::{Deserialize, Serialize};

use crate::accounts::RetentionPolicy;
use crate::audit::rehearsal::PolicyProposals;
use crate::crypto::keyring::KeyringSource;
use crate::crypto::test_identifiers::TestIdentifiers;
use crate::delivery::DeliverySettings;
use crate::delivery::notices::NewDeviceNotice;
use crate::http::HttpPolicy;
use crate::limits::{LimitPolicy, LimitStore, WritePolicy};
use crate::postgres::DatabaseUrl;
use crate::tokens::TokenPolicy;
use crate::tokens::configured_claims::ConfiguredClaims;
use crate::transparency::TransparencyPolicy;

pub use memory::MemoryLimits;
pub use own_section::{OwnSection, SettingsSection};
use raw::Raw;
pub use shown::ShownSetting;
pub use sources::Sources;

/// The environment that the service runs in. The setting `profile` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// A developer's machine: codes come back in the response, and what is missing is made.
    Development,
    /// An installation with users: nothing is made up, and what is missing is an error.
    Production,
}

impl Environment {
    /// Returns the environment of an installation that names none, by whether it has a database or keys of its own.
    fn of(configured: bool) -> Self {
        if configured { Self::Production } else { Self::Development }
    }
}

/// A setting that cannot be used, by name.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file or value that cannot be read, or a key that does not exist.
    #[error("{0}")]
    Unreadable(#[from] ConfigError),
    /// A value out of its range.
    #[error("{0}")]
    Policy(#[from] InvalidPolicy),
    /// A value that does not fit, or is missing.
    #[error("{setting}: {problem}")]
    Invalid {
        /// The name of the setting.
        setting: Cow<'static, str>,
        /// What is wrong, and what to do.
        problem: String,
    },
}

/// The settings of a node, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The environment that the service runs in.
    pub environment: Environment,
    /// The address that the API listens on.
    pub listen: SocketAddr,
    /// Where the listener for operators, with the metrics, listens; none for no such listener.
    pub metrics_listen: Option<SocketAddr>,
    /// How many worker threads serve requests.
    pub workers: usize,
    /// The database; none for a private one.
    pub database: Option<DatabaseUrl>,
    /// The same database by the role that owns its tables; none where the server's role does.
    pub migration: Option<DatabaseUrl>,
    /// How many connections to it the node may have, over all of its threads.
    pub connections: usize,
    /// How many of them each thread may have.
    pub connections_of_thread: usize,
    /// How much a node may remember.
    pub memory: MemoryLimits,
    /// Where the keys come from; none for a file that is made in the development folder.
    pub keyring: Option<KeyringSource>,
    /// How codes reach people.
    pub delivery: DeliverySettings,
    /// What the HTTP layer goes by.
    pub http: HttpPolicy,
    /// The numbers that the rules go by.
    pub policy: Policy,
    /// How other values are put in the place of the present ones, to rehearse them.
    pub proposals: PolicyProposals,
    /// The limits that all nodes share, and where they are counted; none for no such limits.
    pub limits: Option<(LimitPolicy, LimitStore)>,
    /// How often an account and an address may ask for something that is put on record.
    pub writes: WritePolicy,
    /// How long data is kept.
    pub retention: RetentionPolicy,
    /// The file in which each erasure has a line; none for no such file.
    pub erasure_register: Option<PathBuf>,
    /// How tokens are made.
    pub tokens: TokenPolicy,
    /// What access tokens say besides.
    pub claims: ConfiguredClaims,
    /// Identifiers whose code is always the same.
    pub test_identifiers: TestIdentifiers,
    /// What others are told of the log, to prove that it is whole.
    pub transparency: TransparencyPolicy,
    /// Of which sign-ins the owner of an account is told.
    pub new_device_notice: NewDeviceNotice,
    /// Which log lines are written.
    pub log_filter: String,
    /// Whether log lines are JSON.
    pub log_json: bool,
}

impl Settings {
    /// The same settings, to be used by the role that owns the tables.
    pub fn as_owner(&self) -> Self {
        let database = self.migration.clone().or_else(|| self.database.clone());
        Self { database, ..self.clone() }
    }

    /// The role that the server connects as, where another owns the tables.
    ///
    /// # Errors
    /// When the database URL names none.
    pub fn server_role(&self) -> Result<Option<String>, SettingsError> {
        let (Some(url), Some(_)) = (&self.database, &self.migration) else { return Ok(None) };
        let config: Result<tokio_postgres::Config, _> = url.0.parse();
        let role = config.ok().and_then(|config| config.get_user().map(str::to_owned));
        role.map(Some).ok_or_else(|| invalid("database.url", "names no role for the server to connect as"))
    }
}

impl Sources {
    /// Refuses a value in the place of a section, before an error of the parser repeats the value.
    fn require_sections(&self) -> Result<(), SettingsError> {
        let ValueKind::Table(sections) = &self.config.cache.kind else { return Ok(()) };
        let is_section = |value: &config::Value| matches!(value.kind, ValueKind::Table(_));
        match sections.iter().find(|(name, value)| *name != "profile" && !is_section(value)) {
            Some((name, _)) => Err(invalid(name.clone(), "is a section with settings, or is unknown")),
            None => Ok(()),
        }
    }

    /// Checks everything.
    ///
    /// # Errors
    /// The first setting that is unknown, out of range, or missing in this environment.
    pub fn check(self) -> Result<Settings, SettingsError> {
        self.require_sections()?;
        let proposals = proposals::proposals(self.clone());
        let raw: Raw = own_section::take(&self.own, self.config.cache)?.try_deserialize()?;
        let configured = raw.database.url.is_some() || raw.keyring.is_set();
        let environment = raw.profile.unwrap_or_else(|| Environment::of(configured));
        let server = raw.server.check(environment)?;
        let database = raw.database.check(environment, server.workers)?;
        let keyring = raw.keyring.check(environment)?;
        let delivery = raw.delivery.check(raw.gateways, environment)?;
        let limits = raw.limits.check(environment, &delivery)?;
        let identifiers = raw.identifiers.check(environment)?;
        let tokens = raw.tokens.check()?;
        let retention = raw.retention.check()?;
        let transparency = raw.transparency.check(&tokens.policy.issuer)?;
        let privacy = raw.privacy.check()?;
        let log = raw.log.check()?;
        let browsers = raw.browsers.check()?;
        let new_device_notice = raw.sessions.new_device_notice;
        let policy = raw.sessions.extend(raw.codes.policy());
        let policy = Policy {
            unlock_links: server.public_url.is_some(),
            erasure_delay: privacy.erasure_delay,
            ..policy
        }
        .validated()?;
        Ok(Settings {
            environment,
            listen: server.listen,
            metrics_listen: server.metrics_listen,
            workers: database.workers,
            database: database.url,
            migration: database.migration_url,
            connections: database.connections,
            connections_of_thread: database.connections_of_thread,
            memory: raw.memory.check()?,
            keyring,
            delivery,
            http: HttpPolicy {
                default_region: identifiers.default_region,
                public_url: server.public_url,
                oauth_clients: raw.oauth.check()?,
                allowed_origins: browsers.allowed_origins,
                allowed_headers: browsers.allowed_headers,
                cookies: browsers.cookies,
                proxies: server.proxies,
                docs: server.docs,
                metrics: server.public_metrics,
                transparency: transparency.is_public,
            },
            policy,
            proposals,
            limits: limits.shared,
            writes: limits.writes,
            retention,
            erasure_register: privacy.erasure_register,
            tokens: tokens.policy,
            claims: tokens.claims,
            test_identifiers: identifiers.test_identifiers,
            transparency,
            new_device_notice,
            log_filter: log.filter,
            log_json: log.json,
        })
    }
}

fn invalid(setting: impl Into<Cow<'static, str>>, problem: &str) -> SettingsError {
    SettingsError::Invalid { setting: setting.into(), problem: problem.to_owned() }
}

fn seconds(seconds: u32) -> TimeDelta {
    TimeDelta::seconds(seconds.into())
}
