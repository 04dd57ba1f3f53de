//! What operators see of the limits, and how they lift them.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::values::EmailAddress;
use serde::Serialize;

use super::limit::LimitKind;
use super::meter::{StoreUnavailable, StoredMeter};
use super::subject::SERVICE;
use super::{Inner, Limits};
use crate::postgres::DatabaseError;

/// How many alarms are shown.
const ALARMS: i64 = 50;

/// A meter that is used enough to be of interest.
#[derive(Clone, Debug, Serialize)]
pub struct UsedMeter {
    /// The limit of the meter.
    pub limit: &'static str,
    /// Whose it is: a country, `service`, a prefix after its country (`IR.+98912123`), or the hash of an address, a network, a
    /// mailbox or a mail domain.
    pub subject: String,
    /// How much is used.
    pub used: i64,
    /// How much may be.
    pub most: i64,
    /// When there is room again; none where there is room now.
    pub until: Option<DateTime<Utc>>,
}

/// An alarm that was raised.
#[derive(Clone, Debug, Serialize)]
pub struct RaisedAlarm {
    /// When the alarm was raised.
    pub at: DateTime<Utc>,
    /// The name of the alarm.
    pub alarm: String,
    /// Of what: a country, or `service`.
    pub subject: String,
}

/// The limits as they stand.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LimitsOverview {
    /// Meters of addresses, prefixes, mailboxes and mail domains that are nine tenths full, a stopped prefix among them.
    pub near: Vec<UsedMeter>,
    /// What the countries and the whole service have used.
    pub used: Vec<UsedMeter>,
    /// The latest alarms, newest first.
    pub alarms: Vec<RaisedAlarm>,
}

impl Limits {
    /// The limits as they stand.
    ///
    /// # Errors
    /// When the store or the database does not answer.
    pub async fn overview(&self) -> Result<LimitsOverview, StoreUnavailable> {
        let Some(inner) = &self.shared else { return Ok(LimitsOverview::default()) };
        let stored = inner.store.stored().await?;
        let meters: Vec<(LimitKind, UsedMeter)> =
            stored.iter().filter_map(|stored| inner.meter(stored)).collect();
        let of = |wanted: fn(&LimitKind, &UsedMeter) -> bool| {
            meters
                .iter()
                .filter(|(limit, meter)| wanted(limit, meter))
                .map(|(_, meter)| meter.clone())
                .collect()
        };
        Ok(LimitsOverview {
            near: of(|limit, meter| limit.is_narrow() && meter.used * 10 >= meter.most.saturating_mul(9)),
            used: of(|limit, _| !limit.is_narrow()),
            alarms: inner.alarms().await?,
        })
    }

    /// Lifts the limits of an address and of the /48 that an IPv6 address lies in, as far as they have used them; how many
    /// meters that were.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn lift_address(&self, ip: IpAddr) -> Result<usize, StoreUnavailable> {
        let Some(inner) = &self.shared else { return Ok(0) };
        let of_network = match inner.subjects.network(ip) {
            Some(network) => inner.lift(&network).await?,
            None => 0,
        };
        Ok(inner.lift(&inner.subjects.address(ip)).await? + of_network)
    }

    /// Lifts the limits of a prefix, such as `+98912123`.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn lift_prefix(&self, prefix: &str) -> Result<usize, StoreUnavailable> {
        let Some(inner) = &self.shared else { return Ok(0) };
        inner.lift(prefix).await
    }

    /// Lifts the limits of the mailbox and of the mail domain of an address.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn lift_mail(&self, address: &EmailAddress) -> Result<usize, StoreUnavailable> {
        let Some(inner) = &self.shared else { return Ok(0) };
        let of_mailbox = inner.lift(&inner.subjects.mailbox(address)).await?;
        Ok(of_mailbox + inner.lift(&inner.subjects.mail_domain(address)).await?)
    }

    /// Lifts the limits of a country, by its ISO 3166-1 alpha-2 code.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn lift_country(&self, country: &str) -> Result<usize, StoreUnavailable> {
        let Some(inner) = &self.shared else { return Ok(0) };
        inner.lift(country).await
    }

    /// Lifts the limits of the whole service.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn lift_service(&self) -> Result<usize, StoreUnavailable> {
        let Some(inner) = &self.shared else { return Ok(0) };
        inner.lift(SERVICE).await
    }
}

impl Inner {
    /// Forgets what the meters of a subject have counted.
    async fn lift(&self, subject: &str) -> Result<usize, StoreUnavailable> {
        let stored = self.store.stored().await?;
        let of_subject = stored.into_iter().map(|stored| stored.meter);
        let meters: Vec<String> =
            of_subject.filter(|meter| meter.rsplit(['/', '.']).next() == Some(subject)).collect();
        self.store.forget(&meters).await?;
        Ok(meters.len())
    }

    /// A stored meter as it stands now; none when it is empty, or of no limit that is set.
    pub(super) fn meter(&self, stored: &StoredMeter) -> Option<(LimitKind, UsedMeter)> {
        let mut limits = LimitKind::ALL.into_iter();
        let (limit, subject) = limits
            .find_map(|limit| Some((limit, stored.meter.strip_prefix(limit.place())?.strip_prefix('/')?)))?;
        let (rule, most) = limit.rule(&self.policy, subject)?;
        let now = self.now();
        let (used, room_at) = if rule.slots == 0 {
            let ahead = stored.until - now;
            // The time rounded up: as good as used while any of it is left.
            let used = (ahead.max(0) + rule.every - 1) / rule.every;
            (used, Some(stored.until - (most - 1).saturating_mul(rule.every)))
        } else {
            let oldest = (now / rule.every).max(stored.slot) - i64::from(rule.slots) + 1;
            let slots = stored.counts.iter().zip((0..=stored.slot).rev());
            let counted = slots.filter(|(count, slot)| *slot >= oldest && **count > 0);
            let leaves_first = counted.clone().map(|(_, slot)| slot).min();
            let room_at = leaves_first.map(|slot| (slot + i64::from(rule.slots)) * rule.every);
            (counted.map(|(count, _)| count).sum(), room_at)
        };
        let until = room_at.filter(|room_at| used >= most && now < *room_at);
        let until = until.and_then(DateTime::from_timestamp_micros);
        let meter = UsedMeter { limit: limit.name(), subject: subject.to_owned(), used, most, until };
        (used > 0).then_some((limit, meter))
    }

    async fn alarms(&self) -> Result<Vec<RaisedAlarm>, DatabaseError> {
        let connection = self.database.connection().await?;
        let rows = connection.query(include_str!("sql/alarms.sql"), &[&ALARMS]).await?;
        let alarms = rows.iter().map(|row| RaisedAlarm {
            at: row.get("at"),
            alarm: row.get("alarm"),
            subject: row.get("subject"),
        });
        Ok(alarms.collect())
    }
}
