//! Many sessions ended by staff at once.

use counterfoil_domain::user_account::commands::EndSession;
use counterfoil_domain::values::{AccountId, SessionId};
use futures_util::{StreamExt as _, stream};

use super::{Accounts, AccountsError, StaffAction};

/// How many sessions are ended at a time, so that others who write wait no longer than for one commit.
const AT_A_TIME: usize = 8;

/// What came of ending many sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndedSessionsCount {
    /// The sessions that ended with this.
    pub ended: u32,
    /// Those that had ended before, by another hand or by time.
    pub already_ended: u32,
    /// Those that could not be ended now. The same request ends them later.
    pub failed: u32,
}

impl Accounts {
    /// Ends these sessions, each with an event that names the member of staff, the reason and the case. Where two members of staff
    /// end the same sessions at once, each session is ended once, and counts as ended for one of them.
    ///
    /// # Errors
    /// [`AccountsError`] where not a single session was ended, and why.
    pub async fn end_sessions(
        &self,
        sessions: Vec<(AccountId, SessionId)>,
        who: &StaffAction,
    ) -> Result<EndedSessionsCount, AccountsError> {
        let end = |(account, session): (AccountId, SessionId)| {
            self.intervene(account, who.clone(), move |intervention| {
                EndSession { session, intervention }.into()
            })
        };
        let (mut count, mut first_error) = (EndedSessionsCount::default(), None);
        let mut answers = stream::iter(sessions.into_iter().map(end)).buffer_unordered(AT_A_TIME);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(true) => count.ended += 1,
                Ok(false) => count.already_ended += 1,
                Err(error) => {
                    count.failed += 1;
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if count.ended + count.already_ended == 0 => Err(error),
            Some(error) => {
                tracing::warn!(%error, failed = count.failed, "some sessions could not be ended");
                Ok(count)
            }
            None => Ok(count),
        }
    }
}
