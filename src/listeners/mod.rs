//! Event listeners: programs that embed the service hear of events as they happen.
//!
//! A listener has a position of its own in the ledger, which PostgreSQL keeps under its name. One node at a time reads the events
//! after it, hands them over one after the other, and moves the position behind each. The node holds no transaction and no connection
//! while the program works. A node that dies between the two hands an event over again: a listener hears of each event at least once.

mod listener_set;
mod position;
mod status;
mod worker;

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;
use counterfoil_domain::user_account::UserAccountEvent;
use counterfoil_domain::values::AccountId;

pub use listener_set::{ListenerPolicy, ListenerSet, ListenerSetError};
pub use status::{ListenerState, ListenerStatus, SkipOutcome, overview, resume, skip_event};
pub use worker::ListenerWorkers;

/// Hears of events in the order of the ledger, and so in the order of each account's stream.
///
/// The service hands every wanted event over at least once. After a failure, a panic or ten seconds without an answer, it hands the
/// same event over again, with growing pauses. No later event is handed over before. An event that was handed over shortly before a
/// node died comes again: a receiver recognises it by [`ListenedEvent::seq`].
///
/// After 20 failures in a row the listener is parked: it stands at that event, `GET /admin/alarms/` has an alarm, and it is tried
/// again every five minutes. `counterfoil projections status` shows where each listener stands and why; `counterfoil projections resume`
/// has it tried at once, or pass over the event.
///
/// ```
/// use counterfoil::values::AccountId;
/// use counterfoil::{EventListener, ListenedEvent, ListenerFault, Service, async_trait};
/// # #[derive(Debug, Default)]
/// # struct BillingService(std::sync::Mutex<Vec<(i64, AccountId)>>);
/// # impl BillingService {
/// #     async fn open_account(&self, key: i64, account: AccountId) -> Result<(), std::io::Error> {
/// #         self.0.lock().expect("it is not poisoned").push((key, account));
/// #         Ok(())
/// #     }
/// # }
///
/// /// Opens an account at the billing service for each new user.
/// #[derive(Debug, Default)]
/// struct BillingListener {
///     billing: BillingService,
/// }
///
/// #[async_trait]
/// impl EventListener for BillingListener {
///     fn name(&self) -> &'static str {
///         "billing"
///     }
///
///     fn event_names(&self) -> &'static [&'static str] {
///         &["UserRegistered"]
///     }
///
///     async fn on_event(&self, event: &ListenedEvent) -> Result<(), ListenerFault> {
///         // The number of the event is the idempotency key: the billing service passes over what it has had.
///         let opened = self.billing.open_account(event.seq, event.account).await;
///         opened.map_err(|_| ListenerFault::new("the billing service does not answer"))
///     }
/// }
///
/// let service = Service::from_environment().on_event(BillingListener::default());
/// ```
#[async_trait]
pub trait EventListener: fmt::Debug + Send + Sync {
    /// The name under which its position is kept: lowercase letters, digits and `_`. Under another name it is another listener.
    fn name(&self) -> &'static str;

    /// The names of the events that it hears of: the names of the variants of `CodeFact`, `SessionFact`, `IdentifierFact`,
    /// `SecondFactorFact`, `ProfileFact` and `StaffFact`. [`UserAccountEvent::NAMES`] is all of them.
    fn event_names(&self) -> &'static [&'static str];

    /// Whether the personal part of events is opened for it. Without, `person` and `client` of each event are absent.
    fn needs_personal(&self) -> bool {
        false
    }

    /// Whether a listener of a new name begins at the beginning of the ledger, and not at its present end.
    fn reads_from_beginning(&self) -> bool {
        false
    }

    /// Hears of an event. It has ten seconds, and must await what it waits for.
    ///
    /// # Errors
    /// [`ListenerFault`]; the same event is handed over again later.
    async fn on_event(&self, event: &ListenedEvent) -> Result<(), ListenerFault>;
}

/// An event, as a listener hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenedEvent {
    /// The number of the event in the ledger. It grows from event to event, and is the same each time the event is handed over.
    pub seq: i64,
    /// The account that the event is about.
    pub account: AccountId,
    /// The number of the event in the stream of the account, from 1.
    pub version: i64,
    /// The event, with its time and what happened.
    pub event: UserAccountEvent,
    /// The id of the request that the event comes from, as `X-Request-Id` answers it, or `command-line` for a command of the
    /// operator; absent if neither brought it about.
    pub request: Option<String>,
}

/// Why a listener did not take an event. The text goes to the log and to `counterfoil projections status`, so it must hold no secret and nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ListenerFault(Cow<'static, str>);

impl ListenerFault {
    /// A fault of that text.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }
}
