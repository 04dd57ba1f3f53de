//! For other services: access tokens checked where they arrive, without a call to Counterfoil.
//!
//! A service is given keys that open and verify access tokens and make none (`counterfoil keys guard FILE`). With the
//! database's URL as well it follows the sessions that end, as the nodes of Counterfoil do: within a second, and when it
//! has not been able to look for that long it asks the database, and refuses when that does not answer. The role needs
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

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{FromRequest, HttpRequest, web};
use counterfoil_projections::revoked_token::{self, LONGEST_ACCESS_LIFETIME};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::clock::{Clock, SystemClock};
use crate::database::{Database, DatabaseError};
use crate::ended_sessions::EndedSessions;
use crate::http::{Problem, bearer};
use crate::tokens::{AccessKeys, ExtraClaims, LEEWAY, Token};

/// How many connections ask about single sessions when the feed has fallen silent.
const CONNECTIONS: usize = 2;

/// Checks access tokens.
pub struct Guard {
    keys: AccessKeys,
    feed: Option<Feed>,
    clock: Arc<dyn Clock>,
}

struct Feed {
    ended: Arc<EndedSessions>,
    /// Asked when it is not known whether a session has ended; without it nobody is let through then.
    database: Option<Database>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Guard {
    /// Checks tokens by themselves: one works until it expires, whatever has become of its session.
    pub fn new(keys: AccessKeys) -> Self {
        Self { keys, feed: None, clock: Arc::new(SystemClock) }
    }

    /// Checks tokens and follows which sessions end, in the database at `url`. Works on the present runtime.
    ///
    /// # Errors
    /// When the URL is malformed.
    pub fn following(keys: AccessKeys, url: &str) -> Result<Self, DatabaseError> {
        let (database, clock) = (Database::new(url, CONNECTIONS)?, Arc::new(SystemClock));
        let kept_for = LONGEST_ACCESS_LIFETIME + LEEWAY;
        let ended = EndedSessions::follow(database.clone(), clock.clone(), kept_for);
        Ok(Self { keys, feed: Some(Feed { ended, database: Some(database) }), clock })
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
        Ok(Self { keys, feed: Some(Feed { ended, database: None }), clock })
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
        let ended = match &self.feed {
            None => false,
            Some(feed) => feed.has_ended(&token).await.map_err(|error| Problem::from_database(&error))?,
        };
        if ended { Err(Problem::InvalidAccessToken) } else { Ok(SignedIn { token, claims }) }
    }
}

impl Feed {
    async fn has_ended(&self, token: &Token) -> Result<bool, DatabaseError> {
        if let Some(known) = self.ended.contains(token.session) {
            return Ok(known);
        }
        let unknown = || DatabaseError::Unavailable("the stream of ended sessions is silent".to_owned());
        let connection = self.database.as_ref().ok_or_else(unknown)?.connection().await?;
        let revoked = revoked_token::revoked(&connection, &[(token.account, token.session)]).await?;
        Ok(!revoked.is_empty())
    }
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
