//! For other services: access tokens checked where they arrive, without a call to Counterfoil.
//!
//! A service is given keys that open and verify access tokens and make none (`counterfoil keys guard FILE`). With the
//! database's URL as well it follows the sessions that end, as the nodes of Counterfoil do: at once as a rule, and within two
//! seconds at most. When it has not been able to look for that long, it refuses. The role needs
//! `SELECT` on `revoked_tokens` and nothing else. A service with no way to the database follows the stream of Counterfoil's
//! nodes instead ([`Guard::following_stream`]), as one of the `[[oauth.clients]]`; when that is silent it refuses. With neither
//! a token works until it expires.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, Responder, web};
//! use counterfoil::guard::{Guard, SignedIn};
//! use counterfoil::tokens::AccessKeys;
//!
//! async fn orders(caller: SignedIn) -> impl Responder {
//!     format!("the orders of {}", caller.token.account)
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let keys = AccessKeys::read("guard.json".as_ref())?;
//!     let guard = web::Data::new(Guard::following(keys, "postgresql://orders@db/counterfoil")?);
//!     let app = move || App::new().app_data(guard.clone()).route("/orders", web::get().to(orders));
//!     Ok(HttpServer::new(app).bind("127.0.0.1:9000")?.run().await?)
//! }
//! ```

mod stream;

pub use stream::FollowStreamError;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpRequest, web};
use counterfoil_projections::revoked_token::LONGEST_ACCESS_LIFETIME;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::ended_sessions::EndedSessions;
use crate::http::{Problem, bearer};
use crate::postgres::{Database, DatabaseError};
use crate::runtime::clock::{Clock, SystemClock};
use crate::tokens::{AccessKeys, ExtraClaims, LEEWAY, Token};

/// How long a check may wait for the next look.
const WAIT_AT_MOST: Duration = Duration::from_millis(900);

/// Checks access tokens.
pub struct Guard {
    keys: AccessKeys,
    ended: Option<Arc<EndedSessions>>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Guard {
    /// Checks tokens by themselves: one works until it expires, whatever has become of its session.
    pub fn new(keys: AccessKeys) -> Self {
        Self { keys, ended: None, clock: Arc::new(SystemClock) }
    }

    /// Checks tokens and follows which sessions end, in the database at `url`. Works on the present runtime.
    ///
    /// # Errors
    /// When the URL is malformed.
    pub fn following(keys: AccessKeys, url: &str) -> Result<Self, DatabaseError> {
        let (database, clock) = (Database::new(url, 1)?, Arc::new(SystemClock));
        let kept_for = LONGEST_ACCESS_LIFETIME + LEEWAY;
        let ended = EndedSessions::follow(database, clock.clone(), kept_for);
        Ok(Self { keys, ended: Some(ended), clock })
    }

    /// Checks tokens and follows which sessions end, by the stream of the service at `url` (`https://auth.example`), as the
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
        let clock = Arc::new(SystemClock);
        let ended = stream::follow(url, id, secret, clock.clone())?;
        Ok(Self { keys, ended: Some(ended), clock })
    }

    /// The same guard by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// What a token says, when it works now.
    ///
    /// # Errors
    /// [`Problem::InvalidAccessToken`] when it does not; [`Problem::Unavailable`] when that cannot be told.
    pub async fn check(&self, text: &str) -> Result<SignedIn, Problem> {
        let opened = self.keys.open(text, self.clock.now());
        let (token, claims) = opened.map_err(|_| Problem::InvalidAccessToken)?;
        let has_ended = match &self.ended {
            None => false,
            Some(ended) => has_ended(ended, &token).await.map_err(|error| Problem::from_database(&error))?,
        };
        if has_ended { Err(Problem::InvalidAccessToken) } else { Ok(SignedIn { token, claims }) }
    }
}

async fn has_ended(ended: &EndedSessions, token: &Token) -> Result<bool, DatabaseError> {
    if let Some(known) = ended.contains(token.session) {
        return Ok(known);
    }
    let looked = tokio::time::timeout(WAIT_AT_MOST, ended.after_next_look(token.session));
    looked.await.unwrap_or(Err(DatabaseError::Late))
}

/// Extractor: somebody signed in, by the `Authorization: Bearer` of the request. Without one the answer is 401.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who, and by which session.
    pub token: Token,
    /// What the installation adds to its tokens.
    pub claims: ExtraClaims,
}

impl FromRequest for SignedIn {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let guard = request.app_data::<web::Data<Guard>>().cloned();
        let token = bearer(request.headers());
        async move {
            let token = token?.ok_or(Problem::Unauthenticated)?;
            guard.ok_or(Problem::Internal)?.check(&token).await
        }
        .boxed_local()
    }
}

/// Middleware for `actix_web::middleware::from_fn`: lets nobody through who is not signed in.
///
/// # Errors
/// [`Problem`], as [`SignedIn`] gives it.
pub async fn require_signed_in(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    request.extract::<SignedIn>().await?;
    next.call(request).await
}
