//! What an installation can set, and where each value came from.

mod delivery;
mod gateways;
mod raw;
mod sources;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZero;

use chrono::TimeDelta;
use config::ConfigError;
use counterfoil_domain::user_account::{InvalidPolicy, Policy};
use counterfoil_domain::values::{Channel, EmailAddress, Identifier, OtpCode, PhoneNumber, Region};
use counterfoil_guard::LONGEST_ACCESS_LIFETIME;
use serde::Deserialize;
use serde::de::IntoDeserializer as _;

use crate::crypto::keyring::KeyringSource;
use crate::crypto::test_identifiers::TestIdentifiers;
use crate::delivery::notices::NewDeviceNotice;
use crate::delivery::{DeliverySettings, Price};
use crate::http::oauth_clients::{ClientScope, OauthClients};
use crate::http::{ForwardedHeader, HttpPolicy, Proxies};
use crate::limits::{LimitPolicy, LimitStore, Rate, WritePolicy};
use crate::postgres::DatabaseUrl;
use crate::runtime::network::{self, is_this_machine};
use crate::tokens::configured_claims::{ConfiguredClaims, ProfileField};
use crate::tokens::{ExtraClaims, TokenPolicy};

use raw::Words;
use raw::{Raw, RawKeyring, RawLimits, RawOauthClient, RawTestIdentifier};
pub use sources::{Shown, Sources};

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

/// How much a node may remember, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Of accounts and of what leads to them.
    pub accounts: u64,
    /// Of tokens that it made or was presented.
    pub tokens: u64,
}

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For what the service runs.
    pub profile: Profile,
    /// Where it listens.
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
    /// The limits that all nodes share, and where they are counted; none for no such limits.
    pub limits: Option<(LimitPolicy, LimitStore)>,
    /// How often an account and an address may ask for something that is put on record.
    pub writes: WritePolicy,
    /// How long after its last code an account that was never signed in to is forgotten.
    pub never_signed_in: TimeDelta,
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

/// What stands in the list of countries for all of them.
const ALL_COUNTRIES: &str = "*";

impl Sources {
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
        let listen = socket("server.listen", &raw.server.listen)?;
        let metrics_listen =
            raw.server.metrics_listen.map(|listen| socket("server.metrics_listen", &listen)).transpose()?;
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
        let delivery = raw.delivery.check(raw.gateways, development)?;
        let shared = match (raw.limits.shared.as_str(), development) {
            ("on", _) => true,
            ("off", true) => false,
            ("off", false) => {
                return Err(invalid("limits.shared", "can be off in the development profile only"));
            }
            _ => return Err(invalid("limits.shared", "is `on` or `off`")),
        };
        if !development {
            require_budgets(&raw.limits, &delivery)?;
        }
        let writes = WritePolicy {
            per_account: rate(
                ("limits.writes_burst", raw.limits.writes_burst),
                ("limits.writes_per_minute", raw.limits.writes_per_minute),
            )?,
            per_address: rate(
                ("limits.address_writes_burst", raw.limits.address_writes_burst),
                ("limits.address_writes_per_minute", raw.limits.address_writes_per_minute),
            )?,
        };
        let limits = limits(raw.limits, writes)?;
        let default_region = region(raw.identifiers.default_region.as_deref())?;
        let may_test = development || raw.identifiers.allow_test_in_production;
        let test_identifiers = test_identifiers(raw.identifiers.test, default_region, may_test)?;
        let http = HttpPolicy {
            default_region,
            public_url: raw.server.public_url.map(public_url).transpose()?,
            oauth_clients: oauth_clients(raw.oauth.clients)?,
            allowed_origins: origins(raw.browsers.allowed_origins.into_list())?,
            allowed_headers: header_names(raw.browsers.allowed_headers.into_list())?,
            cookies: raw.browsers.cookies,
            proxies: proxies(raw.server.trusted_proxies, raw.server.forwarded)?,
            docs: raw.server.docs.unwrap_or(development),
            metrics: development && metrics_listen.is_none(),
        };
        let unlock_links = http.public_url.is_some();
        let access_lifetime = seconds(raw.tokens.access_lifetime);
        if access_lifetime < TimeDelta::seconds(30) || access_lifetime > LONGEST_ACCESS_LIFETIME {
            return Err(invalid("tokens.access_lifetime", "must be 30 to 3600 seconds"));
        }
        // Quotas of an identifier are counted on its account, over a day.
        let never_signed_in = seconds(raw.retention.never_signed_in);
        if never_signed_in < TimeDelta::days(1) || never_signed_in > TimeDelta::days(366) {
            return Err(invalid("retention.never_signed_in", "must be 86400 to 31622400 seconds"));
        }
        if raw.server.workers > 1024 {
            return Err(invalid("server.workers", "must be 0 to 1024"));
        }
        let (workers, connections_of_thread) = share(raw.database.connections, raw.server.workers)?;
        Ok(Settings {
            profile,
            listen,
            metrics_listen,
            workers,
            database: raw.database.url.map(DatabaseUrl),
            migration: raw.database.migration_url.map(DatabaseUrl),
            connections: raw.database.connections,
            connections_of_thread,
            memory: MemoryLimits {
                accounts: mebibytes("memory.accounts_mib", raw.memory.accounts_mib)?,
                tokens: mebibytes("memory.tokens_mib", raw.memory.tokens_mib)?,
            },
            keyring,
            delivery,
            http,
            policy: Policy {
                unlock_links,
                code_lifetime: seconds(raw.codes.lifetime),
                code_tries: raw.codes.tries,
                resend_after: seconds(raw.codes.resend_after),
                codes_per_day: raw.codes.per_day,
                wrong_codes_per_hour: raw.codes.wrong_per_hour,
                wrong_codes_in_a_row: raw.codes.wrong_in_a_row,
                session_idle: seconds(raw.sessions.idle),
                session_absolute: seconds(raw.sessions.absolute),
                refresh_grace: seconds(raw.sessions.refresh_grace),
                refreshes_per_minute: raw.sessions.refreshes_per_minute,
                device_limit: raw.sessions.device_limit,
                device_limit_policy: raw.sessions.device_limit_policy,
                binding: raw.sessions.binding,
                rotation: raw.sessions.rotation,
                ..Policy::default()
            }
            .validated()?,
            claims: claims(raw.tokens.claims, raw.tokens.profile_claims.into_list())?,
            test_identifiers,
            new_device_notice: raw.sessions.new_device_notice,
            limits: shared.then_some(limits),
            writes,
            never_signed_in,
            tokens: TokenPolicy {
                issuer: token_party("tokens.issuer", raw.tokens.issuer)?,
                audience: token_party("tokens.audience", raw.tokens.audience)?,
                access_lifetime,
            },
            log_filter: log_filter(raw.log.filter)?,
            log_json: match raw.log.format.as_str() {
                "json" => true,
                "text" => false,
                _ => return Err(invalid("log.format", "is `json` or `text`")),
            },
        })
    }
}

fn invalid(setting: impl Into<Cow<'static, str>>, problem: &str) -> SettingsError {
    SettingsError::Invalid { setting: setting.into(), problem: problem.to_owned() }
}

fn socket(setting: &'static str, text: &str) -> Result<SocketAddr, SettingsError> {
    let resolved = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    resolved.ok_or_else(|| invalid(setting, "is not host:port"))
}

fn keyring(raw: RawKeyring) -> Result<Option<KeyringSource>, SettingsError> {
    let words = match raw.command {
        None => return Ok(raw.file.map(KeyringSource::File)),
        Some(words) => words.into_command(),
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
    let clients = OauthClients::new(clients.into_iter().map(|client| {
        let scopes = client.scopes.unwrap_or_else(|| [ClientScope::IntrospectTokens].into());
        (client.id, client.secret_sha256, scopes)
    }));
    clients.map_err(|error| invalid("oauth.clients", &error.to_string()))
}

fn money(text: String) -> Result<Price, SettingsError> {
    Price::parse(&text).ok_or_else(|| invalid("limits.money_per_day", "is not an amount such as 25 or 0.05"))
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
    fields: Vec<String>,
) -> Result<ConfiguredClaims, SettingsError> {
    ExtraClaims::new(&fixed).map_err(|error| invalid("tokens.claims", &error.to_string()))?;
    let fields = fields.into_iter().map(|name| {
        let field: Result<_, serde::de::value::Error> = ProfileField::deserialize(name.into_deserializer());
        field.map_err(|error| invalid("tokens.profile_claims", &error.to_string()))
    });
    let fields = fields.collect::<Result<_, SettingsError>>()?;
    Ok(ConfiguredClaims { fixed, fields })
}

/// `https://host` or `https://host:port`, as browsers send it; plain `http` for this machine only.
fn origins(origins: Vec<String>) -> Result<Vec<String>, SettingsError> {
    for origin in &origins {
        let url: Option<reqwest::Url> = origin.parse().ok();
        let fits = url.is_some_and(|url| {
            let secure = match url.scheme() {
                "https" => true,
                "http" => is_this_machine(url.host_str().unwrap_or_default()),
                _ => false,
            };
            secure && !origin.contains('*') && url.origin().ascii_serialization() == *origin
        });
        if !fits {
            let problem = format!("{origin:?} is not an origin such as https://app.example");
            return Err(invalid("browsers.allowed_origins", &problem));
        }
    }
    Ok(origins)
}

/// Names of headers (RFC 9110, section 5.1).
fn header_names(names: Vec<String>) -> Result<Vec<String>, SettingsError> {
    for name in &names {
        if actix_web::http::header::HeaderName::try_from(name.as_str()).is_err() {
            let problem = format!("{name:?} is not the name of a header such as x-app-version");
            return Err(invalid("browsers.allowed_headers", &problem));
        }
    }
    Ok(names)
}

fn proxies(trusted: Option<Words>, header: Option<ForwardedHeader>) -> Result<Proxies, SettingsError> {
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
        (_, header) => Ok(Proxies { trusted: networks, header }),
    }
}

fn positive(setting: &'static str, value: u32) -> Result<u32, SettingsError> {
    // A rate of more than that is finer than the microseconds that it is kept in.
    let fits = (1..=1_000_000).contains(&value);
    if fits { Ok(value) } else { Err(invalid(setting, "must be 1 to 1000000")) }
}

/// A rate, by the names and values of its two settings.
fn rate(burst: (&'static str, u32), per_minute: (&'static str, u32)) -> Result<Rate, SettingsError> {
    let (burst, per_minute) = (positive(burst.0, burst.1)?, positive(per_minute.0, per_minute.1)?);
    Ok(Rate { burst, per_minute })
}

/// Refuses settings for people that leave open where messages may go and how many a day: codes to premium numbers abroad
/// cost money from the first hour on.
fn require_budgets(raw: &RawLimits, delivery: &DeliverySettings) -> Result<(), SettingsError> {
    if delivery.sends_to(Channel::Phone) {
        if raw.countries.is_empty() {
            let problem = "is missing: name the countries that get text messages, such as [\"IR\", \"DE\"], or [\"*\"] for all";
            return Err(invalid("limits.countries", problem));
        }
        if raw.messages_per_day.is_none() {
            let problem = "is missing: at most how many text messages may be sent in a day (UTC)? Write a number, such as 5000";
            return Err(invalid("limits.messages_per_day", problem));
        }
    }
    if delivery.sends_to(Channel::Email) && raw.emails_per_day.is_none() {
        let problem = "is missing: at most how many e-mail messages may be sent in a day (UTC)? Write a number, such as 50000";
        return Err(invalid("limits.emails_per_day", problem));
    }
    Ok(())
}

fn limits(raw: RawLimits, writes: WritePolicy) -> Result<(LimitPolicy, LimitStore), SettingsError> {
    let store = match (raw.store.as_str(), raw.redis_url) {
        ("postgres", _) => LimitStore::Postgres,
        ("redis", None) => return Err(invalid("limits.redis_url", "is missing")),
        ("redis", Some(url)) => LimitStore::Redis(Box::new(redis_server(url)?)),
        _ => return Err(invalid("limits.store", "is `postgres` or `redis`")),
    };
    let mut countries = Vec::new();
    let mut listed = raw.countries.into_list();
    if listed.iter().any(|code| code == ALL_COUNTRIES) {
        if listed.len() > 1 {
            return Err(invalid("limits.countries", "is [\"*\"] for all countries, or the codes of some"));
        }
        listed.clear();
    }
    for code in listed {
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
    let mut mail_providers = BTreeSet::new();
    for domain in raw.mail_providers.into_list() {
        let address = EmailAddress::parse(&format!("anyone@{domain}"));
        let unknown =
            |_| invalid("limits.mail_providers", &format!("{domain:?} is not a domain such as mail.example"));
        mail_providers.insert(address.map_err(unknown)?.domain().to_owned());
    }
    if raw.reserve_percent > 90 {
        return Err(invalid("limits.reserve_percent", "must be 0 to 90"));
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
        codes_per_network: rate(
            ("limits.network_codes_burst", raw.network_codes_burst),
            ("limits.network_codes_per_minute", raw.network_codes_per_minute),
        )?,
        tries_per_network: rate(
            ("limits.network_tries_burst", raw.network_tries_burst),
            ("limits.network_tries_per_minute", raw.network_tries_per_minute),
        )?,
        writes,
        codes_per_prefix: positive("limits.codes_per_prefix", raw.codes_per_prefix)?,
        codes_per_mailbox: positive("limits.codes_per_mailbox", raw.codes_per_mailbox)?,
        codes_per_mail_domain: positive("limits.codes_per_mail_domain", raw.codes_per_mail_domain)?,
        mail_providers,
        countries,
        messages_per_country,
        country_codes_per_minute: raw.country_codes_per_minute,
        country_codes_per_hour: raw.country_codes_per_hour,
        codes_per_minute: raw.service_codes_per_minute,
        codes_per_hour: raw.service_codes_per_hour,
        messages_per_day: raw.messages_per_day,
        money_per_day: raw.money_per_day.map(money).transpose()?,
        emails_per_day: raw.emails_per_day,
        reserve_percent: raw.reserve_percent,
        wrong_codes_per_hour: raw.wrong_codes_per_hour,
        conversion_from: positive("limits.conversion_from", raw.conversion_from)?,
        conversion_percent: raw.conversion_percent,
    };
    Ok((policy, store))
}

fn redis_server(url: String) -> Result<redis::Client, SettingsError> {
    let refused = |problem| invalid("limits.redis_url", problem);
    let server = redis::Client::open(url).map_err(|_| refused("is no redis:// URL"))?;
    let address = server.get_connection_info().addr();
    let private = if let redis::ConnectionAddr::Tcp(host, _) = address {
        is_this_machine(host)
    } else {
        let encrypted = matches!(address, redis::ConnectionAddr::TcpTls { insecure: false, .. });
        encrypted || matches!(address, redis::ConnectionAddr::Unix(_))
    };
    if private { Ok(server) } else { Err(refused("must be rediss://; redis:// is for this machine only")) }
}

fn log_filter(filter: String) -> Result<String, SettingsError> {
    match tracing_subscriber::EnvFilter::builder().parse(&filter) {
        Ok(_) => Ok(filter),
        Err(error) => Err(invalid("log.filter", &error.to_string())),
    }
}

/// The name of an issuer or an audience (RFC 7519, StringOrURI).
fn token_party(setting: &'static str, name: String) -> Result<String, SettingsError> {
    let fits =
        !name.is_empty() && name.len() <= 255 && !name.chars().any(|c| c.is_control() || c.is_whitespace());
    if fits { Ok(name) } else { Err(invalid(setting, "must be 1 to 255 characters without spaces")) }
}

/// Connections that belong to no thread: two that read the log back, one that looks for ended sessions, and two that listen.
const CONNECTIONS_BESIDE: usize = 5;

/// Threads with connections besides the workers: the one that runs what goes on beside requests, and the one for operators.
const THREADS_BESIDE: usize = 2;

/// The fewest connections that a thread needs: one for what is read in one go, one for what is asked meanwhile.
const FEWEST_OF_THREAD: usize = 2;

/// How many workers there are, and how many connections each thread may have of those of the node. With 0 workers there is one
/// for each core, as far as the connections suffice.
fn share(connections: usize, workers: usize) -> Result<(usize, usize), SettingsError> {
    let at_least = |workers: usize| CONNECTIONS_BESIDE + FEWEST_OF_THREAD * (workers + THREADS_BESIDE);
    let needed = at_least(workers.max(1));
    if !(needed..=10_000).contains(&connections) {
        let problem = format!("must be {needed} to 10000: two for each of the server.workers, and nine");
        return Err(invalid("database.connections", &problem));
    }
    let workers = match workers {
        0 => {
            let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
            cores.min((connections - at_least(0)) / FEWEST_OF_THREAD)
        }
        set => set,
    };
    Ok((workers, (connections - CONNECTIONS_BESIDE) / (workers + THREADS_BESIDE)))
}

fn mebibytes(setting: &'static str, count: u64) -> Result<u64, SettingsError> {
    match count {
        1..=65_536 => Ok(count << 20),
        _ => Err(invalid(setting, "must be 1 to 65536")),
    }
}

fn seconds(seconds: u32) -> TimeDelta {
    TimeDelta::seconds(seconds.into())
}
