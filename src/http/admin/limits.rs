//! The limits that all nodes share: which are nearly or wholly used up, and lifting them.

use actix_web::web;
use chrono::{DateTime, Utc};
use counterfoil_domain::values::Reason;
use counterfoil_projections::SearchPage;
use serde::Serialize;
use utoipa::ToSchema;

use super::List;
use crate::http::Problem;
use crate::http::State;
use crate::http::answer::{self, Json, NoContent, Sent};
use crate::http::document::OperationDoc;
use crate::http::extract::{Admin, Body, Fields, Form, Page, Query, Staff};
use crate::limits::{LimitsError, UsedMeter};

/// As which list cursors name it.
const LIST: &str = "limits";

/// A shared limit that a subject has nearly or wholly used up.
#[derive(Serialize, ToSchema)]
pub struct LimitUse {
    /// A country (ISO 3166-1 alpha-2), `service`, or the keyed hash of an address, a network, a mailbox, a mail domain or a
    /// prefix, that of a prefix with its country: `IR.…`.
    #[schema(example = "IR")]
    subject: String,
    /// The limit.
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
    state: web::Data<State>,
    staff: Staff<Admin, Query<Page>>,
) -> Result<Sent<Json<List<LimitUse>>>, Problem> {
    let Query(Page { limit, cursor }) = staff.asked;
    let after = cursor.map(|cursor| state.cursors.read(LIST, &cursor)).transpose()?;
    let near = state.accounts.limits().near(after, limit.0).await;
    let SearchPage { items, next } = near.map_err(|error| Problem::from_limits(&LimitsError::from(error)))?;
    let items = items.into_iter().map(LimitUse::from).collect();
    Ok(answer::json(List::of(SearchPage { items, next }, &state.cursors, LIST)))
}

/// Why shared limits are lifted.
#[derive(Debug)]
pub struct LiftRequest {
    reason: Reason,
}

impl Form for LiftRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
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
    state: web::Data<State>,
    staff: Staff<Admin, Body<LiftRequest>>,
    subject: web::Path<String>,
) -> Result<Sent<NoContent>, Problem> {
    let Staff { token, origin, asked: Body(LiftRequest { reason }), .. } = staff;
    let lifted = state.accounts.lift_shared_limits(token, subject.into_inner(), reason, origin).await;
    match lifted.map_err(|error| state.problem(&error))? {
        true => Ok(answer::no_content()),
        false => Err(Problem::NotFound),
    }
}
