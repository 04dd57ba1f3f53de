//! The service, put together: the server and all that runs beside it.

mod assembly;
mod housekeeping;
mod local_service;
mod node_keyring;
mod parts;
mod running;
mod service_accounts;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::{NormalizePath, from_fn};
use actix_web::{App, HttpServer, web};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

pub use assembly::new_state;
pub use housekeeping::delete_expired;
pub use local_service::LocalService;
pub use node_keyring::{DEVELOPMENT_FOLDER, keyring_source};
pub use parts::ServiceParts;
pub use running::{RunningService, StartError, process_metrics};
pub use service_accounts::{ServiceAccounts, ServiceActor};

use crate::audit::feed::LedgerFeed;
use crate::audit::long_reading::LongReadings;
use crate::audit::rehearsal::RehearsalPolicy;
use crate::crypto::keyring::{self, Keyring, KeyringSource};
use crate::http::{self, AppState};
use crate::listeners::ListenerSet;
use crate::read_models::session_uses::WRITE_EVERY;
use crate::read_models::{FOLLOWERS, RebuildStarter};
use crate::runtime::restart::restarted;
use crate::runtime::telemetry;
use crate::settings::Settings;
use crate::transparency::cosigning::WitnessClient;
use crate::transparency::{CheckpointWriter, VerificationKeys};

/// How long requests that have begun may go on after a stop was asked for, in seconds.
const DRAIN_SECONDS: u64 = 20;

/// How often what has expired is deleted.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);

/// How long a request's head may take.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// The server of a node, which listens and is ready to run.
pub struct Application {
    address: SocketAddr,
    server: Server,
    /// The listener for operators.
    operators: Option<(SocketAddr, Server)>,
    state: Arc<AppState>,
    feed: LedgerFeed,
    /// Who is asked to cosign checkpoints of the log.
    witnesses: WitnessClient,
    /// What hears of events.
    listeners: ListenerSet,
    /// The keyring that the node began with, and where its successors come from, if anywhere.
    keyring: Option<(KeyringSource, Keyring)>,
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
    pub fn build(settings: &Settings, keyring: &Keyring, state: AppState) -> std::io::Result<Self> {
        let (address, listener) = bind(settings.listen)?;
        let feed = LedgerFeed::start(state.database.clone());
        let rebuilds = RebuildStarter::new(state.accounts.journal().clone());
        let readings = long_readings(&state, settings);
        let rehearsals = RehearsalPolicy::new(settings.proposals.clone(), &settings.delivery.prices);
        let state = Arc::new(state);
        let operators =
            settings.metrics_listen.map(|listen| for_operators(listen, state.clone())).transpose()?;
        let (shared, followed) = (state.clone(), feed.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(shared.on_this_thread()))
                .app_data(web::Data::new(followed.clone()))
                .app_data(web::Data::new(rebuilds.clone()))
                .app_data(web::Data::new(readings.clone()))
                .app_data(web::Data::new(rehearsals.clone()))
                .wrap(http::cors(&shared.http))
                .wrap(from_fn(http::observe))
                .wrap(NormalizePath::trim())
                .configure(|config| http::routes(config, &shared.http, &shared.own_routes))
        })
        .client_request_timeout(HEAD_WITHIN)
        .workers(settings.workers)
        .shutdown_timeout(DRAIN_SECONDS)
        .disable_signals();
        let keyring = settings.keyring.clone().map(|source| (source, keyring.clone()));
        let listeners = ListenerSet::default();
        let witnesses = WitnessClient::new(state.database.clone(), settings.transparency.witnesses.clone());
        let server = server.listen(listener)?.run();
        Ok(Self { address, server, operators, state, feed, witnesses, listeners, keyring })
    }

    /// The same, with these event listeners, to which [`run`](Self::run) hands events over.
    #[must_use]
    pub fn with_listeners(self, listeners: ListenerSet) -> Self {
        Self { listeners, ..self }
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
    pub fn state(&self) -> Arc<AppState> {
        self.state.clone()
    }

    /// What tells its followers how far the log has come. Stopped before the server, which waits for their answers to end.
    pub fn feed(&self) -> LedgerFeed {
        self.feed.clone()
    }

    /// By which it is stopped: no new connections, and the requests that have begun are answered.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Runs the service until it is stopped: all that [`serve`](Self::serve) does, and what keeps the log. It gives events their
    /// numbers, brings read models along, hands events over to listeners, forgets what has expired, and takes a new keyring when
    /// there is one where `settings.keyring` says (and on `SIGHUP`).
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run(self) -> std::io::Result<()> {
        let journal = self.state.accounts.journal().clone();
        let checkpoints =
            CheckpointWriter::new(self.state.database.clone(), self.state.accounts.checkpoint_keys().clone());
        let mut beside = vec![tokio::spawn(restarted("the log", move || {
            let (journal, checkpoints) = (journal.clone(), checkpoints.clone());
            async move {
                let numbered = Notify::new();
                tokio::join!(journal.keep_log(&FOLLOWERS, &numbered), checkpoints.keep(&numbered));
            }
        }))];
        let witnesses = self.witnesses.clone();
        beside.push(tokio::spawn(restarted("the cosignatures", move || {
            let witnesses = witnesses.clone();
            async move { witnesses.keep().await }
        })));
        let state = self.state.clone();
        beside.push(tokio::spawn(restarted("housekeeping", move || {
            let state = state.clone();
            async move {
                loop {
                    tokio::time::sleep(HOUSEKEEPING_EVERY).await;
                    delete_expired(&state).await;
                }
            }
        })));
        if let Some((source, keyring)) = self.keyring.clone() {
            let (state, hangup) = (self.state.clone(), signal(SignalKind::hangup())?);
            beside.push(tokio::spawn(async move {
                keyring::follow(source, keyring, hangup, move |new| state.use_keyring(new)).await;
            }));
        }
        let listening = self.listeners.start(self.state.accounts.journal());
        let served = self.serve().await;
        listening.stop().await;
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
        let journal = self.state.accounts.journal().clone();
        let forgetting = tokio::spawn(restarted("the memory of erased accounts", move || {
            let journal = journal.clone();
            async move { journal.forget_erased().await }
        }));
        let state = self.state.clone();
        let registering = tokio::spawn(restarted("the erasure register", move || {
            let state = state.clone();
            async move { state.accounts.follow_register().await }
        }));
        let state = self.state.clone();
        let watching = tokio::spawn(restarted("the watch over readiness", move || {
            let state = state.clone();
            async move { state.watch_readiness().await }
        }));
        let outbox_worker = self.state.accounts.outbox_worker().clone();
        let carrying = tokio::spawn(restarted("the outbox worker", {
            let outbox_worker = outbox_worker.clone();
            move || outbox_worker.clone().run()
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
        let upkeep = tokio::spawn(telemetry::keep(self.state.metrics.clone(), http::log_left_out));
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
        outbox_worker.stop().await;
        for task in [carrying, watching, exchanging, forgetting, registering, upkeep] {
            task.abort();
        }
        served
    }
}

/// What reads the whole log on a request, and believes the keys of this installation and of its witnesses.
fn long_readings(state: &AppState, settings: &Settings) -> LongReadings {
    let checkpoint_keys = state.accounts.checkpoint_keys().clone();
    let keys = VerificationKeys::new(checkpoint_keys, &settings.transparency.witnesses);
    LongReadings::new(state.accounts.journal().clone(), keys)
}

fn bind(listen: SocketAddr) -> std::io::Result<(SocketAddr, TcpListener)> {
    let named = |error: std::io::Error| std::io::Error::new(error.kind(), format!("{listen}: {error}"));
    let listener = TcpListener::bind(listen).map_err(named)?;
    Ok((listener.local_addr()?, listener))
}

/// The listener for operators, which goes on while the requests of the other are answered after a stop was asked for.
fn for_operators(listen: SocketAddr, state: Arc<AppState>) -> std::io::Result<(SocketAddr, Server)> {
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
