//! The service, put together: what its parts share, and the server that runs them.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::{NormalizePath, from_fn};
use actix_web::{App, HttpServer, web};
use chrono::TimeDelta;
use counterfoil_domain::user_account::Services;
use counterfoil_domain::values::AccountId;
use counterfoil_projections::profile::Profile;
use counterfoil_projections::revoked_token::{self, LONGEST_ACCESS_LIFETIME};
use counterfoil_projections::user_login;
use deadpool_postgres::Client;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{SignalKind, signal};

use crate::accounts::{Accounts, AccountsError};
use crate::audit::feed::Feed;
use crate::crypto::client_fingerprints::ClientMarks;
use crate::crypto::keyring::{self, Keyring, KeyringSource};
use crate::crypto::message_links::{SessionLinks, UndoLinks, UnlockLinks};
use crate::crypto::one_time_codes::OtpCodes;
use crate::crypto::personal_data::PersonalData;
use crate::crypto::second_factors::SecondFactors;
use crate::delivery::notices::Notices;
use crate::delivery::{Courier, Gateways, outbox, outcomes};
use crate::ended_sessions::EndedSessions;
use crate::http::{self, Cursors, Problem};
use crate::journal::Journal;
use crate::limits::Limits;
use crate::postgres::batcher::Group;
use crate::postgres::readiness::{NotReady, Readiness};
use crate::postgres::{Database, DatabaseError};
use crate::read_models::Rebuilds;
use crate::read_models::batched_queries::{Profiles, Revocations};
use crate::read_models::session_uses::{SessionUses, WRITE_EVERY};
use crate::runtime::clock::Clock;
use crate::runtime::restart::restarted;
use crate::runtime::telemetry;
use crate::settings::{DatabaseUrl, HttpPolicy, Settings};
use crate::tokens::{Kind, LEEWAY, Token, Tokens};

/// How long a read may take before the caller is told to come back later.
const READ_WITHIN: Duration = Duration::from_millis(900);

/// How many connections of a thread each kind of read has, and how many reads may wait for them.
const READERS: usize = 1;
const WAITING_AT_MOST: usize = 10_000;

/// How long requests that have begun may go on after a stop was asked for, in seconds.
const DRAIN_SECONDS: u64 = 20;

/// For how long it can be told what became of a message.
const MESSAGES_KEPT: TimeDelta = TimeDelta::days(30);

/// How many rows that have expired one statement deletes.
const PRUNED_AT_ONCE: i64 = 5_000;

/// How often what has expired is forgotten.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);

/// How often a node asks itself whether it is ready.
const READINESS_EVERY: Duration = Duration::from_secs(2);

/// How long a request's head may take.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// What every request can reach.
pub struct State {
    /// The write side.
    pub accounts: Accounts,
    /// The read side.
    pub database: Database,
    /// How tokens are opened.
    pub tokens: Tokens,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What the HTTP layer goes by.
    pub http: Arc<HttpPolicy>,
    /// Where lists go on.
    pub cursors: Cursors,
    /// What staff prove that they are with.
    pub second_factors: SecondFactors,
    client_marks: ClientMarks,
    /// The metrics so far.
    pub metrics: PrometheusHandle,
    profiles: Group<Profiles>,
    ended: Arc<EndedSessions>,
    revocations: Group<Revocations>,
    uses: Arc<SessionUses>,
    readiness: Arc<Readiness>,
    /// How old the last code of an account is that was never signed in to when the account is forgotten.
    never_signed_in: TimeDelta,
    /// The keyring that the service began with, and where its successors come from, if anywhere.
    keyring: Option<(KeyringSource, Keyring)>,
}

/// What works under keys of the keyring and is not the write side's.
struct Keyed {
    cursors: Cursors,
    second_factors: SecondFactors,
    client_marks: ClientMarks,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

impl State {
    /// The state of a service with these settings on that database.
    ///
    /// # Errors
    /// When the database URL is malformed.
    pub fn new(
        settings: &Settings,
        database: &DatabaseUrl,
        keyring: &Keyring,
        gateways: Gateways,
        clock: Arc<dyn Clock>,
        metrics: PrometheusHandle,
    ) -> Result<Self, DatabaseError> {
        let database = Database::new(&database.0, settings.connections_of_thread)?;
        let memory = settings.memory;
        let tokens = Tokens::remembering(memory.tokens, keyring, settings.tokens.clone());
        let personal_data = PersonalData::new(keyring);
        let journal = Journal::remembering(memory.accounts, database.clone(), personal_data, clock.clone());
        let kept_for = settings.tokens.access_lifetime + LEEWAY;
        let ended = EndedSessions::follow(database.clone(), clock.clone(), kept_for);
        let codes = OtpCodes::new(keyring, settings.test_identifiers.clone(), clock.clone());
        let notices = Notices {
            new_device: settings.new_device_notice,
            links: SessionLinks::new(keyring, settings.http.public_url.clone()),
            unlock_links: UnlockLinks::new(keyring, settings.http.public_url.clone()),
            undo_links: UndoLinks::new(keyring, settings.http.public_url.clone()),
        };
        let second_factors = SecondFactors::new(keyring, settings.delivery.texts.app_name());
        let client_marks = ClientMarks::new(keyring);
        let services = Services {
            codes: Arc::new(codes.clone()),
            clients: Arc::new(client_marks.clone()),
            second_factors: Arc::new(second_factors.clone()),
            answers: Arc::new(journal.outages().clone()),
            policy: Arc::new(settings.policy.clone()),
        };
        let prices = settings.delivery.prices.clone();
        let limits = match settings.limits.clone() {
            Some((policy, place)) => {
                Limits::new(policy, place, database.clone(), keyring, prices, clock.clone())
            }
            None => Limits::of_one_node(settings.writes),
        };
        let courier = Courier::new(
            database.clone(),
            journal.personal_data().clone(),
            codes,
            gateways,
            &settings.delivery,
            clock.clone(),
        );
        let mut accounts =
            Accounts::new(journal, services, courier, notices, tokens, clock.clone(), ended.clone())
                .within(limits);
        accounts.use_claims(Arc::new(settings.claims.clone()));
        let http = Arc::new(settings.http.clone());
        let keyed = Keyed { cursors: Cursors::new(keyring), second_factors, client_marks };
        let state = Self::over(accounts, clock, ended, http, keyed, metrics);
        let keyring = settings.keyring.clone().map(|source| (source, keyring.clone()));
        Ok(Self { keyring, never_signed_in: settings.never_signed_in, ..state })
    }

    /// The same state, with connections of its own that work on the present runtime.
    fn on_this_thread(&self) -> Self {
        let accounts = self.accounts.on_this_thread(self.database.on_this_thread());
        let (clock, metrics) = (self.clock.clone(), self.metrics.clone());
        let (ended, http) = (self.ended.clone(), self.http.clone());
        let keyed = Keyed {
            cursors: self.cursors.clone(),
            second_factors: self.second_factors.clone(),
            client_marks: self.client_marks.clone(),
        };
        let over = Self::over(accounts, clock, ended, http, keyed, metrics);
        Self { uses: self.uses.clone(), readiness: self.readiness.clone(), ..over }
    }

    fn over(
        accounts: Accounts,
        clock: Arc<dyn Clock>,
        ended: Arc<EndedSessions>,
        http: Arc<HttpPolicy>,
        keyed: Keyed,
        metrics: PrometheusHandle,
    ) -> Self {
        let Keyed { cursors, second_factors, client_marks } = keyed;
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
            profiles: Group::start(Profiles, database.clone(), READERS, WAITING_AT_MOST),
            revocations: Group::start(Revocations, database.clone(), READERS, WAITING_AT_MOST),
            uses: Arc::default(),
            readiness: Arc::default(),
            never_signed_in: TimeDelta::MAX,
            keyring: None,
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

    /// The profile of an account, if anybody has joined by that id.
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
        in_time(self.ended.after_next_look(token.session)).await
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
            Kind::Access => {
                let works = !self.is_revoked(&token).await?;
                if works {
                    self.note_use(&token);
                }
                works
            }
            Kind::Refresh => {
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
        checked
    }

    async fn watch_readiness(&self) {
        loop {
            let is_ready = self.readiness_in_time().await.is_ok();
            metrics::gauge!("counterfoil_ready").set(if is_ready { 1.0 } else { 0.0 });
            tokio::time::sleep(READINESS_EVERY).await;
        }
    }

    /// Forgets what has expired, and counts what is to be forgotten. Called now and then; missing it once does no harm.
    pub async fn prune(&self) {
        let now = self.clock.now() - LEEWAY * 2;
        let counted = self.query(async |db| {
            let statement = db.prepare_cached(include_str!("limits/sql/prune.sql")).await?;
            let counters = db.execute(&statement, &[&now]).await?;
            outbox::expire(db, now).await?;
            outcomes::count(db).await?;
            Ok(counters)
        });
        let counters = counted.await.unwrap_or_default();
        let ended_before = now - LONGEST_ACCESS_LIFETIME;
        let page = |db: Client| async move { revoked_token::prune(&db, ended_before, PRUNED_AT_ONCE).await };
        let sessions = self.prune_in_pages(page).await;
        let expired_by = now - MESSAGES_KEPT;
        let page = |db: Client| async move { outbox::prune(&db, expired_by, PRUNED_AT_ONCE).await };
        let messages = self.prune_in_pages(page).await;
        let lapsed =
            self.accounts.forget_never_signed_in(self.never_signed_in).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "accounts that were never signed in to are still there");
                0
            });
        tracing::debug!(sessions, messages, counters, lapsed, "forgot what has expired");
    }

    /// Deletes page after page until one is not full, so that no backlog is too long for one statement; returns how many rows.
    async fn prune_in_pages<F>(&self, page: impl Fn(Client) -> F) -> u64
    where
        F: Future<Output = Result<u64, tokio_postgres::Error>>,
    {
        let mut pruned = 0;
        loop {
            let deleted = in_time(async { Ok(page(self.database.connection().await?).await?) }).await;
            let rows = deleted.unwrap_or_default();
            pruned += rows;
            if rows < PRUNED_AT_ONCE.unsigned_abs() {
                return pruned;
            }
        }
    }
}

async fn in_time<T>(read: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, Problem> {
    let answer = tokio::time::timeout(READ_WITHIN, read).await.unwrap_or(Err(DatabaseError::Late));
    answer.map_err(|error| Problem::from_database(&error))
}

/// The server, listening.
pub struct Application {
    address: SocketAddr,
    server: Server,
    /// The listener for operators.
    operators: Option<(SocketAddr, Server)>,
    state: Arc<State>,
    feed: Feed,
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Application {
    /// Binds the address; requests are taken from then on and answered once [`run`](Self::run) is awaited.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn build(settings: &Settings, state: State) -> std::io::Result<Self> {
        let (address, listener) = bind(settings.listen)?;
        let feed = Feed::start(state.database.clone());
        let rebuilds = Rebuilds::new(state.accounts.journal().clone());
        let state = Arc::new(state);
        let operators =
            settings.metrics_listen.map(|listen| for_operators(listen, state.clone())).transpose()?;
        let (shared, followed) = (state.clone(), feed.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(shared.on_this_thread()))
                .app_data(web::Data::new(followed.clone()))
                .app_data(web::Data::new(rebuilds.clone()))
                .wrap(http::cors(&shared.http))
                .wrap(from_fn(http::observe))
                .wrap(NormalizePath::trim())
                .configure(|config| http::routes(config, &shared.http))
        })
        .client_request_timeout(HEAD_WITHIN)
        .workers(settings.workers)
        .shutdown_timeout(DRAIN_SECONDS)
        .disable_signals();
        Ok(Self { address, server: server.listen(listener)?.run(), operators, state, feed })
    }

    /// Where it listens; the real port where the settings said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the listener for operators listens, where there is one.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.operators.as_ref().map(|(address, _)| *address)
    }

    /// What its requests share.
    pub fn state(&self) -> Arc<State> {
        self.state.clone()
    }

    /// What tells its followers how far the log has come. Stopped before the server, which waits for their answers to end.
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// By which it is stopped: no new connections, and the requests that have begun are answered.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Runs the service until it is stopped: all that [`serve`](Self::serve) does, and what keeps the log. It gives events their
    /// numbers, brings read models along, forgets what has expired, and takes a new keyring when there is one where
    /// `settings.keyring` says (and on `SIGHUP`).
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run(self) -> std::io::Result<()> {
        let journal = self.state.accounts.journal().clone();
        let mut beside = vec![tokio::spawn(restarted("the log", move || {
            let journal = journal.clone();
            async move { journal.keep_log().await }
        }))];
        let state = self.state.clone();
        beside.push(tokio::spawn(restarted("housekeeping", move || {
            let state = state.clone();
            async move {
                loop {
                    tokio::time::sleep(HOUSEKEEPING_EVERY).await;
                    state.prune().await;
                }
            }
        })));
        if let Some((source, keyring)) = self.state.keyring.clone() {
            let (state, hangup) = (self.state.clone(), signal(SignalKind::hangup())?);
            beside.push(tokio::spawn(async move {
                keyring::follow(source, keyring, hangup, move |new| state.use_keyring(new)).await;
            }));
        }
        let served = self.serve().await;
        for task in beside {
            task.abort();
        }
        served
    }

    /// Answers requests and sends messages until it is stopped, and leaves the log to other nodes. Unless one of them keeps it,
    /// this node says within seconds that it is not ready.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn serve(self) -> std::io::Result<()> {
        let journal = self.state.accounts.journal().clone();
        let exchanging = tokio::spawn(restarted("the exchange of outages", move || {
            let journal = journal.clone();
            async move { journal.outages().exchange(journal.database()).await }
        }));
        let state = self.state.clone();
        let watching = tokio::spawn(restarted("the watch over readiness", move || {
            let state = state.clone();
            async move { state.watch_readiness().await }
        }));
        let courier = self.state.accounts.courier().clone();
        let carrying = tokio::spawn(restarted("the courier", {
            let courier = courier.clone();
            move || courier.clone().run()
        }));
        let state = self.state.clone();
        let writing = tokio::spawn(restarted("the uses of sessions", move || {
            let state = state.clone();
            async move {
                loop {
                    tokio::time::sleep(WRITE_EVERY).await;
                    state.write_uses().await;
                }
            }
        }));
        let upkeep = tokio::spawn(telemetry::keep(self.state.metrics.clone()));
        let operators = self.operators.map(|(_, server)| {
            let handle = server.handle();
            tokio::spawn(server);
            handle
        });
        let served = self.server.await;
        if let Some(operators) = operators {
            operators.stop(false).await;
        }
        writing.abort();
        self.state.write_uses().await;
        courier.stop().await;
        for task in [carrying, watching, exchanging, upkeep] {
            task.abort();
        }
        served
    }
}

fn bind(listen: SocketAddr) -> std::io::Result<(SocketAddr, TcpListener)> {
    let named = |error: std::io::Error| std::io::Error::new(error.kind(), format!("{listen}: {error}"));
    let listener = TcpListener::bind(listen).map_err(named)?;
    Ok((listener.local_addr()?, listener))
}

/// The listener for operators, which goes on while the requests of the other are answered after a stop was asked for.
fn for_operators(listen: SocketAddr, state: Arc<State>) -> std::io::Result<(SocketAddr, Server)> {
    let (address, listener) = bind(listen)?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(state.on_this_thread()))
            .wrap(from_fn(http::observe))
            .wrap(NormalizePath::trim())
            .configure(http::operator_routes)
    });
    let server = server.workers(1).client_request_timeout(HEAD_WITHIN).disable_signals();
    Ok((address, server.listen(listener)?.run()))
}
