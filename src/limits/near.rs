//! What staff see of the shared limits page by page, and lift by subject.

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_domain::values::{Identifier, PhoneNumber};
use counterfoil_projections::SearchPage;
use deadpool_postgres::Client;
use serde::{Deserialize, Serialize};
use tokio_postgres::Error;
use utoipa::ToSchema;

use super::limit::LimitKind;
use super::limit_subject::LimitSubject;
use super::meter::{DAY, MeterEntry, StoreUnavailable};
use super::used_meter::UsedMeter;
use super::{BudgetShare, Inner, Limits};

/// How long an alarm is current: while what raised it goes on, it is raised again after that time.
pub const ALARM_LASTS: TimeDelta = TimeDelta::hours(1);

/// A place in the list of meters: the subject and the limit of the last one before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MeterPosition(String, String);

impl MeterPosition {
    fn of(meter: &UsedMeter) -> Self {
        Self(meter.subject.clone(), meter.limit.to_owned())
    }
}

/// What became of the codes to a prefix.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PrefixConversion {
    /// The numbers of the prefix begin so.
    #[schema(example = "+98912123")]
    prefix: String,
    /// How many codes were sent there within the window.
    sent: i64,
    /// How many of these codes were redeemed.
    redeemed: i64,
    /// The length of the window in seconds.
    #[schema(example = 86_400)]
    window: i64,
    /// Until when the prefix is stopped, because too few codes were redeemed.
    stopped_until: Option<DateTime<Utc>>,
}

impl Limits {
    /// The limits of a subject; without one, those that are nine tenths full or more, the full ones among them, by subject.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn page(
        &self,
        subject: Option<&LimitSubject>,
        after: Option<MeterPosition>,
        limit: u8,
    ) -> Result<SearchPage<UsedMeter, MeterPosition>, StoreUnavailable> {
        let Some(inner) = &self.shared else { return Ok(SearchPage { items: Vec::new(), next: None }) };
        let found = match subject {
            Some(subject) => self.of_subject(subject).await?,
            None => inner.near().await?,
        };
        let mut found: Vec<(MeterPosition, UsedMeter)> =
            found.into_iter().map(|meter| (MeterPosition::of(&meter), meter)).collect();
        found.retain(|(position, _)| after.as_ref().is_none_or(|after| after < position));
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let place = usize::from(limit);
        let next = found.get(place).and(found.get(place.saturating_sub(1))).map(|(last, _)| last.clone());
        Ok(SearchPage { items: found.into_iter().take(place).map(|(_, meter)| meter).collect(), next })
    }

    /// The limits that keep a code from an identifier whatever the address that asks: those of its prefix, its mailbox, its
    /// country or the whole service that have no room, by name. A country that no messages are sent to is one without a
    /// meter. Of a daily budget, an identifier that has signed in before may use the reserve as well.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn obstacles(
        &self,
        identifier: &Identifier,
        has_signed_in: bool,
    ) -> Result<Vec<(&'static str, Option<UsedMeter>)>, StoreUnavailable> {
        let Some(inner) = &self.shared else { return Ok(Vec::new()) };
        let Ok(uses) = inner.code(identifier) else { return Ok(vec![("country_not_served", None)]) };
        let share = if has_signed_in { BudgetShare::Whole } else { BudgetShare::Strangers };
        let names: Vec<String> =
            uses.iter().filter_map(|of| Some(inner.entry_within(share, of)?.meter)).collect();
        let stored = inner.store.find(&names).await?;
        let in_the_way = uses.iter().filter_map(|of| {
            let MeterEntry { meter: name, most, cost, .. } = inner.entry_within(share, of)?;
            let (limit, mut meter) = inner.meter(stored.iter().find(|stored| stored.meter == name)?)?;
            if limit.is_daily_budget() && meter.until.is_none() {
                meter.until = DateTime::from_timestamp_micros((inner.now() / DAY + 1) * DAY);
            }
            (meter.used + cost > most).then_some((limit.name(), Some(meter)))
        });
        Ok(in_the_way.collect())
    }

    /// What became of the codes to the prefix of a number; `None` without shared limits.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn prefix_conversion(
        &self,
        number: &PhoneNumber,
    ) -> Result<Option<PrefixConversion>, StoreUnavailable> {
        if self.shared.is_none() {
            return Ok(None);
        }
        let subject = LimitSubject::Identifier(Identifier::Phone(number.clone()));
        let meters = self.of_subject(&subject).await?;
        let of = |limit: LimitKind| meters.iter().find(|meter| meter.limit == limit.name());
        let used = |limit| of(limit).map_or(0, |meter| meter.used);
        Ok(Some(PrefixConversion {
            prefix: number.prefix().to_owned(),
            sent: used(LimitKind::SentPerPrefix),
            redeemed: used(LimitKind::RedeemedPerPrefix),
            window: DAY / 1_000_000,
            stopped_until: of(LimitKind::StoppedPrefix).and_then(|meter| meter.until),
        }))
    }

    /// Forgets what these meters have counted.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn forget(&self, meters: &[String]) -> Result<(), StoreUnavailable> {
        let Some(inner) = &self.shared else { return Ok(()) };
        inner.store.forget(meters).await
    }
}

impl Inner {
    async fn near(&self) -> Result<Vec<UsedMeter>, StoreUnavailable> {
        let stored = self.store.stored().await?;
        let meters = stored.iter().filter_map(|stored| self.meter(stored));
        let near = meters.filter(|(limit, meter)| {
            *limit != LimitKind::Alarm && meter.used * 10 >= meter.most.saturating_mul(9)
        });
        Ok(near.map(|(_, meter)| meter).collect())
    }
}

/// Raises an alarm of another part of the service than the limits, unless it has been raised within the hour.
///
/// # Errors
/// When the database does not answer.
pub async fn raise_alarm(db: &Client, alarm: &'static str, subject: &str) -> Result<(), Error> {
    let statement = db.prepare_cached(include_str!("sql/raise_alarm_once.sql")).await?;
    if db.execute(&statement, &[&alarm, &subject]).await? > 0 {
        tracing::warn!(alarm, subject, "alarm");
        metrics::counter!("counterfoil_alarms_total", "alarm" => alarm).increment(1);
    }
    Ok(())
}
