//! Give a device a name.

use chrono::{DateTime, Utc};

use crate::user_account::{
    AccountFact, PersonalDetails, Refusal, SessionFact, UserAccount, UserAccountEvent,
};
use crate::values::{Client, DeviceName, SessionId};

/// Change the name by which the person knows a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenameDevice {
    pub at: DateTime<Utc>,
    /// The session in whose name it is asked.
    pub session: SessionId,
    /// The session on the device, which may be the same.
    pub device: SessionId,
    pub name: DeviceName,
    /// From where it was asked.
    pub client: Client,
}

impl RenameDevice {
    pub(super) fn decide(self, state: &UserAccount) -> Result<Vec<UserAccountEvent>, Refusal> {
        let at = state.time_of(self.at);
        state.live_session(self.session, at).ok_or(Refusal::SessionEnded)?;
        let device = state.live_session(self.device, at).ok_or(Refusal::UnknownDevice)?;
        Ok(vec![UserAccountEvent {
            at,
            fact: AccountFact::Session(SessionFact::DeviceRenamed { session: device.id }),
            person: Some(PersonalDetails { device_name: Some(self.name), ..PersonalDetails::default() }),
            client: Some(self.client),
        }])
    }
}
