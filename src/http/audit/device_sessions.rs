//! Who was signed in at a time, across all accounts, for auditors.

use std::collections::HashMap;

use actix_web::web;
use counterfoil_domain::values::{AccountId, Reason};
use counterfoil_projections::SearchPage;
use counterfoil_projections::profile::{self, Profile};
use counterfoil_projections::user_login::search::DeviceSession;
use serde::Serialize;
use utoipa::ToSchema;

use super::{on_record, with_reason};
use crate::http::admin::ListResponse;
use crate::http::admin::session_search::{DeviceSessionSearchFilter, LIST_NAME};
use crate::http::document::OperationDoc;
use crate::http::extract::{AuditorRole, FromFields, QueryParams, RequestFields, StaffCaller};
use crate::http::response::{self, ApiResponse, OkJson};
use crate::http::{AppState, Problem};

/// Which device sessions an auditor looks for, and why.
#[derive(Debug)]
pub struct AuditedSessionFilter {
    search: DeviceSessionSearchFilter,
    reason: Option<Reason>,
}

impl FromFields for AuditedSessionFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let search = DeviceSessionSearchFilter::from_fields(fields);
        let reason = fields.reason();
        Some(Self { search: search?, reason: reason? })
    }
}

/// A device session, and who its account belongs to.
#[derive(Serialize, ToSchema)]
pub struct AuditedSession {
    #[serde(flatten)]
    session: DeviceSession,
    /// The full name of the user, as it is now.
    #[schema(example = "Ada Lovelace")]
    fullname: Option<String>,
    /// The phone number that the account has now.
    #[schema(example = "+989121234567")]
    phone_number: Option<String>,
    /// The e-mail address that the account has now.
    #[schema(example = "ada@example.com")]
    email: Option<String>,
}

impl AuditedSession {
    fn new(session: DeviceSession, profile: Option<&Profile>) -> Self {
        Self {
            fullname: profile.and_then(|profile| profile.fullname.clone()),
            phone_number: profile.and_then(|profile| profile.phone_number.clone()),
            email: profile.and_then(|profile| profile.email.clone()),
            session,
        }
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "auditDeviceSessions",
    summary: "See who was signed in",
    details: "With `at`, the sessions of all accounts that were active at that time, each with the address that it had then. \
        `ip_address` is compared with that address; without `at`, with the address that a session was last used from. A page \
        may have fewer items than asked for, or none, and not be the last.",
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    staff: StaffCaller<AuditorRole, QueryParams<AuditedSessionFilter>>,
) -> Result<ApiResponse<OkJson<ListResponse<AuditedSession>>>, Problem> {
    let (QueryParams(asked), who) = with_reason(staff, |QueryParams(asked)| asked.reason.take())?;
    let asked_for = asked.search.on_record();
    let search = asked.search.resolve(&state).await?;
    let (what, query) = asked_for.described(search.as_ref().and_then(|search| search.filter.account));
    on_record(&state, &who, what, query).await?;
    let Some(search) = search else { return Ok(response::json(ListResponse::empty())) };
    let SearchPage { items, next } = search.find(&state).await?;
    let profiles = profiles(&state, &items).await?;
    let named = items.into_iter().map(|session| {
        let profile = profiles.get(&session.account_id);
        AuditedSession::new(session, profile)
    });
    let found = SearchPage { items: named.collect(), next };
    Ok(response::json(ListResponse::from_page(found, &state.cursors, LIST_NAME)))
}

async fn profiles(
    state: &AppState,
    sessions: &[DeviceSession],
) -> Result<HashMap<AccountId, Profile>, Problem> {
    let accounts: Vec<AccountId> = sessions.iter().map(|session| session.account_id).collect();
    let found = state.query(async |db: &_| profile::find(db, &accounts).await).await?;
    Ok(found.into_iter().flatten().map(|profile| (profile.id, profile)).collect())
}
