//! Sign another device out.

use chrono::{DateTime, Utc};

use crate::user_account::{Refusal, SignOutReason, UserAccount, UserAccountEvent};
use crate::values::{Client, SessionId};

/// End a session of the same account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeDevice {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    /// The session to end.
    pub device: SessionId,
    /// From where it was asked.
    pub client: Client,
}

impl RevokeDevice {
    /// Revoking the device that one holds is signing out.
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.live_session(self.session, at).ok_or(Refusal::SessionEnded)?;
        let device = state.live_session(self.device, at).ok_or(Refusal::UnknownDevice)?;
        let is_own = device.id == self.session;
        let reason = if is_own { SignOutReason::SignedOut } else { SignOutReason::DeviceRevoked };
        Ok(vec![device.ended(at, reason, &self.client)])
    }
}
