//! The form of the document. Its schema is published as `docs/schemas/account-export.schema.json`.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::{
    AccountFact, ActingStaff, IdentifierProposal, PersonalDetails, ProposedChange, SecondFactor,
    UserAccountEvent,
};
use counterfoil_domain::values::{AccountId, Channel, Client, Identifier};
use counterfoil_projections::login_history::HistoryLine;
use counterfoil_projections::profile::search::AccountSummary;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

/// The members of facts from which codes, links and the secrets of authenticators are derived. They tell nothing of the user.
const DERIVED_FROM: [&str; 3] = ["nonce", "authenticator", "recovery"];

/// Everything that is held about the user of an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountExport)]
pub struct AccountDocument {
    /// The version of this form. Members may be added to it; anything else is another version.
    #[schema(minimum = 1, example = 1)]
    pub format: u8,
    /// The account of the user.
    pub account_id: AccountId,
    /// When the document was begun. Events that happened while it was written may be in it.
    pub exported_at: DateTime<Utc>,
    /// Who the user is, with the phone number and the e-mail address that find the account; null where the account was never joined.
    pub profile: Option<AccountSummary>,
    /// The second factor, without its secret; null where there is none.
    pub second_factor: Option<ExportedSecondFactor>,
    /// A change of the phone number or the e-mail address that staff have proposed and that is open.
    pub identifier_proposal: Option<ExportedProposal>,
    /// The devices on which the user is or was signed in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = true)]
    pub device_sessions: Vec<ExportedSession>,
    /// The addresses that each session was at, and since when.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = true)]
    pub stays: Vec<ExportedStay>,
    /// What happened to the sign-ins. It follows the events, usually within a second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = true)]
    pub login_history: Vec<HistoryLine>,
    /// The messages to the user, without their texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = true)]
    pub messages: Vec<ExportedMessage>,
    /// Every event of the account, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = true)]
    pub events: Vec<ExportedEvent>,
}

/// The second factor of an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedSecondFactor {
    /// Whether an authenticator is enrolled; otherwise one was only shown.
    enrolled: bool,
    /// How many recovery codes are left.
    recovery_codes_left: u8,
}

impl From<&SecondFactor> for ExportedSecondFactor {
    fn from(factor: &SecondFactor) -> Self {
        let enrolled = factor.enrolled.as_ref();
        Self {
            enrolled: enrolled.is_some(),
            recovery_codes_left: enrolled.map_or(0, |enrolled| enrolled.recovery_left()),
        }
    }
}

/// A change that staff have proposed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedProposal {
    /// What is to happen to the identifier.
    action: ProposedChange,
    /// The kind of the identifier.
    channel: Channel,
    /// The identifier that the account is to get or to lose.
    identifier: Option<Identifier>,
    /// When it takes effect where no second administrator can confirm it.
    due_at: DateTime<Utc>,
    /// When the proposal is void.
    expires_at: DateTime<Utc>,
}

impl ExportedProposal {
    pub(super) fn new(proposal: &IdentifierProposal, identifier: Option<Identifier>) -> Self {
        let IdentifierProposal { id: _, change, channel, by: _, due_at, expires_at } = proposal;
        Self { action: *change, channel: *channel, identifier, due_at: *due_at, expires_at: *expires_at }
    }
}

/// Who acted, where it was not the user. Which person it was is not said: that is their own personal data.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A member of staff.
    Staff,
    /// The operator at the server.
    Operator,
    /// A program that the service is part of.
    Service,
}

impl From<&ActingStaff> for ActorKind {
    fn from(by: &ActingStaff) -> Self {
        match by {
            ActingStaff::Account(_) => Self::Staff,
            ActingStaff::Operator(_) => Self::Operator,
            ActingStaff::Service(_) => Self::Service,
        }
    }
}

/// A device session, whether it goes on or has ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedSession {
    /// The id of the session.
    id: Uuid,
    /// Where the code that began it had gone.
    #[schema(example = "phone")]
    channel: Option<String>,
    /// The name that the device gave itself, or that the user gave it.
    #[schema(example = "My phone")]
    device_name: Option<String>,
    /// The `User-Agent` header that it last sent.
    #[schema(example = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")]
    user_agent: Option<String>,
    /// The address of its sign-in or of its last refresh.
    #[schema(value_type = Option<String>, example = "192.0.2.7")]
    ip_address: Option<IpAddr>,
    /// The newest generation of its tokens, which counts its refreshes.
    generation: Option<i64>,
    /// When it signed in.
    signed_in_at: Option<DateTime<Utc>>,
    /// When it signed in or was last refreshed.
    last_seen_at: Option<DateTime<Utc>>,
    /// When an access token of it was last used, up to a minute before.
    last_used_at: Option<DateTime<Utc>>,
    /// The last hour in which it was counted among the devices in use.
    last_counted_at: Option<DateTime<Utc>>,
    /// When it ends unless it is refreshed, or would have ended.
    expires_at: Option<DateTime<Utc>>,
    /// When it ends however often it is refreshed.
    ends_at: Option<DateTime<Utc>>,
    /// When it was ended, if it was.
    ended_at: Option<DateTime<Utc>>,
    /// Why it was ended.
    #[schema(example = "signed_out")]
    end_reason: Option<String>,
    /// Who ended it, where it was not the user.
    ended_by: Option<ActorKind>,
}

impl ExportedSession {
    pub(super) fn from_row(row: &Row) -> Self {
        let ended_by: Option<Json<ActingStaff>> = row.get("ended_by");
        Self {
            id: row.get("session_id"),
            channel: row.get("channel"),
            device_name: row.get("device_name"),
            user_agent: row.get("user_agent"),
            ip_address: row.get("ip_address"),
            generation: row.get("generation"),
            signed_in_at: row.get("signed_in_at"),
            last_seen_at: row.get("last_seen_at"),
            last_used_at: row.get("used_at"),
            last_counted_at: row.get("hour"),
            expires_at: row.get("expires_at"),
            ends_at: row.get("ends_at"),
            ended_at: row.get("ended_at"),
            end_reason: row.get("end_reason"),
            ended_by: ended_by.map(|Json(by)| ActorKind::from(&by)),
        }
    }
}

/// An address that a session was at. The stay ends where the next one of the session begins, or with the session.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedStay {
    /// The id of the session.
    session_id: Uuid,
    /// When it came there: by its sign-in or by a refresh.
    since: DateTime<Utc>,
    /// The address; null where its key is gone.
    #[schema(value_type = Option<String>, example = "192.0.2.7")]
    ip_address: Option<IpAddr>,
}

impl ExportedStay {
    pub(super) fn from_row(row: &Row) -> Self {
        Self { session_id: row.get("session_id"), since: row.get("since"), ip_address: row.get("ip_address") }
    }
}

/// A message and what became of it. Messages are known for 30 days.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedMessage {
    /// The event that asked for it.
    sequence: i64,
    /// Which of the messages of that event it is.
    number: i16,
    /// What it is about.
    #[schema(example = "sign_in")]
    kind: String,
    /// The kind of identifier that it goes to.
    #[schema(example = "phone")]
    channel: String,
    /// The language of its text.
    #[schema(example = "en")]
    language: String,
    /// The country of the number (ISO 3166-1 alpha-2); null for e-mail.
    #[schema(example = "IR")]
    country: Option<String>,
    /// When it was asked for.
    asked_at: DateTime<Utc>,
    /// When it is of no more use.
    expires_at: DateTime<Utc>,
    /// When it is tried next; null once it is settled.
    due_at: Option<DateTime<Utc>>,
    /// How often it was tried.
    attempts: i32,
    /// `waiting`, `sent`, `failed`, `expired` or `replaced`.
    #[schema(example = "sent")]
    state: String,
    /// The gateway that has it.
    #[schema(example = "twilio")]
    gateway: Option<String>,
    /// Under which name the gateway knows it.
    reference: Option<String>,
    /// What a gateway last answered when it did not take it.
    reason: Option<String>,
    /// When it was settled.
    settled_at: Option<DateTime<Utc>>,
}

impl ExportedMessage {
    pub(super) fn from_row(row: &Row) -> Self {
        Self {
            sequence: row.get("sequence"),
            number: row.get("number"),
            kind: row.get("kind"),
            channel: row.get("channel"),
            language: row.get("language"),
            country: row.get("country"),
            asked_at: row.get("asked_at"),
            expires_at: row.get("expires_at"),
            due_at: row.get("due_at"),
            attempts: row.get("attempts"),
            state: row.get("state"),
            gateway: row.get("gateway"),
            reference: row.get("reference"),
            reason: row.get("reason"),
            settled_at: row.get("settled_at"),
        }
    }
}

/// An event of the account, opened as far as its keys are there.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedEvent {
    /// Its number in the account's stream, from 1.
    sequence: i64,
    /// The name of the event.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "LoggedIn")]
    event_type: &'static str,
    /// When it was decided.
    at: DateTime<Utc>,
    /// What happened: an object with one member, named after the event.
    #[schema(value_type = Object)]
    fact: Value,
    /// Who the user is, where the event tells it, and the reason of staff.
    person: Option<PersonalDetails>,
    /// From where the user or another caller acted.
    client: Option<Client>,
}

impl ExportedEvent {
    /// Leaves out what is not the user's: who of the staff acted and from where, and whom a member of staff searched for.
    pub(super) fn new(account: AccountId, sequence: i64, event: UserAccountEvent) -> Self {
        let (event_type, by) = (event.name(), event.by());
        let is_own = by.as_ref().is_none_or(|by| *by == ActingStaff::Account(account));
        let is_about_others = matches!(event.fact, AccountFact::StaffRecord(_));
        Self {
            sequence,
            event_type,
            at: event.at,
            fact: without_staff_and_seeds(&event.fact, by.as_ref()),
            person: event.person.filter(|_| !is_about_others),
            client: event.client.filter(|_| is_own),
        }
    }
}

fn without_staff_and_seeds(fact: &AccountFact, by: Option<&ActingStaff>) -> Value {
    // A fact is stored as JSON.
    let mut fact = serde_json::to_value(fact).unwrap_or_default();
    let members = fact.as_object_mut().into_iter().flat_map(Map::values_mut).find_map(Value::as_object_mut);
    if let Some(members) = members {
        for name in DERIVED_FROM {
            members.remove(name);
        }
        if let Some(named) = members.get_mut("by") {
            *named = serde_json::to_value(by.map(ActorKind::from)).unwrap_or_default();
        }
    }
    fact
}
