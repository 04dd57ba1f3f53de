//! A bundle that proves the life of one account up to a time.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, SecondsFormat, Utc};
use counterfoil_domain::values::{AccountId, Reason};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use uuid::Uuid;

use super::{on_record, problem, with_reason};
use crate::audit::evidence::{EvidenceError, evidence};
use crate::http::document::{DescribeOperation, OperationDoc, OperationDraft};
use crate::http::extract::{AuditorRole, FromFields, QueryParams, RequestFields, StaffCaller};
use crate::http::response::ApiResponse;
use crate::http::{AppState, Problem};
use crate::transparency::proofs::ProofError;

/// How long the first events of an account are waited for: they are signed within a second.
const TRIES: u32 = 10;
const TRY_EVERY: Duration = Duration::from_millis(300);

/// At which time the account is looked at; now, where it is not said.
#[derive(Debug)]
pub struct EvidenceFilter {
    at: Option<DateTime<Utc>>,
    reason: Option<Reason>,
}

impl FromFields for EvidenceFilter {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        let at = fields.time("at");
        let reason = fields.reason();
        Some(Self { at: at?, reason: reason? })
    }
}

/// A bundle, which is verified byte for byte.
pub enum EvidenceResponse {}

impl DescribeOperation for EvidenceResponse {
    fn describe(operation: &mut OperationDraft) {
        let bundle = ObjectBuilder::new().schema_type(Type::Object);
        operation.answer(200, "The bundle. Keep it as it comes.", [("application/json", bundle.into())]);
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "evidence",
    summary: "Prove the life of an account",
    details: "The events of the account up to the time, as they are stored, each with the proof that it is in the log; the last checkpoint with \
        its cosignatures; the keys of what is personal; and who was signed in at the time. `counterfoil audit verify FILE` verifies it \
        without the service. Events of the last second may not be signed yet.",
    problems: &[Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    staff: StaffCaller<AuditorRole, QueryParams<EvidenceFilter>>,
    account: web::Path<String>,
) -> Result<ApiResponse<EvidenceResponse>, Problem> {
    let account = AccountId(Uuid::try_parse(&account).map_err(|_| Problem::NotFound)?);
    let (asked, who) = with_reason(staff, |QueryParams(asked)| asked.reason.take())?;
    let QueryParams(EvidenceFilter { at, reason: _ }) = asked;
    let at = at.unwrap_or(state.clock.now());
    let instant = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    on_record(&state, &who, format!("account {account} evidence at={instant}"), None).await?;
    let journal = state.accounts.journal();
    let mut bundle = evidence(journal, account, at).await;
    for _ in 0..TRIES {
        if !matches!(bundle, Err(EvidenceError::Unsigned)) {
            break;
        }
        tokio::time::sleep(TRY_EVERY).await;
        bundle = evidence(journal, account, at).await;
    }
    let bundle = bundle.map_err(|error| match error {
        EvidenceError::NoAccount => Problem::NotFound,
        EvidenceError::TooLarge => Problem::invalid_field("at", "too_many_events"),
        EvidenceError::Proof(ProofError::Journal(error)) => problem(&error),
        EvidenceError::Proof(_) | EvidenceError::Unsigned => {
            tracing::error!(%error, "the evidence about an account cannot be collected");
            Problem::Unavailable
        }
    })?;
    let mut answer = HttpResponse::Ok();
    Ok(ApiResponse::new(answer.content_type("application/json").body(bundle.to_text())))
}
