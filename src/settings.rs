//! What an installation can set, and where each value came from.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};
use counterfoil_domain::user_account::{Binding, DeviceLimitPolicy, InvalidPolicy, Policy, Rotation};
use counterfoil_domain::values::Region;
use serde::Deserialize;

use crate::accounts::Delivery;
use crate::keyring::KeyringSource;
use crate::oauth_clients::OauthClients;
use crate::tokens::TokenPolicy;

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
        setting: &'static str,
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
    pub delivery: Delivery,
    /// What the HTTP layer goes by.
    pub http: HttpPolicy,
    /// The numbers that the rules go by.
    pub policy: Policy,
    /// How tokens are made.
    pub tokens: TokenPolicy,
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
    /// The services that may ask about tokens and revoke them.
    pub oauth_clients: OauthClients,
    /// Origins (RFC 6454) of other sites whose pages may call the API, with cookies.
    pub allowed_origins: Vec<String>,
    /// Whether browsers are given their tokens in cookies.
    pub cookies: Cookies,
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
        let delivery = delivery(raw.delivery.gateway.as_deref(), development)?;
        match (raw.limits.shared.as_str(), development) {
            ("on", _) | ("off", true) => {}
            ("off", false) => {
                return Err(invalid("limits.shared", "can be off in the development profile only"));
            }
            _ => return Err(invalid("limits.shared", "is `on` or `off`")),
        }
        let http = HttpPolicy {
            default_region: region(raw.identifiers.default_region.as_deref())?,
            oauth_clients: oauth_clients(raw.oauth.clients)?,
            allowed_origins: origins(raw.browsers.allowed_origins)?,
            cookies: raw.browsers.cookies,
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

fn invalid(setting: &'static str, problem: &str) -> SettingsError {
    SettingsError::Invalid { setting, problem: problem.to_owned() }
}

fn delivery(gateway: Option<&str>, development: bool) -> Result<Delivery, SettingsError> {
    let problem = match (gateway, development) {
        (None | Some("echo"), true) => return Ok(Delivery::Echo),
        (Some("echo"), false) => "echo gives codes away; it is for the development profile",
        (None, false) => "is missing: codes would reach nobody",
        (Some(_), _) => "is not a gateway; there is `echo`",
    };
    Err(invalid("delivery.gateway", problem))
}

fn keyring(raw: RawKeyring) -> Result<Option<KeyringSource>, SettingsError> {
    let words = match raw.command {
        None => return Ok(raw.file.map(KeyringSource::File)),
        Some(Words::List(words)) => words,
        Some(Words::Text(text)) => text.split_whitespace().map(str::to_owned).collect(),
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

/// `https://host` or `https://host:port`, as browsers send it; plain `http` for this machine only.
fn origins(origins: Vec<String>) -> Result<Vec<String>, SettingsError> {
    for origin in &origins {
        let (scheme, authority) = origin.split_once("://").unwrap_or_default();
        let uri: Result<actix_web::http::Uri, _> = origin.parse();
        let host = uri.ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
        let local = host == "localhost" || host == "127.0.0.1" || host == "[::1]";
        let plain =
            authority == authority.to_ascii_lowercase() && !authority.contains(['/', '?', '#', '@', '*']);
        if host.is_empty() || !plain || !(scheme == "https" || scheme == "http" && local) {
            let problem = format!("{origin:?} is not an origin such as https://app.example");
            return Err(invalid("browsers.allowed_origins", &problem));
        }
    }
    Ok(origins)
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
        "database.url" | "database.migration_url" => masked(&text),
        // An argument may be what the secret store is opened with.
        "keyring.command" => "…".to_owned(),
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
    identifiers: RawIdentifiers,
    codes: RawCodes,
    sessions: RawSessions,
    tokens: RawTokens,
    oauth: RawOauth,
    browsers: RawBrowsers,
    limits: RawLimits,
    log: RawLog,
});
raw_section!(RawServer { listen: String, workers: usize });
raw_section!(RawDatabase { url: Option<String>, migration_url: Option<String>, connections: usize });
raw_section!(RawKeyring { file: Option<PathBuf>, command: Option<Words> });

/// Words: a list of them, or a text that is split at white space.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Words {
    List(Vec<String>),
    Text(String),
}

raw_section!(RawDelivery { gateway: Option<String> });
raw_section!(RawIdentifiers { default_region: Option<String> });
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
});
raw_section!(RawTokens { issuer: String, audience: String, access_lifetime: u32 });
raw_section!(RawOauth { clients: Vec<RawOauthClient> });
raw_section!(RawOauthClient { id: String, secret_sha256: String });
raw_section!(RawBrowsers { allowed_origins: Vec<String>, cookies: Cookies });
raw_section!(RawLimits { shared: String });
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
            (("COUNTERFOIL__DELIVERY__GATEWAY", "echo"), "delivery.gateway"),
            (("COUNTERFOIL__LOG__FILTER", "info"), "delivery.gateway"),
        ] {
            let environment: Vec<_> = production.into_iter().chain([setting]).collect();
            let error = read(&environment).expect_err("refused").to_string();
            assert!(error.contains(named), "{error}");
        }
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
        for variable in ["DATABASE_URL", "COUNTERFOIL__DATABASE__MIGRATION_URL"] {
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
