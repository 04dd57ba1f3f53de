//! What most people look for in a record, under the same names: who, with which session, how it ended, and why.

use std::collections::BTreeMap;
use std::net::IpAddr;

use counterfoil_domain::user_account::{ActingStaff, PersonalDetails};
use counterfoil_domain::values::{AccountId, Client};
use counterfoil_projections::profile::Profile;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

/// The events by which something was refused, or found to be wrong.
const FAILURES: [&str; 6] = [
    "AccessDenied",
    "OtpRejected",
    "OtpRequestRefused",
    "SecondFactorRejected",
    "SignInRefused",
    "TokenReuseDetected",
];

/// The event by which an account was denied what it asked for. The account is the actor.
const DENIAL: &str = "AccessDenied";

/// The members that each record has. One is null where it does not apply, or its key is gone.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PlainMembers {
    /// The member of staff or the program that brought the event about; null where the user did, or time.
    pub actor: Option<RecordActor>,
    /// The session that the event is about.
    pub session_id: Option<Uuid>,
    /// The kind of identifier that the event is about.
    #[schema(example = "phone")]
    pub channel: Option<String>,
    /// How the event ended.
    pub outcome: RecordOutcome,
    /// Why it happened, as the service names it.
    #[schema(example = "signed_out")]
    pub reason: Option<String>,
    /// Why staff did it, in their words.
    pub reason_text: Option<String>,
    /// The address that the request came from.
    #[schema(value_type = Option<String>, example = "192.0.2.7")]
    pub ip_address: Option<IpAddr>,
    /// The name of the device.
    #[schema(example = "My phone")]
    pub device: Option<String>,
    /// The full name of the user of the account, as it is now.
    #[schema(example = "Ada Lovelace")]
    pub fullname: Option<String>,
    /// The phone number that the account has now.
    #[schema(example = "+989121234567")]
    pub phone_number: Option<String>,
    /// The e-mail address that the account has now.
    #[schema(example = "ada@example.com")]
    pub email: Option<String>,
}

/// A member of staff or a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RecordActor {
    /// An account with a role.
    Account {
        /// The id of the account.
        id: Uuid,
        /// The full name of its user, as it is now.
        fullname: Option<String>,
    },
    /// An operator, by the command line at the server.
    Operator {
        /// The name that the operating system knows them by.
        name: String,
    },
    /// A program that the service is part of.
    Service {
        /// The name that the program gave itself.
        name: String,
    },
}

impl RecordActor {
    /// The text by which the log is searched for the actor.
    pub fn as_text(&self) -> String {
        match self {
            Self::Account { id, .. } => id.to_string(),
            Self::Operator { name } => format!("operator:{name}"),
            Self::Service { name } => format!("service:{name}"),
        }
    }
}

/// How an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordOutcome {
    /// What was asked for took effect.
    Success,
    /// Something was refused, or found to be wrong.
    Failure,
}

impl RecordOutcome {
    /// The name as it stands in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// Profiles, by their accounts.
pub(super) type Profiles = BTreeMap<Uuid, Profile>;

/// What is looked at of a fact, whichever it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FactMembers {
    session: Option<Uuid>,
    channel: Option<String>,
    reason: Option<String>,
    change: serde_json::Value,
    rule: Option<String>,
    by: Option<ActingStaff>,
}

impl FactMembers {
    /// Reads them as far as they can be read: what has been altered is shown all the same.
    fn of(fact: &RawValue) -> Self {
        let named: Option<BTreeMap<String, Self>> = serde_json::from_str(fact.get()).ok();
        named.and_then(|named| named.into_values().next()).unwrap_or_default()
    }
}

/// The account of the member of staff who is named in a payload.
pub(super) fn acting_account(payload: &str) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct EventPayload {
        fact: BTreeMap<String, FactMembers>,
    }
    // Most events name none, and are not read for it.
    let payload: EventPayload =
        payload.contains("\"by\"").then(|| serde_json::from_str(payload).ok()).flatten()?;
    match payload.fact.into_values().next()?.by? {
        ActingStaff::Account(AccountId(account)) => Some(account),
        ActingStaff::Operator(_) | ActingStaff::Service(_) => None,
    }
}

impl PlainMembers {
    /// Of an event of that account and name.
    pub(super) fn new(
        account: Uuid,
        event_type: &str,
        fact: Option<&RawValue>,
        (person, client): (Option<&PersonalDetails>, Option<&Client>),
        profiles: &Profiles,
    ) -> Self {
        let members = fact.map(FactMembers::of).unwrap_or_default();
        let denied = (event_type == DENIAL).then_some(ActingStaff::Account(AccountId(account)));
        let profile = profiles.get(&account);
        let change = members.change.as_str().map(str::to_owned);
        let given = person.and_then(|person| person.device_name.as_ref());
        let device = given.or_else(|| client?.device_name.as_ref());
        Self {
            actor: members.by.or(denied).map(|by| named(by, profiles)),
            session_id: members.session,
            channel: members.channel,
            outcome: outcome(event_type),
            reason: members.reason.or(members.rule).or(change),
            reason_text: person
                .and_then(|person| person.reason.as_ref())
                .map(|reason| reason.as_str().to_owned()),
            ip_address: client.map(|client| client.ip),
            device: device.map(|name| name.as_str().to_owned()),
            fullname: profile.and_then(|profile| profile.fullname.clone()),
            phone_number: profile.and_then(|profile| profile.phone_number.clone()),
            email: profile.and_then(|profile| profile.email.clone()),
        }
    }
}

fn outcome(event_type: &str) -> RecordOutcome {
    if FAILURES.contains(&event_type) { RecordOutcome::Failure } else { RecordOutcome::Success }
}

fn named(by: ActingStaff, profiles: &Profiles) -> RecordActor {
    match by {
        ActingStaff::Account(AccountId(id)) => RecordActor::Account {
            id,
            fullname: profiles.get(&id).and_then(|profile| profile.fullname.clone()),
        },
        ActingStaff::Operator(name) => RecordActor::Operator { name: name.as_str().to_owned() },
        ActingStaff::Service(name) => RecordActor::Service { name: name.as_str().to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_domain::user_account::UserAccountEvent;

    use super::{DENIAL, FAILURES};

    #[test]
    fn the_events_that_tell_of_failures_exist() {
        for name in FAILURES.iter().chain([&DENIAL]) {
            assert!(UserAccountEvent::NAMES.contains(name), "{name}");
        }
    }
}
