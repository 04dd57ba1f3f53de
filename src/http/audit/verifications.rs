//! The verification of the whole log.

use actix_web::web;
use counterfoil_domain::values::Reason;

use super::reading_stream::{self, ReadingResponse, follow};
use super::{on_record, with_reason};
use crate::audit::VerificationResult;
use crate::audit::feed::LedgerFeed;
use crate::audit::long_reading::LongReadings;
use crate::http::document::OperationDoc;
use crate::http::extract::{AuditorRole, FromFields, JsonBody, RequestFields, StaffCaller};
use crate::http::response::ApiResponse;
use crate::http::{AppState, Problem};

/// Why the log is verified.
#[derive(Debug)]
pub struct VerificationRequest {
    reason: Option<Reason>,
}

impl FromFields for VerificationRequest {
    fn from_fields(fields: &mut RequestFields) -> Option<Self> {
        Some(Self { reason: fields.reason()? })
    }
}

pub const DOC: OperationDoc = OperationDoc {
    id: "verifyLog",
    summary: "Verify the whole log",
    details: "Computes every leaf again, and says whether the log is unaltered, complete, and by how many witnesses it was cosigned. \
        The answer is lines of JSON: `{\"progress\": {\"done\", \"of\"}}` each second, and at the end `{\"result\": {\"unaltered\", \
        \"complete\", \"witnessed\", \"events\", \"accounts\", \"waiting\", \"altered\", \"missing\", \"checkpoints\", \"signed\", \
        \"witnesses\", \"by\", \"started_at\", \"finished_at\"}}`. An answer without a result was cut off. Closing the connection stops \
        the verification. One verification or rehearsal goes on at a time.",
    problems: &[Problem::LogReadingRunning, Problem::Unavailable],
    ..OperationDoc::EMPTY
};

pub async fn handler(
    state: web::Data<AppState>,
    feed: web::Data<LedgerFeed>,
    readings: web::Data<LongReadings>,
    staff: StaffCaller<AuditorRole, JsonBody<VerificationRequest>>,
) -> Result<ApiResponse<ReadingResponse>, Problem> {
    let by = staff.actor();
    let (JsonBody(_), who) = with_reason(staff, |JsonBody(asked)| asked.reason.take())?;
    let claim = readings.claim().await.map_err(|error| reading_stream::refused(&error))?;
    on_record(&state, &who, "verification".to_owned(), None).await?;
    Ok(follow(&state, &feed, by, claim.verify(), VerificationResult::from))
}
