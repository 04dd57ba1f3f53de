//! The limits that all nodes share: which are nearly or wholly used up, those of one subject, and lifting them.

use std::convert::Infallible;

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::user_account::ActingStaff;
use counterfoil_domain::values::{Identifier, PhonePrefix, Reason, Region};
use counterfoil_projections::SearchPage;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ListResponse, find_account};
use crate::accounts::StaffAction;
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AdminRole, CountryCode, FromFields, JsonBody, OneAddress, PageRequest, QueryParams, RequestFields,
    StaffCaller, read_any_identifier,
};
use crate::http::response::{self, ApiResponse, NoContent, OkJson};
use crate::limits::{LimitSubject, LimitsError, UNLIMITED, UsedMeter};

/// The name of this list in its cursors.
const LIST_NAME: &str = "limits";

/// A shared limit of a subject, and how much of it is used.
#[derive(Serialize, ToSchema)]
pub struct LimitUse {
    /// A country (ISO 3166-1 alpha-2), `service`, the prefix of numbers after its country (`IR.+98912123`), or the keyed hash of
    /// an address, a network, a mailbox or a mail domain.
    #[schema(example = "IR")]
    subject: String,
    /// The name of the limit.
    #[schema(value_type = String, example = "messages_per_country")]
    kind: &'static str,
    /// How much is used.
    count: i64,
    /// How much may be used. `null` for what is only counted.
    limit: Option<i64>,
    /// When there is room again, where there is none now.
    until: Option<DateTime<Utc>>,
}

impl From<UsedMeter> for LimitUse {
    fn from(meter: UsedMeter) -> Self {
        let UsedMeter { limit: kind, subject, used, most, until } = meter;
        let limit = (most != UNLIMITED).then_some(most);
        Self { subject, kind, count: used, limit, until }
    }
}

/// Whose limits are asked for: at most one subject.
#[derive(Debug)]
pub struct LimitFilter {
    page: PageRequest,
    subject: Option<LimitSubject>,
}

impl FromFields for LimitFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let page = PageRequest::from_fields(fields);
        let region = fields.default_region();
        let names = ["phone_number", "email", "ip_address", "prefix", "country", "subject"];
        let named: Vec<&str> = names.into_iter().filter(|name| fields.has(name)).collect();
        let identifier = read_any_identifier(fields);
        let address = fields.optional("ip_address", OneAddress::parse);
        let prefix = fields.optional("prefix", PhonePrefix::parse);
        let country = fields.optional("country", CountryCode::parse);
        let subject = fields.optional("subject", |text| SubjectText::parse(text, region));
        if let [_, second, ..] = named[..] {
            fields.complain(second, "field_one_subject");
            return None;
        }
        let subject = identifier?
            .map(LimitSubject::Identifier)
            .or(address?.map(|OneAddress(ip)| LimitSubject::Address(ip)))
            .or(prefix?.map(LimitSubject::Prefix))
            .or(country?.map(|CountryCode(region)| LimitSubject::Country(region)))
            .or(subject?.map(|SubjectText(subject)| subject));
        Some(Self { page: page?, subject })
    }
}

/// A subject in any form in which a person or the list names it.
#[derive(ToSchema)]
#[schema(value_type = String, example = "IR.+98912123")]
struct SubjectText(LimitSubject);

impl SubjectText {
    fn parse(text: &str, region: Option<Region>) -> Result<Self, Infallible> {
        Ok(Self(LimitSubject::parse(text, region)))
    }
}

pub const LIST_DOC: OperationDoc = OperationDoc {
    id: "limits",
    summary: "See the shared limits of a subject, or which are nearly or wholly used up",
    details: "With one of the filters `phone_number`, `email`, `ip_address`, `prefix`, `country` and `subject`: every limit of that \
        subject, whatever is used of it. A number has the limits of its prefix, an e-mail address those of its mailbox and of its \
        mail domain, an IPv6 address also those of its /48. A prefix stands for all prefixes that begin with it. `subject` takes \
        whatever the list shows, and `service`. Without a filter: the limits of which nine tenths or more are used, by subject.",
    problems: &[Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn list(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, QueryParams<LimitFilter>>,
) -> Result<ApiResponse<OkJson<ListResponse<LimitUse>>>, Problem> {
    let QueryParams(LimitFilter { page: PageRequest { limit, cursor }, subject }) = staff.asked;
    let after = cursor.map(|cursor| state.cursors.read(LIST_NAME, &cursor)).transpose()?;
    let found = state.accounts.limits().page(subject.as_ref(), after, limit.0).await;
    let SearchPage { items, next } =
        found.map_err(|error| Problem::from_limits(&LimitsError::from(error)))?;
    let items = items.into_iter().map(LimitUse::from).collect();
    Ok(response::json(ListResponse::from_page(SearchPage { items, next }, &state.cursors, LIST_NAME)))
}

/// Why shared limits are lifted.
#[derive(Debug)]
pub struct LiftLimitsRequest {
    reason: Reason,
}

impl FromFields for LiftLimitsRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { reason: fields.required_reason()? })
    }
}

pub const LIFT_DOC: OperationDoc = OperationDoc {
    id: "liftLimits",
    summary: "Lift the shared limits of a subject",
    details: "What was counted against the subject is forgotten. The subject is an IP address, a phone number in any spelling (its \
        prefix is meant), an e-mail address (its mailbox and its mail domain), a prefix with its country code, a country, `service`, \
        or a subject as the list shows it. Of a number or an e-mail address, what wrong codes and many codes have set against its \
        account is lifted as well.",
    problems: &[Problem::NothingCounted, Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn lift(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<LiftLimitsRequest>>,
    subject: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let ((), who) = staff.into_action(|JsonBody(LiftLimitsRequest { reason })| ((), Some(reason)));
    let subject = LimitSubject::parse(&subject, state.http.default_region);
    let lifted = state.accounts.lift_shared_limits(&subject, &who).await;
    let shared = lifted.map_err(|error| state.problem(&error))?;
    let of_account = match subject {
        LimitSubject::Identifier(identifier) => lift_of_account(&state, identifier, &who).await?,
        LimitSubject::Address(_)
        | LimitSubject::Prefix(_)
        | LimitSubject::Country(_)
        | LimitSubject::Service
        | LimitSubject::Shown(_) => false,
    };
    if shared || of_account { Ok(response::no_content()) } else { Err(Problem::NothingCounted) }
}

/// Lifts what the account of an identifier keeps codes back for, whether or not a person has joined by it; whether there was something.
/// Administrators do not lift the limits of their own accounts.
async fn lift_of_account(
    state: &AppState,
    identifier: Identifier,
    who: &StaffAction,
) -> Result<bool, Problem> {
    let Some(account) = find_account(state, &identifier).await? else { return Ok(false) };
    let standing = state.accounts.standing(account).await.map_err(|error| state.problem(&error))?;
    let (now, policy) = (state.clock.now(), state.accounts.policy());
    let holds = !standing.code_obstacles(identifier.channel(), now, policy).is_empty();
    if !holds || who.by.acting() == ActingStaff::Account(account) {
        return Ok(false);
    }
    state.accounts.lift_limits(identifier, who).await.map_err(|error| state.problem(&error))
}
