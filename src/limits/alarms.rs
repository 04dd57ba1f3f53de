//! The alarms that were raised, and who has taken note of them.

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::ActingStaff;
use counterfoil_projections::SearchPage;
use deadpool_postgres::Client;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::blocks::store::{keys, keys_or_new};
use crate::crypto::personal_data::{AccountKeys, KeyScope, PersonalData};

/// An alarm as the table has it.
#[derive(Clone, Debug)]
pub struct StoredAlarm {
    /// The id of the alarm.
    pub id: Uuid,
    /// When it was raised.
    pub at: DateTime<Utc>,
    /// The name of the alarm.
    pub alarm: String,
    /// What it is about: a country, `service`, or the name of an event listener.
    pub subject: String,
    /// Who has taken note of it; `None` until then.
    pub acknowledgement: Option<AlarmAcknowledgement>,
}

/// Who has taken note of an alarm.
#[derive(Clone, Debug)]
pub struct AlarmAcknowledgement {
    /// When they took note of it.
    pub at: DateTime<Utc>,
    /// The member of staff.
    pub by: Option<ActingStaff>,
    /// The reason that they gave.
    pub reason: Option<String>,
}

/// A place in the list of alarms: the last one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmPosition(DateTime<Utc>, Uuid);

impl StoredAlarm {
    fn from_row(row: &Row, keys: &AccountKeys) -> Self {
        let id: Uuid = row.get("id");
        let note: Option<&[u8]> = row.get("note");
        let by: Option<&str> = row.get("acknowledged_by");
        let acknowledged_at: Option<DateTime<Utc>> = row.get("acknowledged_at");
        let acknowledgement = acknowledged_at.map(|at| AlarmAcknowledgement {
            at,
            by: by.and_then(|by| serde_json::from_str(by).ok()),
            reason: note.and_then(|note| keys.open(KeyScope::Person, &place(id), note).ok()),
        });
        Self { id, at: row.get("at"), alarm: row.get("alarm"), subject: row.get("subject"), acknowledgement }
    }
}

fn place(alarm: Uuid) -> String {
    format!("alarm/{alarm}")
}

/// The alarms, the newest first: all, or those that are acknowledged, or those that are not.
///
/// # Errors
/// When the database does not answer.
pub async fn alarms(
    db: &Client,
    personal_data: &PersonalData,
    acknowledged: Option<bool>,
    after: Option<AlarmPosition>,
    limit: u8,
) -> Result<SearchPage<StoredAlarm, AlarmPosition>, Error> {
    let (at, id) = after.map(|AlarmPosition(at, id)| (at, id)).unzip();
    let statement = db.prepare_cached(include_str!("sql/page_of_alarms.sql")).await?;
    let rows = db.query(&statement, &[&(i64::from(limit) + 1), &at, &id, &acknowledged]).await?;
    let keys = keys(db, personal_data).await?;
    let mut items: Vec<StoredAlarm> = rows.iter().map(|row| StoredAlarm::from_row(row, &keys)).collect();
    let is_more = items.len() > usize::from(limit);
    items.truncate(usize::from(limit));
    let next = items.last().filter(|_| is_more).map(|last| AlarmPosition(last.at, last.id));
    Ok(SearchPage { items, next })
}

/// The alarm of that id.
///
/// # Errors
/// When the database does not answer.
pub async fn find_alarm(
    db: &Client,
    personal_data: &PersonalData,
    alarm: Uuid,
) -> Result<Option<StoredAlarm>, Error> {
    let keys = keys(db, personal_data).await?;
    let row = db.query_opt(include_str!("sql/alarm.sql"), &[&alarm]).await?;
    Ok(row.map(|row| StoredAlarm::from_row(&row, &keys)))
}

/// Notes who has taken note of an alarm. The first acknowledgement stays.
///
/// # Errors
/// When the database does not answer.
pub async fn acknowledge(
    db: &Client,
    personal_data: &PersonalData,
    alarm: Uuid,
    AlarmAcknowledgement { at, by, reason }: &AlarmAcknowledgement,
) -> Result<(), Error> {
    let keys = keys_or_new(db, personal_data).await?;
    let note = reason.as_ref().map(|reason| keys.seal(KeyScope::Person, &place(alarm), reason));
    let by = by.as_ref().and_then(|by| serde_json::to_string(by).ok());
    db.execute(include_str!("sql/acknowledge_alarm.sql"), &[&alarm, at, &by, &note]).await.map(drop)
}
