//! The section `sessions`: the rules for device sessions.

use counterfoil_domain::user_account::{ClientBinding, DeviceLimitPolicy, Policy, TokenRotation};

use super::raw::raw_section;
use super::seconds;
use crate::delivery::notices::NewDeviceNotice;

raw_section!(RawSessions {
    idle: u32,
    absolute: u32,
    refresh_grace: u32,
    refreshes_per_minute: u32,
    device_limit: usize,
    device_limit_policy: DeviceLimitPolicy,
    binding: ClientBinding,
    rotation: TokenRotation,
    new_device_notice: NewDeviceNotice,
});

impl RawSessions {
    /// Returns the policy with the rules for sessions, which are not checked.
    pub fn extend(self, policy: Policy) -> Policy {
        Policy {
            session_idle: seconds(self.idle),
            session_absolute: seconds(self.absolute),
            refresh_grace: seconds(self.refresh_grace),
            refreshes_per_minute: self.refreshes_per_minute,
            device_limit: self.device_limit,
            device_limit_policy: self.device_limit_policy,
            binding: self.binding,
            rotation: self.rotation,
            ..policy
        }
    }
}
