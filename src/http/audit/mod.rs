//! What auditors read: the log, the log as it grows, accounts as they stood. A file a subject. Nothing here changes anything
//! but the auditor's own stream, which says what they read and why.

pub mod accounts;
pub mod events;
pub mod stream;

use counterfoil_domain::user_account::StaffRecordFact;
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
    // The operator at the server may read without one.
    if staff.token().is_some() && named.is_none() {
        return Err(Problem::missing_field("reason"));
    }
    let what = what(&staff.asked);
    let (asked, who) = staff.into_action(|asked| (asked, named));
    let noted = state.accounts.put_on_record(&who, None, |by| StaffRecordFact::AuditRead { what, by }).await;
    noted.map_err(|error| state.problem(&error))?;
    Ok(asked)
}

fn problem(error: &JournalError) -> Problem {
    Problem::from_journal(error)
}
