//! How many of the codes to a prefix are redeemed. A prefix whose codes are hardly redeemed is stopped, with an alarm: such codes
//! are asked for to be paid for, not to sign in by (SMS pumping).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;

use super::{CountOutcome, Inner, LimitKind, LimitPolicy, LimitsError};
use crate::postgres::DatabaseError;

/// For how long a node gathers what became of codes before it counts that. As much is lost when it dies.
const GATHERED_FOR: Duration = Duration::from_secs(1);

/// What became of codes to a prefix.
#[derive(Default)]
pub(super) struct Conversion {
    pub(super) sent: i64,
    pub(super) redeemed: i64,
}

impl Inner {
    /// Notes what became of a code to a prefix. It is counted a moment later, with what else there is by then: no request waits
    /// for it, and a row each for a prefix would cost as much as all that requests wait for.
    pub(super) fn gather(self: &Arc<Self>, prefix: String, note: impl FnOnce(&mut Conversion)) {
        let mut gathered = self.seen.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = gathered.is_empty();
        note(gathered.entry(prefix).or_default());
        if is_first {
            let inner = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GATHERED_FOR).await;
                let gathered =
                    std::mem::take(&mut *inner.seen.gathered.lock().unwrap_or_else(PoisonError::into_inner));
                let counted =
                    gathered.into_iter().map(|(prefix, conversion)| inner.convert(prefix, conversion));
                join_all(counted).await;
            });
        }
    }

    /// Counts what became of codes to a prefix, and stops it where too few are redeemed.
    async fn convert(self: &Arc<Self>, prefix: String, conversion: Conversion) {
        let LimitPolicy { conversion_from, conversion_percent, .. } = *self.policy;
        if conversion.redeemed > 0 {
            let limits = [(LimitKind::RedeemedPerPrefix, prefix.clone(), conversion.redeemed)];
            self.count_behind(&limits).await;
        }
        if conversion.sent == 0 {
            return;
        }
        let sent = self.count_behind(&[(LimitKind::SentPerPrefix, prefix.clone(), conversion.sent)]).await;
        if sent < conversion_from.into() {
            return;
        }
        let Ok(redeemed) = self.count(&[(LimitKind::RedeemedPerPrefix, prefix.clone(), 0)]).await else {
            return;
        };
        if redeemed * 100 < sent * i64::from(conversion_percent) {
            self.stop(prefix, sent, redeemed).await;
        }
    }

    /// Stops a prefix for an hour, after which it is measured anew.
    async fn stop(self: &Arc<Self>, prefix: String, sent: i64, redeemed: i64) {
        let country = prefix.split('.').next().unwrap_or_default().to_owned();
        let limits = [
            (LimitKind::StoppedPrefix, prefix.clone(), 1),
            (LimitKind::SentPerPrefix, prefix.clone(), -sent),
            (LimitKind::RedeemedPerPrefix, prefix, -redeemed),
        ];
        match self.count(&limits).await {
            Ok(_) => self.raise("conversion", &country).await,
            // Another request has stopped it.
            Err(
                LimitsError::Refused { .. } | LimitsError::CountryNotServed | LimitsError::Blocked { .. },
            ) => {}
            Err(LimitsError::Unanswered(error)) => tracing::warn!(%error, "a prefix was not stopped"),
        }
    }

    /// Raises an alarm, once an hour among all nodes. Its subject is a country or the service, never a person.
    pub(super) async fn raise(&self, alarm: &'static str, subject: &str) {
        let (now, next) = (self.clock.now(), self.clock.now() + TimeDelta::hours(1));
        let name = format!("{alarm}/{subject}");
        {
            let mut raised = self.seen.raised.lock().unwrap_or_else(PoisonError::into_inner);
            if raised.get(&name).is_some_and(|until| now.timestamp_micros() < *until) {
                return;
            }
            raised.insert(name.clone(), next.timestamp_micros());
        }
        // Not by `count`, which may be what raises this.
        let Some(entry) = self.entry(&(LimitKind::Alarm, name, 1)) else { return };
        if let Ok(CountOutcome::Refused { .. }) = self.store.count(now, vec![entry]).await {
            return;
        }
        tracing::warn!(alarm, subject, "alarm");
        metrics::counter!("counterfoil_alarms_total", "alarm" => alarm).increment(1);
        if let Err(error) = self.keep_alarm(now, alarm, subject).await {
            tracing::warn!(%error, "an alarm was not kept");
        }
    }

    async fn keep_alarm(&self, at: DateTime<Utc>, alarm: &str, subject: &str) -> Result<(), DatabaseError> {
        let connection = self.database.connection().await?;
        connection.execute(include_str!("sql/raise_alarm.sql"), &[&at, &alarm, &subject]).await?;
        Ok(())
    }
}
