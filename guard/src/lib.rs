//! Checks access tokens of Counterfoil in another Rust service, where they arrive and without a call to the server.
//!
//! A service is given keys that open and verify access tokens and make none (`counterfoil keys guard FILE`). It follows the
//! stream of sessions that end as one of the server's `[[oauth.clients]]` with the scope `sessions:read`: a session that ends is
//! refused at once as a rule, and within two seconds at most. While the stream is silent for that long, the guard refuses all
//! tokens with 503. Without the stream ([`Guard::new`]) a token works until it expires.
//!
//! The settings of the server name the client, and the program knows its secret (`printf %s SECRET | sha256sum`):
//!
//! ```toml
//! [[oauth.clients]]
//! id = "orders"
//! secret_sha256 = "…"
//! scopes = ["sessions:read"]
//! ```
//!
//! The guard writes with `tracing` why it cannot follow the stream, so install a subscriber: a wrong secret is seen there and nowhere
//! else.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, Responder, web};
//! use counterfoil_guard::{AccessKeys, Guard, SignedIn};
//!
//! async fn orders(caller: SignedIn) -> impl Responder {
//!     format!("the orders of {}", caller.token.account)
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let keys = AccessKeys::read("guard.json".as_ref())?;
//!     let guard = Guard::following_stream(keys, "https://auth.example", "orders", "the secret of the client")?;
//!     let guard = web::Data::new(guard);
//!     let app = move || App::new().app_data(guard.clone()).route("/orders", web::get().to(orders));
//!     Ok(HttpServer::new(app).bind("127.0.0.1:9000")?.run().await?)
//! }
//! ```

mod access_keys;
mod claims;
pub mod ended_sessions;
mod extra_claims;
pub mod format;
mod problem;
mod stream;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpRequest, web};
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

pub use access_keys::{AccessKeys, AccessKeysError};
use ended_sessions::EndedSessions;
pub use extra_claims::{ExtraClaims, TooManyClaims};
pub use problem::GuardProblem;
pub use stream::FollowStreamError;
pub use token::{InvalidToken, LEEWAY, LONGEST_ACCESS_LIFETIME, MAX_TOKEN_BYTES, Token, TokenKind};

/// How long a check may wait for the next look at the sessions that have ended.
const WAIT_AT_MOST: Duration = Duration::from_millis(900);

/// The source of the time.
pub(crate) type Now = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Checks access tokens where they arrive.
pub struct Guard {
    keys: AccessKeys,
    ended: Option<Arc<EndedSessions>>,
    now: Now,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Guard {
    /// Checks tokens by themselves: a token works until it expires, even when its session has ended.
    pub fn new(keys: AccessKeys) -> Self {
        Self { keys, ended: None, now: system_clock() }
    }

    /// Checks tokens and follows which sessions end, by the stream of the server at `url` (`https://auth.example`), as the
    /// client of that id and secret. Works on the present runtime.
    ///
    /// # Errors
    /// [`FollowStreamError`] when the URL is neither `https` nor of this machine, or no TLS can be had.
    pub fn following_stream(
        keys: AccessKeys,
        url: &str,
        id: &str,
        secret: &str,
    ) -> Result<Self, FollowStreamError> {
        let ended = stream::follow(url, id, secret, system_clock())?;
        Ok(Self { ended: Some(ended), ..Self::new(keys) })
    }

    /// The same guard by another clock.
    #[must_use]
    pub fn with_clock(self, now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(now), ..self }
    }

    /// Returns what a token says, if it works now.
    ///
    /// # Errors
    /// [`GuardProblem::InvalidAccessToken`] when it does not; [`GuardProblem::Unavailable`] when the guard cannot tell.
    pub async fn check(&self, text: &str) -> Result<SignedIn, GuardProblem> {
        let opened = self.keys.open(text, (self.now)());
        let (token, claims) = opened.map_err(|_| GuardProblem::InvalidAccessToken)?;
        let has_ended = match &self.ended {
            None => false,
            Some(ended) => has_ended(ended, &token).await?,
        };
        if has_ended { Err(GuardProblem::InvalidAccessToken) } else { Ok(SignedIn { token, claims }) }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where the time comes from, unless a clock is given")]
fn system_clock() -> Now {
    Arc::new(Utc::now)
}

async fn has_ended(ended: &EndedSessions, token: &Token) -> Result<bool, GuardProblem> {
    if let Some(known) = ended.contains(token.session) {
        return Ok(known);
    }
    let looked = tokio::time::timeout(WAIT_AT_MOST, ended.after_next_look(token.session)).await;
    looked.ok().and_then(Result::ok).ok_or(GuardProblem::Unavailable)
}

/// Extractor: a signed-in user, proved by the header `Authorization: Bearer` of the request. Without it the answer is 401.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The account and the session of the user.
    pub token: Token,
    /// What the installation adds to its tokens.
    pub claims: ExtraClaims,
}

impl FromRequest for SignedIn {
    type Error = GuardProblem;
    type Future = LocalBoxFuture<'static, Result<Self, GuardProblem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let guard = request.app_data::<web::Data<Guard>>().cloned();
        let token = bearer_token(request.headers()).map(|token| token.map(str::to_owned));
        async move {
            let token = token?.ok_or(GuardProblem::Unauthenticated)?;
            guard.ok_or(GuardProblem::NoGuard)?.check(&token).await
        }
        .boxed_local()
    }
}

/// Middleware for `actix_web::middleware::from_fn`: lets signed-in users through and refuses all others.
///
/// # Errors
/// [`GuardProblem`], as [`SignedIn`] gives it.
pub async fn require_signed_in(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    request.extract::<SignedIn>().await?;
    next.call(request).await
}

/// Returns the token of the header `Authorization: Bearer` (RFC 6750, section 2.1); none where there is no such header.
///
/// # Errors
/// [`GuardProblem::AmbiguousCredentials`] when there are two such headers, [`GuardProblem::InvalidAccessToken`] when the header
/// holds something else.
pub fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>, GuardProblem> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(GuardProblem::AmbiguousCredentials);
    }
    let value = value.to_str().map_err(|_| GuardProblem::InvalidAccessToken)?;
    let (scheme, token) = value.split_once(' ').ok_or(GuardProblem::InvalidAccessToken)?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then_some(Some(token)).ok_or(GuardProblem::InvalidAccessToken)
}
