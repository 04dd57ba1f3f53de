//! A line of the log.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::PersonalDetails;
use counterfoil_domain::values::{AccountId, Client};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_postgres::Row;
use utoipa::ToSchema;
use uuid::Uuid;

use super::plain_members::{PlainMembers, Profiles};
use crate::crypto::personal_data::AccountKeys;

/// An event with its place in the log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventRecord {
    /// Its number in the whole log, from 1, without a gap.
    pub position: i64,
    /// The account of the event.
    pub account_id: Uuid,
    /// Its number in the account's stream, from 1, without a gap.
    pub sequence: i64,
    /// The name of the event.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of its JSON.
    pub version: Option<String>,
    /// When it was decided, by the service's clock.
    pub at: Option<DateTime<Utc>>,
    /// When it was written, by the database's clock. Not covered by the leaf.
    pub recorded_at: Option<DateTime<Utc>>,
    /// The commit that wrote it.
    pub commit: Option<String>,
    /// The request that it came with.
    pub request: Option<String>,
    /// What happened, as it is stored; null where the event is not there any more.
    #[schema(value_type = Option<Object>)]
    pub fact: Option<Box<RawValue>>,
    /// Who the person is, where the event tells it and its key is there.
    pub person: Option<PersonalDetails>,
    /// From where the command came, likewise.
    pub client: Option<Client>,
    /// The leaf, as hexadecimal digits.
    pub leaf: String,
    /// What most people look for, under the same names in each record.
    #[serde(flatten)]
    pub plain: PlainMembers,
}

/// What is looked at of an event's JSON.
#[derive(Deserialize)]
struct EventPayload<'a> {
    #[serde(borrow)]
    fact: &'a RawValue,
}

/// What is looked at of its metadata.
#[derive(Default, Deserialize)]
struct RecordMetadata {
    commit: Option<String>,
    request: Option<String>,
}

impl EventRecord {
    /// Reads a row. What has been altered until it cannot be read is shown as it is, or not at all: an auditor who looks for
    /// the traces of that must not be stopped by it.
    pub(super) fn of(row: &Row, keys: &BTreeMap<AccountId, AccountKeys>, profiles: &Profiles) -> Self {
        let (account_id, sequence): (Uuid, i64) = (row.get("account_id"), row.get("sequence"));
        let (event_type, at): (&str, Option<DateTime<Utc>>) = (row.get("event_type"), row.get("at"));
        let metadata: RecordMetadata = row
            .get::<_, Option<&str>>("metadata")
            .and_then(|metadata| serde_json::from_str(metadata).ok())
            .unwrap_or_default();
        let (personal, keys) = (row.get::<_, Option<&[u8]>>("personal"), keys.get(&AccountId(account_id)));
        let (person, client) = match (personal, keys, at) {
            (Some(personal), Some(keys), Some(at)) => keys.open_event(sequence, event_type, at, personal),
            _ => (None, None),
        };
        let fact = row.get::<_, Option<&str>>("payload").and_then(fact);
        let personal = (person.as_ref(), client.as_ref());
        let plain = PlainMembers::new(account_id, event_type, fact.as_deref(), personal, profiles);
        Self {
            position: row.get("seq"),
            account_id,
            sequence,
            event_type: event_type.to_owned(),
            version: row.get("event_version"),
            at,
            recorded_at: row.get("recorded_at"),
            commit: metadata.commit,
            request: metadata.request,
            fact,
            person,
            client,
            leaf: hex(row.get("leaf")),
            plain,
        }
    }
}

fn fact(payload: &str) -> Option<Box<RawValue>> {
    match serde_json::from_str::<EventPayload<'_>>(payload) {
        Ok(payload) => Some(payload.fact.to_owned()),
        Err(_) => RawValue::from_string(payload.to_owned()).ok(),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
