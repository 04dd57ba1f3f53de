//! The tasks of a node that hand events over to its listeners.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::position::{ListenerLease, ListenerPosition};
use super::{EventListener, ListenedEvent, ListenerFault, ListenerPolicy};
use crate::journal::{Journal, JournalError, LedgerEvent, WantedEvents};
use crate::runtime::restart::restarted;

/// How often a node looks whether there is something to hand over.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a node waits after the database did not answer.
const LOOK_AFTER_ERROR: Duration = Duration::from_secs(1);

/// How many numbers of the ledger are read at a time.
const PAGE: i64 = 500;

/// How long events that were read are handed over before the rest is read anew: what is personal in them may have been erased.
const PAGE_LASTS: Duration = Duration::from_secs(5);

/// How often a lease is renewed while a listener takes its time.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// How long a stop waits for the calls that have begun: longer than a listener may take.
const DRAIN_WITHIN: Duration = Duration::from_secs(12);

/// The tasks of the listeners of a node. They end when this value is dropped.
#[derive(Debug)]
pub struct ListenerWorkers {
    stopping: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl ListenerWorkers {
    pub(super) fn start(
        listeners: &[Arc<dyn EventListener>],
        policy: ListenerPolicy,
        journal: &Journal,
    ) -> Self {
        let stopping = watch::Sender::new(false);
        let start = |listener: &Arc<dyn EventListener>| {
            let position = ListenerPosition::new(&**listener, journal.database().clone());
            let worker =
                ListenerWorker { listener: listener.clone(), position, policy, journal: journal.clone() };
            let stopping = stopping.subscribe();
            tokio::spawn(restarted("an event listener", move || worker.clone().run(stopping.clone())))
        };
        let tasks = listeners.iter().map(start).collect();
        Self { stopping, tasks }
    }

    /// Begins no further call, and waits for those that have begun, for as long as a listener may take.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        drop(tokio::time::timeout(DRAIN_WITHIN, join_all(self.tasks.iter_mut())).await);
    }
}

impl Drop for ListenerWorkers {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// How an event was taken.
enum Handover {
    Taken,
    Failed(ListenerFault),
    /// Another node may hand events over by now.
    LeaseLost,
}

/// What hands events over to one listener.
#[derive(Clone, Debug)]
struct ListenerWorker {
    listener: Arc<dyn EventListener>,
    position: ListenerPosition,
    policy: ListenerPolicy,
    journal: Journal,
}

impl ListenerWorker {
    async fn run(self, mut stopping: watch::Receiver<bool>) {
        let name = self.listener.name();
        while !*stopping.borrow() {
            let pause = match self.take_turn(&stopping).await {
                Ok(true) => continue,
                Ok(false) => LOOK_EVERY,
                Err(error) => {
                    tracing::warn!(listener = name, %error, "events cannot be handed over");
                    LOOK_AFTER_ERROR
                }
            };
            drop(tokio::time::timeout(pause, stopping.wait_for(|stopping| *stopping)).await);
        }
    }

    /// Hands a page of events over, if there are some and no other node does it. Returns whether there may be more.
    async fn take_turn(&self, stopping: &watch::Receiver<bool>) -> Result<bool, JournalError> {
        let look = self.position.look().await?;
        // A count of events is exact as a float below 2⁵³.
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        let behind = look.behind as f64;
        metrics::gauge!("counterfoil_listener_behind", "listener" => self.listener.name()).set(behind);
        self.show_parked(look.is_parked);
        if look.behind <= 0 || !look.is_due {
            return Ok(false);
        }
        match self.position.claim().await? {
            Some(lease) => self.hand_page_over(lease, stopping).await,
            None => Ok(false),
        }
    }

    fn show_parked(&self, is_parked: bool) {
        let value = if is_parked { 1.0 } else { 0.0 };
        metrics::gauge!("counterfoil_listener_parked", "listener" => self.listener.name()).set(value);
    }

    async fn hand_page_over(
        &self,
        mut lease: ListenerLease,
        stopping: &watch::Receiver<bool>,
    ) -> Result<bool, JournalError> {
        let wanted = WantedEvents {
            names: self.listener.event_names(),
            with_personal: self.listener.needs_personal(),
            with_request: true,
        };
        let (read_at, from) = (Instant::now(), lease.seq);
        let page = self.journal.ledger_page(wanted, from, PAGE).await?;
        for event in page.in_order() {
            let seq = event.seq;
            match self.hand_over(event, &mut lease).await {
                Handover::Taken => {}
                Handover::Failed(fault) => {
                    self.put_off(&lease, seq, &fault).await?;
                    return Ok(false);
                }
                Handover::LeaseLost => {
                    self.log_loss(seq);
                    return Ok(false);
                }
            }
            self.log_recovery(&lease, seq);
            let is_over = *stopping.borrow() || read_at.elapsed() > PAGE_LASTS;
            let goes_on = !is_over && seq < page.to;
            if !self.position.keep(&mut lease, seq, goes_on).await? {
                self.log_loss(seq);
                return Ok(false);
            }
            if is_over {
                return Ok(true);
            }
        }
        if lease.seq < page.to {
            self.position.keep(&mut lease, page.to, false).await?;
        }
        Ok(page.to - from == PAGE)
    }

    /// Hands an event over, and renews the lease meanwhile. Stops when the lease ends, which another node may take then.
    async fn hand_over(&self, event: LedgerEvent, lease: &mut ListenerLease) -> Handover {
        let event = match event.recorded {
            Ok(recorded) => ListenedEvent {
                seq: event.seq,
                account: event.account,
                version: recorded.sequence,
                event: recorded.event,
                request: event.request,
            },
            Err(error) => {
                tracing::error!(listener = self.listener.name(), %error, "an event cannot be read");
                return Handover::Failed(ListenerFault::new(
                    "this version of the service cannot read the event",
                ));
            }
        };
        // The call itself is within the block as well: it is the program's, and may panic before it returns a future.
        let call = AssertUnwindSafe(async { self.listener.on_event(&event).await }).catch_unwind();
        let call = tokio::time::timeout(self.policy.answers_within, call);
        tokio::select! {
            biased;
            called = call => match called {
                Ok(Ok(Ok(()))) => Handover::Taken,
                Ok(Ok(Err(fault))) => Handover::Failed(fault),
                Ok(Err(_)) => Handover::Failed(ListenerFault::new("the listener panicked")),
                Err(_) => Handover::Failed(ListenerFault::new("the listener did not answer in time")),
            },
            () = self.keep_lease(lease) => Handover::LeaseLost,
        }
    }

    /// Renews the lease until it is lost: taken by another node, or not renewed in time.
    async fn keep_lease(&self, lease: &mut ListenerLease) {
        loop {
            let good_until = lease.good_until();
            tokio::time::sleep_until(good_until.min(Instant::now() + RENEW_EVERY)).await;
            if good_until <= Instant::now() {
                return;
            }
            match tokio::time::timeout_at(good_until, self.position.renew(lease)).await {
                // While the database is away, it is asked again until the lease ends.
                Ok(Ok(true) | Err(_)) => {}
                Ok(Ok(false)) | Err(_) => return,
            }
        }
    }

    async fn put_off(
        &self,
        lease: &ListenerLease,
        seq: i64,
        fault: &ListenerFault,
    ) -> Result<(), JournalError> {
        let listener = self.listener.name();
        let Some(count) = self.position.put_off(lease, seq, fault, &self.policy).await? else {
            return Ok(());
        };
        let failures = count.failures;
        tracing::warn!(listener, seq, failures, error = %fault, "an event listener failed and will try again");
        if count.is_parked {
            self.show_parked(true);
            tracing::error!(listener, seq, "an event listener is parked at an event");
            self.position.raise_alarm().await?;
        }
        Ok(())
    }

    /// Logs that another node may hand an event over again.
    fn log_loss(&self, seq: i64) {
        tracing::warn!(listener = self.listener.name(), seq, "the lease of an event listener was lost");
    }

    /// Logs that an event was taken that had failed before.
    fn log_recovery(&self, lease: &ListenerLease, seq: i64) {
        if lease.failures > 0 {
            let (listener, failures) = (self.listener.name(), lease.failures);
            tracing::info!(listener, seq, failures, "an event listener goes on");
            self.show_parked(false);
        }
    }
}
