//! Which gateways are away. A gateway that is away is left alone for a while, so that one that hangs does not hold up what others
//! could take; then one message finds out whether it is back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::work_queue::{pause_after, pauses};

/// The longest that a gateway is left alone for, whatever it says.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The same, with as much again of jitter, where it says nothing. To ask costs the try of one message.
const USUAL_REST: Duration = Duration::from_secs(4);

/// How long messages wait while another finds out whether a gateway is back.
const WHILE_TRIED: Duration = Duration::from_secs(1);

/// How often the log says that a gateway refuses messages.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// The gateways of a node that are away, and those that refuse messages.
#[derive(Debug, Default)]
pub(super) struct GatewayHealth {
    resting: Mutex<HashMap<Arc<str>, GatewayRest>>,
    /// When the log last said of a gateway that it refuses messages.
    said: Mutex<HashMap<Arc<str>, Instant>>,
}

/// A gateway that is away.
#[derive(Clone, Copy, Debug)]
struct GatewayRest {
    /// It is left alone until then.
    until: Instant,
    /// After that a message tries it, and the others leave it alone until then.
    tried_until: Instant,
    /// How often in a row it was found away.
    failures: usize,
}

impl GatewayRest {
    /// How long messages leave the gateway alone; none when it may be tried.
    fn left(&self, now: Instant) -> Option<Duration> {
        if now < self.until {
            return Some(self.until - now);
        }
        (now < self.tried_until).then_some(WHILE_TRIED)
    }
}

impl GatewayHealth {
    fn resting(&self) -> MutexGuard<'_, HashMap<Arc<str>, GatewayRest>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long until one of these gateways may be tried again; none when one may be tried now.
    pub(super) fn rest_of<'a>(&self, gateways: impl Iterator<Item = &'a Arc<str>>) -> Option<Duration> {
        let (resting, now) = (self.resting(), Instant::now());
        let mut least = None;
        for gateway in gateways {
            let left = resting.get(gateway)?.left(now)?;
            least = Some(least.map_or(left, |least: Duration| least.min(left)));
        }
        least
    }

    /// Whether none of these gateways has answered since it was found away.
    pub(super) fn all_were_away<'a>(&self, gateways: impl Iterator<Item = &'a Arc<str>>) -> bool {
        let resting = self.resting();
        let mut gateways = gateways.peekable();
        gateways.peek().is_some() && gateways.all(|gateway| resting.contains_key(gateway))
    }

    /// How long a gateway is still left alone; none when it is the turn of this message to try it. When the gateway was away, all
    /// other messages wait for what comes of that: one that hangs takes up one place.
    pub(super) fn take_turn(&self, gateway: &Arc<str>, try_within: Duration) -> Option<Duration> {
        let mut resting = self.resting();
        let rest = resting.get_mut(gateway)?;
        let now = Instant::now();
        let left = rest.left(now);
        if left.is_none() {
            rest.tried_until = now + try_within;
        }
        left
    }

    /// Leaves a gateway alone that was found away: for as long as it says, or longer each time. Returns for how long.
    pub(super) fn found_away(
        &self,
        gateway: &Arc<str>,
        reason: &str,
        retry_after: Option<Duration>,
    ) -> Duration {
        let (mut resting, now) = (self.resting(), Instant::now());
        let rest = resting.entry(gateway.clone()).or_insert_with(|| {
            tracing::warn!(gateway = &**gateway, reason, "a gateway is away");
            GatewayRest { until: now, tried_until: now, failures: 0 }
        });
        // Messages that were under way together fail together; that counts once.
        if rest.until <= now {
            rest.failures += 1;
            rest.tried_until = now;
            let usual = || pause_after(pauses().with_max_delay(USUAL_REST), rest.failures);
            rest.until = now + retry_after.map_or_else(usual, |said| said.min(LONGEST_REST));
        }
        rest.until - now
    }

    /// Notes that a gateway answered. Returns whether it had been away.
    pub(super) fn found_back(&self, gateway: &Arc<str>) -> bool {
        let was_away = self.resting().remove(gateway).is_some();
        if was_away {
            tracing::info!(gateway = &**gateway, "a gateway is back");
        }
        was_away
    }

    /// Writes to the log that a gateway refuses messages, once in a while.
    pub(super) fn refused(&self, gateway: &Arc<str>, reason: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if said.get(gateway).is_none_or(|last| now - *last >= SAY_EVERY) {
            said.insert(gateway.clone(), now);
            tracing::warn!(gateway = &**gateway, reason, "a gateway refuses messages");
        }
    }
}
