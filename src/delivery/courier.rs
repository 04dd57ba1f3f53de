//! The workers that empty the outbox.
//!
//! Every node has a courier. It is woken by each commit of its own node that asks for a message, and looks by itself twice a
//! second for what other nodes left. A letter goes to the first gateway of its route that takes it; when none does, it goes
//! back and is tried again, later each time, for as long as it is of use. A gateway that is away is left alone for a while,
//! so that one that hangs does not hold up what others could take; then one message finds out whether it is back. While
//! all gateways of a channel are away, its messages stay where they are, and the database has no work with them.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use backon::{BackoffBuilder as _, ExponentialBuilder, Retryable as _};
use counterfoil_domain::values::{Channel, Identifier};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use uuid::Uuid;

use super::outbox::{self, About, Charge, Claimed, Key, Letter, Settlement, State};
use super::{Content, DeliverySettings, Gateways, Message, Named, NotAccepted, Prices, Route, Texts};
use crate::crypto::one_time_codes::OtpCodes;
use crate::crypto::personal_data::PersonalData;
use crate::postgres::{Database, DatabaseError};
use crate::runtime::clock::Clock;

/// How often a courier looks for messages that nobody woke it for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How many messages a node has under way at once.
const UNDER_WAY: usize = 64;

/// How long one gateway may take over one message.
const TRY_WITHIN: Duration = Duration::from_secs(12);

/// The longest that a gateway is left alone for, whatever it says.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The same, with as much again of jitter, where it says nothing. To ask costs one message's try.
const USUAL_REST: Duration = Duration::from_secs(4);

/// How long messages wait while another finds out whether a gateway is back.
const WHILE_TRIED: Duration = Duration::from_secs(1);

/// How often the log hears of a gateway that refuses messages.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How often a message that has been sent is tried to be settled, about once a second.
const SETTLE_TRIES: usize = 20;

/// How long a stop waits for what is under way. What is cut off is sent again by another node.
const DRAIN_WITHIN: Duration = Duration::from_secs(15);

/// What a courier works with.
#[derive(Clone)]
pub struct Courier {
    database: Database,
    personal_data: PersonalData,
    codes: OtpCodes,
    gateways: Arc<Gateways>,
    texts: Arc<Texts>,
    prices: Arc<Prices>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rung: Notify,
    stopping: AtomicBool,
    under_way: Arc<Semaphore>,
    resting: Mutex<HashMap<Arc<str>, Rest>>,
    /// When it was last said of a gateway that it refuses messages.
    said: Mutex<HashMap<Arc<str>, Instant>>,
}

/// A gateway that is away.
#[derive(Clone, Copy, Debug)]
struct Rest {
    /// It is left alone until then.
    until: Instant,
    /// After that a message tries it, and the others leave it alone until then.
    tried_until: Instant,
    /// How often in a row it was found away.
    failures: usize,
}

impl Rest {
    /// How long messages leave the gateway alone; none when it may be tried.
    fn left(&self, now: Instant) -> Option<Duration> {
        if now < self.until {
            return Some(self.until - now);
        }
        (now < self.tried_until).then_some(WHILE_TRIED)
    }
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").field("gateways", &self.gateways).finish_non_exhaustive()
    }
}

/// What came of offering a message to the gateways of its route.
enum Offered<'a> {
    Taken {
        by: &'a Named,
        reference: Option<String>,
    },
    Undeliverable {
        by: &'a Named,
        reason: String,
    },
    /// By none of them; the last answer, and when to try again at the earliest.
    NotTaken {
        reason: String,
        wait: Duration,
    },
}

impl Courier {
    /// A courier for the outbox in that database.
    pub fn new(
        database: Database,
        personal_data: PersonalData,
        codes: OtpCodes,
        gateways: Gateways,
        settings: &DeliverySettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let shared = Shared {
            rung: Notify::new(),
            stopping: AtomicBool::new(false),
            under_way: Arc::new(Semaphore::new(UNDER_WAY)),
            resting: Mutex::default(),
            said: Mutex::default(),
        };
        Self {
            database,
            personal_data,
            codes,
            gateways: Arc::new(gateways),
            texts: settings.texts.clone(),
            prices: Arc::new(settings.prices.clone()),
            clock,
            shared: Arc::new(shared),
        }
    }

    /// Where messages go.
    pub fn gateways(&self) -> &Gateways {
        &self.gateways
    }

    /// The words of messages.
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// How codes are derived.
    pub fn codes(&self) -> &OtpCodes {
        &self.codes
    }

    /// Says that a message has been committed.
    pub fn wake(&self) {
        self.shared.rung.notify_one();
    }

    /// Takes and sends messages until it is told to stop.
    pub async fn run(self) {
        let (shared, look) = (self.shared.clone(), self.clone());
        // What there is no gateway for here is left to the nodes that have one.
        let channels: Vec<Channel> =
            Channel::ALL.into_iter().filter(|channel| look.gateways.of(*channel).next().is_some()).collect();
        while !shared.stopping.load(Ordering::Acquire) {
            let (mut more, mut again) = (false, LOOK_EVERY);
            for channel in channels.iter().copied() {
                if let Some(left) = look.rest_of(channel) {
                    again = again.min(left);
                    continue;
                }
                let Ok(first) = shared.under_way.clone().acquire_owned().await else { return };
                more |= look.take(channel, first).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "the outbox cannot be read");
                    false
                });
            }
            if !more {
                drop(tokio::time::timeout(again, shared.rung.notified()).await);
            }
        }
    }

    /// Takes nothing more, and waits for what is under way.
    pub async fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.rung.notify_one();
        let all = u32::try_from(UNDER_WAY).unwrap_or(u32::MAX);
        drop(tokio::time::timeout(DRAIN_WITHIN, self.shared.under_way.acquire_many(all)).await);
    }

    /// Takes as many messages of a channel as there are places, one of them given; whether there may be more.
    async fn take(&self, channel: Channel, first: OwnedSemaphorePermit) -> Result<bool, DatabaseError> {
        // One is enough to find out whether any gateway is back.
        let places =
            if self.all_were_away(channel) { 1 } else { self.shared.under_way.available_permits() + 1 };
        let free = i64::try_from(places).unwrap_or(1);
        let claimed = {
            let db = self.database.connection().await?;
            outbox::claim(&db, &self.personal_data, channel, free, self.claim_lasts()).await?
        };
        let more = i64::try_from(claimed.len()).unwrap_or(0) == free;
        let mut place = Some(first);
        for claimed in claimed {
            let place = match place.take() {
                Some(place) => place,
                None => match self.shared.under_way.clone().acquire_owned().await {
                    Ok(place) => place,
                    Err(_) => return Ok(false),
                },
            };
            let courier = self.clone();
            tokio::spawn(async move {
                courier.carry(&claimed).await;
                drop(place);
            });
        }
        Ok(more)
    }

    /// Longer than the longest route takes, so that nobody else takes a message that is still being offered.
    fn claim_lasts(&self) -> Duration {
        TRY_WITHIN * u32::try_from(self.gateways.longest_route() + 1).unwrap_or(u32::MAX)
    }

    async fn carry(&self, claimed: &Claimed) {
        let settle = async |state, settlement, charge| self.settle(claimed, state, settlement, charge).await;
        let Some(letter) = &claimed.letter else {
            let settlement =
                Settlement { reason: Some("its content cannot be opened"), ..Settlement::default() };
            return settle(State::Failed, settlement, None).await;
        };
        if claimed.expires_at <= self.clock.now() {
            return settle(State::Expired, Settlement::default(), None).await;
        }
        if claimed.is_void && matches!(letter.about, About::Code { .. }) {
            return settle(State::Replaced, Settlement::default(), None).await;
        }
        let message = self.message(claimed, letter);
        match self.offer(&letter.to, &message).await {
            Offered::Taken { by, reference } => {
                let charge = self.charge(&letter.to);
                let reference = reference.as_deref();
                let settlement = Settlement { gateway: Some(&by.name), reference, reason: None };
                settle(State::Sent, settlement, Some(charge)).await;
            }
            Offered::Undeliverable { by, reason } => {
                let settlement =
                    Settlement { gateway: Some(&by.name), reference: None, reason: Some(&reason) };
                settle(State::Failed, settlement, None).await;
            }
            Offered::NotTaken { reason, wait } => {
                let again = wait.max(pause(pauses(), claimed.attempts));
                let put_off = async {
                    let db = self.database.connection().await?;
                    outbox::put_off(&db, claimed, again, &reason).await.map_err(DatabaseError::from)
                };
                if let Err(error) = put_off.await {
                    tracing::warn!(%error, "a message cannot be put off; its claim runs out by itself");
                }
            }
        }
    }

    /// Puts a letter into words.
    fn message(&self, claimed: &Claimed, letter: &Letter) -> Message {
        let content = match &letter.about {
            About::Code { purpose, nonce } => Content::Code {
                purpose: *purpose,
                code: self.codes.derive(nonce, &letter.to, *purpose),
                expires_in: (claimed.expires_at - self.clock.now()).to_std().unwrap_or_default(),
            },
            About::Notice(notice) => Content::Notice(notice.clone()),
        };
        let language = self.texts.language(&claimed.language);
        self.texts.message(claimed.key.id(), letter.to.clone(), &content, language)
    }

    /// Offers a message to each gateway of its route.
    async fn offer(&self, to: &Identifier, message: &Message) -> Offered<'_> {
        let mut answer =
            Offered::NotTaken { reason: "no gateway is configured".to_owned(), wait: Duration::ZERO };
        let route = match self.gateways.route(to) {
            Route::Through(route) => route.as_slice(),
            Route::None | Route::Echo => &[],
        };
        for named in route {
            if let Some(left) = self.turn(&named.name) {
                if let Offered::NotTaken { reason, wait } = &mut answer {
                    "the gateway was away a moment ago".clone_into(reason);
                    *wait = if wait.is_zero() { left } else { left.min(*wait) };
                }
                continue;
            }
            let sent = tokio::time::timeout(TRY_WITHIN, named.gateway.send(message)).await;
            let sent = sent.unwrap_or_else(|_| {
                Err(NotAccepted::Unavailable { reason: "no answer in time".to_owned(), retry_after: None })
            });
            let outcome = match &sent {
                Ok(_) => "accepted",
                Err(NotAccepted::Unavailable { .. }) => "unavailable",
                Err(NotAccepted::Refused { .. }) => "refused",
                Err(NotAccepted::Undeliverable { .. }) => "undeliverable",
            };
            metrics::counter!("counterfoil_messages_total", "gateway" => named.name.to_string(), "outcome" => outcome)
                .increment(1);
            match sent {
                Ok(accepted) => {
                    self.works(&named.name);
                    return Offered::Taken { by: named, reference: accepted.reference };
                }
                Err(NotAccepted::Undeliverable { reason }) => {
                    self.works(&named.name);
                    return Offered::Undeliverable { by: named, reason };
                }
                Err(NotAccepted::Refused { reason }) => {
                    self.works(&named.name);
                    self.refuses(&named.name, &reason);
                    answer = Offered::NotTaken { reason, wait: Duration::ZERO };
                }
                Err(NotAccepted::Unavailable { reason, retry_after }) => {
                    let wait = self.rest(&named.name, &reason, retry_after);
                    answer = Offered::NotTaken { reason, wait };
                }
            }
        }
        answer
    }

    /// How long until a gateway of a channel may be tried again; none when one may be tried now.
    fn rest_of(&self, channel: Channel) -> Option<Duration> {
        let resting = self.shared.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let mut least = None;
        for named in self.gateways.of(channel) {
            let left = resting.get(&named.name)?.left(now)?;
            least = Some(least.map_or(left, |least: Duration| least.min(left)));
        }
        least
    }

    /// Whether no gateway of a channel has answered since it was found away.
    fn all_were_away(&self, channel: Channel) -> bool {
        let resting = self.shared.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gateways = self.gateways.of(channel).peekable();
        gateways.peek().is_some() && gateways.all(|named| resting.contains_key(&named.name))
    }

    /// How long a gateway is still left alone; none when it is this message's turn to try it. When it was away, all others
    /// wait for what comes of that: one that hangs takes up one place.
    fn turn(&self, gateway: &Arc<str>) -> Option<Duration> {
        let mut resting = self.shared.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = resting.get_mut(gateway)?;
        let now = Instant::now();
        let left = rest.left(now);
        if left.is_none() {
            rest.tried_until = now + TRY_WITHIN;
        }
        left
    }

    /// Leaves a gateway alone: for as long as it says, or longer each time.
    fn rest(&self, gateway: &Arc<str>, reason: &str, retry_after: Option<Duration>) -> Duration {
        let mut resting = self.shared.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let rest = resting.entry(gateway.clone()).or_insert_with(|| {
            tracing::warn!(gateway = &**gateway, reason, "a gateway is away");
            Rest { until: now, tried_until: now, failures: 0 }
        });
        // Messages that were under way together fail together; that counts once.
        if rest.until <= now {
            rest.failures += 1;
            rest.tried_until = now;
            rest.until = now
                + retry_after.map_or_else(
                    || pause(pauses().with_max_delay(USUAL_REST), rest.failures),
                    |said| said.min(LONGEST_REST),
                );
        }
        rest.until - now
    }

    /// A gateway that answers is tried from now on, by all that waited for it.
    fn works(&self, gateway: &Arc<str>) {
        let mut resting = self.shared.resting.lock().unwrap_or_else(PoisonError::into_inner);
        if resting.remove(gateway).is_some() {
            tracing::info!(gateway = &**gateway, "a gateway is back");
            self.wake();
        }
    }

    /// Says that a gateway refuses messages, once in a while.
    fn refuses(&self, gateway: &Arc<str>, reason: &str) {
        let mut said = self.shared.said.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if said.get(gateway).is_none_or(|last| now - *last >= SAY_EVERY) {
            said.insert(gateway.clone(), now);
            tracing::warn!(gateway = &**gateway, reason, "a gateway refuses messages");
        }
    }

    /// What a message to that recipient costs, and where it is counted.
    fn charge(&self, to: &Identifier) -> Charge {
        let (country, prefix) = match to {
            Identifier::Phone(number) => {
                let country = number.region().map(|region| region.to_string()).unwrap_or_default();
                (country, number.prefix().to_owned())
            }
            Identifier::Email(_) => Default::default(),
        };
        Charge {
            channel: to.channel(),
            country,
            prefix,
            price: i64::try_from(self.prices.of(to).millionths()).unwrap_or(i64::MAX),
        }
    }

    /// Settles a message, again while the database is away: until then it is known here alone that it was sent.
    async fn settle(
        &self,
        claimed: &Claimed,
        state: State,
        settlement: Settlement<'_>,
        charge: Option<Charge>,
    ) {
        let settle = async || {
            let db = self.database.connection().await?;
            outbox::settle(&db, claimed, state, &settlement, charge.as_ref())
                .await
                .map_err(DatabaseError::from)
        };
        let again = pauses().with_max_delay(Duration::from_secs(1)).with_max_times(SETTLE_TRIES);
        match settle.retry(again).when(DatabaseError::is_passing).await {
            Ok(Some(took)) => {
                metrics::histogram!("counterfoil_message_seconds", "state" => state.as_str()).record(took);
            }
            Ok(None) => tracing::warn!(kind = claimed.kind, "a message took longer than its claim"),
            Err(error) => tracing::error!(%error, kind = claimed.kind, "a message cannot be settled"),
        }
    }
}

/// From one second to twenty, with jitter.
fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_secs(20))
        .with_jitter()
        .without_max_times()
}

/// How long to wait after so many tries.
fn pause(pauses: ExponentialBuilder, tries: usize) -> Duration {
    pauses.build().nth(tries.saturating_sub(1)).unwrap_or_default()
}

impl Key {
    /// The name of the message for gateways, which are not to learn whose it is.
    fn id(&self) -> Uuid {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(self.account.0.as_bytes());
        hash.update(&self.sequence.to_be_bytes());
        hash.update(&self.number.to_be_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finish().as_ref()[..16]);
        uuid::Builder::from_custom_bytes(id).into_uuid()
    }
}
