//! Which events an auditor asks for.

use std::fmt::{self, Write as _};

use chrono::{DateTime, SecondsFormat, Utc};
use counterfoil_domain::user_account::{ActingStaff, UserAccountEvent};
use counterfoil_domain::values::{AccountId, Identifier, OperatorName, Reason, ServiceName};
use counterfoil_projections::event_subject::actor_text;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::audit::EventFilter;
use crate::http::admin::find_account;
use crate::http::extract::{
    AddressRange, AskedSpan, FromFields, InvalidParameter, LogPosition, RequestFields, named_identifier,
    read_any_identifier,
};
use crate::http::{AppState, Problem};

/// Which events are asked for, and after which position.
#[derive(Debug)]
pub struct AuditEventFilter {
    filter: EventFilter,
    identifier: Option<Identifier>,
    pub(super) after: Option<i64>,
    pub(super) reason: Option<Reason>,
}

impl FromFields for AuditEventFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let account = fields.optional("account_id", |text| Uuid::try_parse(text).map(AccountId));
        let identifier = read_any_identifier(fields);
        let types = fields.optional("type", EventTypes::parse);
        let actor = fields.optional("actor", ActorName::parse);
        let addresses = fields.optional("ip_address", AddressRange::parse);
        let span = fields.time_span();
        let after = fields.optional("after", LogPosition::parse);
        let reason = fields.reason();
        let AskedSpan { since, until } = span?;
        let filter = EventFilter {
            account: account?,
            types: types?.map(|EventTypes(names)| names).unwrap_or_default(),
            since,
            until,
            actor: actor?.map(|ActorName(actor)| actor),
            addresses: addresses?.map(|AddressRange(network)| network),
            of_no_account: false,
        };
        let (identifier, after) = (identifier?, after?.map(|LogPosition(after)| after));
        Some(Self { filter, identifier, after, reason: reason? })
    }
}

/// A filter whose account is known, and the words in which it is put on record.
#[derive(Debug)]
pub(super) struct ResolvedFilter {
    pub(super) filter: EventFilter,
    pub(super) after: Option<i64>,
    /// What names no person, and may stand in the log in clear.
    pub(super) what: String,
    /// What may be personal: networks, and identifiers that no account has.
    pub(super) query: Option<String>,
}

impl AuditEventFilter {
    /// Finds the account of the identifier, whose id stands for it on record.
    pub(super) async fn resolve(self, state: &AppState) -> Result<ResolvedFilter, Problem> {
        let Self { mut filter, identifier, after, reason: _ } = self;
        let mut query = Vec::new();
        if let Some(identifier) = identifier {
            match (find_account(state, &identifier).await?, filter.account) {
                (Some(account), None) => filter.account = Some(account),
                (Some(account), Some(named)) if account == named => {}
                (Some(_), Some(_)) | (None, _) => {
                    filter.of_no_account = true;
                    query.push(named_identifier(&identifier));
                }
            }
        }
        query.extend(filter.addresses.map(|network| format!("ip_address={network}")));
        let what = on_record(&filter, after).unwrap_or_default();
        let query = (!query.is_empty()).then(|| query.join(" "));
        Ok(ResolvedFilter { filter, after, what, query })
    }
}

/// Writes a filter as it is put on record, without what may be personal.
fn on_record(filter: &EventFilter, after: Option<i64>) -> Result<String, fmt::Error> {
    let EventFilter { account, types, since, until, actor, addresses: _, of_no_account: _ } = filter;
    let mut what = String::new();
    if let Some(account) = account {
        write!(what, " account_id={account}")?;
    }
    if !types.is_empty() {
        write!(what, " type={}", types.join(","))?;
    }
    for (name, time) in [("since", since), ("until", until)] {
        if let Some(time) = time {
            write!(what, " {name}={}", written(*time))?;
        }
    }
    if let Some(actor) = actor {
        write!(what, " actor={}", actor_text(actor))?;
    }
    if let Some(after) = after {
        write!(what, " after={after}")?;
    }
    Ok(what)
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A member of staff by the id of their account, an operator of the server (`operator:NAME`), or a program that the service is part
/// of (`service:NAME`).
struct ActorName(ActingStaff);

/// What an actor looks like in a filter, as a regular expression.
const ACTOR_PATTERN: &str = "^(operator:[A-Za-z0-9._@+$-]{1,64}|service:[a-z0-9_-]{1,40}|\
                             [0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$";

impl ActorName {
    fn parse(text: &str) -> Result<Self, InvalidParameter> {
        let actor = match text.split_once(':') {
            Some(("operator", name)) => OperatorName::parse(name).map(ActingStaff::Operator),
            Some(("service", name)) => ServiceName::parse(name).map(ActingStaff::Service),
            Some(_) => None,
            None => Uuid::try_parse(text).ok().map(|id| ActingStaff::Account(AccountId(id))),
        };
        actor.map(Self).ok_or(InvalidParameter("actor_malformed"))
    }
}

impl PartialSchema for ActorName {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(ACTOR_PATTERN));
        text.examples(["operator:ada", "service:billing"]).into()
    }
}

impl ToSchema for ActorName {}

/// Names of events, with commas between them.
struct EventTypes(Vec<String>);

impl EventTypes {
    fn parse(text: &str) -> Result<Self, InvalidParameter> {
        let names = text.split(',').map(str::trim).map(|name| {
            UserAccountEvent::NAMES
                .contains(&name)
                .then(|| name.to_owned())
                .ok_or(InvalidParameter("type_unknown"))
        });
        names.collect::<Result<_, _>>().map(Self)
    }
}

impl PartialSchema for EventTypes {
    fn schema() -> RefOr<Schema> {
        let names = UserAccountEvent::NAMES.iter().copied();
        let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
        ArrayBuilder::new().items(name).min_items(Some(1)).into()
    }
}

impl ToSchema for EventTypes {}
