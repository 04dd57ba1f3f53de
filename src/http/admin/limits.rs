//! The limits that all nodes share: which are nearly or wholly used up, and lifting them.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::values::Reason;
use counterfoil_projections::SearchPage;
use serde::Serialize;
use utoipa::ToSchema;

use super::ListResponse;
use crate::http::AppState;
use crate::http::Problem;
use crate::http::document::OperationDoc;
use crate::http::extract::{
    AdminRole, FromFields, JsonBody, PageRequest, QueryParams, RequestFields, StaffCaller,
};
use crate::http::response::{self, ApiResponse, NoContent, OkJson};
use crate::limits::{LimitsError, UsedMeter};

/// The name of this list in its cursors.
const LIST_NAME: &str = "limits";

/// A shared limit that a subject has nearly or wholly used up.
#[derive(Serialize, ToSchema)]
pub struct LimitUse {
    /// A country (ISO 3166-1 alpha-2), `service`, or the keyed hash of an address, a network, a mailbox, a mail domain or a
    /// prefix, that of a prefix with its country: `IR.…`.
    #[schema(example = "IR")]
    subject: String,
    /// The name of the limit.
    #[schema(value_type = String, example = "messages_per_country")]
    kind: &'static str,
    /// How much is used.
    count: i64,
    /// How much may be used.
    limit: i64,
    /// When there is room again, where there is none now.
    until: Option<DateTime<Utc>>,
}

impl From<UsedMeter> for LimitUse {
    fn from(meter: UsedMeter) -> Self {
        let UsedMeter { limit: kind, subject, used, most, until } = meter;
        Self { subject, kind, count: used, limit: most, until }
    }
}

pub const LIST_DOC: OperationDoc = OperationDoc {
    id: "limits",
    summary: "See which shared limits are nearly or wholly used up",
    details: "Those of which nine tenths or more are used, by subject. Addresses and prefixes are told as keyed hashes.",
    problems: &[Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn list(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, QueryParams<PageRequest>>,
) -> Result<ApiResponse<OkJson<ListResponse<LimitUse>>>, Problem> {
    let QueryParams(PageRequest { limit, cursor }) = staff.asked;
    let after = cursor.map(|cursor| state.cursors.read(LIST_NAME, &cursor)).transpose()?;
    let near = state.accounts.limits().near(after, limit.0).await;
    let SearchPage { items, next } = near.map_err(|error| Problem::from_limits(&LimitsError::from(error)))?;
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
    details: "What was counted against the subject is forgotten. Where nothing was, there is no such subject.",
    problems: &[Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn lift(
    state: web::Data<AppState>,
    staff: StaffCaller<AdminRole, JsonBody<LiftLimitsRequest>>,
    subject: web::Path<String>,
) -> Result<ApiResponse<NoContent>, Problem> {
    let ((), who) = staff.into_action(|JsonBody(LiftLimitsRequest { reason })| ((), Some(reason)));
    let lifted = state.accounts.lift_shared_limits(subject.into_inner(), &who).await;
    match lifted.map_err(|error| state.problem(&error))? {
        true => Ok(response::no_content()),
        false => Err(Problem::NotFound),
    }
}
