//! What auditors read: the log, the log as it grows, accounts as they stood. A file a subject. Nothing here changes anything
//! but the auditor's own stream, which says what he read and why.

pub mod accounts;
pub mod events;
pub mod stream;

use actix_web::HttpRequest;
use counterfoil_domain::values::Reason;
use utoipa::PartialSchema as _;

use super::Problem;
use super::document::Header;
use super::extract::{Auditor, Complaint, Fields, Staff};
use crate::app::State;
use crate::journal::JournalError;

/// In which header an auditor gives his reason, where it is not in the query.
const REASON: &str = "x-audit-reason";

/// That header, as the document tells of it.
const REASON_HEADER: Header = Header {
    name: "X-Audit-Reason",
    description: "Why the log is read, where `reason` does not say it.",
    schema: Reason::schema,
};

/// Puts on record what an auditor is about to be shown, and why: what comes back is who may be shown it.
async fn on_record<T>(
    state: &State,
    request: &HttpRequest,
    staff: Staff<Auditor, T>,
    named: Option<Reason>,
    what: impl FnOnce(&T) -> String,
) -> Result<T, Problem> {
    let reason = match named {
        Some(reason) => reason,
        None => given(request)?,
    };
    let what = what(&staff.asked);
    let noted = state.accounts.read_audit(staff.token, what, reason, staff.origin).await;
    noted.map_err(|error| state.problem(&error))?;
    Ok(staff.asked)
}

/// The reason in the header, in UTF-8.
fn given(request: &HttpRequest) -> Result<Reason, Problem> {
    let header = request.headers().get(REASON).ok_or_else(|| Problem::missing_field("reason"))?;
    let text = String::from_utf8_lossy(header.as_bytes());
    Reason::parse(&text).map_err(|error| Problem::invalid_field("reason", error.message()))
}

/// A reason in the query. The outer `None` is a complaint.
fn reason(fields: &mut Fields) -> Option<Option<Reason>> {
    fields.optional("reason", Reason::parse)
}

fn problem(error: &JournalError) -> Problem {
    Problem::from_journal(error)
}
