//! What the handlers of every request share, and the reads that they have in common.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use counterfoil_domain::values::AccountId;
use counterfoil_projections::profile::Profile;
use counterfoil_projections::user_login;
use deadpool_postgres::Client;
use metrics_exporter_prometheus::PrometheusHandle;

use super::{HttpPolicy, ListCursors, OwnRoutes, Problem};
use crate::accounts::{Accounts, AccountsError};
use crate::crypto::client_fingerprints::ClientMarks;
use crate::crypto::keyring::Keyring;
use crate::crypto::second_factors::SecondFactors;
use crate::postgres::batcher::Batcher;
use crate::postgres::readiness::{NotReady, Readiness};
use crate::postgres::{Database, DatabaseError};
use crate::read_models::batched_queries::{ProfileQuery, RevocationQuery};
use crate::read_models::session_uses::SessionUses;
use crate::runtime::clock::Clock;
use crate::tokens::{Token, TokenKind, Tokens};
use counterfoil_guard::ended_sessions::EndedSessions;

/// How long a read may take before the caller is told to come back later.
const READ_WITHIN: Duration = Duration::from_millis(900);

/// How many connections of a thread each kind of read has, and how many reads may wait for them.
const READERS: usize = 1;
const WAITING_AT_MOST: usize = 10_000;

/// How often a node asks itself whether it is ready.
const READINESS_EVERY: Duration = Duration::from_secs(2);

/// What every request can reach.
pub struct AppState {
    /// The write side: the commands on accounts.
    pub accounts: Accounts,
    /// The database of the read side.
    pub database: Database,
    /// How tokens are opened.
    pub tokens: Tokens,
    /// The clock that every request reads.
    pub clock: Arc<dyn Clock>,
    /// What the HTTP layer goes by.
    pub http: Arc<HttpPolicy>,
    /// Where lists go on.
    pub cursors: ListCursors,
    /// What staff prove that they are with.
    pub second_factors: SecondFactors,
    client_marks: ClientMarks,
    /// The metrics so far.
    pub metrics: PrometheusHandle,
    /// The routes of an embedding program.
    pub own_routes: OwnRoutes,
    profiles: Batcher<ProfileQuery>,
    ended: Arc<EndedSessions>,
    revocations: Batcher<RevocationQuery>,
    uses: Arc<SessionUses>,
    readiness: Arc<Readiness>,
}

/// The parts of the state, beside the write side, that work under keys of the keyring.
#[derive(Clone, Debug)]
pub(crate) struct KeyedParts {
    pub(crate) cursors: ListCursors,
    pub(crate) second_factors: SecondFactors,
    pub(crate) client_marks: ClientMarks,
}

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppState").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

impl AppState {
    /// The same state, with connections of its own that work on the present runtime.
    pub(crate) fn on_this_thread(&self) -> Self {
        let accounts = self.accounts.on_this_thread(self.database.on_this_thread());
        let (clock, metrics) = (self.clock.clone(), self.metrics.clone());
        let (ended, http) = (self.ended.clone(), self.http.clone());
        let keyed = KeyedParts {
            cursors: self.cursors.clone(),
            second_factors: self.second_factors.clone(),
            client_marks: self.client_marks.clone(),
        };
        let state = Self::new(accounts, clock, ended, http, keyed, metrics);
        let own_routes = self.own_routes.clone();
        Self { uses: self.uses.clone(), readiness: self.readiness.clone(), own_routes, ..state }
    }

    /// Returns the state over a write side, whose database, tokens and settings of HTTP it shares.
    pub(crate) fn new(
        accounts: Accounts,
        clock: Arc<dyn Clock>,
        ended: Arc<EndedSessions>,
        http: Arc<HttpPolicy>,
        keyed: KeyedParts,
        metrics: PrometheusHandle,
    ) -> Self {
        let KeyedParts { cursors, second_factors, client_marks } = keyed;
        let database = accounts.journal().database().clone();
        Self {
            ended,
            tokens: accounts.tokens().clone(),
            accounts,
            clock,
            http,
            cursors,
            second_factors,
            client_marks,
            metrics,
            own_routes: OwnRoutes::default(),
            profiles: Batcher::start(ProfileQuery, database.clone(), READERS, WAITING_AT_MOST),
            revocations: Batcher::start(RevocationQuery, database.clone(), READERS, WAITING_AT_MOST),
            uses: Arc::default(),
            readiness: Arc::default(),
            database,
        }
    }

    /// Goes on with another keyring's keys, on every thread.
    pub fn use_keyring(&self, keyring: &Keyring) {
        self.accounts.use_keyring(keyring);
        self.cursors.use_keyring(keyring);
        self.second_factors.use_keyring(keyring);
        self.client_marks.use_keyring(keyring);
    }

    /// The answer to an error of the write side, now.
    pub fn problem(&self, error: &AccountsError) -> Problem {
        Problem::from_accounts(error, self.clock.now())
    }

    /// Reads from the read side, in time or not at all.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the database does not answer in time.
    pub async fn query<T>(
        &self,
        query: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Problem> {
        in_time(async {
            let connection = self.database.connection().await?;
            query(&connection).await.map_err(DatabaseError::from)
        })
        .await
    }

    /// The profile of an account, if a user has joined by that id.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the database does not answer in time.
    pub async fn profile(&self, account: AccountId) -> Result<Option<Profile>, Problem> {
        in_time(self.profiles.ask(account)).await
    }

    /// The sessions that have ended, as this node knows them.
    pub fn ended_sessions(&self) -> Arc<EndedSessions> {
        self.ended.clone()
    }

    /// Whether the session of a token was ended before the token expired.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the database does not answer in time.
    pub async fn is_revoked(&self, token: &Token) -> Result<bool, Problem> {
        if let Some(known) = self.ended.contains(token.session) {
            return Ok(known);
        }
        if self.ended.is_reading_all() {
            return in_time(self.revocations.ask((token.account, token.session))).await;
        }
        let looked = async {
            let looked = self.ended.after_next_look(token.session).await;
            looked.map_err(|error| DatabaseError::Unavailable(error.0))
        };
        in_time(looked).await
    }

    /// Notes that an access token was used now.
    pub fn note_use(&self, token: &Token) {
        self.uses.note(token.account, token.session, self.clock.now());
    }

    /// Writes the uses of access tokens that were noted since the last time.
    pub async fn write_uses(&self) {
        match self.uses.write(&self.database).await {
            Ok(sessions) => tracing::debug!(sessions, "wrote when sessions were last used"),
            Err(error) => tracing::warn!(%error, "it cannot be written when sessions were last used"),
        }
    }

    /// The token of a text, of either kind, that works now.
    ///
    /// # Errors
    /// [`Problem::InvalidToken`], whatever is wrong with it; [`Problem::Unavailable`] when the database does not answer in
    /// time.
    pub async fn working_token(&self, text: &str) -> Result<Token, Problem> {
        let now = self.clock.now();
        let kind = Tokens::kind_of(text).ok_or(Problem::InvalidToken)?;
        let token = self.tokens.open(kind, text, now).map_err(|_| Problem::InvalidToken)?;
        let works = match kind {
            TokenKind::Access => {
                let works = !self.is_revoked(&token).await?;
                if works {
                    self.note_use(&token);
                }
                works
            }
            TokenKind::Refresh => {
                let Token { account, session, generation, .. } = token;
                let query =
                    async |db: &_| user_login::is_refreshable(db, account, session, generation, now).await;
                self.query(query).await?
            }
        };
        works.then_some(token).ok_or(Problem::InvalidToken)
    }

    /// Whether requests can be answered.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when they cannot; the log has the reason.
    pub async fn check_readiness(&self) -> Result<(), Problem> {
        let checked = self.readiness_in_time().await;
        checked.map_err(|error| {
            tracing::warn!(%error, "not ready");
            Problem::Unavailable
        })
    }

    /// Asks whether it is ready, and looks for another server where this one takes no writes.
    async fn readiness_in_time(&self) -> Result<(), NotReady> {
        let late = |_| Err(DatabaseError::Late.into());
        let checking = self.readiness.check(&self.database);
        let checked = tokio::time::timeout(READ_WITHIN, checking).await.unwrap_or_else(late);
        if let Err(NotReady::ReadOnly) = checked {
            self.database.renew();
        }
        if !self.accounts.has_caught_up_with_register() {
            return checked.and(Err(NotReady::ErasuresMissing));
        }
        checked
    }

    pub(crate) async fn watch_readiness(&self) {
        loop {
            let is_ready = self.readiness_in_time().await.is_ok();
            metrics::gauge!("counterfoil_ready").set(if is_ready { 1.0 } else { 0.0 });
            tokio::time::sleep(READINESS_EVERY).await;
        }
    }
}

/// Waits for a read no longer than a caller is kept waiting.
pub(crate) async fn in_time<T>(read: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, Problem> {
    let answer = tokio::time::timeout(READ_WITHIN, read).await.unwrap_or(Err(DatabaseError::Late));
    answer.map_err(|error| Problem::from_database(&error))
}
