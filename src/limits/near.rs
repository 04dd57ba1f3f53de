//! What staff see of the shared limits page by page, and lift by subject.

use chrono::{DateTime, TimeDelta, Utc};
use counterfoil_projections::Page;
use deadpool_postgres::Client;
use serde::{Deserialize, Serialize};
use tokio_postgres::Error;

use super::limit::Limit;
use super::meter::Unanswered;
use super::overview::{Alarm, Meter};
use super::{Inner, Limits};

/// How long an alarm is current: while what raised it goes on, it is raised again after that time.
pub const ALARM_LASTS: TimeDelta = TimeDelta::hours(1);

/// A place in the list of meters: the subject and the limit of the last one before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MeterPosition(String, String);

impl MeterPosition {
    fn of(meter: &Meter) -> Self {
        Self(meter.subject.clone(), meter.limit.to_owned())
    }
}

/// A place in the list of alarms: the last one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmPosition(DateTime<Utc>, String, String);

impl Limits {
    /// The meters that are nine tenths full or more, those that are full among them, by subject.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn near(
        &self,
        after: Option<MeterPosition>,
        limit: u8,
    ) -> Result<Page<Meter, MeterPosition>, Unanswered> {
        let Some(inner) = &self.0 else { return Ok(Page { items: Vec::new(), next: None }) };
        let mut near: Vec<(MeterPosition, Meter)> = inner.near().await?;
        near.retain(|(position, _)| after.as_ref().is_none_or(|after| after < position));
        near.sort_by(|(one, _), (other, _)| one.cmp(other));
        let place = usize::from(limit);
        let next = near.get(place).and(near.get(place.saturating_sub(1))).map(|(last, _)| last.clone());
        Ok(Page { items: near.into_iter().take(place).map(|(_, meter)| meter).collect(), next })
    }

    /// The meters of a subject, as [`near`](Self::near) names it, by their names; none where nothing is counted on it.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn meters_of(&self, subject: &str) -> Result<Vec<String>, Unanswered> {
        let Some(inner) = &self.0 else { return Ok(Vec::new()) };
        let stored = inner.store.stored().await?.into_iter().map(|stored| stored.meter);
        Ok(stored.filter(|meter| meter.splitn(3, '/').nth(2) == Some(subject)).collect())
    }

    /// Forgets what these meters have counted.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn forget(&self, meters: &[String]) -> Result<(), Unanswered> {
        let Some(inner) = &self.0 else { return Ok(()) };
        inner.store.forget(meters).await
    }
}

impl Inner {
    async fn near(&self) -> Result<Vec<(MeterPosition, Meter)>, Unanswered> {
        let stored = self.store.stored().await?;
        let meters = stored.iter().filter_map(|stored| self.meter(stored));
        let near = meters.filter(|(limit, meter)| {
            *limit != Limit::Alarm && meter.used * 10 >= meter.most.saturating_mul(9)
        });
        Ok(near.map(|(_, meter)| (MeterPosition::of(&meter), meter)).collect())
    }
}

/// The alarms, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn alarms(
    db: &Client,
    after: Option<AlarmPosition>,
    limit: u8,
) -> Result<Page<Alarm, AlarmPosition>, Error> {
    let (at, alarm, subject) = match after {
        Some(AlarmPosition(at, alarm, subject)) => (Some(at), Some(alarm), Some(subject)),
        None => (None, None, None),
    };
    let statement = db.prepare_cached(include_str!("sql/page_of_alarms.sql")).await?;
    let rows = db.query(&statement, &[&(i64::from(limit) + 1), &at, &alarm, &subject]).await?;
    let alarms = rows.iter().map(|row| Alarm {
        at: row.get("at"),
        alarm: row.get("alarm"),
        subject: row.get("subject"),
    });
    let (place, mut items) = (usize::from(limit), alarms.collect::<Vec<_>>());
    let is_more = items.len() > place;
    items.truncate(place);
    let last = items.last().filter(|_| is_more);
    let next = last.map(|last| AlarmPosition(last.at, last.alarm.clone(), last.subject.clone()));
    Ok(Page { items, next })
}
