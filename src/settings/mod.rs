//! What an installation can set, and where each value came from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};
use counterfoil_domain::user_account::{Binding, DeviceLimitPolicy, InvalidPolicy, Policy, Rotation};
use counterfoil_domain::values::{EmailAddress, Identifier, OtpCode, PhoneNumber, Region};
use serde::Deserialize;

use crate::delivery::{self, DeliverySettings, Price, RawDelivery, RawGateways};
use crate::extra_claims::{ConfiguredClaims, ProfileField};
use crate::http::{ForwardedHeader, Proxies};
use crate::keyring::KeyringSource;
use crate::limits::{LimitPolicy, LimitStore, Rate};
use crate::notices::NewDeviceNotice;
use crate::oauth_clients::OauthClients;
use crate::test_identifiers::TestIdentifiers;
use crate::tokens::{ExtraClaims, TokenPolicy};

/// Names that every deployment sets, beside the long form.
const SHORT_NAMES: [(&str, &str); 4] = [
    ("DATABASE_URL", "database.url"),
    ("COUNTERFOIL_LISTEN", "server.listen"),
    ("COUNTERFOIL_KEYRING", "keyring.file"),
    ("COUNTERFOIL_PROFILE", "profile"),
];

const PREFIX: &str = "COUNTERFOIL__";

/// For what the service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// On a developer's machine: codes come back in the answer, and what is missing is made.
    Development,
    /// For people: nothing is made up, and what is missing is an error.
    Production,
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
        /// The setting.
        setting: Cow<'static, str>,
        /// What is wrong, and what to do.
        problem: String,
    },
}

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For what the service runs.
    pub profile: Profile,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How many worker threads serve requests; 0 for one a core.
    pub workers: usize,
    /// The database; none for a private one.
    pub database: Option<DatabaseUrl>,
    /// The same database by the role that owns its tables; none where the server's role does.
    pub migration: Option<DatabaseUrl>,
    /// How many connections to it.
    pub connections: usize,
    /// Where the keys come from; none for a file that is made in the development folder.
    pub keyring: Option<KeyringSource>,
    /// How codes reach people.
    pub delivery: DeliverySettings,
    /// What the HTTP layer goes by.
    pub http: HttpPolicy,
    /// The numbers that the rules go by.
    pub policy: Policy,
    /// The limits that all nodes share, and where they are counted; none for no such limits.
    pub limits: Option<(LimitPolicy, LimitStore)>,
    /// How tokens are made.
    pub tokens: TokenPolicy,
    /// What access tokens say besides.
    pub claims: ConfiguredClaims,
    /// Identifiers whose code is always the same.
    pub test_identifiers: TestIdentifiers,
    /// Of which sign-ins the owner of an account is told.
    pub new_device_notice: NewDeviceNotice,
    /// Which log lines are written.
    pub log_filter: String,
    /// Whether log lines are JSON.
    pub log_json: bool,
}

/// How browsers are given their tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cookies {
    /// In the body, like everybody.
    #[default]
    Off,
    /// In the body, and in cookies.
    Also,
    /// In cookies, so that no script can read them.
    Only,
}

/// What the HTTP layer goes by.
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
    /// Whether browsers are given their tokens in cookies.
    pub cookies: Cookies,
    /// The proxies that stand in front of the service.
    pub proxies: Proxies,
}

/// A database URL, which holds a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub String);

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
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

/// Settings before they are checked, with their origins.
#[derive(Debug)]
pub struct Sources(Config);

/// A value for people to look at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Shown {
    /// The setting.
    pub key: String,
    /// Its value, masked where it is secret.
    pub value: String,
    /// Where it came from.
    pub origin: String,
}

/// Values that do not come from a file.
#[derive(Clone, Debug)]
struct Given(Vec<(String, Value)>);

impl Source for Given {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.iter().cloned().collect())
    }
}

impl Sources {
    /// Reads all sources: the defaults, the file (`counterfoil.toml` unless another is named), the given
    /// environment, the given flags.
    ///
    /// # Errors
    /// When a file that was named is missing, or one cannot be parsed.
    pub fn read(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: impl Iterator<Item = (&'static str, String)>,
    ) -> Result<Self, SettingsError> {
        let environment = environment.filter_map(|(name, value)| {
            let short =
                SHORT_NAMES.iter().find(|(short, _)| *short == name).map(|(_, key)| (*key).to_owned());
            let key = short.or_else(|| Some(name.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".")))?;
            Some((key, Value::new(Some(&format!("environment {name}")), ValueKind::String(value))))
        });
        let flags = flags.map(|(key, value)| {
            (key.to_owned(), Value::new(Some(&"flag".to_owned()), ValueKind::String(value)))
        });
        let named = file.unwrap_or(Path::new("counterfoil.toml"));
        let config = Config::builder()
            .add_source(File::from_str(include_str!("default.toml"), FileFormat::Toml))
            .add_source(File::from(named).format(FileFormat::Toml).required(file.is_some()))
            .add_source(Given(environment.collect()))
            .add_source(Given(flags.collect()))
            .build()?;
        Ok(Self(config))
    }

    /// Every value that is set, with its origin.
    pub fn shown(&self) -> Vec<Shown> {
        let mut shown = Vec::new();
        collect(&self.0.cache, "", &mut shown);
        shown.sort_by(|a, b| a.key.cmp(&b.key));
        shown
    }

    /// Checks everything.
    ///
    /// # Errors
    /// The first setting that is unknown, out of range, or missing in this profile.
    pub fn check(self) -> Result<Settings, SettingsError> {
        let raw: Raw = self.0.try_deserialize()?;
        let keyring = keyring(raw.keyring)?;
        let unset = raw.database.url.is_none() && keyring.is_none();
        let profile = raw.profile.unwrap_or(if unset { Profile::Development } else { Profile::Production });
        let development = profile == Profile::Development;
        let resolved = raw.server.listen.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
        let listen = resolved.ok_or_else(|| invalid("server.listen", "is not host:port"))?;
        if development && !listen.ip().is_loopback() {
            return Err(invalid(
                "server.listen",
                "the development profile gives codes away and listens on a loopback address only",
            ));
        }
        if !development && raw.database.url.is_none() {
            return Err(invalid("database.url", "is missing; set DATABASE_URL"));
        }
        if !development && keyring.is_none() {
            return Err(invalid("keyring.file", "is missing; make one with `counterfoil keys new`"));
        }
        if raw.database.migration_url.is_some() && raw.database.url.is_none() {
            return Err(invalid("database.migration_url", "goes with database.url, which is missing"));
        }
        let delivery = DeliverySettings::check(raw.delivery, raw.gateways, development)?;
        let shared = match (raw.limits.shared.as_str(), development) {
            ("on", _) => true,
            ("off", true) => false,
            ("off", false) => {
                return Err(invalid("limits.shared", "can be off in the development profile only"));
            }
            _ => return Err(invalid("limits.shared", "is `on` or `off`")),
        };
        let limits = limits(raw.limits)?;
        let default_region = region(raw.identifiers.default_region.as_deref())?;
        let may_test = development || raw.identifiers.allow_test_in_production;
        let test_identifiers = test_identifiers(raw.identifiers.test, default_region, may_test)?;
        let http = HttpPolicy {
            default_region,
            public_url: raw.server.public_url.map(public_url).transpose()?,
            oauth_clients: oauth_clients(raw.oauth.clients)?,
            allowed_origins: origins(raw.browsers.allowed_origins)?,
            cookies: raw.browsers.cookies,
            proxies: proxies(raw.server.trusted_proxies, raw.server.forwarded)?,
        };
        let access_lifetime = seconds(raw.tokens.access_lifetime);
        if !(30..=3600).contains(&raw.tokens.access_lifetime) {
            return Err(invalid("tokens.access_lifetime", "must be 30 to 3600 seconds"));
        }
        if !(1..=1000).contains(&raw.database.connections) {
            return Err(invalid("database.connections", "must be 1 to 1000"));
        }
        Ok(Settings {
            profile,
            listen,
            workers: raw.server.workers,
            database: raw.database.url.map(DatabaseUrl),
            migration: raw.database.migration_url.map(DatabaseUrl),
            connections: raw.database.connections,
            keyring,
            delivery,
            http,
            policy: Policy {
                code_lifetime: seconds(raw.codes.lifetime),
                code_tries: raw.codes.tries,
                resend_after: seconds(raw.codes.resend_after),
                codes_per_day: raw.codes.per_day,
                wrong_codes_per_hour: raw.codes.wrong_per_hour,
                wrong_codes_in_a_row: raw.codes.wrong_in_a_row,
                session_idle: seconds(raw.sessions.idle),
                session_absolute: seconds(raw.sessions.absolute),
                refresh_grace: seconds(raw.sessions.refresh_grace),
                device_limit: raw.sessions.device_limit,
                device_limit_policy: raw.sessions.device_limit_policy,
                binding: raw.sessions.binding,
                rotation: raw.sessions.rotation,
                ..Policy::default()
            }
            .validated()?,
            claims: claims(raw.tokens.claims, raw.tokens.profile_claims)?,
            test_identifiers,
            new_device_notice: raw.sessions.new_device_notice,
            limits: shared.then_some(limits),
            tokens: TokenPolicy { issuer: raw.tokens.issuer, audience: raw.tokens.audience, access_lifetime },
            log_filter: raw.log.filter,
            log_json: match raw.log.format.as_str() {
                "json" => true,
                "text" => false,
                _ => return Err(invalid("log.format", "is `json` or `text`")),
            },
        })
    }
}

pub(crate) fn invalid(setting: impl Into<Cow<'static, str>>, problem: &str) -> SettingsError {
    SettingsError::Invalid { setting: setting.into(), problem: problem.to_owned() }
}

fn keyring(raw: RawKeyring) -> Result<Option<KeyringSource>, SettingsError> {
    let words = match raw.command {
        None => return Ok(raw.file.map(KeyringSource::File)),
        Some(words) => words.into_list(),
    };
    if raw.file.is_some() {
        return Err(invalid("keyring.command", "goes instead of keyring.file; set one of them"));
    }
    let mut words = words.into_iter();
    let program = words.next().ok_or_else(|| invalid("keyring.command", "names no program"))?;
    Ok(Some(KeyringSource::Command { program, arguments: words.collect() }))
}

fn region(code: Option<&str>) -> Result<Option<Region>, SettingsError> {
    let Some(code) = code.filter(|code| !code.is_empty()) else { return Ok(None) };
    let unknown =
        || invalid("identifiers.default_region", "is not a two-letter code of a region, such as IR");
    Region::parse(code).map(Some).ok_or_else(unknown)
}

fn oauth_clients(clients: Vec<RawOauthClient>) -> Result<OauthClients, SettingsError> {
    let clients = OauthClients::new(clients.into_iter().map(|client| (client.id, client.secret_sha256)));
    clients.map_err(|error| invalid("oauth.clients", &error.to_string()))
}

fn money(text: String) -> Result<Price, SettingsError> {
    Price::parse(&text).ok_or_else(|| invalid("limits.money_per_day", "is not an amount such as 25 or 0.05"))
}

fn public_url(url: String) -> Result<String, SettingsError> {
    let url = url.trim_end_matches('/').to_owned();
    let uri: Option<actix_web::http::Uri> = url.parse().ok();
    let scheme = uri.as_ref().and_then(|uri| uri.scheme_str()).unwrap_or_default();
    let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default();
    let plain = !host.is_empty() && !url.contains(['?', '#', '@']);
    if !plain || !(scheme == "https" || scheme == "http" && is_this_machine(host)) {
        return Err(invalid("server.public_url", "is not a URL such as https://auth.example"));
    }
    Ok(url)
}

fn test_identifiers(
    listed: Vec<RawTestIdentifier>,
    region: Option<Region>,
    allowed: bool,
) -> Result<TestIdentifiers, SettingsError> {
    let bad = |problem: &str| invalid("identifiers.test", problem);
    if !allowed && !listed.is_empty() {
        return Err(bad("lets in whoever knows it; identifiers.allow_test_in_production allows that"));
    }
    let read = listed.into_iter().map(|RawTestIdentifier { identifier, code, until }| {
        let email = || EmailAddress::parse(&identifier).ok().map(Identifier::Email);
        let phone = || PhoneNumber::parse(&identifier, region).ok().map(Identifier::Phone);
        let read = if identifier.contains('@') { email() } else { phone() };
        let read = read.ok_or_else(|| bad("has an identifier that is no number and no address"))?;
        let code = OtpCode::parse(&code).map_err(|_| bad("has a code that is not six digits"))?;
        Ok((read, code, until))
    });
    Ok(TestIdentifiers::new(read.collect::<Result<Vec<_>, SettingsError>>()?))
}

fn claims(
    fixed: serde_json::Map<String, serde_json::Value>,
    fields: Vec<ProfileField>,
) -> Result<ConfiguredClaims, SettingsError> {
    ExtraClaims::new(&fixed).map_err(|error| invalid("tokens.claims", &error.to_string()))?;
    Ok(ConfiguredClaims { fixed, fields })
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host == "127.0.0.1" || host == "[::1]"
}

/// `https://host` or `https://host:port`, as browsers send it; plain `http` for this machine only.
fn origins(origins: Vec<String>) -> Result<Vec<String>, SettingsError> {
    for origin in &origins {
        let (scheme, authority) = origin.split_once("://").unwrap_or_default();
        let uri: Result<actix_web::http::Uri, _> = origin.parse();
        let host = uri.ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
        let plain =
            authority == authority.to_ascii_lowercase() && !authority.contains(['/', '?', '#', '@', '*']);
        if host.is_empty() || !plain || !(scheme == "https" || scheme == "http" && is_this_machine(&host)) {
            let problem = format!("{origin:?} is not an origin such as https://app.example");
            return Err(invalid("browsers.allowed_origins", &problem));
        }
    }
    Ok(origins)
}

fn proxies(trusted: Option<Words>, header: Option<ForwardedHeader>) -> Result<Proxies, SettingsError> {
    let mut networks = Vec::new();
    for text in trusted.map(Words::into_list).unwrap_or_default() {
        let network = text.parse().or_else(|_| text.parse().map(|address: IpAddr| address.into()));
        networks.push(network.map_err(|_| {
            invalid("server.trusted_proxies", &format!("{text:?} is not a network such as 10.0.0.0/8"))
        })?);
    }
    match (networks.is_empty(), header) {
        (false, None) => {
            Err(invalid("server.forwarded", "is missing: in which header do the proxies say it?"))
        }
        (true, Some(_)) => {
            Err(invalid("server.trusted_proxies", "is missing: whose header is to be believed?"))
        }
        (_, header) => Ok(Proxies { trusted: networks, header }),
    }
}

fn limits(raw: RawLimits) -> Result<(LimitPolicy, LimitStore), SettingsError> {
    let positive = |setting, value: u32| {
        // A rate of more than that is finer than the microseconds that it is kept in.
        let fits = (1..=1_000_000).contains(&value);
        if fits { Ok(value) } else { Err(invalid(setting, "must be 1 to 1000000")) }
    };
    let rate = |burst: (_, u32), per_minute: (_, u32)| -> Result<Rate, SettingsError> {
        let (burst, per_minute) = (positive(burst.0, burst.1)?, positive(per_minute.0, per_minute.1)?);
        Ok(Rate { burst, per_minute })
    };
    let store = match (raw.store.as_str(), raw.redis_url) {
        ("postgres", _) => LimitStore::Postgres,
        ("redis", None) => return Err(invalid("limits.redis_url", "is missing")),
        ("redis", Some(url)) => {
            let server = redis::Client::open(url);
            let server = server.map_err(|_| invalid("limits.redis_url", "is no redis:// URL"))?;
            LimitStore::Redis(Box::new(server))
        }
        _ => return Err(invalid("limits.store", "is `postgres` or `redis`")),
    };
    let mut countries = Vec::new();
    for code in raw.countries.into_list() {
        let unknown =
            || invalid("limits.countries", &format!("{code:?} is not a two-letter code such as IR"));
        countries.push(Region::parse(&code).ok_or_else(unknown)?);
    }
    let mut messages_per_country = BTreeMap::new();
    for (code, messages) in raw.messages_per_country {
        let unknown =
            || invalid("limits.messages_per_country", &format!("{code:?} is not a two-letter code"));
        messages_per_country.insert(Region::parse(&code).ok_or_else(unknown)?.to_string(), messages);
    }
    if raw.conversion_percent > 100 {
        return Err(invalid("limits.conversion_percent", "must be 0 to 100"));
    }
    let policy = LimitPolicy {
        codes_per_address: rate(
            ("limits.codes_burst", raw.codes_burst),
            ("limits.codes_per_minute", raw.codes_per_minute),
        )?,
        tries_per_address: rate(
            ("limits.tries_burst", raw.tries_burst),
            ("limits.tries_per_minute", raw.tries_per_minute),
        )?,
        codes_per_prefix: positive("limits.codes_per_prefix", raw.codes_per_prefix)?,
        countries,
        messages_per_country,
        codes_per_minute: raw.service_codes_per_minute,
        messages_per_day: raw.messages_per_day,
        money_per_day: raw.money_per_day.map(money).transpose()?,
        emails_per_day: raw.emails_per_day,
        wrong_codes_per_hour: raw.wrong_codes_per_hour,
        conversion_from: positive("limits.conversion_from", raw.conversion_from)?,
        conversion_percent: raw.conversion_percent,
    };
    Ok((policy, store))
}

fn seconds(seconds: u32) -> TimeDelta {
    TimeDelta::seconds(seconds.into())
}

fn collect(value: &Value, path: &str, shown: &mut Vec<Shown>) {
    if let ValueKind::Table(table) = &value.kind {
        for (key, value) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            collect(value, &path, shown);
        }
        return;
    }
    let text = value.to_string();
    let value_shown = match path {
        "database.url" | "database.migration_url" | "limits.redis_url" => masked(&text),
        // An argument may be what the secret store is opened with.
        "keyring.command" => "…".to_owned(),
        _ if path.starts_with("gateways.")
            && !delivery::shown_in_full(path.rsplit('.').next().unwrap_or(path)) =>
        {
            "…".to_owned()
        }
        _ => text,
    };
    let origin = value.origin().unwrap_or("default").to_owned();
    shown.push(Shown { key: path.to_owned(), value: value_shown, origin });
}

/// A URL without its password.
fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "…".to_owned();
    };
    // A password can also be a parameter, so no parameter is shown.
    let (address, query) = rest.split_once('?').map_or((rest, ""), |(address, _)| (address, "?…"));
    match address.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:…@{host}{query}")
        }
        None => format!("{scheme}://{address}{query}"),
    }
}

macro_rules! raw_section {
    ($name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name { $($field: $type),+ }
    };
}

raw_section!(Raw {
    profile: Option<Profile>,
    server: RawServer,
    database: RawDatabase,
    keyring: RawKeyring,
    delivery: RawDelivery,
    gateways: RawGateways,
    identifiers: RawIdentifiers,
    codes: RawCodes,
    sessions: RawSessions,
    tokens: RawTokens,
    oauth: RawOauth,
    browsers: RawBrowsers,
    limits: RawLimits,
    log: RawLog,
});
raw_section!(RawServer {
    listen: String,
    workers: usize,
    public_url: Option<String>,
    trusted_proxies: Option<Words>,
    forwarded: Option<ForwardedHeader>,
});
raw_section!(RawDatabase { url: Option<String>, migration_url: Option<String>, connections: usize });
raw_section!(RawKeyring { file: Option<PathBuf>, command: Option<Words> });

/// Words: a list of them, or a text that is split at white space.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Words {
    List(Vec<String>),
    Text(String),
}

impl Words {
    pub fn into_list(self) -> Vec<String> {
        match self {
            Self::List(words) => words,
            Self::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
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
    profile_claims: Vec<ProfileField>,
});
raw_section!(RawOauth { clients: Vec<RawOauthClient> });
raw_section!(RawOauthClient { id: String, secret_sha256: String });
raw_section!(RawBrowsers { allowed_origins: Vec<String>, cookies: Cookies });
raw_section!(RawLimits {
    shared: String,
    store: String,
    redis_url: Option<String>,
    codes_burst: u32,
    codes_per_minute: u32,
    tries_burst: u32,
    tries_per_minute: u32,
    codes_per_prefix: u32,
    countries: Words,
    messages_per_country: BTreeMap<String, u32>,
    service_codes_per_minute: Option<u32>,
    messages_per_day: Option<u32>,
    money_per_day: Option<String>,
    emails_per_day: Option<u32>,
    wrong_codes_per_hour: u32,
    conversion_from: u32,
    conversion_percent: u32,
});
raw_section!(RawLog { filter: String, format: String });

#[cfg(test)]
mod tests {
    use super::{KeyringSource, Profile, Settings, SettingsError, Sources};

    fn read(environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Sources::read(None, environment, std::iter::empty())?.check()
    }

    #[test]
    fn nothing_set_is_a_development_server_on_loopback() {
        let settings = read(&[]).expect("defaults are valid");
        assert_eq!(settings.profile, Profile::Development);
        assert!(settings.listen.ip().is_loopback());
    }

    #[test]
    fn the_environment_sets_numbers_texts_and_short_names() {
        let settings = read(&[
            ("COUNTERFOIL__CODES__LIFETIME", "120"),
            ("COUNTERFOIL_LISTEN", "127.0.0.1:9000"),
            ("COUNTERFOIL__IDENTIFIERS__DEFAULT_REGION", "ir"),
            ("COUNTERFOIL__LIMITS__SHARED", "off"),
            ("PATH", "passed over"),
        ])
        .expect("valid");
        assert_eq!(settings.policy.code_lifetime.num_seconds(), 120);
        assert_eq!(settings.listen.port(), 9000);
        assert!(settings.http.default_region.is_some());
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error_that_names_the_setting() {
        for (name, value, named) in [
            ("COUNTERFOIL__CODES__LIFETIME", "0", "codes.lifetime"),
            ("COUNTERFOIL__CODES__LIFETIME", "-1", "codes.lifetime"),
            ("COUNTERFOIL__CODES__LIFETIME", "99999999999999999999", "codes.lifetime"),
            ("COUNTERFOIL__SESSIONS__IDLE", "4294967295", "sessions.idle"),
            ("COUNTERFOIL__SESSIONS__DEVICE_LIMIT", "101", "sessions.device_limit"),
            ("COUNTERFOIL__SESSIONS__DEVICE_LIMIT_POLICY", "evict", "sessions.device_limit_policy"),
            ("COUNTERFOIL__SESSIONS__BINDING", "ip", "sessions.binding"),
            ("COUNTERFOIL__SESSIONS__ROTATION", "true", "sessions.rotation"),
            ("COUNTERFOIL__CODES__LIFETIMES", "60", "lifetimes"),
            ("COUNTERFOIL__NOTHING__HERE", "60", "nothing"),
            ("COUNTERFOIL_LISTEN", "0.0.0.0:8000", "server.listen"),
            ("COUNTERFOIL_LISTEN", "localhost", "server.listen"),
            ("COUNTERFOIL_PROFILE", "staging", "profile"),
            ("COUNTERFOIL_PROFILE", "production", "database.url"),
            ("DATABASE_URL", "postgresql://localhost/x", "keyring.file"),
            ("COUNTERFOIL__IDENTIFIERS__DEFAULT_REGION", "Iran", "identifiers.default_region"),
            ("COUNTERFOIL__BROWSERS__COOKIES", "perhaps", "browsers.cookies"),
            ("COUNTERFOIL__LIMITS__CODES_BURST", "0", "limits.codes_burst"),
            ("COUNTERFOIL__LIMITS__STORE", "memory", "limits.store"),
            ("COUNTERFOIL__LIMITS__STORE", "redis", "limits.redis_url"),
            ("COUNTERFOIL__LIMITS__COUNTRIES", "IR Iran", "limits.countries"),
            ("COUNTERFOIL__LIMITS__MESSAGES_PER_COUNTRY__IRAN", "5", "limits.messages_per_country"),
            ("COUNTERFOIL__SERVER__TRUSTED_PROXIES", "10.0.0.0/33", "server.trusted_proxies"),
            ("COUNTERFOIL__SERVER__TRUSTED_PROXIES", "10.0.0.0/8 fd00::1", "server.forwarded"),
            ("COUNTERFOIL__SERVER__FORWARDED", "forwarded", "server.trusted_proxies"),
            ("COUNTERFOIL__SERVER__FORWARDED", "x-real-ip", "server.forwarded"),
        ] {
            let error = read(&[(name, value)]).expect_err(name).to_string();
            assert!(error.contains(named), "{name}={value}: {error}");
        }
    }

    #[test]
    fn the_keyring_comes_from_a_file_or_from_a_command() {
        let command = |given: &[(&str, &str)]| {
            let settings = read(&[given, &[("COUNTERFOIL_PROFILE", "development")]].concat());
            settings.map(|settings| settings.keyring)
        };
        let expected =
            KeyringSource::Command { program: "secrets".to_owned(), arguments: vec!["get".to_owned()] };
        let printing = ("COUNTERFOIL__KEYRING__COMMAND", " secrets  get ");
        assert_eq!(command(&[printing]).expect("valid"), Some(expected.clone()));
        assert!(!format!("{expected:?}").contains("get"), "an argument may be secret");
        for given in
            [&[printing, ("COUNTERFOIL_KEYRING", "k")][..], &[("COUNTERFOIL__KEYRING__COMMAND", " ")]]
        {
            let error = command(given).expect_err("refused").to_string();
            assert!(error.contains("keyring.command"), "{error}");
        }
    }

    #[test]
    fn echo_and_limits_off_are_refused_outside_development() {
        let production = [
            ("COUNTERFOIL_PROFILE", "production"),
            ("DATABASE_URL", "postgresql://localhost/x"),
            ("COUNTERFOIL_KEYRING", "keyring.json"),
        ];
        for (setting, named) in [
            (("COUNTERFOIL__DELIVERY__PHONE", "echo"), "delivery.phone: echo"),
            (("COUNTERFOIL__DELIVERY__EMAIL", "echo"), "delivery.email: echo"),
            (("COUNTERFOIL__LOG__FILTER", "info"), "delivery.phone: is missing"),
            (("COUNTERFOIL__GATEWAYS__L__KIND", "log"), "gateways.l: `log`"),
        ] {
            let environment: Vec<_> = production.into_iter().chain([setting]).collect();
            let error = read(&environment).expect_err("refused").to_string();
            assert!(error.contains(named), "{error}");
        }
        let mail = [
            ("COUNTERFOIL__DELIVERY__EMAIL", "mail"),
            ("COUNTERFOIL__GATEWAYS__MAIL__KIND", "smtp"),
            ("COUNTERFOIL__GATEWAYS__MAIL__SERVER", "smtp.example:465"),
            ("COUNTERFOIL__GATEWAYS__MAIL__FROM", "App <no-reply@app.example>"),
        ];
        read(&[&production[..], &mail[..]].concat()).expect("one channel will do");
    }

    #[test]
    fn origins_are_whole_and_secure_and_nothing_else() {
        for good in ["https://app.example", "https://app.example:8443", "http://localhost:3000"] {
            assert!(super::origins(vec![good.to_owned()]).is_ok(), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "app.example",
            "http://app.example",
            "https://*.example",
            "https://a.example/",
            "https://A.example",
            "https://u@a.example",
        ] {
            assert!(super::origins(vec![bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for variable in
            ["DATABASE_URL", "COUNTERFOIL__DATABASE__MIGRATION_URL", "COUNTERFOIL__LIMITS__REDIS_URL"]
        {
            let environment = [(variable.to_owned(), "postgresql://ada:secret@db/x".to_owned())];
            let sources = Sources::read(None, environment.into_iter(), std::iter::empty()).expect("read");
            assert!(!format!("{:?}", sources.shown()).contains("secret"), "{variable}");
        }
        for url in ["postgresql://ada:secret@db/x", "postgresql://db/x?user=ada&password=secret"] {
            let environment = [("DATABASE_URL".to_owned(), url.to_owned())];
            let sources = Sources::read(None, environment.into_iter(), std::iter::empty()).expect("read");
            let shown = format!("{:?}", sources.shown());
            assert!(shown.contains("environment DATABASE_URL") && !shown.contains("secret"), "{shown}");
        }
    }
}
