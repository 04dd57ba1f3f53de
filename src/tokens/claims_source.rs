//! Claims that a program which embeds the service puts into access tokens.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use counterfoil_domain::values::{AccountId, Client, Role, SessionId};
use counterfoil_projections::profile::Profile;
use futures_util::FutureExt as _;
use serde_json::{Map, Value};

use super::configured_claims::ConfiguredClaims;

/// How long a caller waits for the claims of a program.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);

/// How many undeclared names are remembered, and so written to the log.
const UNDECLARED_AT_MOST: usize = 32;

/// The claims that each token has: those of RFC 7519, of OpenID Connect, and of the service.
const STANDARD: [&str; 13] =
    ["iss", "aud", "sub", "sid", "jti", "gen", "typ", "iat", "nbf", "exp", "auth_time", "amr", "ext"];

/// Makes additional claims of access tokens. The service asks it whenever it makes tokens, after the sign-in or the refresh is
/// committed. What it answers is in the access token until the token expires.
///
/// An answer that takes longer than half a second, an error or a panic leaves the caller with 503 `unavailable`. The same
/// refresh token, or the same code, gives the tokens when the source answers again. All additional claims of a token, those of the
/// settings among them, have at most 1,024 bytes of JSON. If there are more, the token has none of them, and the log says so. A source must not block its thread: the
/// service cannot interrupt what does not await.
///
/// ```
/// use counterfoil::{ClaimsFault, ClaimsRequest, ClaimsSource, Service, async_trait};
/// use serde_json::{Map, Value};
/// # #[derive(Debug, Default)]
/// # struct StaffDirectory;
/// # impl StaffDirectory {
/// #     async fn department_of(&self, _: &str) -> Result<Option<String>, std::io::Error> {
/// #         Ok(Some("sales".to_owned()))
/// #     }
/// # }
///
/// /// Tells other services in which department a user works.
/// #[derive(Debug)]
/// struct DepartmentClaims {
///     directory: StaffDirectory,
/// }
///
/// #[async_trait]
/// impl ClaimsSource for DepartmentClaims {
///     fn claim_names(&self) -> &[&'static str] {
///         &["department"]
///     }
///
///     fn needs_profile(&self) -> bool {
///         true
///     }
///
///     async fn claims(&self, request: &ClaimsRequest) -> Result<Map<String, Value>, ClaimsFault> {
///         let Some(email) = request.profile.as_ref().and_then(|profile| profile.email.as_deref()) else {
///             return Ok(Map::new());
///         };
///         let found = self.directory.department_of(email).await;
///         // The text goes to the log, so it is not that of the error, which may have the address in it.
///         let department = found.map_err(|_| ClaimsFault::new("the directory does not answer"))?;
///         Ok(Map::from_iter([("department".to_owned(), department.into())]))
///     }
/// }
///
/// let claims = DepartmentClaims { directory: StaffDirectory::default() };
/// let service = Service::from_environment().claims(claims);
/// ```
#[async_trait]
pub trait ClaimsSource: fmt::Debug + Send + Sync {
    /// The names of the claims that it may set. A claim that it returns under another name is left out. The standard claims are
    /// taken (`iss`, `aud`, `sub`, `sid`, `jti`, `gen`, `typ`, `iat`, `nbf`, `exp`, `auth_time`, `amr`, `ext`), and so are those that
    /// the settings give.
    fn claim_names(&self) -> &[&'static str];

    /// Whether it needs the profile. The service then reads the profile for each refresh.
    fn needs_profile(&self) -> bool {
        false
    }

    /// Whether it needs the roles of the account.
    fn needs_roles(&self) -> bool {
        false
    }

    /// Returns the claims of an access token that is about to be made.
    ///
    /// # Errors
    /// [`ClaimsFault`]; no token is made then.
    async fn claims(&self, request: &ClaimsRequest) -> Result<Map<String, Value>, ClaimsFault>;
}

/// What a source knows of the access token that is about to be made.
#[derive(Clone, Debug)]
pub struct ClaimsRequest {
    /// The account that the token is for.
    pub account: AccountId,
    /// The session that the token belongs to.
    pub session: SessionId,
    /// Whether a user signs in or a session is refreshed.
    pub occasion: ClaimsOccasion,
    /// The roles that the account may use now, if [`ClaimsSource::needs_roles`] asks for them. A role alone is no proof of a
    /// second factor.
    pub roles: BTreeSet<Role>,
    /// The profile, if [`ClaimsSource::needs_profile`] asks for it and the account has one.
    pub profile: Option<Profile>,
    /// The client of this request: its address, its user agent and, at a sign-in, the name of its device.
    pub client: Client,
    /// The time of the request, by the clock of the service.
    pub at: DateTime<Utc>,
}

/// Why an access token is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimsOccasion {
    /// The user has redeemed a code.
    SignIn,
    /// The client has presented a refresh token.
    Refresh,
}

/// Why a source has no claims to give. The text goes to the log, so it must hold no secret and nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClaimsFault(Cow<'static, str>);

impl ClaimsFault {
    /// A fault of that text.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }
}

/// Why the service does not start with a source of claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimNameError {
    /// Each token has a claim of that name already.
    #[error("the claim {0:?} is a standard claim of every token; choose another name")]
    Standard(&'static str),
    /// The settings give each token a claim of that name.
    #[error("the claim {0:?} is set by tokens.claims or tokens.profile_claims as well; choose another name")]
    Configured(&'static str),
    /// The source declares the name more than once, or the name is empty.
    #[error("the claim {0:?} is declared twice, or has no name")]
    Malformed(&'static str),
}

/// The claims could not be had. The log has the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the claims of the token are unavailable")]
pub struct ClaimsUnavailable;

/// What access tokens say in addition to the standard claims: what the settings say, and what the program adds.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessTokenClaims {
    configured: Arc<ConfiguredClaims>,
    source: Option<Arc<CheckedSource>>,
}

impl AccessTokenClaims {
    /// The claims of the settings alone.
    pub(crate) fn new(configured: ConfiguredClaims) -> Self {
        Self { configured: Arc::new(configured), source: None }
    }

    /// Adds the claims of a program, in place of those of an earlier source.
    ///
    /// # Errors
    /// [`ClaimNameError`] when the source declares a name that it may not set.
    pub(crate) fn use_source(&mut self, source: Arc<dyn ClaimsSource>) -> Result<(), ClaimNameError> {
        self.source = Some(Arc::new(CheckedSource::new(source, &self.configured)?));
        Ok(())
    }

    /// The claims of the settings.
    pub(crate) fn configured(&self) -> &ConfiguredClaims {
        &self.configured
    }

    /// The source of the program, if there is one.
    pub(crate) fn source(&self) -> Option<&CheckedSource> {
        self.source.as_deref()
    }

    /// Whether the profile has to be read.
    pub(crate) fn needs_profile(&self) -> bool {
        self.configured.needs_profile() || self.source().is_some_and(|source| source.source.needs_profile())
    }

    /// Whether the roles of the account are asked for.
    pub(crate) fn needs_roles(&self) -> bool {
        self.source().is_some_and(|source| source.source.needs_roles())
    }
}

/// A source whose names have been checked, with the bounds on its answers.
#[derive(Debug)]
pub(crate) struct CheckedSource {
    source: Arc<dyn ClaimsSource>,
    names: BTreeSet<&'static str>,
    /// The names that it did not declare and that are in the log already.
    undeclared: Mutex<BTreeSet<String>>,
}

impl CheckedSource {
    fn new(source: Arc<dyn ClaimsSource>, configured: &ConfiguredClaims) -> Result<Self, ClaimNameError> {
        let mut names = BTreeSet::new();
        for name in source.claim_names().iter().copied() {
            if STANDARD.contains(&name) {
                return Err(ClaimNameError::Standard(name));
            }
            if configured.sets(name) {
                return Err(ClaimNameError::Configured(name));
            }
            if name.is_empty() || !names.insert(name) {
                return Err(ClaimNameError::Malformed(name));
            }
        }
        Ok(Self { source, names, undeclared: Mutex::default() })
    }

    /// Whether the source gets the profile.
    pub(crate) fn needs_profile(&self) -> bool {
        self.source.needs_profile()
    }

    /// Returns the claims that the source declared, of those that it answers in time.
    ///
    /// # Errors
    /// [`ClaimsUnavailable`] when it is late, fails or panics.
    pub(crate) async fn ask(&self, request: &ClaimsRequest) -> Result<Map<String, Value>, ClaimsUnavailable> {
        // The call itself is within the block as well: it is the program's, and may panic before it returns a future.
        let asked = AssertUnwindSafe(async { self.source.claims(request).await }).catch_unwind();
        let (outcome, error) = match tokio::time::timeout(ANSWERS_WITHIN, asked).await {
            Ok(Ok(Ok(mut claims))) => {
                claims.retain(|name, _| self.declares(name));
                return Ok(claims);
            }
            Ok(Ok(Err(fault))) => ("failed", fault),
            Ok(Err(_)) => ("panicked", ClaimsFault::new("the source of claims panicked")),
            Err(_) => ("late", ClaimsFault::new("the source of claims did not answer in time")),
        };
        metrics::counter!("counterfoil_claims_unavailable_total", "outcome" => outcome).increment(1);
        tracing::warn!(outcome, %error, "the claims of a token are unavailable");
        Err(ClaimsUnavailable)
    }

    fn declares(&self, name: &str) -> bool {
        let declares = self.names.contains(name);
        if !declares {
            self.log_undeclared(name);
        }
        declares
    }

    fn log_undeclared(&self, name: &str) {
        let mut logged = self.undeclared.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < UNDECLARED_AT_MOST && logged.insert(name.to_owned()) {
            tracing::error!(claim = name, "a claim is left out of tokens: its source did not declare it");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use chrono::DateTime;
    use counterfoil_domain::values::{AccountId, Client, SessionId};
    use serde_json::{Map, Value, json};
    use uuid::Uuid;

    use super::{CheckedSource, ClaimsFault, ClaimsOccasion, ClaimsRequest, ClaimsSource, ClaimsUnavailable};
    use crate::tokens::configured_claims::ConfiguredClaims;

    /// A source that answers as its name says.
    #[derive(Debug)]
    struct TestSource(&'static str);

    #[async_trait]
    impl ClaimsSource for TestSource {
        fn claim_names(&self) -> &[&'static str] {
            &["declared"]
        }

        async fn claims(&self, _: &ClaimsRequest) -> Result<Map<String, Value>, ClaimsFault> {
            match self.0 {
                "failed" => return Err(ClaimsFault::new("it is away")),
                "late" => tokio::time::sleep(Duration::from_secs(60)).await,
                "panicked" => panic!("a fault of the program"),
                _ => {}
            }
            let claims = [("declared".to_owned(), json!(1)), ("another".to_owned(), json!(2))];
            Ok(claims.into_iter().collect())
        }
    }

    fn ask(source: &CheckedSource) -> Result<Map<String, Value>, ClaimsUnavailable> {
        let request = ClaimsRequest {
            account: AccountId(Uuid::nil()),
            session: SessionId(Uuid::nil()),
            occasion: ClaimsOccasion::Refresh,
            roles: [].into(),
            profile: None,
            client: Client { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), user_agent: None, device_name: None },
            at: DateTime::UNIX_EPOCH,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(source.ask(&request))
    }

    fn checked(source: TestSource) -> CheckedSource {
        CheckedSource::new(Arc::new(source), &ConfiguredClaims::default()).unwrap()
    }

    #[test]
    fn a_claim_that_was_not_declared_is_left_out_and_remembered_once() {
        let source = checked(TestSource("answering"));
        for _ in 0..3 {
            assert_eq!(ask(&source), Ok(Map::from_iter([("declared".to_owned(), json!(1))])));
        }
        assert_eq!(source.undeclared.lock().unwrap().iter().collect::<Vec<_>>(), ["another"]);
    }

    #[test]
    fn a_metric_says_whether_a_source_failed_was_late_or_panicked() {
        let recorder = crate::runtime::telemetry::prometheus().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            for outcome in ["failed", "late", "panicked", "late"] {
                assert_eq!(ask(&checked(TestSource(outcome))), Err(ClaimsUnavailable));
            }
        });
        let rendered = recorder.handle().render();
        for (outcome, count) in [("failed", 1), ("late", 2), ("panicked", 1)] {
            let line = format!("counterfoil_claims_unavailable_total{{outcome=\"{outcome}\"}} {count}");
            assert!(rendered.lines().any(|each| each == line), "{line}: {rendered}");
        }
    }
}
