//! How a connection to PostgreSQL is made: to which of the hosts that the URL names, by which TLS, with which settings of the
//! session. Both drivers take it from here, so that a URL means the same to every connection of the service.

use std::error::Error as _;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deadpool_postgres::Connect;
use futures_util::future::{BoxFuture, select_ok};
use futures_util::{Stream, StreamExt as _, stream};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{CONNECT_WITHIN, DatabaseError, STATEMENT_WITHIN};

/// Every statement finds its rows by key, so a plan once made is kept: planning one anew costs more than running it,
/// and compiling one (`jit`) a hundred times more. Without `enable_seqscan = off`, a plan made while a table was empty
/// would read the whole of it for ever.
const SESSION_SETTINGS: [&str; 4] = [
    "plan_cache_mode = force_generic_plan",
    "enable_seqscan = off",
    "jit = off",
    "max_parallel_workers_per_gather = 0",
];

/// A database, and how connections to it are made.
#[derive(Clone)]
pub struct ConnectionTarget {
    /// One for each host that the URL names, in its order.
    hosts: Vec<Config>,
    /// None where connections are in plain text.
    tls: Option<TlsMode>,
}

#[derive(Clone)]
struct TlsMode {
    connector: MakeRustlsConnect,
    /// The certificate authorities that a server's certificate is verified by, in PEM.
    authorities: String,
}

/// A session that was opened, and the task that carries its messages.
pub(super) struct OpenedSession {
    pub client: Client,
    pub driver: JoinHandle<()>,
    /// Which of the hosts it is with.
    host: usize,
}

type Messages = Pin<Box<dyn Stream<Item = Result<AsyncMessage, Error>> + Send>>;

impl fmt::Debug for ConnectionTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl ConnectionTarget {
    /// Reads a URL `postgresql://user:password@host:port,host:port/database?parameter=value`.
    ///
    /// # Errors
    /// [`DatabaseError::Refused`] with what is wrong with it, or when the certificate authorities cannot be read.
    pub fn parse(url: &str) -> Result<Self, DatabaseError> {
        let (url, tls) = TlsParameters::take_from(url)?;
        let unreadable = |error: Error| {
            let reason = error.source().map(ToString::to_string).unwrap_or_default();
            refused(&format!("the URL of the database: {reason}"))
        };
        let config: Config = url.parse().map_err(unreadable)?;
        if config.get_hosts().is_empty() || !config.get_hostaddrs().is_empty() {
            return Err(refused("the URL of the database needs `host`, and has no place for `hostaddr`"));
        }
        let ports = config.get_ports();
        if ports.len() > 1 && ports.len() != config.get_hosts().len() {
            return Err(refused("the URL of the database has not as many ports as hosts"));
        }
        let tls = if tls.is_wanted(config.get_hosts())? { Some(TlsMode::new(&tls)?) } else { None };
        let mode = if tls.is_some() { SslMode::Require } else { SslMode::Disable };
        let hosts = config.get_hosts().iter().enumerate().map(|(n, host)| {
            let port = ports.get(n).or(ports.first()).copied();
            let mut single = of_one_host(&config, host, port);
            single.ssl_mode(mode);
            single
        });
        Ok(Self { hosts: hosts.collect(), tls })
    }

    /// Whether only a server that takes writes will do.
    pub fn needs_writes(&self) -> bool {
        self.hosts.iter().all(|host| host.get_target_session_attrs() == TargetSessionAttrs::ReadWrite)
    }

    /// Opens a session by tokio-postgres, with the first of the hosts that will do. Where only a server that takes writes
    /// will, all are tried at once, so that one which does not answer holds nothing up.
    pub(super) async fn open(
        &self,
        announced: Option<UnboundedSender<String>>,
    ) -> Result<OpenedSession, Error> {
        if self.needs_writes() {
            let sessions = (0..self.hosts.len()).map(|host| Box::pin(self.open_at(host, announced.clone())));
            return Ok(select_ok(sessions).await?.0);
        }
        let mut last = self.open_at(0, announced.clone()).await;
        for host in 1..self.hosts.len() {
            if last.is_ok() {
                break;
            }
            last = self.open_at(host, announced.clone()).await;
        }
        last
    }

    async fn open_at(
        &self,
        host: usize,
        announced: Option<UnboundedSender<String>>,
    ) -> Result<OpenedSession, Error> {
        let config = &self.hosts[host];
        let (client, mut messages) = match self.tls.clone() {
            None => with_messages(config.connect(NoTls).await?),
            Some(tls) => with_messages(config.connect(tls.connector).await?),
        };
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) = messages.next().await {
                if let (AsyncMessage::Notification(notification), Some(announced)) = (message, &announced)
                    && announced.send(notification.payload().to_owned()).is_err()
                {
                    return;
                }
            }
        });
        client.batch_execute(&session_settings()).await?;
        Ok(OpenedSession { client, driver, host })
    }

    /// What sqlx is to connect by, now. Of several hosts it is the one that a session could be opened with.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when none will do.
    pub async fn sqlx_options(&self) -> Result<PgConnectOptions, DatabaseError> {
        if self.hosts.len() == 1 {
            return Ok(self.sqlx_options_at(0));
        }
        let opened = tokio::time::timeout(CONNECT_WITHIN, self.open(None)).await;
        let opened = opened.map_err(|_| DatabaseError::Unavailable("no connection in time".to_owned()))?;
        Ok(self.sqlx_options_at(opened.map_err(|error| DatabaseError::not_connected(&error))?.host))
    }

    /// What sqlx is to connect by to the first of the hosts.
    pub(super) fn sqlx_options_of_first(&self) -> PgConnectOptions {
        self.sqlx_options_at(0)
    }

    fn sqlx_options_at(&self, host: usize) -> PgConnectOptions {
        let config = &self.hosts[host];
        let mut options = PgConnectOptions::new_without_pgpass()
            .application_name("counterfoil-replay")
            // A connection pooler refuses a parameter of the start that it does not know.
            .extra_float_digits(None)
            .password(&String::from_utf8_lossy(config.get_password().unwrap_or_default()))
            .ssl_mode(PgSslMode::Disable);
        if let Some(user) = config.get_user() {
            options = options.username(user);
        }
        if let Some(database) = config.get_dbname() {
            options = options.database(database);
        }
        if let Some(port) = config.get_ports().first() {
            options = options.port(*port);
        }
        options = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => options.host(name),
            Some(Host::Unix(folder)) => options.socket(folder),
            None => options,
        };
        if let Some(tls) = &self.tls {
            let authorities = tls.authorities.clone().into_bytes();
            options = options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert_from_pem(authorities);
        }
        options
    }
}

impl Connect for ConnectionTarget {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        Box::pin(async {
            let session = self.open(None).await?;
            Ok((session.client, session.driver))
        })
    }
}

fn with_messages<S, T>((client, mut connection): (Client, Connection<S, T>)) -> (Client, Messages)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    (client, Box::pin(stream::poll_fn(move |context| connection.poll_message(context))))
}

/// As statements rather than as parameters of the start, which a connection pooler refuses.
fn session_settings() -> String {
    let timeout = format!("statement_timeout = {}", STATEMENT_WITHIN.as_millis());
    let settings = SESSION_SETTINGS.into_iter().chain([timeout.as_str()]);
    settings.map(|setting| format!("SET {setting};")).collect()
}

/// The name by which `pg_stat_activity` shows the connections of this process: `counterfoil HOST/PROCESS`.
fn process_name() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    // PostgreSQL keeps 63 bytes of it.
    let host: String = host.chars().filter(char::is_ascii_graphic).take(40).collect();
    format!("counterfoil {host}/{}", std::process::id())
}

/// The same configuration for one of its hosts.
fn of_one_host(config: &Config, host: &Host, port: Option<u16>) -> Config {
    let mut single = Config::new();
    match host {
        Host::Tcp(name) => single.host(name),
        Host::Unix(folder) => single.host_path(folder),
    };
    if let Some(port) = port {
        single.port(port);
    }
    if let Some(user) = config.get_user() {
        single.user(user);
    }
    if let Some(password) = config.get_password() {
        single.password(password);
    }
    if let Some(database) = config.get_dbname() {
        single.dbname(database);
    }
    if let Some(options) = config.get_options() {
        single.options(options);
    }
    single
        .application_name(process_name())
        .connect_timeout(CONNECT_WITHIN)
        .tcp_user_timeout(STATEMENT_WITHIN)
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(2))
        .keepalives_retries(3)
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs());
    single
}

/// What a URL says of TLS.
#[derive(Debug, Default)]
struct TlsParameters {
    mode: Option<String>,
    authorities: Option<String>,
}

impl TlsParameters {
    /// The URL without what it says of TLS, and that.
    fn take_from(url: &str) -> Result<(String, Self), DatabaseError> {
        if !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
            return Err(refused("the URL of the database begins with postgresql://"));
        }
        // A password may have a question mark in it.
        let query = url.find('@').unwrap_or(0);
        let Some(query) = url[query..].find('?').map(|at| query + at) else {
            return Ok((url.to_owned(), Self::default()));
        };
        let (start, query) = (&url[..query], &url[query + 1..]);
        let mut found = Self::default();
        let mut left = Vec::new();
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let place = match name {
                "sslmode" => &mut found.mode,
                "sslrootcert" => &mut found.authorities,
                "sslcert" | "sslkey" => {
                    return Err(refused(&format!(
                        "{name}: the service has no certificate of its own to show"
                    )));
                }
                _ => {
                    left.push(parameter);
                    continue;
                }
            };
            let mut decoded = form_urlencoded::parse(parameter.as_bytes());
            *place = Some(decoded.next().map_or_else(|| value.to_owned(), |(_, value)| value.into_owned()));
        }
        Ok((format!("{start}?{}", left.join("&")), found))
    }

    /// Whether connections are to be made by TLS. Without a word on it they are, but to this machine.
    fn is_wanted(&self, hosts: &[Host]) -> Result<bool, DatabaseError> {
        if hosts.iter().all(|host| matches!(host, Host::Unix(_))) {
            return Ok(false);
        }
        match self.mode.as_deref() {
            None => Ok(!hosts.iter().all(is_this_machine)),
            Some("disable") => Ok(false),
            Some("require" | "verify-ca" | "verify-full") => Ok(true),
            Some("allow" | "prefer") => Err(refused(
                "sslmode: `allow` and `prefer` go on in plain text where an attacker wants it; choose `verify-full` or \
                 `disable`",
            )),
            Some(other) => Err(refused(&format!("sslmode: {other:?} is not `verify-full` or `disable`"))),
        }
    }
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
    }
}

impl TlsMode {
    fn new(parameters: &TlsParameters) -> Result<Self, DatabaseError> {
        let certificates = match parameters.authorities.as_deref() {
            None | Some("system") => authorities_of_this_machine()?,
            Some(file) => authorities_in(Path::new(file))?,
        };
        let mut roots = RootCertStore::empty();
        let mut authorities = String::new();
        for certificate in certificates {
            // Machines have certificates that are no certificate authority's, and are of no use here.
            if roots.add(certificate.clone()).is_ok() {
                let text = STANDARD.encode(&certificate);
                authorities += &format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
            }
        }
        if roots.is_empty() {
            return Err(refused("sslrootcert: there is no certificate to verify the database's server by"));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| refused(&error.to_string()))?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { connector: MakeRustlsConnect::new(config), authorities })
    }
}

fn authorities_in(file: &Path) -> Result<Vec<CertificateDer<'static>>, DatabaseError> {
    let unreadable = |error| refused(&format!("sslrootcert: {}: {error}", file.display()));
    CertificateDer::pem_file_iter(file).and_then(Iterator::collect).map_err(unreadable)
}

/// Those of the system, or in the file that `SSL_CERT_FILE` names.
fn authorities_of_this_machine() -> Result<Vec<CertificateDer<'static>>, DatabaseError> {
    let found = rustls_native_certs::load_native_certs();
    match found.errors.into_iter().next() {
        Some(error) if found.certs.is_empty() => Err(refused(&format!("SSL_CERT_FILE: {error}"))),
        _ => Ok(found.certs),
    }
}

fn refused(problem: &str) -> DatabaseError {
    DatabaseError::Refused(problem.to_owned())
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgSslMode;
    use tokio_postgres::config::SslMode;

    use super::{ConnectionTarget, TlsParameters};
    use crate::postgres::DatabaseError;

    /// Whether a URL means TLS, to both drivers.
    fn verified(url: &str) -> bool {
        let target = ConnectionTarget::parse(url).expect(url);
        let by_sqlx = match target.sqlx_options_of_first().get_ssl_mode() {
            PgSslMode::VerifyFull => true,
            PgSslMode::Disable => false,
            PgSslMode::Allow | PgSslMode::Prefer | PgSslMode::Require | PgSslMode::VerifyCa => {
                panic!("{url}: neither verified nor plain")
            }
        };
        let by_tokio = target.hosts.iter().map(|host| host.get_ssl_mode() == SslMode::Require);
        assert!(by_tokio.into_iter().all(|tls| tls == by_sqlx), "{url}");
        by_sqlx
    }

    #[test]
    fn tls_is_verified_on_both_drivers_unless_the_host_is_this_machine_or_the_url_disables_it() {
        let remote =
            ["db.example", "192.0.2.1:6432", "[2001:db8::1]", "localhost,db.example", "localhost.example"];
        for host in remote {
            let url = format!("postgresql://user:pass?word@{host}/database");
            assert!(verified(&url), "{url}");
            assert!(verified(&format!("{url}?target_session_attrs=read-write")));
            for mode in ["require", "verify-ca", "verify-full"] {
                assert!(verified(&format!("{url}?sslmode={mode}&connect_timeout=3")), "{mode}");
            }
            assert!(!verified(&format!("{url}?sslmode=disable")));
        }
        for host in ["localhost", "127.0.0.1", "127.9.9.9:5433", "[::1]", "127.0.0.1:1,127.0.0.1:2"] {
            assert!(!verified(&format!("postgres://user@{host}/database")), "{host}");
            assert!(verified(&format!("postgres://user@{host}/database?sslmode=verify-full")), "{host}");
        }
        assert!(!verified("postgresql:///database?host=%2Fvar%2Frun&sslmode=require"));
    }

    #[test]
    fn a_url_that_could_mean_plain_text_or_cannot_be_honoured_is_refused_with_a_reason() {
        for (url, reason) in [
            ("postgresql://db.example/a?sslmode=prefer", "plain text"),
            ("postgresql://db.example/a?sslmode=allow", "plain text"),
            ("postgresql://localhost/a?sslmode=prefer", "plain text"),
            ("postgresql://db.example/a?sslmode=on", "sslmode"),
            ("postgresql://db.example/a?sslrootcert=%2Fno%2Fsuch.crt", "/no/such.crt"),
            ("postgresql://db.example/a?sslrootcert=Cargo.toml", "sslrootcert"),
            ("postgresql://db.example/a?sslcert=a&sslkey=b", "sslcert"),
            ("postgresql://a:1,b:2,c:3/a?hostaddr=192.0.2.1", "hostaddr"),
            ("postgresql:///a", "host"),
            ("postgresql://db.example/a?nonsense=1", "nonsense"),
            ("host=db.example", "postgresql://"),
        ] {
            let Err(DatabaseError::Refused(said)) = ConnectionTarget::parse(url) else {
                panic!("{url} is taken")
            };
            assert!(said.contains(reason), "{url}: {said}");
        }
    }

    #[test]
    fn every_host_of_a_url_has_its_port_and_everything_else_that_the_url_says() {
        let url = "postgresql://user:secret@a:1,b:2/database?target_session_attrs=read-write&sslmode=disable";
        let target = ConnectionTarget::parse(url).expect(url);
        assert!(target.needs_writes());
        let ports: Vec<u16> =
            target.hosts.iter().filter_map(|host| host.get_ports().first().copied()).collect();
        assert_eq!(ports, [1, 2]);
        for host in &target.hosts {
            assert_eq!(host.get_password(), Some(b"secret".as_slice()));
            assert_eq!((host.get_user(), host.get_dbname()), (Some("user"), Some("database")));
        }
        assert!(!format!("{target:?}").contains("secret"));
    }

    #[test]
    fn what_a_url_says_of_tls_is_taken_out_wherever_it_stands() {
        let url = "postgresql://a:b?sslmode=x@h/d?sslmode=verify-full&a=1&sslrootcert=%2Fetc%2Fca+b.crt&b=2";
        let (left, taken) = TlsParameters::take_from(url).expect("a URL");
        assert_eq!(left, "postgresql://a:b?sslmode=x@h/d?a=1&b=2");
        assert_eq!(taken.mode.as_deref(), Some("verify-full"));
        assert_eq!(taken.authorities.as_deref(), Some("/etc/ca b.crt"));
    }
}
