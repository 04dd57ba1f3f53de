//! The listeners of a program, checked before the service starts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use counterfoil_domain::user_account::UserAccountEvent;

use super::{EventListener, ListenerWorkers};
use crate::journal::Journal;
use crate::read_models::Projection;

/// How long a name may be.
const LONGEST_NAME: usize = 48;

/// How failures are dealt with. The values are those that the service runs with; tests choose shorter times.
#[derive(Clone, Copy, Debug)]
pub struct ListenerPolicy {
    /// How long a listener may take for an event.
    pub answers_within: Duration,
    /// The pause after the first failure. It doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause between two tries.
    pub longest_pause: Duration,
    /// After how many failures in a row a listener is parked.
    pub failures_until_parked: u32,
    /// How often a parked listener tries again by itself.
    pub parked_pause: Duration,
}

impl Default for ListenerPolicy {
    fn default() -> Self {
        Self {
            answers_within: Duration::from_secs(10),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(20),
            failures_until_parked: 20,
            parked_pause: Duration::from_secs(300),
        }
    }
}

/// The listeners of a program; none by default.
#[derive(Clone, Debug, Default)]
pub struct ListenerSet {
    listeners: Vec<Arc<dyn EventListener>>,
    policy: ListenerPolicy,
}

/// Why the service does not start with these listeners.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenerSetError {
    /// A name is no name.
    #[error(
        "the name {0:?} of an event listener is not 1 to 48 lowercase letters, digits and underscores that begin with a letter"
    )]
    MalformedName(&'static str),
    /// Two listeners would share a position.
    #[error("two event listeners have the name {0:?}")]
    NameTwice(&'static str),
    /// The name is that of a read model.
    #[error("the name {0:?} of an event listener is that of a read model")]
    NameOfReadModel(&'static str),
    /// The listener asks for an event that does not exist.
    #[error("the event listener {listener:?} wants {event:?}, which is no event")]
    UnknownEvent {
        /// The name of the listener.
        listener: &'static str,
        /// What it asks for.
        event: &'static str,
    },
    /// The listener asks for nothing.
    #[error("the event listener {0:?} wants no event")]
    NoEvent(&'static str),
}

impl ListenerSet {
    /// The listeners of a program.
    ///
    /// # Errors
    /// [`ListenerSetError`], the first that is found.
    pub fn new(
        listeners: impl IntoIterator<Item = Arc<dyn EventListener>>,
    ) -> Result<Self, ListenerSetError> {
        let listeners: Vec<Arc<dyn EventListener>> = listeners.into_iter().collect();
        let mut names = BTreeSet::new();
        for listener in &listeners {
            let name = listener.name();
            if !is_name(name) {
                return Err(ListenerSetError::MalformedName(name));
            }
            if Projection::named(name).is_some() {
                return Err(ListenerSetError::NameOfReadModel(name));
            }
            if !names.insert(name) {
                return Err(ListenerSetError::NameTwice(name));
            }
            let events = listener.event_names();
            if events.is_empty() {
                return Err(ListenerSetError::NoEvent(name));
            }
            if let Some(event) = events.iter().find(|event| !UserAccountEvent::NAMES.contains(event)) {
                return Err(ListenerSetError::UnknownEvent { listener: name, event });
            }
        }
        Ok(Self { listeners, policy: ListenerPolicy::default() })
    }

    /// The same, with another policy.
    #[must_use]
    pub fn with_policy(self, policy: ListenerPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Begins to hand events over, on the present runtime, until the workers are stopped or dropped. Each listener has a task of its
    /// own, so that a slow one makes no other wait.
    pub fn start(&self, journal: &Journal) -> ListenerWorkers {
        ListenerWorkers::start(&self.listeners, self.policy, journal)
    }
}

fn is_name(name: &str) -> bool {
    let has_form = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(has_form)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::{ListenerSet, ListenerSetError};
    use crate::listeners::{EventListener, ListenedEvent, ListenerFault};

    #[derive(Debug)]
    struct NamedListener(&'static str, &'static [&'static str]);

    #[async_trait]
    impl EventListener for NamedListener {
        fn name(&self) -> &'static str {
            self.0
        }

        fn event_names(&self) -> &'static [&'static str] {
            self.1
        }

        async fn on_event(&self, _: &ListenedEvent) -> Result<(), ListenerFault> {
            Ok(())
        }
    }

    fn checked(listeners: &[(&'static str, &'static [&'static str])]) -> Result<(), ListenerSetError> {
        let listeners = listeners.iter().map(|(name, events)| NamedListener(name, events));
        ListenerSet::new(listeners.map(|listener| Arc::new(listener) as Arc<dyn EventListener>)).map(drop)
    }

    #[test]
    fn a_set_names_a_listener_whose_name_or_events_cannot_be() {
        const EVENTS: &[&str] = &["LoggedIn"];
        assert_eq!(checked(&[("billing", EVENTS), ("crm_2", &["LoggedOut", "LoggedIn"])]), Ok(()));
        for name in ["", "Billing", "2fa", "bil ling", "bill-ing", "_billing", &*"b".repeat(49).leak()] {
            assert_eq!(checked(&[(name, EVENTS)]), Err(ListenerSetError::MalformedName(name)));
        }
        assert_eq!(
            checked(&[("billing", EVENTS), ("billing", EVENTS)]),
            Err(ListenerSetError::NameTwice("billing"))
        );
        for name in ["profiles", "statistics"] {
            assert_eq!(checked(&[(name, EVENTS)]), Err(ListenerSetError::NameOfReadModel(name)));
        }
        let unknown = ListenerSetError::UnknownEvent { listener: "billing", event: "SignedIn" };
        assert_eq!(checked(&[("billing", &["LoggedIn", "SignedIn"])]), Err(unknown));
        assert_eq!(checked(&[("billing", &[])]), Err(ListenerSetError::NoEvent("billing")));
    }
}
