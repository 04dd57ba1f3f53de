//! The worker that empties the outbox.
//!
//! Every node has one. Each commit of its own node that asks for a message wakes it, and it looks by itself for what other nodes
//! left. A message goes to the first gateway of its route that takes it; when none does, it is put back and tried again, later each
//! time, for as long as it is of use. While all gateways of a channel are away, its messages stay where they are, and the database
//! has no work with them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use backon::Retryable as _;
use counterfoil_domain::values::{Channel, Identifier};
use uuid::Uuid;

use super::gateway_health::GatewayHealth;
use super::outbox::{
    self, ClaimedMessage, MessageCharge, MessageSettlement, MessageState, MessageSubject, OutboundMessage,
    OutboxKey,
};
use super::{
    DeliveryRoute, DeliverySettings, Gateways, Message, MessageContent, MessageTexts, NamedGateway,
    NotAccepted, PriceList,
};
use crate::crypto::one_time_codes::OtpCodes;
use crate::crypto::personal_data::PersonalData;
use crate::postgres::{Database, DatabaseError};
use crate::runtime::clock::Clock;
use crate::runtime::work_queue::{QueueWorkers, WorkQueue, pause_after, pauses};

/// How long one gateway may take over one message.
const TRY_WITHIN: Duration = Duration::from_secs(12);

/// How often a message that has been sent is tried to be settled, about once a second.
const SETTLE_TRIES: usize = 20;

/// Takes messages from the outbox and hands them to gateways.
#[derive(Clone)]
pub struct OutboxWorker {
    database: Database,
    personal_data: PersonalData,
    codes: OtpCodes,
    gateways: Arc<Gateways>,
    texts: Arc<MessageTexts>,
    prices: Arc<PriceList>,
    clock: Arc<dyn Clock>,
    health: Arc<GatewayHealth>,
    workers: Arc<QueueWorkers>,
}

impl fmt::Debug for OutboxWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxWorker").field("gateways", &self.gateways).finish_non_exhaustive()
    }
}

/// What came of offering a message to the gateways of its route.
enum OfferOutcome<'a> {
    Taken {
        by: &'a NamedGateway,
        reference: Option<String>,
    },
    Undeliverable {
        by: &'a NamedGateway,
        reason: String,
    },
    /// By none of them; the last answer, and when to try again at the earliest.
    NotTaken {
        reason: String,
        wait: Duration,
    },
}

impl OutboxWorker {
    /// Returns a worker for the outbox in that database.
    pub fn new(
        database: Database,
        personal_data: PersonalData,
        codes: OtpCodes,
        gateways: Gateways,
        settings: &DeliverySettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            database,
            personal_data,
            codes,
            gateways: Arc::new(gateways),
            texts: settings.texts.clone(),
            prices: Arc::new(settings.prices.clone()),
            clock,
            health: Arc::default(),
            workers: Arc::default(),
        }
    }

    /// The gateways that messages go through.
    pub fn gateways(&self) -> &Gateways {
        &self.gateways
    }

    /// The words of messages.
    pub fn texts(&self) -> &MessageTexts {
        &self.texts
    }

    /// How codes are derived.
    pub fn codes(&self) -> &OtpCodes {
        &self.codes
    }

    /// Says that a message has been committed.
    pub fn wake(&self) {
        self.workers.wake();
    }

    /// Takes and sends messages until a stop is asked for.
    pub async fn run(self) {
        let (workers, queue) = (self.workers.clone(), Arc::new(self));
        workers.run(&queue).await;
    }

    /// Takes no more messages, and waits for those that are under way.
    pub async fn stop(&self) {
        self.workers.stop().await;
    }

    fn names_of(&self, channel: Channel) -> impl Iterator<Item = &Arc<str>> {
        self.gateways.of(channel).map(|named| &named.name)
    }

    /// Longer than the longest route takes, so that no other worker takes a message that is still being offered.
    fn claim_lasts(&self) -> Duration {
        TRY_WITHIN * u32::try_from(self.gateways.longest_route() + 1).unwrap_or(u32::MAX)
    }

    async fn deliver(&self, claimed: &ClaimedMessage) {
        let settle = async |state, settlement, charge| self.settle(claimed, state, settlement, charge).await;
        let Some(message) = &claimed.message else {
            let settlement = MessageSettlement {
                reason: Some("its content cannot be opened"),
                ..MessageSettlement::default()
            };
            return settle(MessageState::Failed, settlement, None).await;
        };
        if claimed.expires_at <= self.clock.now() {
            return settle(MessageState::Expired, MessageSettlement::default(), None).await;
        }
        if claimed.is_void && matches!(message.about, MessageSubject::Code { .. }) {
            return settle(MessageState::Replaced, MessageSettlement::default(), None).await;
        }
        let message = self.message(claimed, message);
        match self.offer(&message.to, &message).await {
            OfferOutcome::Taken { by, reference } => {
                let charge = self.charge(&message.to);
                let reference = reference.as_deref();
                let settlement = MessageSettlement { gateway: Some(&by.name), reference, reason: None };
                settle(MessageState::Sent, settlement, Some(charge)).await;
            }
            OfferOutcome::Undeliverable { by, reason } => {
                let settlement =
                    MessageSettlement { gateway: Some(&by.name), reference: None, reason: Some(&reason) };
                settle(MessageState::Failed, settlement, None).await;
            }
            OfferOutcome::NotTaken { reason, wait } => {
                let again = wait.max(pause_after(pauses(), claimed.attempts));
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

    /// Puts a message into words.
    fn message(&self, claimed: &ClaimedMessage, message: &OutboundMessage) -> Message {
        let content = match &message.about {
            MessageSubject::Code { purpose, nonce } => MessageContent::Code {
                purpose: *purpose,
                code: self.codes.derive(nonce, &message.to, *purpose),
                expires_in: (claimed.expires_at - self.clock.now()).to_std().unwrap_or_default(),
            },
            MessageSubject::Notice(notice) => MessageContent::Notice(notice.clone()),
        };
        let language = self.texts.language(&claimed.language);
        self.texts.message(claimed.key.id(), message.to.clone(), &content, language)
    }

    /// Offers a message to each gateway of its route.
    async fn offer(&self, to: &Identifier, message: &Message) -> OfferOutcome<'_> {
        let mut answer =
            OfferOutcome::NotTaken { reason: "no gateway is configured".to_owned(), wait: Duration::ZERO };
        let route = match self.gateways.route(to) {
            DeliveryRoute::Through(route) => route.as_slice(),
            DeliveryRoute::None | DeliveryRoute::Echo => &[],
        };
        for named in route {
            if let Some(left) = self.health.take_turn(&named.name, TRY_WITHIN) {
                if let OfferOutcome::NotTaken { reason, wait } = &mut answer {
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
                    self.found_back(&named.name);
                    return OfferOutcome::Taken { by: named, reference: accepted.reference };
                }
                Err(NotAccepted::Undeliverable { reason }) => {
                    self.found_back(&named.name);
                    return OfferOutcome::Undeliverable { by: named, reason };
                }
                Err(NotAccepted::Refused { reason }) => {
                    self.found_back(&named.name);
                    self.health.refused(&named.name, &reason);
                    answer = OfferOutcome::NotTaken { reason, wait: Duration::ZERO };
                }
                Err(NotAccepted::Unavailable { reason, retry_after }) => {
                    let wait = self.health.found_away(&named.name, &reason, retry_after);
                    answer = OfferOutcome::NotTaken { reason, wait };
                }
            }
        }
        answer
    }

    /// Notes that a gateway answered. From now on it is tried by all messages that waited for it.
    fn found_back(&self, gateway: &Arc<str>) {
        if self.health.found_back(gateway) {
            self.wake();
        }
    }

    /// What a message to that recipient costs, and where it is counted.
    fn charge(&self, to: &Identifier) -> MessageCharge {
        let (country, prefix) = match to {
            Identifier::Phone(number) => {
                let country = number.region().map(|region| region.to_string()).unwrap_or_default();
                (country, number.prefix().to_owned())
            }
            Identifier::Email(_) => Default::default(),
        };
        MessageCharge {
            channel: to.channel(),
            country,
            prefix,
            price: i64::try_from(self.prices.of(to).millionths()).unwrap_or(i64::MAX),
        }
    }

    /// Settles a message, again while the database is away: until then it is known here alone that it was sent.
    async fn settle(
        &self,
        claimed: &ClaimedMessage,
        state: MessageState,
        settlement: MessageSettlement<'_>,
        charge: Option<MessageCharge>,
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

impl WorkQueue for OutboxWorker {
    const NAME: &'static str = "outbox";

    type Item = ClaimedMessage;
    type Lane = Channel;
    type Error = DatabaseError;

    /// Channels without a gateway here are left to the nodes that have one.
    fn lanes(&self) -> Vec<Channel> {
        Channel::ALL.into_iter().filter(|channel| self.gateways.of(*channel).next().is_some()).collect()
    }

    fn rest(&self, channel: Channel) -> Option<Duration> {
        self.health.rest_of(self.names_of(channel))
    }

    fn is_on_trial(&self, channel: Channel) -> bool {
        self.health.all_were_away(self.names_of(channel))
    }

    async fn claim(&self, channel: Channel, at_most: usize) -> Result<Vec<ClaimedMessage>, DatabaseError> {
        let db = self.database.connection().await?;
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        Ok(outbox::claim(&db, &self.personal_data, channel, at_most, self.claim_lasts()).await?)
    }

    async fn work_on(&self, claimed: ClaimedMessage) {
        self.deliver(&claimed).await;
    }
}

impl OutboxKey {
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
