//! What auditors read: the log, the log as it grows, accounts as they stood, who was signed in. A file a subject. Nothing here changes anything
//! but the auditor's own stream, which says what they read and why.

pub mod accounts;
pub mod checkpoints;
pub mod device_sessions;
mod event_filter;
pub mod events;
pub mod evidence;
pub mod export;
pub mod proofs;
mod reading_stream;
pub mod rehearsals;
pub mod steps;
pub mod stream;
pub mod verifications;

use counterfoil_domain::user_account::StaffRecordFact;
use counterfoil_domain::values::Reason;

use super::Problem;
use super::extract::{AuditorRole, StaffCaller};
use crate::accounts::StaffAction;
use crate::audit::{self, EventFilter};
use crate::http::AppState;
use crate::journal::JournalError;

/// Divides the request of an auditor into what they ask for and who asks it, with the reason that `read` finds in it. The operator at
/// the server may read without one.
fn with_reason<T>(
    staff: StaffCaller<AuditorRole, T>,
    read: impl FnOnce(&mut T) -> Option<Reason>,
) -> Result<(T, StaffAction), Problem> {
    let is_operator = staff.token().is_none();
    let (asked, who) = staff.into_action(|mut asked| {
        let reason = read(&mut asked);
        (asked, reason)
    });
    if who.reason.is_none() && !is_operator {
        return Err(Problem::missing_field("reason"));
    }
    Ok((asked, who))
}

/// Puts on record what an auditor is about to be shown. `query` is what of it may be personal, and is sealed.
async fn on_record(
    state: &AppState,
    who: &StaffAction,
    what: String,
    query: Option<String>,
) -> Result<(), Problem> {
    let noted = state.accounts.put_on_record(who, query, |by| StaffRecordFact::AuditRead { what, by }).await;
    noted.map_err(|error| state.problem(&error))
}

/// The position up to which it is known which events match. `after` may not be beyond the end of the log.
async fn reachable_end(state: &AppState, filter: &EventFilter, after: Option<i64>) -> Result<i64, Problem> {
    let journal = state.accounts.journal();
    let end = audit::known_end(journal, filter).await.map_err(|error| problem(&error))?;
    if let Some(after) = after.filter(|after| *after > end)
        && after > audit::end(journal).await.map_err(|error| problem(&error))?
    {
        return Err(Problem::invalid_field("after", "position_beyond_end"));
    }
    Ok(end)
}

fn problem(error: &JournalError) -> Problem {
    Problem::from_journal(error)
}
