//! What auditors read: the log, the log as it grows, accounts as they stood. A file a subject. Nothing here changes anything
//! but the auditor's own stream, which says what they read and why.

pub mod accounts;
pub mod events;
pub mod stream;

use counterfoil_domain::values::Reason;

use super::Problem;
use super::extract::{AuditorRole, StaffCaller};
use crate::http::AppState;
use crate::journal::JournalError;

/// Puts on record what an auditor is about to be shown, and why: what comes back is who may be shown it.
async fn on_record<T>(
    state: &AppState,
    staff: StaffCaller<AuditorRole, T>,
    named: Option<Reason>,
    what: impl FnOnce(&T) -> String,
) -> Result<T, Problem> {
    let reason = named.ok_or_else(|| Problem::missing_field("reason"))?;
    let what = what(&staff.asked);
    let noted = state.accounts.read_audit(staff.token, what, reason, staff.origin).await;
    noted.map_err(|error| state.problem(&error))?;
    Ok(staff.asked)
}

fn problem(error: &JournalError) -> Problem {
    Problem::from_journal(error)
}
